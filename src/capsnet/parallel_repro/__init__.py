"""The stages of a dvc.yaml side by side, one or several at a time on each device."""
