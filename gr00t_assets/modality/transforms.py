"""State and action columns to what the model is fed, and predicted actions back to units.

The order is NVIDIA's: slice, rotate or take sines and cosines, normalise, concatenate in the data
config's order, pad with zeros to a fixed width. Everything works on whole episodes at once. The
formulas are those of ``gr00t/data/transform/state_action.py`` in Isaac-GR00T at a86e915.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.modality.config import ModalityConfig, VectorKey
from gr00t_assets.modality.normalizer import Normalizer
from gr00t_assets.modality.relative_actions import absolute_action, relative_action
from gr00t_assets.modality.rotations import ROTATION_DIMS, convert_rotation, rotation_bounds

Columns: TypeAlias = Mapping[str, np.ndarray] | np.ndarray
"""Rows by column name, each (N, D), or the one (N, D) array that all keys are slices of."""


def transformed_dim(
    dim: int, sin_cos: bool = False, rotation: str | None = None, target: str | None = None
) -> int:
    """Numbers that a key of ``dim`` numbers has after its transform.

    Examples:
        >>> transformed_dim(7, sin_cos=True), transformed_dim(
        ...     4, rotation="quaternion", target="rotation_6d"
        ... )
        (14, 6)
    """
    if sin_cos:
        return 2 * dim
    return dim if target is None or target == rotation else ROTATION_DIMS[target]


class KeyTransform:
    """What is done to one key: (..., data_dim) to (..., dim), and back."""

    def __init__(self, key: VectorKey) -> None:
        self.key = key
        self.data_dim = key.end - key.start
        source, target = key.rotation_type, key.target_rotation
        self.dim = transformed_dim(self.data_dim, key.sin_cos, source, target)
        self._rotations = (source, target) if source and target and source != target else None
        self._normalizer: Normalizer | None = None
        statistics = key.chunk_statistics if key.is_relative else key.statistics
        if key.normalization and key.normalization != "none" and statistics is not None:
            self._normalizer = (
                Normalizer(key.normalization, *rotation_bounds(self._rotations[1]))
                if self._rotations and not key.is_relative
                else Normalizer.of(key.normalization, statistics)
            )

    def forward(self, values: np.ndarray, state: np.ndarray | None = None) -> np.ndarray:
        """Values in units (..., data_dim) to what the model is fed (..., dim).

        A relative action is (..., horizon, data_dim) and takes the state that it is relative to,
        (..., 1, data_dim); its normalisation differs from step to step.
        """
        if self.key.is_relative:
            values = relative_action(values, _required(state, self.key), self.key)
            return values if self._normalizer is None else self._normalizer.forward(values)
        if self.key.sin_cos:
            return np.concatenate([np.sin(values), np.cos(values)], axis=-1)
        if self._rotations is not None:
            values = convert_rotation(values, *self._rotations)
        return values if self._normalizer is None else self._normalizer.forward(values)

    def inverse(self, values: np.ndarray, state: np.ndarray | None = None) -> np.ndarray:
        """What the model gives (..., dim) to values in units (..., data_dim).

        A relative action takes its state, as in ``forward``.
        """
        if self.key.sin_cos:
            sines, cosines = np.split(values, 2, axis=-1)
            return np.arctan2(sines, cosines)
        if self._normalizer is not None:
            values = self._normalizer.inverse(values)
        if self.key.is_relative:
            return absolute_action(values, _required(state, self.key), self.key)
        if self._rotations is not None:
            values = convert_rotation(values, *reversed(self._rotations))
        return values

    def padding(self) -> np.ndarray:
        """What stands past the end of an episode: a row of zeros, transformed; NaN if absolute.

        NaN is a placeholder: an absolute key repeats its last row there. A zero that is no
        rotation stands for no rotation.
        """
        if self.key.absolute:
            return np.full(self.dim, np.nan)
        zeros = np.zeros(self.data_dim)
        if self._rotations is not None and self._rotations[0] != "axis_angle":
            zeros = convert_rotation(np.zeros(3), "axis_angle", self._rotations[0])
        return self.forward(zeros)


def _required(state: np.ndarray | None, key: VectorKey) -> np.ndarray:
    if state is None:
        raise ValueError(f"the action '{key.key}' is relative: give the state that it is against")
    return state


class StateActionTransform:
    """The state and action transforms of one modality config.

    Attributes:
        state_mask: (max_state_dim,), true where a number is state and not padding.
        action_mask: (horizon, max_action_dim), true where a number is action and not padding.
        state_columns: Columns that ``states`` reads.
        action_columns: Columns that ``actions`` reads: those of states too, of relative actions.
    """

    def __init__(self, config: ModalityConfig) -> None:
        self.config = config
        self._state = tuple(KeyTransform(key) for key in config.state)
        self._action = tuple(KeyTransform(key) for key in config.action)
        self.horizon = len(config.action_indices)
        self.state_mask = np.arange(config.max_state_dim) < config.state_dim
        action_dims = np.arange(config.max_action_dim) < config.action_dim
        self.action_mask = np.broadcast_to(action_dims, (self.horizon, config.max_action_dim))
        self.state_columns = tuple(dict.fromkeys(key.original_key for key in config.state))
        self._relative = self._relative_keys()
        keys = [*config.action, *(relative.state for relative in self._relative)]
        self.action_columns = tuple(dict.fromkeys(key.original_key for key in keys))
        padding = np.concatenate([key.padding() for key in self._action])
        self._padding = np.pad(padding, (0, config.max_action_dim - config.action_dim))
        self._pads_with_zero = ~np.isnan(self._padding)

    def states(self, columns: Columns) -> np.ndarray:
        """Every row's state as the model is fed it.

        Args:
            columns: The state column(s) of any number of rows N, such as a whole episode.

        Returns:
            (N, max_state_dim) float64.

        Raises:
            DatasetError: A row holds no rotation where the key should.
        """
        return self._apply(self._state, columns, self.config.max_state_dim)

    def actions(self, columns: Columns) -> np.ndarray:
        """Every row's own action, normalised and padded, for ``chunks`` to cut targets from.

        A relative action is not known before its chunk is: its numbers are zeros here, and what it
        is made of, action and state in units, stands behind the padding.

        Returns:
            (N, max_action_dim) float64, or more columns with relative actions.

        Raises:
            DatasetError: A row holds no rotation where the key should.
        """
        actions = self._apply(self._action, columns, self.config.max_action_dim)
        parts = [actions]
        for relative in self._relative:
            parts += [_rows(columns, key) for key in (relative.transform.key, relative.state)]
        return np.concatenate(parts, axis=-1) if len(parts) > 1 else actions

    def chunks(self, actions: np.ndarray, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """The actions that follow each of some rows of an episode.

        Before the first and past the last row an absolute key repeats that row; a relative one
        has the value that a zero is normalised to. (Absolute and relative are here what
        modality.json calls the recorded values.)

        Args:
            actions: What ``actions`` made of the whole episode.
            rows: Row indices, (R,).

        Returns:
            (R, horizon, max_action_dim), of the type of ``actions``.
        """
        positions = np.asarray(rows)[:, None] + np.asarray(self.config.action_indices)
        inside = np.clip(positions, 0, len(actions) - 1)
        width = self.config.max_action_dim
        chunks = actions[inside, :width]
        if self._pads_with_zero[: self.config.action_dim].any():
            is_padding = (positions != inside)[..., None] & self._pads_with_zero
            chunks = np.where(is_padding, self._padding.astype(actions.dtype), chunks)
        for relative in self._relative:
            values = actions[inside, relative.action_columns].astype(np.float64)
            state = actions[np.asarray(rows), relative.state_columns].astype(np.float64)
            chunks[..., relative.place] = relative.transform.forward(values, state[:, None])
        return chunks

    def anchors(
        self, actions: np.ndarray, rows: Sequence[int] | np.ndarray
    ) -> dict[str, np.ndarray]:
        """The states that relative actions are against, in units, by action key.

        Args:
            actions: What ``actions`` made of the whole episode.
            rows: Row indices, (R,).

        Returns:
            (R, numbers of the key in the data) for each relative action key.
        """
        return {
            relative.transform.key.key: actions[np.asarray(rows), relative.state_columns]
            for relative in self._relative
        }

    def invert_action(
        self, actions: np.ndarray, anchors: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """Predicted actions in the data's units.

        Args:
            actions: (..., horizon, max_action_dim), or any (..., at least action_dim).
            anchors: Of relative actions the states that they are against, (..., numbers) by key.

        Returns:
            By key, (..., horizon, numbers of the key in the data).

        Raises:
            ValueError: An action is relative, and its state is not given.
        """
        inverted: dict[str, np.ndarray] = {}
        start = 0
        for transform in self._action:
            part, state = actions[..., start : start + transform.dim], None
            if transform.key.is_relative and anchors is not None:
                state = np.asarray(anchors[transform.key.key])[..., None, :]
            inverted[transform.key.key] = transform.inverse(part, state)
            start += transform.dim
        return inverted

    def _relative_keys(self) -> tuple["_RelativeKey", ...]:
        relative: list[_RelativeKey] = []
        start, behind = 0, self.config.max_action_dim
        for transform in self._action:
            if transform.key.is_relative:
                size, place = transform.data_dim, slice(start, start + transform.dim)
                action, state = (slice(first, first + size) for first in (behind, behind + size))
                of = self.config.state_of(transform.key)
                relative.append(_RelativeKey(transform, of, place, action, state))
                behind += 2 * size
            start += transform.dim
        return tuple(relative)

    def _apply(
        self, transforms: Sequence[KeyTransform], columns: Columns, width: int
    ) -> np.ndarray:
        parts = []
        for transform in transforms:
            key = transform.key
            values = _rows(columns, key)
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


@dataclass(frozen=True)
class _RelativeKey:
    """A relative action key, and where its numbers are.

    Attributes:
        transform: Of the key.
        state: State key that it is against.
        place: Its numbers in the normalised action.
        action_columns: In ``actions``, the action in units.
        state_columns: In ``actions``, the state in units.
    """

    transform: KeyTransform
    state: VectorKey
    place: slice
    action_columns: slice
    state_columns: slice


def _rows(columns: Columns, key: VectorKey) -> np.ndarray:
    """A key's numbers of every row, (N, D) float64."""
    rows = columns if isinstance(columns, np.ndarray) else columns[key.original_key]
    values = np.asarray(rows, dtype=np.float64)
    return values.reshape(len(values), -1)[:, key.start : key.end]
