"""The stages of a dvc.yaml side by side, one at a time on each device."""
