"""State and action columns to what the model is fed, and predicted actions back to units.

The order is NVIDIA's: slice, rotate or take sines and cosines, normalise, concatenate in the data
config's order, pad with zeros to a fixed width. Everything works on whole episodes at once.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.modality.config import ModalityConfig, VectorKey
from gr00t_assets.modality.generations import GENERATIONS
from gr00t_assets.modality.key_transform import KeyTransform

Columns: TypeAlias = Mapping[str, np.ndarray] | np.ndarray
"""Rows by column name, each (N, D), or the one (N, D) array that all keys are slices of."""


class _RelativeKey(NamedTuple):
    """A relative action key, the state key that it is against, and where its numbers are.

    ``place`` is in the normalised action; ``columns`` in ``actions`` have the action in units and
    then the state.
    """

    transform: KeyTransform
    state: VectorKey
    place: slice
    columns: slice

    def in_units(self, actions: np.ndarray, rows: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Action and state of some rows, each of the rows' shape and the key's numbers."""
        return np.split(actions[np.asarray(rows), self.columns], 2, axis=-1)


class StateActionTransform:
    """The state and action transforms of one modality config.

    Attributes:
        horizon: Actions of a chunk.
        action_mask: (horizon, max_action_dim), true where a number is action and not padding.
        state_columns: Columns that ``states`` reads.
        action_columns: Columns that ``actions`` reads: those of states too, of relative actions.
    """

    def __init__(self, config: ModalityConfig) -> None:
        self.config = config
        clips = GENERATIONS[config.generation].clips
        self._state = tuple(KeyTransform(key, clips) for key in config.state)
        self._action = tuple(KeyTransform(key, clips) for key in config.action)
        self._relative: list[_RelativeKey] = []
        start, behind = 0, config.max_action_dim
        for transform in self._action:
            end = start + transform.dim
            if transform.key.is_relative:
                state, columns = config.state_of(transform.key), 2 * transform.data_dim
                place, units = slice(start, end), slice(behind, behind + columns)
                self._relative.append(_RelativeKey(transform, state, place, units))
                behind += columns
            start = end
        self.horizon = len(config.action_indices)
        action_dims = np.arange(config.max_action_dim) < config.action_dim
        self.action_mask = np.broadcast_to(action_dims, (self.horizon, config.max_action_dim))
        self.state_columns = tuple(dict.fromkeys(key.original_key for key in config.state))
        keys = [*config.action, *(relative.state for relative in self._relative)]
        self.action_columns = tuple(dict.fromkeys(key.original_key for key in keys))
        padding = np.concatenate([key.padding() for key in self._action])
        self._padding = np.pad(padding, (0, config.max_action_dim - config.action_dim))
        self._pads_with_zero = ~np.isnan(self._padding)

    def states(self, columns: Columns) -> np.ndarray:
        """Every row's state as the model is fed it, (N, max_state_dim) float64, of N rows' columns.

        A row that holds no rotation where the key should is a DatasetError.
        """
        return self._apply(self._state, columns, self.config.max_state_dim)

    def actions(self, columns: Columns) -> np.ndarray:
        """Every row's own action, normalised and padded, for ``chunks`` to cut targets from.

        (N, max_action_dim) float64. A relative action is not known before its chunk is: its numbers
        are zeros here, and what it is made of, action and state in units, is in further columns
        behind the padding. Raises as ``states`` does.
        """
        parts = [self._apply(self._action, columns, self.config.max_action_dim)]
        for relative in self._relative:
            parts += [_rows(columns, key) for key in (relative.transform.key, relative.state)]
        return np.concatenate(parts, axis=-1)

    def chunks(self, actions: np.ndarray, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """The actions that follow each of some rows (R,): (R, horizon, max_action_dim).

        ``actions`` are what ``actions`` made of the whole episode. Before the first and past the
        last row an absolute key repeats that row; a relative one has the value that a zero is
        normalised to. (Absolute and relative are here what modality.json calls the recorded
        values.)
        """
        positions = np.asarray(rows)[:, None] + np.asarray(self.config.action_indices)
        inside = np.clip(positions, 0, len(actions) - 1)
        chunks = actions[inside, : self.config.max_action_dim]
        if self._pads_with_zero[: self.config.action_dim].any():
            is_padding = (positions != inside)[..., None] & self._pads_with_zero
            chunks = np.where(is_padding, self._padding.astype(actions.dtype), chunks)
        for relative in self._relative:
            values, _ = relative.in_units(actions, inside)
            _, state = relative.in_units(actions, rows)
            units = values.astype(np.float64), state[:, None].astype(np.float64)
            chunks[..., relative.place] = relative.transform.forward(*units)
        return chunks

    def anchors(
        self, actions: np.ndarray, rows: Sequence[int] | np.ndarray
    ) -> dict[str, np.ndarray]:
        """The states that relative actions are against, in units, by action key.

        ``actions`` and ``rows`` (R,) as in ``chunks``; each (R, numbers of the key in the data).
        """
        return {
            relative.transform.key.key: relative.in_units(actions, rows)[1]
            for relative in self._relative
        }

    def invert_action(
        self, actions: np.ndarray, anchors: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """Predicted actions in the data's units by key, (..., horizon, its numbers in the data).

        ``actions`` are (..., horizon, at least action_dim); ``anchors`` of relative actions the
        states that they are against, (..., numbers) by key, whose lack is a ValueError.
        """
        inverted: dict[str, np.ndarray] = {}
        ends = np.cumsum([transform.dim for transform in self._action])
        parts = np.split(actions[..., : ends[-1]], ends[:-1], axis=-1)
        for transform, part in zip(self._action, parts, strict=True):
            name, state = transform.key.key, None
            if transform.key.is_relative and anchors is not None:
                state = np.asarray(anchors[name])[..., None, :]
            inverted[name] = transform.inverse(part, state)
        return inverted

    def _apply(
        self, transforms: Sequence[KeyTransform], columns: Columns, width: int
    ) -> np.ndarray:
        parts = []
        for transform in transforms:
            key, values = transform.key, _rows(columns, transform.key)
            if key.is_relative:
                parts.append(np.zeros((len(values), transform.dim)))
                continue
            try:
                parts.append(transform.forward(values))
            except ValueError as error:
                problem = f"key '{key.key}' of {key.original_key} holds no {key.rotation_type}."
                raise DatasetError(self.config.dataset, problem, [str(error)]) from error
        joined = np.concatenate(parts, axis=-1)
        return np.pad(joined, ((0, 0), (0, width - joined.shape[-1])))


def _rows(columns: Columns, key: VectorKey) -> np.ndarray:
    """A key's numbers of every row, (N, D) float64."""
    rows = columns if isinstance(columns, np.ndarray) else columns[key.original_key]
    values = np.asarray(rows, dtype=np.float64)
    return values.reshape(len(values), -1)[:, key.start : key.end]
