"""What is done to one key before the model, and back.

Of absolute keys the formulas are those of ``gr00t/data/transform/state_action.py`` in Isaac-GR00T
at a86e915. Relative actions are N1.7's (``gr00t/data/state_action`` at 65cc4a1): numbers are
subtracted, a pose is seen from the state's own frame. With rotation matrices S of the state and A
of the action the relative rotation is S^T A, and the relative position S^T (a - s).
"""

from collections.abc import Mapping

import numpy as np

from gr00t_assets.modality.config import VectorKey
from gr00t_assets.modality.key_config import POSE_ROTATIONS
from gr00t_assets.modality.rotations import convert_rotation, rotation_bounds

_RANGES: Mapping[str, tuple[str, str]] = {
    "min_max": ("min", "max"),
    "q99": ("q01", "q99"),
    "percentiles": ("q01", "q99"),
    "mean_std": ("mean", "std"),
}
"""The two statistics that a mode needs."""


class KeyTransform:
    """What is done to one key: (..., data_dim) to (..., dim), and back.

    It is rotated, made relative, or replaced by sines and cosines, and then normalised. ``min_max``
    maps [min, max] to [-1, 1], and in N1.7 ``clips``; ``q99`` does so with the 1st and 99th
    percentile and clips, and so does N1.7's ``percentiles``; ``mean_std`` subtracts the mean and
    divides by the standard deviation; ``binary`` is 1 above 0.5, else 0. A number that never
    changes gives 0 under ``min_max`` and ``percentiles``; under ``q99`` and ``mean_std`` it stays
    as it is.
    """

    def __init__(self, key: VectorKey, clips: bool = False) -> None:
        self.key = key
        self.data_dim = key.end - key.start
        source, target = key.rotation_type, key.target_rotation
        self.dim = key.dim(self.data_dim, source)
        self._rotations = (source, target) if source and target and source != target else None
        statistics = key.chunk_statistics if key.is_relative else key.statistics
        self._mode = key.normalization if statistics is not None else None
        self._clips = self._mode == "percentiles" or (clips and self._mode == "min_max")
        # Of a relative action (horizon, D), else (D,).
        self._low, self._high = np.zeros(1), np.ones(1)
        if self._mode is not None and self._mode in _RANGES:
            self._low, self._high = (
                rotation_bounds(self._rotations[1])
                if self._rotations and not key.is_relative
                else (np.array(getattr(statistics, name)) for name in _RANGES[self._mode])
            )

    @property
    def converted(self) -> bool:
        """Whether the model is fed other numbers than differences to the data's own."""
        key = self.key
        turned = key.is_relative and (key.type == "eef" or key.rotation_type is not None)
        return key.sin_cos or turned or key.target_rotation not in (None, key.rotation_type)

    def forward(self, values: np.ndarray, state: np.ndarray | None = None) -> np.ndarray:
        """Values in units (..., data_dim) to what the model is fed (..., dim).

        A relative action is (..., horizon, data_dim) and takes the state that it is relative to,
        (..., 1, data_dim); its normalisation differs from step to step.

        Raises:
            ValueError: A row holds no rotation where the key should, or the state is not given.

        Examples:
            >>> names = ("min", "mean", "std", "q01", "q99")
            >>> statistics = dict.fromkeys(names, [0]) | {"max": [4]}
            >>> place = {"key": "grip", "original_key": "action", "start": 0, "end": 1}
            >>> key = VectorKey(**place, normalization="min_max", statistics=statistics)
            >>> KeyTransform(key).forward(np.array([[3.0], [4.0]])).ravel()
            array([0.5, 1. ])
        """
        if self.key.is_relative:
            values = _relative(values, self._required(state), self.key)
        elif self.key.sin_cos:
            return np.concatenate([np.sin(values), np.cos(values)], axis=-1)
        elif self._rotations is not None:
            values = convert_rotation(values, *self._rotations)
        if self._mode is None:
            return values
        if self._mode == "binary":
            return (values > 0.5).astype(values.dtype)
        low, high = self._low, self._high
        if self._mode == "mean_std":
            return np.where(high != 0, (values - low) / np.where(high != 0, high, 1.0), values)
        varies = low != high
        scaled = 2 * ((values - low) / np.where(varies, high - low, 1.0)) - 1
        if self._clips:
            return np.clip(np.where(np.isclose(low, high), 0.0, scaled), -1.0, 1.0)
        if self._mode == "min_max":
            return np.where(varies, scaled, 0.0)
        return np.clip(np.where(varies, scaled, values), -1.0, 1.0)

    def inverse(self, values: np.ndarray, state: np.ndarray | None = None) -> np.ndarray:
        """What the model gives (..., dim) to values in units (..., data_dim).

        What lies outside [-1, 1] is clipped as in ``forward``, but not under ``q99``. A relative
        action takes its state, as there, and the same errors are raised.
        """
        if self.key.sin_cos:
            sines, cosines = np.split(values, 2, axis=-1)
            return np.arctan2(sines, cosines)
        if self._mode == "binary":
            values = (values > 0.5).astype(values.dtype)
        elif self._mode == "mean_std":
            values = values * self._high + self._low
        elif self._mode is not None:
            values = values.clip(-1, 1) if self._clips else values
            values = (values + 1) / 2 * (self._high - self._low) + self._low
        if self.key.is_relative:
            return _absolute(values, self._required(state), self.key)
        return convert_rotation(values, *reversed(self._rotations)) if self._rotations else values

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

    def _required(self, state: np.ndarray | None) -> np.ndarray:
        if state is None:
            name = self.key.key
            raise ValueError(f"the action '{name}' is relative: give the state that it is against")
        return state


def _forms(key: VectorKey) -> tuple[int, str, str] | None:
    """Numbers of position before the rotation, and its representation in data and model."""
    if key.type == "eef":
        return 3, POSE_ROTATIONS[key.format], POSE_ROTATIONS[key.format]
    if key.rotation_type is not None:
        return 0, key.rotation_type, key.target_rotation or key.rotation_type
    return None


def _relative(action: np.ndarray, state: np.ndarray, key: VectorKey) -> np.ndarray:
    """An action (..., horizon, D) against a state (..., 1, D), as the model is fed it."""
    if (forms := _forms(key)) is None:
        return action - state
    width, source, target = forms
    frame = np.swapaxes(_matrices(state[..., width:], source), -1, -2)
    position = (frame @ (action - state)[..., :width, None])[..., 0] if width else action[..., :0]
    turn = _numbers(frame @ _matrices(action[..., width:], source), target)
    return np.concatenate([position, turn], axis=-1)


def _absolute(relative: np.ndarray, state: np.ndarray, key: VectorKey) -> np.ndarray:
    """What ``_relative`` was made of, in the data's units and representation."""
    if (forms := _forms(key)) is None:
        return relative + state
    width, source, target = forms
    frame, turn = _matrices(state[..., width:], source), relative[..., width:]
    position = relative[..., :0]
    if width:
        position = (frame @ relative[..., :width, None])[..., 0] + state[..., :width]
    turned = _numbers(frame @ _matrices(turn, target), source)
    return np.concatenate([position, turned], axis=-1)


def _matrices(values: np.ndarray, form: str) -> np.ndarray:
    return convert_rotation(values, form, "matrix").reshape(*values.shape[:-1], 3, 3)


def _numbers(matrices: np.ndarray, form: str) -> np.ndarray:
    return convert_rotation(matrices.reshape(*matrices.shape[:-2], 9), "matrix", form)
