"""The capsule explorer: what a trained network makes of a digit, in a browser."""
