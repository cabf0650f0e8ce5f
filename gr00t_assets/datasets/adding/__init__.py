"""Bringing a new dataset into a project: drafts, a data config, and its catalog entry."""
