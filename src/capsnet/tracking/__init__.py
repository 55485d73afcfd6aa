"""Loggers, and all that is sent to W&B."""
