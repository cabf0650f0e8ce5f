"""A camera's frames while they are being decoded: files of their full size, and a journal.

Episodes may come in any order, and are written at their own places. The journal names those that
are complete, with the checksums of their frames as they were in memory; a line is added after the
frames are on the disk, so that what it names can be trusted after a kill or a power cut.
"""

import os
import shutil
import threading
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
from pydantic import Field

from gr00t_assets.core.checksums import crc32
from gr00t_assets.core.files import (
    FrozenModel,
    publish_directory,
    sync_directory,
    write_bytes,
    write_json,
)
from gr00t_assets.datasets.frames.frame_index import (
    CHECKSUMS,
    FRAMES,
    INDEX,
    TIMES,
    FrameChecksums,
    FrameIndex,
    FramePlan,
    Span,
    Video,
    read_index,
)

PLAN, JOURNAL = "plan.json", "journal.jsonl"

_FLUSH_BYTES = 64 << 20


class JournalLine(FrozenModel):
    """An episode that is complete."""

    episode: int
    sha256: str = Field(description="Of what it was decoded from")
    crc32: tuple[int, ...] = Field(description="Of the times, and of each frame")


def building_folder(folder: Path, camera: str) -> Path:
    """Where a camera's frames are until all of them are there."""
    return folder / f".{camera}.building"


class PartialFrames:
    """Frames of a camera that are not all there yet.

    It goes on with what an interrupted build of the same plan left in a folder, else begins anew.
    An OSError, as where the disk cannot hold the frames, leaves nothing of what was begun.

    Attributes:
        plan: Where each frame belongs.
        done: What the journal says, by episode, of the episodes that are complete.
        checksums: CRC-32 of each frame that is there, by row, ``(frames,)`` uint32.
    """

    def __init__(self, folder: Path, plan: FramePlan) -> None:
        self.plan, self.checksums = plan, np.zeros(plan.frames, np.uint32)
        self.done: dict[int, JournalLine] = {}
        begun = None
        with suppress(OSError, ValueError):
            begun = FramePlan.model_validate_json((folder / PLAN).read_text(encoding="utf-8"))
        if begun != plan or not plan.has_files(folder):
            _begin(folder, plan)
        spans = {span.episode: span for span in plan.spans}
        for line in _complete_lines(folder / JOURNAL):
            span = spans.get(line.episode)
            if span is not None and len(line.crc32) == span.frames + 1:
                self.done[span.episode] = line
                self.checksums[span.rows] = line.crc32[1:]
        self._folder, self._lock = folder, threading.Lock()
        self._frames = os.open(folder / FRAMES, os.O_RDWR)
        self._times = os.open(folder / TIMES, os.O_RDWR)
        self._journal = (folder / JOURNAL).open("a", encoding="utf-8")
        self._starts = {name: len(header) for name, header in plan.headers().items()}
        self._flush_every = max(1, _FLUSH_BYTES // plan.frame_bytes)

    def write_frame(self, span: Span, position: int, frame: bytes | memoryview) -> None:
        """Put one frame of an episode, ``(height, width, 3)`` uint8 RGB, in its place.

        Now and then it waits until the disk has them, so that they do not pile up in memory.
        """
        row = span.first_row + position
        self.checksums[row] = zlib.crc32(frame)
        _write_at(self._frames, frame, self._starts[FRAMES] + row * self.plan.frame_bytes)
        if (position + 1) % self._flush_every == 0:
            os.fdatasync(self._frames)

    def is_intact(self, span: Span) -> bool:
        """Whether an episode's frames and times on the disk are those that were written."""
        size, start = self.plan.frame_bytes, self._starts[FRAMES]
        rows = range(span.first_row, span.first_row + span.frames)
        frames = (os.pread(self._frames, size, start + row * size) for row in rows)
        times = os.pread(self._times, span.frames * 8, self._starts[TIMES] + span.first_row * 8)
        return (zlib.crc32(times), *map(zlib.crc32, frames)) == self.done[span.episode].crc32

    def finish(self, span: Span, sha256: str, times: np.ndarray) -> None:
        """Record that an episode is complete, once its frames and times are on the disk.

        ``sha256`` is of what it was decoded from; times are seconds, ``(frames,)`` float64.
        """
        content = np.ascontiguousarray(times, dtype="<f8").data
        _write_at(self._times, content, self._starts[TIMES] + span.first_row * 8)
        os.fdatasync(self._frames)
        os.fdatasync(self._times)
        sums = zlib.crc32(content), *self.checksums[span.rows].tolist()
        line = JournalLine(episode=span.episode, sha256=sha256, crc32=sums)
        with self._lock:
            self._journal.write(line.model_dump_json() + "\n")
            self._journal.flush()
            os.fdatasync(self._journal.fileno())
            self.done[span.episode] = line

    def close(self) -> None:
        """Close the files; a later build goes on."""
        self._journal.close()
        os.close(self._frames)
        os.close(self._times)

    def write_index(self, video_bytes: Iterable[int]) -> None:
        """Write the index and the checksums, when every episode is complete.

        ``video_bytes`` are the sizes of the episodes' videos, in the order of the plan.
        """
        videos = tuple(
            Video(sha256=self.done[span.episode].sha256, bytes=size)
            for span, size in zip(self.plan.spans, video_bytes, strict=True)
        )
        index = FrameIndex(plan=self.plan, videos=videos)
        write_json(self._folder / INDEX, index.model_dump(mode="json"))
        checksums = FrameChecksums(
            frame_bytes=self.plan.frame_bytes,
            head=zlib.crc32(self.plan.headers()[FRAMES]),
            frames=tuple(self.checksums.tolist()),
            files={name: crc32(self._folder / name) for name in (INDEX, TIMES)},
        )
        write_bytes(self._folder / CHECKSUMS, checksums.model_dump_json().encode())


def _begin(folder: Path, plan: FramePlan) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        for name, header in plan.headers().items():
            with (folder / name).open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, plan.file_bytes()[name])
                file.write(header)
                file.flush()
                os.fsync(file.fileno())
        sync_directory(folder)
        write_json(folder / PLAN, plan.model_dump(mode="json"))
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def publish_complete(folder: Path, plan: FramePlan, target: Path) -> FrameIndex | None:
    """Rename a building folder whose checksums are written, without plan and journal; else None."""
    try:
        index = read_index(folder / INDEX)
    except (OSError, ValueError):
        return None
    if index.plan != plan or not plan.has_files(folder) or not (folder / CHECKSUMS).is_file():
        return None
    shutil.rmtree(target, ignore_errors=True)
    for path in folder.iterdir():
        if path.name not in (FRAMES, TIMES, INDEX, CHECKSUMS):
            path.unlink()
    publish_directory(folder, target)
    return index


def _complete_lines(path: Path) -> list[JournalLine]:
    """What a journal names; a line that a power cut tore is removed, with what follows it."""
    lines: list[JournalLine] = []
    content, complete = path.read_bytes() if path.is_file() else b"", 0
    with suppress(ValueError):
        for line in content.splitlines(keepends=True):
            entry = JournalLine.model_validate_json(line)
            if not line.endswith(b"\n"):
                break
            lines.append(entry)
            complete += len(line)
    if complete < len(content):
        os.truncate(path, complete)
    return lines


def _write_at(descriptor: int, content: bytes | memoryview, offset: int) -> None:
    left = memoryview(content).cast("B")
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written
