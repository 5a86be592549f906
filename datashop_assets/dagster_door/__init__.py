"""Dagster's door: what assets, checks, runs and profiles have in common."""
