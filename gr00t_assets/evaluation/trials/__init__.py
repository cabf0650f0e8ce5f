"""Trials of policies on a real robot: the blind plan, its outcomes, what was recorded meanwhile."""
