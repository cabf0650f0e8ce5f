"""The model of GR00T N1.7, what it shares with N1.5 left out."""
