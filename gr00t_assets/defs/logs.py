"""What a command prints of a run: what the assets say, not each step of Dagster's own."""

import dagster as dg

console_logger = dg.colored_console_logger.configured(
    {"log_level": "INFO"}, description="Lines of level INFO and above."
)
"""The page shows every event whatever this prints."""
