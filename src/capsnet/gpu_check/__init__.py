"""One command that checks a GPU, times it, and says which settings to train with."""
