"""The files that make up a LeRobot dataset: read, counted, and every fault of them listed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.checks.templates import template_problem

FORMATS = ("v2.0", "v2.1")
"""Values of ``codebase_version`` that can be read."""

LFS_POINTER = b"version https://git-lfs"
PARQUET_MAGIC = b"PAR1"
MOST_PROBLEMS = 20

_INFO = {
    "codebase_version": str,
    "fps": (int, float),
    "features": dict,
    "data_path": str,
    "chunks_size": int,
}
_EPISODE = {"episode_index": int, "length": int}
_TASK = {"task_index": int, "task": str}


@dataclass(frozen=True)
class Files:
    """What the meta files say and which cameras have videos."""

    info: dict[str, Any]
    modality: dict[str, Any] | None
    tasks: list[dict[str, Any]]
    episodes: list[dict[str, Any]]
    cameras: tuple[str, ...]
    warnings: tuple[str, ...]


def read_files(directory: Path, name: str) -> Files:
    """Read the meta files of a dataset and look at the files of every episode.

    Raises:
        DatasetError: All that is missing or unreadable, at once.
    """
    return _Reader(directory, name).read()


def filled(info: dict[str, Any], template: str, index: int, camera: str = "") -> str:
    """A path inside the dataset from one of ``info.json``'s templates."""
    return str(info[template]).format(
        episode_chunk=index // int(info["chunks_size"]), episode_index=index, video_key=camera
    )


def leaves(path: str) -> bool:
    """Whether a path from a dataset's own files leads out of the dataset's folder.

    Example:
        >>> [leaves(path) for path in ("data/a.parquet", "../a.parquet", "/etc/passwd")]
        [False, True, True]
    """
    return path.startswith("/") or "\0" in path or ".." in path.split("/")


def is_lfs_pointer(path: Path) -> bool:
    """Whether a file is what Git LFS leaves where the content was not downloaded."""
    with path.open("rb") as file:
        return file.read(len(LFS_POINTER)) == LFS_POINTER


class _Reader:
    """Collects every problem before it gives up."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.name = name
        self.problems: list[str] = []

    def read(self) -> Files:
        if not self.directory.is_dir():
            raise DatasetError(self.name, f"there is no folder {self.directory}.")
        info = self._object("info.json")
        self._fields("meta/info.json", info, _INFO)
        version = str((info or {}).get("codebase_version", FORMATS[0]))
        if version not in FORMATS:
            raise self._unsupported(version)
        modality = self._object("modality.json", needed=False)
        tasks = self._lines("tasks.jsonl", _TASK)
        episodes = self._lines("episodes.jsonl", _EPISODE)
        if episodes == []:
            self.problems.append("meta/episodes.jsonl lists no episode")
        numbers = [item.get("episode_index") for item in episodes or []]
        if len(set(numbers)) < len(numbers):
            self.problems.append("meta/episodes.jsonl lists an episode twice")
        self._stop()
        assert info is not None and tasks is not None and episodes is not None
        cameras, warnings = self._look(info, numbers)
        self._stop()
        return Files(info, modality, tasks, episodes, cameras, warnings)

    def _look(
        self, info: dict[str, Any], episodes: Sequence[Any]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Cameras that have files, and warnings; what is missing becomes a problem."""
        warnings, cameras = [], []
        self._refuse_escapes(info)
        for episode in episodes:
            self._see(self.directory / filled(info, "data_path", episode))
        declared = [
            key
            for key, item in info["features"].items()
            if isinstance(item, dict) and item.get("dtype") == "video"
        ]
        if declared and not isinstance(info.get("video_path"), str):
            self.problems.append("meta/info.json declares cameras and has no 'video_path'")
            return (), ()
        for camera in declared:
            paths = [
                self.directory / filled(info, "video_path", episode, camera) for episode in episodes
            ]
            if any(path.is_file() for path in paths):
                cameras.append(camera)
                for path in paths:
                    self._see(path)
            else:
                warnings.append(f"camera {camera} is declared in meta/info.json and has no files")
        return tuple(cameras), tuple(warnings)

    def _refuse_escapes(self, info: dict[str, Any]) -> None:
        """Stop at templates and cameras whose files would be anywhere but in the folder."""
        for field in ("data_path", "video_path"):
            template = info.get(field)
            if not isinstance(template, str):
                continue
            problem = template_problem(template, ())
            if problem is None and leaves(template):
                problem = "leaves the dataset's folder"
            if problem is not None:
                self.problems.append(f"meta/info.json: {field} {problem}")
        for key in info["features"]:
            if "/" in key or "\\" in key or key.startswith(".") or not key:
                self.problems.append(f"meta/info.json: '{key}' cannot be the name of a feature")
        self._stop()

    def _see(self, path: Path) -> None:
        shown = path.relative_to(self.directory)
        try:
            if not path.is_file():
                self.problems.append(f"{shown} is missing")
            elif path.stat().st_size == 0:
                self.problems.append(f"{shown} is empty")
            elif is_lfs_pointer(path):
                self.problems.append(f"{shown} is a Git LFS pointer: run git lfs pull")
            elif path.suffix == ".parquet" and not _is_whole_parquet(path):
                self.problems.append(f"{shown} is not a whole Parquet file")
        except OSError as error:
            self.problems.append(f"{shown} cannot be read: {error.strerror}")

    def _object(self, file: str, needed: bool = True) -> dict[str, Any] | None:
        text = self._text(file, needed)
        if text is None:
            return None
        try:
            value = json.loads(text)
        except ValueError as error:
            self.problems.append(f"meta/{file} is not JSON: {error}")
            return None
        if not isinstance(value, dict):
            self.problems.append(f"meta/{file} is not a JSON object")
            return None
        return value

    def _lines(self, file: str, fields: dict[str, Any]) -> list[dict[str, Any]] | None:
        text = self._text(file)
        if text is None:
            return None
        found = []
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            where = f"meta/{file} line {number}"
            try:
                item = json.loads(line)
            except ValueError as error:
                self.problems.append(f"{where} is not JSON: {error}")
                continue
            if not isinstance(item, dict):
                self.problems.append(f"{where} is not a JSON object")
                continue
            self._fields(where, item, fields)
            found.append(item)
        return found

    def _fields(self, where: str, item: dict[str, Any] | None, fields: dict[str, Any]) -> None:
        for field, kind in fields.items() if item is not None else ():
            assert item is not None
            if field not in item:
                self.problems.append(f"{where} has no '{field}'")
            elif not isinstance(item[field], kind) or isinstance(item[field], bool):
                self.problems.append(f"{where}: '{field}' is {item[field]!r}")

    def _text(self, file: str, needed: bool = True) -> str | None:
        path = self.directory / "meta" / file
        if not path.is_file():
            if needed:
                self.problems.append(f"meta/{file} is missing")
            return None
        try:
            if is_lfs_pointer(path):
                self.problems.append(f"meta/{file} is a Git LFS pointer: run git lfs pull")
                return None
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(f"meta/{file} cannot be read: {error}")
            return None

    def _unsupported(self, version: str) -> DatasetError:
        details = [f"supported: {', '.join(FORMATS)}"]
        if version.startswith("v3"):
            details.append("name it in data/datasets.yaml: materialising it converts it to v2.1")
        return DatasetError(self.name, f"its format is LeRobot {version}.", details)

    def _stop(self) -> None:
        if not self.problems:
            return
        shown = self.problems[:MOST_PROBLEMS]
        rest = len(self.problems) - len(shown)
        more = [f"and {rest} more"] if rest else []
        raise DatasetError(
            self.name,
            "this is not a complete LeRobot dataset.",
            [*shown, *more, f"folder: {self.directory}"],
        )


def _is_whole_parquet(path: Path) -> bool:
    size = len(PARQUET_MAGIC)
    with path.open("rb") as file:
        if file.read(size) != PARQUET_MAGIC:
            return False
        file.seek(-size, 2)
        return file.read(size) == PARQUET_MAGIC
