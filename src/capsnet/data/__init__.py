"""The data sets: what is on disk, what a step sees, and how Lightning gets it."""
