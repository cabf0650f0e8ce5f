"""Sweep files, and the experiments that they describe."""
