"""Predictions of a trained network, and the arrays that figures show."""
