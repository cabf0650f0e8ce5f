"""What of the store stays: the rule for checkpoints, what is current, and what can be deleted."""
