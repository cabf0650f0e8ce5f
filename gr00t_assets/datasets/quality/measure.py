"""Measuring the quality of a dataset: what no check forbids and a policy still learns from."""

import json

import numpy as np

from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.lerobot import LeRobotDataset
from gr00t_assets.datasets.quality.columns import slices
from gr00t_assets.datasets.quality.figures import Lengths, Quality
from gr00t_assets.datasets.quality.images import cameras
from gr00t_assets.datasets.quality.language import language
from gr00t_assets.datasets.quality.thresholds import LENGTH_FACTOR
from gr00t_assets.datasets.quality.vectors import copies, idle, ranges, vector
from gr00t_assets.datasets.quality.warnings import find_warnings


def measure_quality(
    dataset: LeRobotDataset, cache: FrameCache | None, language_column: str | None = None
) -> Quality:
    """Figures of a dataset, with a warning for each threshold that one of them passes.

    Reads the rows a few times, an episode at a time, and of the frames a sample.

    Args:
        dataset: The dataset.
        cache: Its frames; without them nothing is said of images.
        language_column: Column of task indices of the data config that will be trained; by
            default the one that modality.json names.

    Raises:
        DatasetError: Its rows cannot be read, or the cache is of another dataset.
    """
    states, actions = slices(dataset, "state"), slices(dataset, "action")
    columns = dict.fromkeys(item.column for item in (*states, *actions))
    statistics = _statistics(dataset)
    found = {column: ranges(dataset, column, statistics) for column in columns}
    at_rest = dict.fromkeys(item.column for item in states or actions)
    joints = {column: found[column] for column in at_rest}
    measured = Quality(
        dataset=dataset.name,
        fps=dataset.fps,
        lengths=_lengths(dataset),
        idle=idle(dataset, joints),
        vectors=tuple(
            vector(dataset, column, found[column], [*states, *actions]) for column in columns
        ),
        copies=copies(dataset, states, actions, found),
        language=language(dataset, language_column),
        cameras=cameras(dataset, cache, joints) if cache is not None else (),
    )
    return measured.model_copy(update={"warnings": tuple(find_warnings(measured))})


def _lengths(dataset: LeRobotDataset) -> Lengths:
    rows = [episode.length for episode in dataset.episodes]
    median = float(np.median(rows))
    return Lengths(
        rows=tuple(rows),
        shortest=min(rows),
        median=median,
        longest=max(rows),
        outliers=tuple(
            episode.index
            for episode in dataset.episodes
            if episode.length * LENGTH_FACTOR < median or episode.length > median * LENGTH_FACTOR
        ),
    )


def _statistics(dataset: LeRobotDataset) -> object:
    """``meta/stats.json``, or None where it is missing or damaged, which other checks report."""
    try:
        return json.loads((dataset.directory / "meta" / "stats.json").read_text())
    except (OSError, ValueError):
        return None
