"""Fine-tune NVIDIA GR00T on LeRobot demonstrations as Dagster assets."""

__version__ = "0.2.0"
