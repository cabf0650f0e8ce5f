"""Datasets: where they come from, how they are read, checked and prepared."""
