"""Windows to outcomes: grouping, turns, budgets."""
