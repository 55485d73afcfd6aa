"""Analyses of records: selection of runs, intervals, paired tests and verdicts of the plan."""
