"""What the trainers of GR00T N1.7 share."""
