"""The scene that is drawn here: robots, cameras, and a task in it as a Gymnasium environment."""
