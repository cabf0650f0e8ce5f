"""Fine-tune NVIDIA GR00T N1.5 on LeRobot demonstrations as Dagster assets."""

__version__ = "0.2.0"
