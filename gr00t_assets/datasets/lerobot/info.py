"""``meta/info.json``: format, rate, path templates and features, each field for itself."""

import glob
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gr00t_assets.core.finding import Collector, short
from gr00t_assets.datasets.lerobot.features import INFO, Feature, parse_features
from gr00t_assets.datasets.lerobot.folder import Folder, leaves_folder, read_object

V30 = "v3.0"
"""Many episodes in a file, and meta files in Parquet; converted to v2.1 when it is ingested."""

FORMATS = ("v2.0", "v2.1", V30)
"""Values of ``codebase_version`` that are read; v2.x has a file for each episode and camera."""

CHUNK_EPISODES = 1000
"""Episodes in a folder of v2.x, as LeRobot writes it."""

EPISODES, V30_EPISODES = "meta/episodes.jsonl", "meta/episodes"
TASKS, V30_TASKS = "meta/tasks.jsonl", "meta/tasks.parquet"

DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
VIDEO_PATH = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
V30_DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
V30_VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
_EXAMPLES = {
    ("data_path", False): DATA_PATH,
    ("video_path", False): VIDEO_PATH,
    ("data_path", True): V30_DATA_PATH,
    ("video_path", True): V30_VIDEO_PATH,
}
"""By field and whether files are shared by episodes."""

FASTEST, LARGEST_CHUNK, LONGEST_TEMPLATE = 1000.0, 1_000_000, 500
"""Rows a second; episodes of a folder; characters."""

_EPISODE_FIELDS = ("episode_chunk", "episode_index", "video_key")
_SHARED_FIELDS = ("chunk_index", "file_index", "video_key")
_WIDTH = re.compile(r"0?\d{0,2}d?")
"""Format of a number: ``{episode_index:0999999999d}`` would fill the memory."""


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
        """Features that show frames, in video files or as images in the rows."""
        return [feature for feature in self.features.values() if feature.is_camera]

    @property
    def video_cameras(self) -> list[Feature]:
        """Those of them that have video files."""
        return [camera for camera in self.cameras if camera.is_video]

    @property
    def episodes_file(self) -> str:
        """The file, or in v3.0 the folder, that lists the episodes."""
        return V30_EPISODES if self.version == V30 else EPISODES

    @property
    def tasks_file(self) -> str:
        """The file that lists the tasks."""
        return V30_TASKS if self.version == V30 else TASKS

    def own_file(self, episode: int, camera: str | None = None) -> str | None:
        """Path of an episode's rows in v2.x, or of its video; none where the template is broken."""
        template = self.data_path if camera is None else self.video_path
        if template is None or self.chunks_size is None:
            return None
        return episode_path(template, episode, camera or "", self.chunks_size)

    def shared_file(self, chunk: int, number: int, camera: str | None = None) -> str | None:
        """Path of a file of many episodes in v3.0: rows, or the videos of a camera."""
        template = self.data_path if camera is None else self.video_path
        fields = {"chunk_index": chunk, "file_index": number, "video_key": camera}
        return None if template is None else template.format(**fields)

    def shared_files(self, folder: Folder, camera: str | None = None) -> list[str]:
        """Files of many episodes that are there, in LeRobot's order."""
        template = self.data_path if camera is None else self.video_path
        values = {None: "", "video_key": glob.escape(camera or "")}
        pattern = "".join(
            glob.escape(text) + values.get(name, "*")
            for text, name, *_ in string.Formatter().parse(template or "")
        )
        return sorted(map(folder.relative, folder.directory.glob(pattern))) if template else []


def episode_path(
    template: str, episode: int, camera: str = "", chunk_episodes: int = CHUNK_EPISODES
) -> str:
    """The path of an episode's file in v2.x, relative to the dataset.

    Examples:
        >>> episode_path(DATA_PATH, 1004)
        'data/chunk-001/episode_001004.parquet'
    """
    return template.format(
        episode_chunk=episode // chunk_episodes, episode_index=episode, video_key=camera
    )


def read_info(folder: Folder) -> Info:
    """Read ``info.json``; whatever is wrong with it is a finding."""
    collector, raw = folder.collector, read_object(folder, INFO)
    if raw is None:
        return Info()
    info = Info(raw=raw, version=_version(folder, raw))
    if info.version is None:
        return info
    shared = info.version == V30
    info.fps = _number(collector, raw, "fps", FASTEST)
    info.chunks_size = None if shared else _number(collector, raw, "chunks_size", LARGEST_CHUNK)
    info.features = parse_features(collector, raw.get("features"))
    info.data_path = _template(collector, raw, "data_path", shared)
    for camera in info.cameras:
        if not camera.name or camera.name.startswith(".") or set(camera.name) & {"/", "\\", "\0"}:
            found = f"'{camera.name}' cannot be the name of a feature: it is a path"
            name = f"the name of camera {camera.name}"
            collector.report("path-escape", INFO, found, name=name)
            del info.features[camera.name]
    if cameras := len(info.video_cameras):
        info.video_path = _template(collector, raw, "video_path", shared, cameras)
    return info


def _template_problem(template: str, needed: Sequence[str], fields: Sequence[str]) -> str | None:
    """What is wrong with a path template of some ``fields``; ``None`` where it can be filled.

    Without the ``needed`` ones two files would share a path.

    Examples:
        >>> _template_problem("data/{episode}.parquet", ["episode_index"], ["episode_index"])
        'has the unknown field {episode}'
    """
    if len(template) > LONGEST_TEMPLATE:
        return f"has {len(template):,} characters"
    try:
        parts = [part for part in string.Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        return f"is no template: {error}"
    for _, name, width, conversion in parts:
        if name not in fields:
            return f"has the unknown field {{{name}}}"
        if conversion or not _WIDTH.fullmatch(width or "") or (width and name == "video_key"):
            return f"formats {{{name}}} in a way that no path needs"
    used = [name for _, name, _, _ in parts]
    if missing := [name for name in needed if name not in used]:
        return f"lacks {{{missing[0]}}}, so that different files have one path"
    return None


def _version(folder: Folder, raw: Mapping[str, Any]) -> str | None:
    version = raw.get("codebase_version")
    shown = "no codebase_version" if version is None else f"codebase_version {short(version)}"
    if version not in FORMATS:
        folder.collector.report("format-unsupported", INFO, shown, formats=", ".join(FORMATS))
        return None
    layouts = (EPISODES, V30_EPISODES, V30), (V30_EPISODES, EPISODES, "v2.1")
    own, other, right = layouts[version == V30]
    if folder.exists(other) and not folder.exists(own):
        found = f"{shown} over the layout of {right} (there is {other})"
        folder.collector.report("format-mislabelled", INFO, found, version=right)
        return None
    return str(version)


def _number(collector: Collector, raw: Mapping[str, Any], name: str, most: float) -> Any:
    """A number above 0 of the type of ``most``; ``None`` and a finding where it is none."""
    value, kinds, expected = raw.get(name), (int, float), f"a number above 0, at most {most:g}"
    if isinstance(most, int):
        kinds, expected = int, f"a whole number, 1 to {most:,}; usually 1000"
    if isinstance(value, kinds) and not isinstance(value, bool) and 0 < value <= most:
        return type(most)(value)
    _report_field(collector, raw, name, expected)
    return None


def _template(
    collector: Collector, raw: Mapping[str, Any], name: str, shared: bool, cameras: int = 0
) -> str | None:
    """A path template; ``None`` and a finding where it cannot be filled."""
    value, fields = raw.get(name), _SHARED_FIELDS if shared else _EPISODE_FIELDS
    if not isinstance(value, str):
        _report_field(collector, raw, name, f"a path with {{{fields[0]}}} and {{{fields[1]}}}")
        return None
    if leaves_folder(value):
        collector.report("path-escape", INFO, f"{name} leads to {value}", name=name)
        return None
    needed = fields[1:] if cameras > 1 else fields[1:2]
    if (problem := _template_problem(value, needed, fields)) is None:
        return value
    also = " and video_key" if name == "video_path" else ""
    texts = {"fields": f"{', '.join(fields[:2])}{also}", "example": _EXAMPLES[name, shared]}
    collector.report("path-template", INFO, f"{name} {short(value)} {problem}", name=name, **texts)
    return None


def _report_field(collector: Collector, raw: Mapping[str, Any], name: str, expected: str) -> None:
    if name in raw:
        found = f"{name} is {short(raw[name])}"
        collector.report("info-field", INFO, found, expected=expected, name=name)
    else:
        collector.report("info-field-missing", INFO, f"no {name}", expected=expected)
