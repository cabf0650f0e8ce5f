"""A data config as a Python module that Isaac-GR00T imports, at both releases of N1.5.

October's script takes ``--data-config MODULE:CLASS``, and June's none but its own: there the
launcher registers the class. The module needs the checkout alone.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gr00t_assets.core.files import write_bytes
from gr00t_assets.modality.config import ModalityConfig, VectorKey

CLASS = "OwnDataConfig"

_TEMPLATE = '''\
"""Data config {name} for Isaac-GR00T N1.5, written by gr00t-assets; changes here are lost."""

from gr00t.data.dataset import ModalityConfig
from gr00t.data.transform.base import ComposedModalityTransform
from gr00t.data.transform.concat import ConcatTransform
from gr00t.data.transform.state_action import (
    StateActionSinCosTransform,
    StateActionToTensor,
    StateActionTransform,
)
from gr00t.data.transform.video import (
    VideoColorJitter,
    VideoCrop,
    VideoResize,
    VideoToNumpy,
    VideoToTensor,
)
from gr00t.model.transforms import GR00TTransform


class {class_name}:
    video_keys = {video}
    state_keys = {state}
    action_keys = {action}
    language_keys = {language}
    observation_indices = {observation_indices}
    action_indices = {action_indices}

    def modality_config(self):
        keys = {{
            "video": (self.observation_indices, self.video_keys),
            "state": (self.observation_indices, self.state_keys),
            "action": (self.action_indices, self.action_keys),
            "language": (self.observation_indices, self.language_keys),
        }}
        return {{
            modality: ModalityConfig(delta_indices=indices, modality_keys=names)
            for modality, (indices, names) in keys.items()
            if names
        }}

    def transform(self):
        transforms = [
{transforms}
            ConcatTransform(
                video_concat_order=self.video_keys,
                state_concat_order=self.state_keys,
                action_concat_order=self.action_keys,
            ),
            GR00TTransform(
                state_horizon=len(self.observation_indices),
                action_horizon=len(self.action_indices),
                max_state_dim={max_state_dim},
                max_action_dim={max_action_dim},
                embodiment_tag_mapping={mapping},
            ),
        ]
        return ComposedModalityTransform(transforms=transforms)
'''


def module_name(data_config: str) -> str:
    """The module's name: ``own_left_arm`` for ``left-arm``."""
    return "own_" + "".join(sign if sign.isalnum() else "_" for sign in data_config)


def write_module(config: ModalityConfig, folder: Path) -> Path:
    """Write the module of a data config into a folder; it is the same text every time."""
    language = config.language_key or config.language
    text = _TEMPLATE.format(
        name=config.data_config,
        class_name=CLASS,
        video=[f"video.{key.key}" for key in config.video],
        state=_names("state", config.state),
        action=_names("action", config.action),
        language=[language] if language else [],
        observation_indices=list(config.observation_indices),
        action_indices=list(config.action_indices),
        transforms="\n".join(f"            {text}," for text in _transforms(config)),
        max_state_dim=config.max_state_dim,
        max_action_dim=config.max_action_dim,
        mapping={config.embodiment_tag: config.embodiment_id},
    )
    path = folder / f"{module_name(config.data_config)}.py"
    write_bytes(path, text.encode())
    return path


def _transforms(config: ModalityConfig) -> Iterator[str]:
    yield from _video_transforms(config)
    for modality, keys in (("state", config.state), ("action", config.action)):
        turned = [key for key in keys if key.sin_cos]
        others = [key for key in keys if not key.sin_cos]
        yield _call("StateActionToTensor", _names(modality, keys))
        if turned:
            yield _call("StateActionSinCosTransform", _names(modality, turned))
        modes = _by_key(modality, others, "normalization")
        rotations = _by_key(modality, others, "target_rotation")
        if modes or rotations:
            named = {"normalization_modes": modes, "target_rotations": rotations}
            yield _call("StateActionTransform", _names(modality, others), **named)


def _video_transforms(config: ModalityConfig) -> list[str]:
    """Cameras of one crop are cut together: NVIDIA stacks all that it is given."""
    every = [f"video.{camera.key}" for camera in config.video]
    scales: dict[float, list[str]] = {}
    for camera in config.video:
        scale = camera.transforms.crop_scale or config.crop_scale
        scales.setdefault(scale, []).append(f"video.{camera.key}")
    size = {"height": config.image_size, "width": config.image_size, "interpolation": "linear"}
    return [
        _call("VideoToTensor", every),
        *(_call("VideoCrop", names, scale=scale) for scale, names in scales.items()),
        *(_call("VideoResize", names, **size) for names in scales.values()),
        _call("VideoColorJitter", every, **config.color_jitter.model_dump()),
        _call("VideoToNumpy", every),
    ]


def _call(name: str, keys: Sequence[str], **arguments: Any) -> str:
    texts = [f"apply_to={list(keys)}", *(f"{key}={value!r}" for key, value in arguments.items())]
    return f"{name}({', '.join(texts)})"


def _names(modality: str, keys: Sequence[VectorKey]) -> list[str]:
    return [f"{modality}.{key.key}" for key in keys]


def _by_key(modality: str, keys: Sequence[VectorKey], field: str) -> dict[str, str]:
    """The field of each key that has it."""
    values = {f"{modality}.{key.key}": getattr(key, field) for key in keys}
    return {name: value for name, value in values.items() if value not in (None, "none")}
