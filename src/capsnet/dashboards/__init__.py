"""What W&B shows of all runs together: a workspace and a report, built by code."""
