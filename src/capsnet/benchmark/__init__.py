"""How fast: step by step in turn, each way to compute in a process of its own."""
