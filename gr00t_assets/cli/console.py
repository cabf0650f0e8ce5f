"""The terminal that commands print tables on."""

from rich.console import Console

PIPED_WIDTH = 100
"""Columns where the output is no terminal, such as a CI log."""


def console() -> Console:
    """The standard output, wide enough for a table where it is no terminal."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=PIPED_WIDTH)
