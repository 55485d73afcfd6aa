"""Tables, figures and pages from result records, never from a dashboard; contact sheets of data."""
