"""What both trainers of GR00T N1.5 share: hyperparameters, and the sizes of the model."""
