"""Datasets held against data configs."""
