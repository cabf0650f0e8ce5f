"""How far a long work is, shown on a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(description: str, unit: str = "frames") -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error while the block runs; nothing where that is not a terminal.

    Args:
        description: What is being done.
        unit: What is counted.

    Yields:
        Takes the number done and the number in all, as :func:`build_frame_cache` tells them.

    Example:
        >>> with progress_bar("decoding") as tell:
        ...     tell(10, 10)
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown:
        task = shown.add_task(description, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
