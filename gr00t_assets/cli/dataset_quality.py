"""What ``gr00t-assets dataset check --quality`` measures and prints."""

from contextlib import suppress
from pathlib import Path

from rich.text import Text

from gr00t_assets.cli.output import console, plain_table
from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.quality.figures import Quality
from gr00t_assets.datasets.quality.measure import measure_quality
from gr00t_assets.datasets.quality.table import COLUMNS, SCORE_COLUMNS, quality_table, score_table
from gr00t_assets.datasets.record import load_record
from gr00t_assets.modality.config import load_modality_config


def quality_of(path: str, directory: Path) -> Quality | None:
    """The quality of a dataset, None of one that cannot be read; with its frames where it is one of
    the store that has them.

    Args:
        path: What the person called it: a folder, or a name in the store.
        directory: Its folder.
    """
    cache = None
    if not Path(path).exists():
        store = Store.from_environment()
        record = load_record(path, store)
        with suppress(DatasetError):
            size = load_modality_config(record.name, store).frame_size
            cache = FrameCache.open(store.frame_cache(record.name, record.version), size)
    with suppress(DatasetError):  # The check has said why.
        return measure_quality(LeRobotDataset.open(directory), cache)
    return None


def print_quality(quality: Quality) -> None:
    """Print every measure, the warnings, and the episodes that lost points."""
    out, table, scores = console(), plain_table(), plain_table()
    for heading in COLUMNS[:2]:
        table.add_column(heading)
    for name, figure, _ in quality_table(quality):
        table.add_row(name, Text(figure))
    out.print(table)
    for message in quality.messages():
        out.print(Text.assemble(("warning ", "yellow"), message), soft_wrap=True)
    rows = score_table(quality)
    if rows:
        for heading in SCORE_COLUMNS:
            scores.add_column(heading)
        for episode, score, reasons in rows:
            scores.add_row(episode, score, Text(reasons))
        out.print()
        out.print(scores)
