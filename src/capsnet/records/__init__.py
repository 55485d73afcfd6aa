"""The files of a finished run: record, arrays and weights, with their statistics."""
