"""What was recorded at the windows of a part, and what the rules without a model do there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.evaluation.windows import Windows
from gr00t_assets.modality.config import ModalityConfig, VectorKey
from gr00t_assets.modality.key_transform import KeyTransform

HoldRule = Literal["state", "last action", "no motion"]
_AT_ONCE = 4096


class ActionGroup(KeyTransform):
    """One action group: where it stands in the normalised vector, and what 'hold' repeats of it.

    Attributes:
        start: First of its numbers in the normalised action.
        held: What the rule repeats: the state where a state group of the same name, width and
            representation stands for what an absolute action asks for; no motion for a relative
            action, and the action before the window for any other.
        state: The state group of the same name.
    """

    def __init__(self, key: VectorKey, start: int, state: VectorKey | None) -> None:
        super().__init__(key)
        self.start, self.state = start, state
        fits = state is not None and (
            (state.end - state.start, state.rotation_type) == (self.data_dim, key.rotation_type)
        )
        self.held: HoldRule = "last action" if key.absolute else "no motion"
        if key.absolute and fits and key.normalization != "binary":
            self.held = "state"

    @property
    def normalised(self) -> slice:
        """Its numbers in the normalised action."""
        return slice(self.start, self.start + self.dim)

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
    """Recorded and held actions at n windows.

    Attributes:
        actions: Normalised, ``(n, horizon, action_dim)``.
        held: Normalised, ``(n, 1, action_dim)``, the same at every step; with relative actions
            ``(n, horizon, action_dim)``.
        actions_in_units: By group, ``(n, horizon, data_dim)``. A rotation has several names for
            one pose, so it goes there and back as a prediction does.
        held_in_units: By group, ``(n, 1, data_dim)``.
        anchors: States that relative actions are against, by group, ``(n, 1, data_dim)``.
    """

    actions: np.ndarray
    held: np.ndarray
    actions_in_units: dict[str, np.ndarray]
    held_in_units: dict[str, np.ndarray]
    anchors: dict[str, np.ndarray]


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

    normalised: list[np.ndarray] = []
    held_normalised: list[np.ndarray] = []
    recorded = RecordedActions(np.empty(0), np.empty(0), {}, {}, {})
    for group in groups:
        name, anchor = group.key.key, None
        if group.key.is_relative:
            anchor = recorded.anchors[name] = values(config.state_of(group.key), [0])
        if group.held == "state" and group.state is not None:
            held = values(group.state, [0])
        elif group.held == "last action":
            held = values(group.key, [-1])
        else:
            still = np.broadcast_to(group.padding(), (len(windows), 1, group.dim))
            held = group.inverse(still)
        for raw, forms, in_units in (
            (values(group.key, config.action_indices), normalised, recorded.actions_in_units),
            (held, held_normalised, recorded.held_in_units),
        ):
            forms.append(group.forward(raw, anchor))
            in_units[name] = group.inverse(forms[-1], anchor) if group.converted else raw
    return replace(recorded, actions=_joined(normalised), held=_joined(held_normalised))


def _joined(groups: Sequence[np.ndarray]) -> np.ndarray:
    """Groups as one vector. What is held differs from step to step where it is relative."""
    steps = max(part.shape[1] for part in groups)
    whole = [np.broadcast_to(part, (len(part), steps, part.shape[-1])) for part in groups]
    return np.concatenate(whole, axis=-1)


def mean_action(train: Demonstrations) -> np.ndarray:
    """Mean normalised action over every row that was trained on, ``(action_dim,)``, float64."""
    indices = train.config.action_indices
    now = indices.index(0) if 0 in indices else 0
    total = np.zeros(train.config.max_action_dim)
    for first in range(0, len(train), _AT_ONCE):
        rows = np.arange(first, min(first + _AT_ONCE, len(train)))
        total += train.actions(rows)[:, now].sum(axis=0, dtype=np.float64)
    return (total / len(train))[: train.config.action_dim]
