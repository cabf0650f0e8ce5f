"""A dataset held against a data config and found valid: resolved keys, slices, statistics."""

import hashlib
import json
from functools import lru_cache, partial
from typing import Generic, TypeVar

from pydantic import Field

from gr00t_assets.core.checksums import load_sealed, sealed
from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import FrozenModel, write_json
from gr00t_assets.core.project import Store, materialize_command
from gr00t_assets.modality.data_config import ColorJitter
from gr00t_assets.modality.frame_check_result import FrameCheckResult
from gr00t_assets.modality.generations import GenerationName
from gr00t_assets.modality.key_config import ActionTransforms, CameraTransforms

Numbers = TypeVar("Numbers")


class _Statistics(FrozenModel, Generic[Numbers]):
    min: Numbers
    max: Numbers
    mean: Numbers
    std: Numbers
    q01: Numbers
    q99: Numbers


class Statistics(_Statistics[tuple[float, ...]]):
    """Per-dimension statistics of one key, over every row of the dataset, in the data's units."""


class ChunkStatistics(_Statistics[tuple[tuple[float, ...], ...]]):
    """Per-dimension statistics at each step of a chunk, (horizon, D), over whole chunks."""


class VectorKey(ActionTransforms):
    """A named slice of a state or action column and what is done to it before the model."""

    key: str = Field(description="Name in modality.json: left_arm")
    original_key: str = Field(description="Column: observation.state or action")
    start: int
    end: int
    absolute: bool = True
    statistics: Statistics
    chunk_statistics: ChunkStatistics | None = Field(
        default=None, description="Of a relative action, in the representation for the model"
    )
    names: tuple[str, ...] = Field(
        default=(), description="Of its numbers, as the dataset has them: shoulder_pan.pos"
    )

    @property
    def number_names(self) -> tuple[str, ...]:
        """A name for each number: the dataset's, or else its place in the key."""
        return self.names or tuple(f"{self.key}[{at}]" for at in range(self.end - self.start))

    @property
    def is_relative(self) -> bool:
        """Whether the model is fed its difference to a state."""
        return self.rep == "relative"

    def transforms_text(self) -> str:
        """What is done to it, for people: ``quaternion to rotation_6d, min_max``."""
        target = self.target_rotation
        done = (
            f"relative to state {self.state_key or self.key}" if self.is_relative else "",
            f"pose {self.format}" if self.type == "eef" else "",
            f"{self.rotation_type} to {target}" if target else "",
            "sin and cos" if self.sin_cos else "",
            self.normalization or "",
        )
        return ", ".join(filter(None, done)) or "none"


class VideoKey(FrozenModel):
    """A camera as the data config names it."""

    key: str = Field(description="Name in modality.json: ego_view")
    original_key: str = Field(description="Feature: observation.images.ego_view")
    height: int = Field(description="Of its frames in pixels; 0 where it is not known")
    width: int
    fps: float = Field(description="Of the dataset; 0 where it is not known")
    transforms: CameraTransforms = Field(
        default=CameraTransforms(), description="Its own cut and resize, where it has some"
    )


class ModalityConfig(FrozenModel):
    """Everything a trainer needs to know of the data, and nothing that depends on the machine."""

    dataset: str
    dataset_version: str = Field(description="First digits of a SHA-256 over all its files")
    data_config: str
    generation: GenerationName = Field(default="n1.5", description="Of GR00T")
    embodiment_tag: str
    embodiment_id: int = Field(description="Row of the per-embodiment weights: gr1 24, new 31")
    video: tuple[VideoKey, ...]
    state: tuple[VectorKey, ...]
    action: tuple[VectorKey, ...]
    language: str | None = Field(
        description="Column of task indices: annotation.human.action.task_description"
    )
    language_key: str | None = Field(
        default=None, description="Key of modality.json, where the column has another name"
    )
    observation_indices: tuple[int, ...] = Field(description="Rows relative to the current one")
    action_indices: tuple[int, ...] = Field(description="Rows relative to the current one")
    state_dim: int = Field(description="Numbers of state after the transforms, before padding")
    action_dim: int = Field(description="Numbers of action after the transforms, before padding")
    max_state_dim: int = Field(description="Numbers of state that the model takes")
    max_action_dim: int = Field(description="Numbers of action that the model gives")
    image_size: int = Field(default=224, description="Pixels of the square that the model sees")
    crop_scale: float = Field(default=0.95, description="Share of height and width that is kept")
    color_jitter: ColorJitter = Field(
        default=ColorJitter(), description="Of the images that are trained on"
    )
    held_out_episodes: tuple[int, ...] = Field(
        default=(), description="Episodes that are kept from training"
    )
    frame_size: tuple[int, int] | None = Field(
        default=None, description="Width and height that frames are cached at; none: their own"
    )
    warnings: tuple[str, ...] = Field(default=(), description="Odd, and yet usable")
    frames: tuple[FrameCheckResult, ...] = Field(
        default=(), description="Checks of the video backends that trainers of it use"
    )

    def state_of(self, key: VectorKey) -> VectorKey:
        """The state key that a relative action key is relative to."""
        name = key.state_key or key.key
        return next(state for state in self.state if state.key == name)

    def transform_rows(self) -> list[tuple[str, str]]:
        """Each camera and key with what is done to it, for people."""
        jitter = " ".join(f"{name} {value:g}" for name, value in self.color_jitter)
        images = f"crop {self.crop_scale:g}, {self.image_size} pixels, jitter {jitter}"
        return [
            *(
                (f"video.{camera.key}", ", ".join(filter(None, (camera.transforms.text(), images))))
                for camera in self.video
            ),
            *((f"state.{key.key}", key.transforms_text()) for key in self.state),
            *((f"action.{key.key}", key.transforms_text()) for key in self.action),
        ]

    def content_hash(self) -> str:
        """First 16 hex digits of a SHA-256 over all that changes what a model is fed.

        A field that has its default is left out, so that a new one with a default changes no hash.
        The fields of ``_HASHED_DEFAULTS`` are older than this rule.
        """
        return _content_hash(self)  # pyright: ignore[reportArgumentType]  # frozen: hashable


@lru_cache(maxsize=256)
def _content_hash(config: ModalityConfig) -> str:
    exclude = dict.fromkeys(("warnings", "dataset", "frames", "language_key"), True)
    exclude |= {part: {"__all__": {"names"}} for part in ("state", "action")}
    content = config.model_dump(mode="json", exclude_defaults=True, exclude=exclude)
    content |= {name: getattr(config, name) for name in _HASHED_DEFAULTS["config"]}
    for part, keys in (("state", config.state), ("action", config.action)):
        for dumped, key in zip(content[part], keys, strict=True):
            dumped |= {name: getattr(key, name) for name in _HASHED_DEFAULTS["key"]}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


_HASHED_DEFAULTS = {
    "config": ("image_size", "crop_scale"),
    "key": ("absolute", "rotation_type", "target_rotation", "sin_cos", "normalization"),
}
"""Fields that are hashed even where they have their default, of a config and of a vector key."""


def save_modality_config(config: ModalityConfig, store: Store) -> None:
    """Make ``config`` the current one of its dataset."""
    write_json(store.modality_config(config.dataset), sealed(config.model_dump(mode="json")))


def load_modality_config(dataset: str, store: Store) -> ModalityConfig:
    """The validated modality config of a dataset; DatasetError where it cannot be had or read."""
    command = f"run: {materialize_command('modality_config', dataset)}"
    path = store.modality_config(dataset)
    if not path.is_file():
        raise DatasetError(dataset, "this dataset has no validated modality config.", [command])
    refuse = partial(DatasetError, dataset, f"{path} cannot be read.")
    return load_sealed(path, ModalityConfig, lambda why: refuse([why, command]))
