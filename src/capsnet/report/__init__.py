"""Tables and figures from result records, never from torch or a dashboard."""
