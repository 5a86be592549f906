"""Dagster: assets and checks made from the steps' declarations, the sensor, profiles, and launching a run."""
