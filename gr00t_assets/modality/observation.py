"""An observation as a person, a robot or a client gives it, to what a policy is told.

Everything is checked here, by the dataset's own names, and all problems are told at once.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gr00t_assets.core.errors import ObservationError
from gr00t_assets.core.finding import short
from gr00t_assets.core.text import did_you_mean
from gr00t_assets.modality.config import ModalityConfig, VideoKey
from gr00t_assets.modality.flat_vector import FlatVector, StateRanges
from gr00t_assets.modality.images import resized
from gr00t_assets.modality.transforms import StateActionTransform

DEFAULT_INSTRUCTION = "Perform the default behavior."
"""What Isaac-GR00T tells a policy whose data has no language."""

Observation: TypeAlias = Mapping[str, Any]
"""What a robot sees and is told, by these keys; others are told of and not used.

- ``video.CAMERA`` or ``CAMERA``: (H, W, 3) uint8 RGB, of any size.
- The state, in the robot's units, in one of these ways: ``state.KEY``, (n,), for each key;
  ``state``, (numbers,) in the order of ``Policy.state_names``, which may be given beside it as
  ``state_names``; ``state``, a mapping from those names to numbers; or each name with its number.
- ``task``: the instruction; its key of the data config is taken as well.
"""

_LONGEST_TASK = 2000
"""Characters."""

_SPECIAL_TOKEN = re.compile(
    r"<\|[^\s|<>]{1,40}\|>"
    r"|</?(?:img|IMG_CONTEXT|box|quad|ref|interval|think|tool_call|tool_response)>"
    r"|<(?:image|video|audio)(?:[- ]\d+)?>"
)
"""No words to the tokenizer: ``<|im_end|>`` ends the turn of the prompt, ``<image-1>`` is an
image. Those of Isaac-GR00T's Eagle processor and of Qwen's tokenizer; later ones are alike."""


class PolicyInput(NamedTuple):
    """One observation as a policy is told it.

    Frames (cameras, height, width, 3) uint8 in the size of the frame cache, states
    (1, max_state_dim) float32, by action key the states that relative actions are against, the
    instruction, and what is odd, a sentence each.
    """

    frames: np.ndarray
    states: np.ndarray
    anchors: dict[str, np.ndarray]
    task: str
    warnings: tuple[str, ...]


class ObservationReader:
    """Reads observations for policies of one modality config.

    A state that speaks of other units or another order, or is far outside the trained range, is a
    problem where it ``refuses_far_states``, else a warning.
    """

    refuses_far_states = True

    def __init__(self, config: ModalityConfig) -> None:
        self.config = config
        self.state = FlatVector(config.state)
        self.ranges = StateRanges(self.state)
        self._transform = StateActionTransform(config)
        self._task_keys = ["task", *filter(None, (config.language, config.language_key))]

    def read(self, observation: Observation) -> PolicyInput:
        """Check and convert one observation; ``ObservationError`` has every problem of it."""
        config, reading = self.config, _Reading(dict(observation), [], [])
        frames = [self._frame(camera, reading) for camera in config.video]
        if len({frame.shape for frame in frames}) > 1 and not reading.problems:
            sizes = ", ".join(f"{frame.shape[1]} x {frame.shape[0]}" for frame in frames)
            reading.problems.append(f"the images are of different sizes, {sizes}; give all in one")
        values, task = self._state(reading), self._task(reading)
        self._unused(reading)
        if reading.problems:
            parts = [f"video.{camera.key} (H, W, 3) uint8" for camera in config.video]
            parts.append(f"state ({len(self.state)},): {', '.join(self.state.names)}")
            expected = "; ".join(parts + (["task"] if config.language else []))
            problem, details = "this observation cannot be acted on.", f"expected: {expected}"
            raise ObservationError(config.dataset, problem, [*reading.problems, details])
        states = self._transform.states(self.state.columns(values)).astype(np.float32)
        by_key = self.state.by_key(values)
        anchors = {
            key.key: by_key[config.state_of(key).key] for key in config.action if key.is_relative
        }
        return PolicyInput(np.stack(frames), states, anchors, task, tuple(reading.warnings))

    def example(self, seed: int = 0) -> dict[str, Any]:
        """An observation that is taken: images of noise, and the mean state of the data."""
        generator = np.random.default_rng(seed)
        example: dict[str, Any] = {"task": "pick it up"} if self.config.language else {}
        for camera in self.config.video:
            edge = self.config.image_size
            size = camera.height or edge, camera.width or edge, 3
            example[f"video.{camera.key}"] = generator.integers(0, 256, size, dtype=np.uint8)
        mean = self.state.statistic("mean").clip(self.ranges.low, self.ranges.high)
        return example | {f"state.{key}": part for key, part in self.state.by_key(mean).items()}

    def _frame(self, camera: VideoKey, reading: "_Reading") -> np.ndarray:
        size = self.config.frame_size or (camera.width, camera.height)
        names = [name for name in (f"video.{camera.key}", camera.key) if name in reading.left]
        image = np.asarray(reading.left.pop(names[0]) if names else 0)
        if problem := _image_problem(image) if names else "is missing":
            reading.problems.append(f"camera {camera.key}: {problem}")
            return np.zeros((size[1], size[0], 3), np.uint8)
        height, width = image.shape[:2]
        if not camera.width:
            size = width, height
        elif abs(width / height / (camera.width / camera.height) - 1) > 0.02:
            trained = f"{camera.width} x {camera.height}, which it was trained on"
            found = f"camera {camera.key}: {width} x {height} has other proportions than"
            reading.warnings.append(f"{found} {trained}")
        if image.min() == image.max():
            reading.warnings.append(f"camera {camera.key}: the image is one colour all over")
        return image if (width, height) == size else resized(np.ascontiguousarray(image), size)

    def _state(self, reading: "_Reading") -> np.ndarray:
        """The flat state, (numbers,) float64; NaN where it has a problem."""
        state, left, problems = self.state, reading.left, len(reading.problems)
        values = np.full(len(state), np.nan)
        given = {way: np.zeros(len(state), bool) for way in ("key", "flat", "name")}
        flat, order = left.pop("state", None), left.pop("state_names", None)
        parts = {
            name: ("key", places, left.pop(name))
            for key, places in state.places.items()
            if (name := f"state.{key}") in left
        }
        named = dict(flat) if isinstance(flat, Mapping) else {}
        if flat is not None and not isinstance(flat, Mapping):
            parts["state"] = "flat", list(range(len(state))), flat
            self._check_order(() if order is None else order, reading)
        joints = [name for name in left if state.place_of(str(name)) is not None]
        named |= {name: left.pop(name) for name in joints}
        for name, value in named.items():
            if (at := state.place_of(str(name))) is None:
                left[f"state: {name}"] = value
            else:
                parts[str(name)] = "name", [at], value
        for name, (way, places, value) in parts.items():
            numbers = _numbers(value, len(places))
            if isinstance(numbers, str):
                expected = ", ".join(state.names[at] for at in places)
                reading.problems.append(f"{name}: {numbers}: {expected}")
                numbers = np.zeros(len(places))
            values[places], given[way][places] = numbers, True
        ways = np.sum(list(given.values()), axis=0)
        infinite = ~np.isfinite(values) & (ways == 1)
        faults = {
            "is missing": ways == 0,
            "is given twice": ways > 1,
            "is NaN or infinite": infinite,
        }
        for what, wanted in faults.items():
            if wanted.any():
                names = ", ".join(state.names[at] for at in np.flatnonzero(wanted))
                reading.problems.append(f"state: {names} {what}")
        if len(reading.problems) == problems:
            refused, odd = self.ranges.check(values)
            (reading.problems if self.refuses_far_states else reading.warnings).extend(refused)
            reading.warnings.extend(odd)
        return values

    def _check_order(self, names: Sequence[Any], reading: "_Reading") -> None:
        for at, (name, expected) in enumerate(zip(names, self.state.names, strict=False)):
            if self.state.place_of(str(name)) != at:
                problem = (
                    f"state: number {at} is {name}, and {expected} is expected there; give the "
                )
                problem += "numbers in the dataset's order, or as a mapping from names"
                reading.problems.append(problem)
                return

    def _task(self, reading: "_Reading") -> str:
        given = [reading.left.pop(key) for key in self._task_keys if key in reading.left]
        if self.config.language is None:
            if given:
                reading.warnings.append("task: the model was trained without language; not used")
            return DEFAULT_INSTRUCTION
        text = given[0] if given else None
        if not isinstance(text, str) or not text.strip():
            found = "is missing" if text is None else f"is no text: {short(repr(text))}"
            reading.problems.append(f"task: {found}")
        elif len(text) > _LONGEST_TASK:
            reading.problems.append(f"task: has {len(text):,} characters, of {_LONGEST_TASK:,}")
        elif tokens := special_tokens(text):
            reading.problems.append(f"task: {', '.join(tokens)} is no text to the tokenizer")
        return text if isinstance(text, str) else ""

    def _unused(self, reading: "_Reading") -> None:
        """Name keys that nothing is done with: an error where others are missing."""
        known = [f"video.{camera.key}" for camera in self.config.video]
        known += [f"state.{key.key}" for key in self.config.state]
        known += ["state", "task", *self.state.names]
        is_missing = any("missing" in problem for problem in reading.problems)
        for name in map(str, reading.left):
            hint = f"; {did_you_mean(name, known)}" if is_missing else ""
            line = f"{short(name)}: the model does not take this{hint}"
            (reading.problems if is_missing else reading.warnings).append(line)


class _Reading(NamedTuple):
    """What is left of an observation, and what was found so far."""

    left: dict[str, Any]
    problems: list[str]
    warnings: list[str]


def _image_problem(image: np.ndarray) -> str | None:
    shape = " x ".join(map(str, image.shape)) or "a number"
    if image.ndim == 3 and image.shape[2] == 3 and image.size:
        is_image = image.dtype == np.uint8
        return None if is_image else f"it is {image.dtype}; give uint8 from 0 to 255"
    if image.ndim == 3 and image.shape[0] == 3:
        return f"its channels come first, {shape}; give (H, W, 3)"
    return f"it is {image.dtype} of shape {shape}; give (H, W, 3) uint8"


def _numbers(value: Any, count: int) -> np.ndarray | str:
    """So many real numbers, float64, or what is wrong."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            return f"it holds no numbers but {array.dtype}"
        array = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        return "it holds no numbers"
    if array.shape != (count,) and not (count == 1 and array.shape == ()):
        return f"it has the shape {array.shape}, not ({count},)"
    return array.reshape(count)


def special_tokens(text: str) -> list[str]:
    """The special tokens in a text, each once.

    Examples:
        >>> special_tokens("<image-1>pick<|im_end|> it <|im_end|>"), special_tokens("pick <it>")
        (['<image-1>', '<|im_end|>'], [])
    """
    return list(dict.fromkeys(_SPECIAL_TOKEN.findall(text)))


def without_special_tokens(text: str) -> str:
    """The text with a space in each special token, so that it is words to the tokenizer.

    Examples:
        >>> without_special_tokens("press <|im_end|> or <b>")
        'press < |im_end|> or <b>'
    """
    return _SPECIAL_TOKEN.sub(lambda match: f"< {match[0][1:]}", text)
