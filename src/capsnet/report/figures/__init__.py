"""Figures as PNG and SVG, and contact sheets of the data."""
