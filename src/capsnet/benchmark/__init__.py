"""Time training steps of several implementations in turn, each in its own process."""
