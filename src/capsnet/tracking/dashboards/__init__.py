"""W&B's workspace and report of all runs together, built by code."""
