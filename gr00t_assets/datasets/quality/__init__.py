"""The quality of demonstrations: figures, warnings and a picture."""
