"""Observations and actions as Isaac-GR00T's clients of the N1.5 line have them.

An observation has flat keys: ``video.NAME`` (1, H, W, 3), ``state.NAME`` (1, D), and a list of one
text under the language key; with a batch of B each has a leading axis more (``Gr00tPolicy`` in
``gr00t/model/policy.py`` of NVIDIA/Isaac-GR00T at 4af2b62). The answer is ``action.NAME``,
(horizon, D) or (B, horizon, D).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gr00t_assets.core.errors import ObservationError
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.modality.observation import Observation
from gr00t_assets.serving.messages import modality_map
from gr00t_assets.trainers.policy import ActionChunk

MOST_SAMPLES = 64
"""Observations of one request."""

_AXES = {"video": 3, "state": 1}
"""Of one sample at one row."""


def modality_configs(config: ModalityConfig) -> dict[str, Any]:
    """The answer to ``get_modality_config``."""
    language = config.language_key or config.language
    keys = {
        "video": [f"video.{camera.key}" for camera in config.video],
        "state": [f"state.{key.key}" for key in config.state],
        "action": [f"action.{key.key}" for key in config.action],
        "language": [language] if language else [],
    }
    return {
        part: modality_map(
            config.action_indices if part == "action" else config.observation_indices, listed
        )
        for part, listed in keys.items()
        if listed
    }


def observations(message: Mapping[str, Any]) -> tuple[list[Observation], bool]:
    """The observations of a request, and whether they came as a batch.

    Raises:
        ObservationError: There are none, too many, or not as many of each key.
    """
    values = {
        name: np.asarray(value) if name.partition(".")[0] in _AXES else value
        for name, value in message.items()
    }
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    states = [value for name, value in arrays.items() if name.startswith("state.")]
    batched = bool(states) and all(value.ndim == _AXES["state"] + 2 for value in states)
    if not batched:
        return [{_name(key): _sample(key, value, None, 1) for key, value in values.items()}], False
    counts = {name: len(value) if value.ndim else 0 for name, value in arrays.items()}
    count = len(states[0])
    if set(counts.values()) != {count} or not 0 < count <= MOST_SAMPLES:
        problem = f"a batch has 1 to {MOST_SAMPLES} observations, as many of every key."
        listed = [f"{name}: {number}" for name, number in counts.items()]
        raise ObservationError("observation", problem, listed)
    samples = [
        {_name(key): _sample(key, value, place, count) for key, value in values.items()}
        for place in range(count)
    ]
    return list(samples), True


def actions(chunks: Sequence[ActionChunk], batched: bool) -> dict[str, np.ndarray]:
    """The answer to ``get_action``."""
    if not batched:
        return {f"action.{key}": values for key, values in chunks[0].by_key.items()}
    return {
        f"action.{key}": np.stack([chunk.by_key[key] for chunk in chunks])
        for key in chunks[0].by_key
    }


def _name(key: str) -> str:
    """Clients have other names for the instruction than a data config."""
    return "task" if key.startswith("annotation.") else key


def _sample(key: str, value: Any, place: int | None, count: int) -> Any:
    """One sample's value at the current row; what does not fit is left for the reader to tell."""
    wanted = _AXES.get(key.partition(".")[0])
    if wanted is None:
        return _text(value, place or 0, count)
    if place is not None:
        value = value[place]
    return value[0] if value.ndim == wanted + 1 and len(value) == 1 else value


def _text(value: Any, place: int, count: int) -> Any:
    """A text of a list, an array or a list of lists of them."""
    if not isinstance(value, list | tuple | np.ndarray):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind != "U":
        return value
    try:
        texts = np.asarray(value).ravel().tolist()
    except ValueError:
        return value
    return texts[0] if len(texts) == 1 else texts[place] if len(texts) == count else value
