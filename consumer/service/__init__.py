"""Joins core and edge: tasks, rebalances, drain, status."""
