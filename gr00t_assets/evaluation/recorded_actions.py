"""What was recorded at the windows of a part, and what the rules without a model do there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.videos import spread_positions
from gr00t_assets.evaluation.intervals import Windows
from gr00t_assets.evaluation.result import BaselineName
from gr00t_assets.modality.config import ModalityConfig, VectorKey
from gr00t_assets.modality.key_transform import KeyTransform

HoldRule = Literal["state", "last action", "no motion"]
_AT_ONCE = 4096
NEAREST = 10  # Training states whose chunks are averaged
MOST_ROWS = 50_000  # Training rows that median and nearest chunks go by


class ActionGroup(KeyTransform):
    """One action group, its numbers ``normalised`` in the action, and what is ``held`` of it.

    The rule 'hold' repeats the state where a state group of the same name, width and representation
    stands for what an absolute action asks for; no motion for a relative action, and the action
    before the window for any other.
    """

    def __init__(self, key: VectorKey, start: int, state: VectorKey | None) -> None:
        super().__init__(key)
        self.state, self.normalised = state, slice(start, start + self.dim)
        self.held: HoldRule = "last action" if key.absolute else "no motion"
        if state is not None and key.absolute and key.normalization != "binary":
            width = state.end - state.start
            if (width, state.rotation_type) == (self.data_dim, key.rotation_type):
                self.held = "state"

    @property
    def number_by_number(self) -> bool:
        """Whether each number of the data is one of the model's, unlike those of a rotation."""
        return self.dim == self.data_dim and not self.converted

    @property
    def moving(self) -> np.ndarray:
        """Which of the model's numbers can change what is done, ``(dim,)``, bool.

        A number that never changes in the data has no range to be normalised by: whatever the
        model predicts, its one value is what comes out in units.
        """
        key = self.key
        if not self.number_by_number or key.normalization in (None, "binary"):
            return np.ones(self.dim, dtype=bool)
        statistics = key.chunk_statistics or key.statistics
        changes = np.atleast_2d(np.not_equal(statistics.min, statistics.max))
        return np.logical_or.reduce(changes)


@dataclass(frozen=True)
class RecordedActions:
    """Recorded and held actions at n windows, normalised and in units by group.

    A rotation has several names for one pose, so in units it goes there and back as a prediction.
    """

    actions: np.ndarray  # ``(n, horizon, action_dim)``
    held: np.ndarray  # ``(n, 1, action_dim)``; with relative actions ``(n, horizon, action_dim)``
    actions_in_units: dict[str, np.ndarray]  # ``(n, horizon, data_dim)``
    held_in_units: dict[str, np.ndarray]  # ``(n, 1, data_dim)``
    anchors: dict[str, np.ndarray]  # States that relative actions are against, ``(n, 1, data_dim)``


def action_groups(config: ModalityConfig) -> list[ActionGroup]:
    """The action groups in the order of the normalised vector."""
    states = {key.key: key for key in config.state}
    groups: list[ActionGroup] = []
    for key in config.action:
        start = groups[-1].normalised.stop if groups else 0
        groups.append(ActionGroup(key, start, states.get(key.state_key or key.key)))
    return groups


def recorded_at(
    windows: Windows, dataset: LeRobotDataset, groups: Sequence[ActionGroup], config: ModalityConfig
) -> RecordedActions:
    """Read what was recorded at some windows."""
    columns = sorted({key.original_key for key in (*config.action, *config.state)})
    episodes = [
        (dataset.vectors(episode, columns), windows.episodes == episode)
        for episode in dict.fromkeys(windows.episodes.tolist())
    ]

    def values(key: VectorKey, indices: Sequence[int]) -> np.ndarray:
        """A key's numbers at each window and some rows after it, ``(n, indices, numbers)``."""
        parts = []
        for vectors, chosen in episodes:
            column = vectors[key.original_key][:, key.start : key.end].astype(np.float64)
            rows = windows.rows[chosen][:, None] + np.asarray(indices)
            parts.append(column[np.clip(rows, 0, len(column) - 1)])
        return np.concatenate(parts)

    normalised, held_normalised = [], []
    in_units, held_in_units, anchors = {}, {}, {}
    for group in groups:
        name, anchor = group.key.key, None
        if group.key.is_relative:
            anchor = anchors[name] = values(config.state_of(group.key), [0])
        if group.held == "state" and group.state is not None:
            hold = values(group.state, [0])
        elif group.held == "last action":
            hold = values(group.key, [-1])
        else:
            hold = group.inverse(np.broadcast_to(group.padding(), (len(windows), 1, group.dim)))
        for raw, forms, units in (
            (values(group.key, config.action_indices), normalised, in_units),
            (hold, held_normalised, held_in_units),
        ):
            forms.append(group.forward(raw, anchor))
            units[name] = group.inverse(forms[-1], anchor) if group.converted else raw
    joined = _joined(normalised), _joined(held_normalised)
    return RecordedActions(*joined, in_units, held_in_units, anchors)


def _joined(groups: Sequence[np.ndarray]) -> np.ndarray:
    """Groups as one vector. What is held differs from step to step where it is relative."""
    steps = max(part.shape[1] for part in groups)
    whole = [np.broadcast_to(part, (len(part), steps, part.shape[-1])) for part in groups]
    return np.concatenate(whole, axis=-1)


class TrainingActions:
    """What the rules say that know the training data and no model.

    The ``mean`` is over every row; the ``median`` and the nearest chunks go by ``rows``, drawn
    evenly where there are more than ``MOST_ROWS``, which bounds memory.
    """

    def __init__(self, train: Demonstrations) -> None:
        from scipy.spatial import KDTree

        self._train = train
        self.rows = np.array(spread_positions(len(train), MOST_ROWS))
        total = np.zeros(train.config.action_dim)
        for at in range(0, len(train), _AT_ONCE):
            total += self._now(np.arange(at, min(at + _AT_ONCE, len(train)))).sum(axis=0)
        self.mean = total / len(train)
        starts = range(0, len(self.rows), _AT_ONCE)
        drawn = [self._now(self.rows[at : at + _AT_ONCE]) for at in starts]
        self.median = np.median(np.concatenate(drawn), axis=0)
        self._tree = KDTree(train.states(self.rows)[:, 0])

    def answers(self, states: np.ndarray) -> dict[BaselineName, np.ndarray]:
        """What the rules say at states ``(n, max_state_dim)``, normalised as those are.

        ``(n or 1, horizon or 1, action_dim)`` each. The nearest chunks are the mean of those that
        followed the ``NEAREST`` training states with the least Euclidean distance: images and
        prompts have no say, and a state that was trained on is its own nearest.
        """
        width = self._train.config.action_dim
        _, places = self._tree.query(states, min(NEAREST, len(self.rows)))
        near = self.rows[np.reshape(places, (len(states), -1))]
        chunks = [self._train.actions(rows)[..., :width].mean(axis=0) for rows in near]
        return {
            "mean action": self.mean[None, None],
            "nearest chunks": np.stack(chunks),
            "median action": self.median[None, None],
        }

    def _now(self, rows: np.ndarray) -> np.ndarray:
        """Actions of the rows themselves, ``(rows, action_dim)``."""
        config = self._train.config
        now = config.action_indices.index(0) if 0 in config.action_indices else 0
        return self._train.actions(rows)[:, now, : config.action_dim].astype(np.float64)
