"""How numbers, images and words of a dataset become what a model is fed, and back."""
