"""What is odd about a dataset that fits its data config: usable, and worth a look."""

from itertools import combinations

import numpy as np

from gr00t_assets.datasets.column_statistics import ColumnStatistics
from gr00t_assets.datasets.fit.fit_check import DatasetFacts, present_keys
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.modality.config import VectorKey
from gr00t_assets.modality.data_config import DataConfig
from gr00t_assets.modality.modality_json import Modality


def fit_warnings(
    facts: DatasetFacts,
    config: DataConfig,
    statistics: ColumnStatistics,
    keys: tuple[VectorKey, ...],
) -> list[str]:
    """Warnings of a dataset that fits."""
    return [
        *facts.modality.unknown_fields(),
        *_overlaps(facts, config),
        *_shifted_timestamps(facts.dataset),
        *_misdeclared_cameras(facts, config),
        *_odd_statistics(statistics, keys),
    ]


def _odd_statistics(statistics: ColumnStatistics, keys: tuple[VectorKey, ...]) -> list[str]:
    """Columns without stored statistics, and keys that leave the range that is stored."""
    warnings = []
    for column in dict.fromkeys(key.original_key for key in keys):
        if not statistics.is_stored(column):
            if statistics.has_file:
                warnings.append(f"statistics of {column} were computed: meta/stats.json lacks them")
            continue
        rows = statistics.computed(column)
        for key in (key for key in keys if key.original_key == column):
            slack = 1e-5 * np.maximum(1.0, np.abs(key.statistics.max))
            below = rows["min"][key.start : key.end] < np.array(key.statistics.min) - slack
            above = rows["max"][key.start : key.end] > np.array(key.statistics.max) + slack
            if (below | above).any():
                warnings.append(
                    f"{column}: '{key.key}' leaves the range that meta/stats.json gives in "
                    f"{int((below | above).sum())} of its numbers; the file may be of other data"
                )
    return warnings


def _misdeclared_cameras(facts: DatasetFacts, config: DataConfig) -> list[str]:
    """Cameras whose videos are of another size than declared, which Isaac-GR00T refuses."""
    warnings = []
    for key in config.video:
        feature = facts.modality.video_feature(key)
        real, declared = facts.cameras[feature], facts.declared[feature]
        if (real.height, real.width) != (declared.height, declared.width):
            warnings.append(
                f"camera '{key}' is {real.height}x{real.width} in its videos and "
                f"{declared.height}x{declared.width} in meta/info.json, which Isaac-GR00T refuses"
            )
    return warnings


def _shifted_timestamps(dataset: LeRobotDataset) -> list[str]:
    """A first row that is half a frame or more after the video's first frame, or before it."""
    episode = dataset.episodes[0].index
    first = float(dataset.timestamps(episode)[0])
    shift = round(first * dataset.fps) if np.isfinite(first) else 0
    if shift == 0:
        return []
    return [
        f"timestamps of episode {episode} start at {first:g} s: frames are looked up by time, so "
        f"row i gets frame i{shift:+d} as in Isaac-GR00T, within the video"
    ]


def _overlaps(facts: DatasetFacts, config: DataConfig) -> list[str]:
    """Keys of one modality whose slices share numbers: usable, and rarely meant."""
    warnings = []
    modalities: tuple[Modality, ...] = ("state", "action")
    for modality in modalities:
        for (key, first), (other_key, second) in combinations(
            present_keys(facts, config, modality), 2
        ):
            same_column = facts.modality.vector_column(modality, key.key) == (
                facts.modality.vector_column(modality, other_key.key)
            )
            if same_column and max(first.start, second.start) < min(first.end, second.end):
                warnings.append(
                    f"{modality} keys '{key.key}' ({first.start}:{first.end}) and "
                    f"'{other_key.key}' ({second.start}:{second.end}) overlap"
                )
    return warnings
