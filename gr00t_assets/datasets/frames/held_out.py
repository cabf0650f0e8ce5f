"""Which episodes of a dataset are kept from training, as its entry in the catalog says."""

from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.lerobot import LeRobotDataset

_EXPECTED = "expected episode indices like [3, 7], or a share of the last episodes like 0.1"


def _refused(message: str) -> PydanticCustomError:
    return PydanticCustomError("held_out", "{message}", {"message": message})


def _checked(value: Any) -> tuple[int, ...] | float | None:
    if value is None:
        return None
    if isinstance(value, float):
        if not 0 < value < 1:
            raise _refused(f"a share lies between 0 and 1; {_EXPECTED}")
        return value
    if not isinstance(value, list | tuple) or not value:
        raise _refused(_EXPECTED)
    if not all(type(index) is int and index >= 0 for index in value):
        raise _refused(f"an episode index is a whole number from 0 on; {_EXPECTED}")
    twice = sorted({index for index in value if value.count(index) > 1})
    if twice:
        raise _refused(f"named twice: {', '.join(map(str, twice))}")
    return tuple(sorted(value))


HeldOut = Annotated[tuple[int, ...] | float | None, BeforeValidator(_checked)]
"""Indices of episodes, in order; or the share of the dataset's last episodes; or none."""


def held_out_episodes(
    held_out: tuple[int, ...] | float | None, dataset: LeRobotDataset
) -> tuple[int, ...]:
    """The indices of the episodes that are kept from training.

    Args:
        held_out: Their indices, or a share of the dataset's last episodes, which is rounded and is
            at least one episode; None where all are trained on.
        dataset: The dataset.

    Raises:
        DatasetError: The dataset lacks one of them, or none is left to train on.
    """
    if held_out is None:
        return ()
    episodes = [episode.index for episode in dataset.episodes]
    if isinstance(held_out, tuple):
        chosen = held_out
    else:
        chosen = tuple(episodes[-max(1, round(held_out * len(episodes))) :])
    remedy = "change held_out of this dataset in data/datasets.yaml"
    problems = []
    unknown = sorted(set(chosen) - set(episodes))
    if unknown:
        problems.append(
            f"held_out names {_shown(unknown)}, which it does not have; "
            f"it has {len(episodes)} episodes, {episodes[0]} to {episodes[-1]}"
            if episodes
            else f"held_out names {_shown(unknown)}; it has no episodes"
        )
    if not set(episodes) - set(chosen):
        problems.append(f"held_out takes all {len(episodes)}; none is left to train on")
    if problems:
        problem = "its held-out episodes cannot be kept from training."
        raise DatasetError(dataset.name, problem, [*problems, remedy])
    return chosen


def _shown(indices: list[int]) -> str:
    named = ", ".join(map(str, indices[:8]))
    return f"episodes {named}" + (" and more" if len(indices) > 8 else "")
