"""Attacks on trained networks: images changed a little so that the answer becomes wrong."""
