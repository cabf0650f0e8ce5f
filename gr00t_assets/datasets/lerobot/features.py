"""Features, the columns and cameras of a dataset, as ``meta/info.json`` declares them."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from pydantic import Field

from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.finding import Collector, short
from gr00t_assets.modality.vector_names import number_names

INFO = "meta/info.json"
MOST_FEATURES, MOST_AXES, LARGEST_DIMENSION = 2000, 5, 1_000_000

Kind = Literal["video", "image", "depth", "audio", "text", "number"]
"""What a feature holds; cameras are ``video``, with files of their own, or ``image``, in rows."""


@dataclass(frozen=True)
class Feature:
    """A column or a camera, with NumPy's name of its type, or video, image, audio, string.

    Its shape is without the rows, ``names`` are of each number, where the file has as many of them,
    ``info`` is ``info`` or ``video_info`` of a camera, ``axes`` name the axes of a camera's shape.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...]
    info: Mapping[str, Any]
    axes: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """What it holds; a depth camera is ``depth`` wherever its frames are."""
        if self.dtype in ("video", "image"):
            is_depth = self.info.get("is_depth_map", self.info.get("video.is_depth_map"))
            return "depth" if is_depth is True else self.dtype
        kinds: dict[str, Kind] = {"audio": "audio", "string": "text"}
        return kinds.get(self.dtype, "number")

    @property
    def is_camera(self) -> bool:
        """Whether it shows frames that can be trained on."""
        return self.kind in ("video", "image")

    @property
    def is_video(self) -> bool:
        """Whether it is a camera whose frames are in video files."""
        return self.kind == "video"

    @property
    def is_flattened(self) -> bool:
        """Whether its numbers have several axes in a row, and are read one after another."""
        return self.kind == "number" and len(self.shape) > 1

    @property
    def width(self) -> int:
        """Numbers in each row."""
        return prod(self.shape)

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of a camera in pixels, where they are declared."""
        if len(self.shape) != 3:
            return None
        axes = self.axes if {"height", "width"} <= set(self.axes) else ("height", "width", "c")
        sizes = dict(zip(axes, self.shape, strict=False))
        return (sizes["height"], sizes["width"]) if {"height", "width"} <= set(sizes) else None

    @property
    def video_fps(self) -> float | None:
        """Frames per second that are declared for a camera."""
        rate = self.info.get("video.fps")
        return float(rate) if isinstance(rate, int | float) and 0 < rate < 1e6 else None

    @property
    def video_codec(self) -> str | None:
        """Codec that is declared for a camera."""
        codec = self.info.get("video.codec")
        return codec if isinstance(codec, str) else None


class Camera(FrozenModel):
    """One camera of a dataset, by the column name that LeRobot gives it."""

    original_key: str = Field(description="LeRobot's feature name: observation.images.ego_view")
    height: int = Field(description="Pixels")
    width: int = Field(description="Pixels")
    fps: float = Field(description="Frames per second of the video")
    codec: str = Field(description="As FFmpeg names it: h264, hevc, av1, vp9")

    @classmethod
    def declared(cls, feature: Feature, fps: float, codec: str | None = None) -> "Camera":
        """A camera as ``meta/info.json`` declares it, by the dataset's rate where it gives none.

        A codec that was found takes the place of what is declared.
        """
        height, width = feature.size or (0, 0)
        return cls(
            original_key=feature.name,
            height=height,
            width=width,
            fps=(feature.video_fps if feature.is_video else None) or fps,
            codec=codec or feature.video_codec or "unknown",
        )


def parse_features(collector: Collector, raw: object) -> dict[str, Feature]:
    """The features that can be read; the others become findings."""
    if not isinstance(raw, dict) or not raw or len(raw) > MOST_FEATURES:
        shown = f"{len(raw)} features" if isinstance(raw, dict) else f"features is {short(raw)}"
        collector.report("info-features", INFO, shown)
        return {}
    features = {}
    for name, value in raw.items():
        feature = _feature(name, value)
        if isinstance(feature, str):
            collector.report("feature-declaration", INFO, f"feature {short(name)} {feature}")
        else:
            features[name] = feature
    return features


def _feature(name: str, value: Any) -> Feature | str:
    if not isinstance(value, dict):
        return f"is {short(value)}"
    dtype, shape = value.get("dtype"), value.get("shape")
    if not isinstance(dtype, str):
        return f"has the dtype {short(dtype)}"
    if not isinstance(shape, list):
        return f"has the shape {short(shape)}"
    valid = all(
        isinstance(size, int) and not isinstance(size, bool) and 0 < size <= LARGEST_DIMENSION
        for size in shape
    )
    if not valid or len(shape) > MOST_AXES or prod(shape) > LARGEST_DIMENSION * 100:
        return f"has the shape {short(shape)}"
    info, names = value.get("video_info") or value.get("info"), value.get("names")
    feature = Feature(
        name=name,
        dtype=dtype,
        shape=tuple(shape),
        names=tuple(number_names(names, prod(shape)) or ()),
        info=info if isinstance(info, dict) else {},
        axes=tuple(map(str, names[:MOST_AXES])) if isinstance(names, list) else (),
    )
    if feature.kind in ("video", "image", "depth") and feature.size is None:
        return f"is a camera of the shape {short(shape)}, without height, width and channels"
    return feature
