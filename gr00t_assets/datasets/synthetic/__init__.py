"""Synthetic demonstrations, drawn and written as a LeRobot dataset."""
