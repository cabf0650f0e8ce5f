"""Episodes that are kept from training: how the catalog says which, and which they are."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.folder import episode_names

if TYPE_CHECKING:
    from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset

_HELD_OUT_FORM = "expected episode indices like [3, 7], or a share of the last episodes like 0.1"


def _checked_held_out(value: Any) -> tuple[int, ...] | float | None:
    if isinstance(value, float) and not 0 < value < 1:
        raise ValueError(f"a share lies between 0 and 1; {_HELD_OUT_FORM}")
    if value is None or isinstance(value, float):
        return value
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(_HELD_OUT_FORM)
    if not all(type(index) is int and index >= 0 for index in value):
        raise ValueError(f"an episode index is a whole number from 0 on; {_HELD_OUT_FORM}")
    repeated = sorted({index for index in value if value.count(index) > 1})
    if repeated:
        raise ValueError(f"named twice: {', '.join(map(str, repeated))}")
    return tuple(sorted(value))


HeldOut = Annotated[tuple[int, ...] | float | None, BeforeValidator(_checked_held_out)]
"""Indices of episodes, in order; or the share of the dataset's last episodes; or none."""


def held_out_episodes(
    held_out: tuple[int, ...] | float | None,
    dataset: "LeRobotDataset",
    numbers: tuple[int, ...] = (),
) -> tuple[int, ...]:
    """The indices of the episodes that are kept from training.

    Args:
        held_out: Their numbers in the source, or a share of the dataset's last episodes, which is
            rounded and is at least one episode; None where all are trained on.
        numbers: Number in the source of each episode, where it is another than its index.

    Raises:
        DatasetError: The dataset lacks one of them, or none is left to train on.
    """
    if held_out is None:
        return ()
    indices = [episode.index for episode in dataset.episodes]
    index_of = dict(zip(numbers or indices, indices, strict=True))
    episodes = list(index_of)
    if not isinstance(held_out, tuple):
        held_out = tuple(episodes[-max(1, round(held_out * len(episodes))) :])
    problems = []
    if unknown := sorted(set(held_out) - index_of.keys()):
        has = f"{len(episodes)} episodes, {episodes[0]} to {episodes[-1]}" if episodes else "none"
        problems.append(
            f"held_out names {episode_names(unknown)}, which it does not have; it has {has}"
        )
    if index_of.keys() <= set(held_out):
        problems.append(f"held_out takes all {len(episodes)}; none is left to train on")
    if problems:
        problem = "its held-out episodes cannot be kept from training."
        remedy = "change held_out of this dataset in data/datasets.yaml"
        raise DatasetError(dataset.name, problem, [*problems, remedy])
    return tuple(index_of[number] for number in held_out)
