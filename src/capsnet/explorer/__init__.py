"""The capsule explorer: look into a trained network, in a browser."""
