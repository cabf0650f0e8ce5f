"""GR00T N1.7 in the native trainer."""
