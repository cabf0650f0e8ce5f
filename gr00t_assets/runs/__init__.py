"""Runs: what was asked, what was done, what it came to, and what of it is kept."""
