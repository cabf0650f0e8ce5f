"""``meta/info.json``: format, rate, path templates and features, each field for itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gr00t_assets.core.finding import Collector, short
from gr00t_assets.datasets.checks.features import Feature, parse_features
from gr00t_assets.datasets.checks.folder import Folder, leaves_folder
from gr00t_assets.datasets.checks.json_files import RESTORE, read_object, report_missing
from gr00t_assets.datasets.checks.templates import template_problem
from gr00t_assets.datasets.lerobot.lerobot_files import FORMATS

FILE = "meta/info.json"

FASTEST = 1000.0
"""Rows a second; no camera or robot of a demonstration is faster."""

LARGEST_CHUNK = 1_000_000


@dataclass
class Info:
    """What could be read of ``info.json``; ``None`` where a field is missing or wrong."""

    version: str | None = None
    fps: float | None = None
    chunks_size: int | None = None
    data_path: str | None = None
    video_path: str | None = None
    features: dict[str, Feature] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cameras(self) -> list[Feature]:
        """Features that are videos."""
        return [feature for feature in self.features.values() if feature.is_video]

    def data_file(self, episode: int) -> str | None:
        """Path of an episode's rows; none where the template cannot be used."""
        return self._filled(self.data_path, episode, "")

    def video_file(self, episode: int, camera: str) -> str | None:
        """Path of an episode's video of a camera; none where the template cannot be used."""
        return self._filled(self.video_path, episode, camera)

    def _filled(self, template: str | None, episode: int, camera: str) -> str | None:
        if template is None or self.chunks_size is None:
            return None
        return template.format(
            episode_chunk=episode // self.chunks_size, episode_index=episode, video_key=camera
        )


def check_info(folder: Folder) -> Info:
    """Read ``info.json``; whatever is wrong with it is a finding."""
    collector = folder.collector
    raw = read_object(folder, FILE, lambda found: report_missing(found, FILE))
    if raw is None:
        return Info()
    info = Info(raw=raw, version=_version(folder, raw))
    if info.version is None:
        return info
    info.fps = _fps(collector, raw)
    info.chunks_size = _chunks_size(collector, raw)
    info.features = parse_features(collector, raw.get("features"))
    info.data_path = _template(collector, raw, "data_path", {"episode_index"})
    if info.cameras:
        fields = {"episode_index"} | ({"video_key"} if len(info.cameras) > 1 else set())
        info.video_path = _template(collector, raw, "video_path", fields)
    for camera in info.cameras:
        _camera_rate(collector, camera, info.fps)
        path = info.video_file(0, camera.name)
        if path is not None and leaves_folder(path):
            _escape(collector, f"camera {camera.name}", path)
            del info.features[camera.name]
    return info


def _version(folder: Folder, raw: Mapping[str, Any]) -> str | None:
    found = raw.get("codebase_version")
    if found in FORMATS:
        if not folder.exists("meta/episodes.jsonl") and folder.exists("meta/episodes"):
            folder.collector.error(
                "format-mislabelled",
                FILE,
                f"codebase_version {found} over the layout of v3.0 (meta/episodes is a folder)",
                "the version that the files are of",
                "set codebase_version to v3.0; it is converted when the dataset is ingested",
            )
            return None
        return str(found)
    remedy = "export the recording again as v2.1"
    if isinstance(found, str) and found.startswith("v3"):
        remedy = (
            "name the folder in data/datasets.yaml and materialise it: v3.0 is converted to v2.1 "
            "in the store, and the copy is checked"
        )
    shown = "no codebase_version" if found is None else f"codebase_version {short(found)}"
    folder.collector.error("format-unsupported", FILE, shown, " or ".join(FORMATS), remedy)
    return None


def _fps(collector: Collector, raw: Mapping[str, Any]) -> float | None:
    value = raw.get("fps")
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= FASTEST:
        return float(value)
    _field(collector, raw, "fps", f"a number above 0, at most {FASTEST:g}")
    return None


def _chunks_size(collector: Collector, raw: Mapping[str, Any]) -> int | None:
    value = raw.get("chunks_size")
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_CHUNK:
        return value
    _field(collector, raw, "chunks_size", f"a whole number, 1 to {LARGEST_CHUNK:,}; usually 1000")
    return None


def _template(
    collector: Collector, raw: Mapping[str, Any], name: str, needed: set[str]
) -> str | None:
    value = raw.get(name)
    if not isinstance(value, str):
        _field(collector, raw, name, "a path with {episode_chunk} and {episode_index}")
        return None
    if leaves_folder(value):
        _escape(collector, name, value)
        return None
    problem = template_problem(value, needed)
    if problem is None:
        return value
    collector.error(
        "path-template",
        FILE,
        f"{name} {short(value)} {problem}",
        "a path with the fields episode_chunk, episode_index"
        + (" and video_key" if name == "video_path" else ""),
        f"write {name} as the files are named, such as "
        "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
    )
    return None


def _escape(collector: Collector, name: str, path: str) -> None:
    collector.error(
        "path-escape",
        FILE,
        f"{name} leads to {path}",
        "a path inside the dataset's folder, without '..' and not absolute",
        f"correct {name}; see where the dataset came from, since such a path reads other files",
    )


def _camera_rate(collector: Collector, camera: Feature, fps: float | None) -> None:
    declared = camera.video_fps
    if declared is not None and fps is not None and abs(declared - fps) > 0.01 * fps:
        collector.warn(
            "camera-fps",
            FILE,
            f"{camera.name} is declared with {declared:g} frames a second",
            f"{fps:g}, the fps of the dataset",
            "make video.fps of the feature and fps agree with the recording",
        )


def _field(collector: Collector, raw: Mapping[str, Any], name: str, expected: str) -> None:
    found = f"{name} is {short(raw[name])}" if name in raw else f"no {name}"
    remedy = f"set {name} as the dataset was recorded" if name in raw else RESTORE
    collector.error("info-field", FILE, found, expected, remedy)
