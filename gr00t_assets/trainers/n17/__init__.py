"""GR00T N1.7: its sizes and hyperparameters, without torch."""
