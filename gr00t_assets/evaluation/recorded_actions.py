"""What was recorded at the windows of a part, and what the rules without a model do there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.evaluation.windows import Windows
from gr00t_assets.modality.config import ModalityConfig, VectorKey
from gr00t_assets.modality.transforms import KeyTransform

HoldRule = Literal["state", "last action", "no motion"]
_AT_ONCE = 4096


@dataclass(frozen=True)
class ActionGroup:
    """One action group: where it stands in the normalised vector, and what 'hold' repeats of it.

    Attributes:
        key: Of the action.
        transform: Of the key.
        start: First of its numbers in the normalised action.
        held: What the rule repeats.
        state: The state group of the same name.
    """

    key: VectorKey
    transform: KeyTransform
    start: int
    held: HoldRule
    state: VectorKey | None

    @property
    def normalised(self) -> slice:
        """Its numbers in the normalised action."""
        return slice(self.start, self.start + self.transform.dim)

    @property
    def number_by_number(self) -> bool:
        """Whether each number of the data is one of the model's, unlike those of a rotation."""
        return self.transform.dim == self.transform.data_dim and not self._converted

    @property
    def moving(self) -> np.ndarray:
        """Which of the model's numbers can change what is done, ``(dim,)``, bool.

        A number that never changes in the data has no range to be normalised by: whatever the
        model predicts, its one value is what comes out in units.
        """
        key = self.key
        if not self.number_by_number or key.normalization in (None, "none", "binary"):
            return np.ones(self.transform.dim, dtype=bool)
        if key.chunk_statistics is not None:
            steps = np.asarray(key.chunk_statistics.min) != np.asarray(key.chunk_statistics.max)
            return steps.any(axis=0)
        return np.asarray(key.statistics.min) != np.asarray(key.statistics.max)

    @property
    def _converted(self) -> bool:
        key = self.key
        turned = key.is_relative and (key.type == "eef" or key.rotation_type is not None)
        return key.sin_cos or turned or key.target_rotation not in (None, key.rotation_type)

    def in_units(
        self,
        normalised: np.ndarray,
        raw: np.ndarray | None = None,
        anchor: np.ndarray | None = None,
    ) -> np.ndarray:
        """Values in units, ``(..., data_dim)``, from normalised ones or, where exact, raw ones.

        A rotation has several names for one pose; both sides of a difference go the same way. A
        relative action takes the state that it is against, ``(..., 1, data_dim)``.
        """
        if raw is not None and not self._converted:
            return raw
        return self.transform.inverse(normalised, anchor)


@dataclass(frozen=True)
class RecordedActions:
    """Recorded and held actions at n windows.

    Attributes:
        actions: Normalised, ``(n, horizon, action_dim)``.
        held: Normalised, ``(n, 1, action_dim)``, the same at every step; with relative actions
            ``(n, horizon, action_dim)``.
        actions_in_units: By group, ``(n, horizon, data_dim)``.
        held_in_units: By group, ``(n, 1, data_dim)``.
        anchors: States that relative actions are against, by group, ``(n, 1, data_dim)``.
    """

    actions: np.ndarray
    held: np.ndarray
    actions_in_units: dict[str, np.ndarray]
    held_in_units: dict[str, np.ndarray]
    anchors: dict[str, np.ndarray]


def action_groups(config: ModalityConfig) -> list[ActionGroup]:
    """The action groups in the order of the normalised vector.

    'Hold' repeats the state where a state group of the same name, width and representation stands
    for what an absolute action asks for; it repeats no motion for a relative action, and the
    action before the window for any other.
    """
    states = {key.key: key for key in config.state}
    groups, start = [], 0
    for key in config.action:
        transform = KeyTransform(key)
        state = states.get(key.state_key or key.key)
        fits = state is not None and (
            (state.end - state.start, state.rotation_type)
            == (key.end - key.start, key.rotation_type)
        )
        held: HoldRule = "last action" if key.absolute else "no motion"
        if key.absolute and fits and key.normalization != "binary":
            held = "state"
        groups.append(ActionGroup(key, transform, start, held, state))
        start += transform.dim
    return groups


def recorded_at(
    windows: Windows, dataset: LeRobotDataset, groups: Sequence[ActionGroup], config: ModalityConfig
) -> RecordedActions:
    """Read what was recorded at some windows."""
    columns = {key.original_key for key in (*config.action, *config.state)}
    indices = np.asarray(config.action_indices)
    anchors: dict[str, list[np.ndarray]] = {
        group.key.key: [] for group in groups if group.key.is_relative
    }
    actions: dict[str, list[np.ndarray]] = {group.key.key: [] for group in groups}
    held: dict[str, list[np.ndarray]] = {group.key.key: [] for group in groups}
    for episode in dict.fromkeys(windows.episodes.tolist()):
        rows = windows.rows[windows.episodes == episode]
        vectors = dataset.vectors(episode, sorted(columns))
        for group in groups:
            column = _slice(vectors, group.key)
            wanted = np.clip(rows[:, None] + indices, 0, len(column) - 1)
            actions[group.key.key].append(column[wanted])
            if group.key.is_relative:
                state = _slice(vectors, config.state_of(group.key))
                anchors[group.key.key].append(state[rows][:, None])
            if group.held == "state" and group.state is not None:
                held[group.key.key].append(_slice(vectors, group.state)[rows][:, None])
            elif group.held == "last action":
                held[group.key.key].append(column[np.maximum(rows - 1, 0)][:, None])
            else:
                still = group.transform.padding()
                still = group.transform.inverse(np.broadcast_to(still, (len(rows), 1, len(still))))
                held[group.key.key].append(still)
    joined = {name: np.concatenate(parts) for name, parts in anchors.items()}
    normalised, in_units = _both_forms(groups, actions, joined)
    held_normalised, held_in_units = _both_forms(groups, held, joined)
    return RecordedActions(normalised, held_normalised, in_units, held_in_units, joined)


def _both_forms(
    groups: Sequence[ActionGroup],
    values: dict[str, list[np.ndarray]],
    anchors: dict[str, np.ndarray],
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Raw values of each group as one normalised vector, and by group in units."""
    normalised: list[np.ndarray] = []
    in_units: dict[str, np.ndarray] = {}
    for group in groups:
        raw, anchor = np.concatenate(values[group.key.key]), anchors.get(group.key.key)
        normalised.append(group.transform.forward(raw, anchor))
        in_units[group.key.key] = group.in_units(normalised[-1], raw, anchor)
    # What is held is normalised otherwise at each step, where it is relative.
    steps = max(part.shape[1] for part in normalised)
    whole = [np.broadcast_to(part, (len(part), steps, part.shape[-1])) for part in normalised]
    return np.concatenate(whole, axis=-1), in_units


def mean_action(train: Demonstrations) -> np.ndarray:
    """Mean normalised action over every row that was trained on, ``(action_dim,)``, float64."""
    indices = train.config.action_indices
    now = indices.index(0) if 0 in indices else 0
    total = np.zeros(train.config.max_action_dim)
    for first in range(0, len(train), _AT_ONCE):
        rows = np.arange(first, min(first + _AT_ONCE, len(train)))
        total += train.actions(rows)[:, now].sum(axis=0, dtype=np.float64)
    return (total / len(train))[: train.config.action_dim]


def _slice(vectors: dict[str, np.ndarray], key: VectorKey) -> np.ndarray:
    return vectors[key.original_key][:, key.start : key.end].astype(np.float64)
