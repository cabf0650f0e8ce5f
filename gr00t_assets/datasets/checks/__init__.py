"""Checks of a dataset's files: faults, each with its file and its remedy."""
