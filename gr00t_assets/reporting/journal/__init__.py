"""The research journal: what was tried, what came of it, and what is open, from the runs alone."""
