"""Several datasets that are trained on as one: their shares, an epoch, and merged statistics.

The rules are those of ``LeRobotMixtureDataset`` in ``gr00t/data/dataset.py`` of Isaac-GR00T at
a86e915, with percentiles mixed as its fine-tuning script does.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.modality.config import ChunkStatistics, ModalityConfig, Statistics, VectorKey

AnyStatistics = TypeVar("AnyStatistics", Statistics, ChunkStatistics)

_Group = list[tuple[ModalityConfig, float]]
"""Modality configs of one embodiment tag, each with its share of all samples."""

_PARTS = ("state", "action")

_STATISTICS = ("statistics", "chunk_statistics")
_OWN = {"original_key", "start", "end", *_STATISTICS}
"""Fields of a vector key that datasets of one embodiment may have each for itself."""


def sampling_shares(
    weights: Sequence[float], rows: Sequence[int], balanced: bool
) -> tuple[float, ...]:
    """The share of all samples that is drawn from each dataset; weights as the sweep file has them.

    Args:
        rows: Rows of each that are trained on.
        balanced: NVIDIA's ``balance_dataset_weights``: weights count for each row, so that equal
            ones give every row the same chance, and not every dataset.

    Examples:
        >>> sampling_shares([1, 1], [300, 100], True), sampling_shares([1, 1], [300, 100], False)
        ((0.75, 0.25), (0.5, 0.5))
    """
    chances = np.array(weights, dtype=np.float64) * (rows if balanced else 1)
    return tuple((chances / chances.sum()).tolist())


def epoch_samples(weights: Sequence[float], rows: Sequence[int], shares: Sequence[float]) -> int:
    """Samples of an epoch: until the primary dataset has been drawn as often as it has rows.

    Primary are those of the highest weight; NVIDIA's script knows them by the weight 1.

    Examples:
        >>> epoch_samples([1, 0.5], [300, 300], [2 / 3, 1 / 3])
        450
    """
    highest = max(weights)
    primary = [i for i, weight in enumerate(weights) if weight == highest]
    return max(int(rows[i] / shares[i]) for i in primary)


def merged_statistics(
    statistics: Sequence[AnyStatistics], shares: Sequence[float]
) -> AnyStatistics:
    """Statistics of one key over several datasets, each with its share of the samples.

    Least and greatest over all; mean and standard deviation of the mixed distribution; the 1st and
    99th percentile as the weighted means of the datasets' own.
    """
    kind = type(statistics[0])
    values = {
        name: np.array([getattr(item, name) for item in statistics]) for name in kind.model_fields
    }
    merged = {name: np.average(of_each, 0, shares) for name, of_each in values.items()}
    squares = np.average(values["std"] ** 2 + values["mean"] ** 2, 0, shares)
    merged["std"] = np.sqrt(np.maximum(squares - merged["mean"] ** 2, 0))
    merged |= {"min": values["min"].min(axis=0), "max": values["max"].max(axis=0)}
    return kind.model_validate({name: value.tolist() for name, value in merged.items()})


def mixed_configs(
    configs: Sequence[ModalityConfig], shares: Sequence[float]
) -> tuple[ModalityConfig, ...]:
    """The modality configs of datasets as they are trained on together, in their order.

    Datasets of one embodiment tag share its weights in the model, and so their statistics. States
    and actions of all are padded to the width of the widest. ``shares`` are of all samples.

    Raises:
        DatasetError: They cannot be trained on together; every reason is listed.
    """
    groups: dict[str, _Group] = {}
    for config, share in zip(configs, shares, strict=True):
        groups.setdefault(config.embodiment_tag, []).append((config, share))
    _refuse_unlike(configs, groups)
    widths = {
        "max_state_dim": max(config.max_state_dim for config in configs),
        "max_action_dim": max(config.max_action_dim for config in configs),
    }
    return tuple(
        config.model_copy(update=widths | _merged_keys(config, groups[config.embodiment_tag]))
        for config in configs
    )


def _merged_keys(config: ModalityConfig, group: _Group) -> dict[str, tuple[VectorKey, ...]]:
    """State and action of a config with the statistics of its group; nothing of one alone."""
    if len(group) == 1:
        return {}
    configs, shares = zip(*group, strict=True)
    merged: dict[str, tuple[VectorKey, ...]] = {}
    for part in _PARTS:
        keys = zip(*(getattr(item, part) for item in (config, *configs)), strict=True)
        merged[part] = tuple(
            key.model_copy(
                update={
                    field: merged_statistics([getattr(item, field) for item in alike], shares)
                    for field in _STATISTICS
                    if getattr(key, field) is not None
                }
            )
            for key, *alike in keys
        )
    return merged


def _refuse_unlike(configs: Sequence[ModalityConfig], groups: dict[str, _Group]) -> None:
    first, count = configs[0], len(configs[0].action_indices)
    problems = [
        f"{first.dataset} is trained on chunks of {count} actions, {config.dataset} of "
        f"{len(config.action_indices)}: give their data configs as many action_indices"
        for config in configs
        if len(config.action_indices) != count
    ]
    for tag, group in groups.items():
        for (a, _), (b, _) in pairwise(group):
            problems += [
                f"{a.dataset} and {b.dataset} have the embodiment tag {tag}, but not one {part}: "
                f"{difference}; give one of them another embodiment_tag in data/datasets.yaml"
                for part in _PARTS
                if (difference := _difference(getattr(a, part), getattr(b, part)))
            ]
    if problems:
        names = " and ".join(config.dataset for config in configs)
        raise DatasetError(names, "they cannot be trained on together.", problems)


def _difference(keys: Sequence[VectorKey], others: Sequence[VectorKey]) -> str | None:
    """Where the keys of one embodiment differ: ``keys left_arm, not single_arm``."""
    names, other_names = (", ".join(key.key for key in part) for part in (keys, others))
    if names != other_names:
        return f"keys {names}, not {other_names}"
    for key, other in zip(keys, others, strict=True):
        here, there = (
            {"numbers": item.end - item.start, **item.model_dump(exclude=_OWN)}
            for item in (key, other)
        )
        for field in here:
            if here[field] != there[field]:
                return f"{field} of {key.key} {here[field]}, not {there[field]}"
    return None
