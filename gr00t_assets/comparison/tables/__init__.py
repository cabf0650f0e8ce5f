"""Tables of runs: CSV files, W&B, and the runs of a store in one pandas table."""
