"""A camera's frames while they are being decoded: files of their full size, and a journal.

Episodes may come in any order, and are written at their own places. The journal names those that
are complete, with the checksums of their frames as they were in memory; a line is added after the
frames are on the disk, so that what it names can be trusted after a kill or a power cut.
"""

import errno
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

_COPY_BYTES = 4 << 20
_NO_KERNEL_COPY = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)


class JournalLine(FrozenModel):
    """An episode that is complete."""

    episode: int
    sha256: str = Field(description="Of what it was decoded from")
    crc32: tuple[int, ...] = Field(description="Of the times, and of each frame")


def building_folder(folder: Path, camera: str) -> Path:
    """Where a camera's frames are until all of them are there."""
    return folder / f".{camera}.building"


class PartialFrames:
    """Frames of a camera that are not all there yet; made by ``open``.

    Attributes:
        plan: Where each frame belongs.
        done: Hash of the video by episode, of the episodes that are complete.
        checksums: CRC-32 of each frame that is there, by row, ``(frames,)`` uint32.
    """

    def __init__(self, folder: Path, plan: FramePlan) -> None:
        self.plan, self.checksums = plan, np.zeros(plan.frames, np.uint32)
        self.done: dict[int, str] = {}
        self._times_crc32: dict[int, int] = {}
        spans = {span.episode: span for span in plan.spans}
        for line in _complete_lines(folder / JOURNAL):
            span = spans.get(line.episode)
            if span is not None and len(line.crc32) == span.frames + 1:
                self.done[span.episode] = line.sha256
                self._times_crc32[span.episode] = line.crc32[0]
                self.checksums[span.rows] = line.crc32[1:]
        self._folder, self._lock = folder, threading.Lock()
        self._frames = os.open(folder / FRAMES, os.O_RDWR)
        self._times = os.open(folder / TIMES, os.O_RDWR)
        self._journal = (folder / JOURNAL).open("a", encoding="utf-8")
        headers = plan.headers()
        self._frames_start, self._times_start = len(headers[FRAMES]), len(headers[TIMES])

    @classmethod
    def open(cls, folder: Path, plan: FramePlan) -> "PartialFrames":
        """Continue what an interrupted build of the same plan left; else begin anew.

        An OSError, as where the disk cannot hold the frames, leaves nothing of what was written.
        """
        begun = None
        with suppress(OSError, ValueError):
            begun = FramePlan.model_validate_json((folder / PLAN).read_text(encoding="utf-8"))
        if begun != plan or not plan.has_files(folder):
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
        return cls(folder, plan)

    def write_frame(self, span: Span, position: int, frame: np.ndarray) -> None:
        """Put one frame of an episode, ``(height, width, 3)`` uint8 RGB, in its place."""
        offset = self._offset(span) + position * self.plan.frame_bytes
        self.checksums[span.first_row + position] = zlib.crc32(frame.data)
        _write_at(self._frames, frame.data.cast("B"), offset)

    def copy_frames(self, span: Span, source: int, offset: int) -> None:
        """Put an episode's frames, which are at an offset of another open file, in their place."""
        size = span.frames * self.plan.frame_bytes
        _copy(source, offset, self._frames, self._offset(span), size)
        self.checksums[span.rows] = self._on_disk(span)

    def is_intact(self, span: Span) -> bool:
        """Whether an episode's frames and times on the disk are those that were written."""
        if self._times_on_disk(span) != self._times_crc32[span.episode]:
            return False
        return np.array_equal(self._on_disk(span), self.checksums[span.rows])

    def write_times(self, span: Span, times: np.ndarray) -> None:
        """Put an episode's presentation times, seconds, ``(frames,)`` float64, in their place."""
        content = np.ascontiguousarray(times, dtype="<f8").data.cast("B")
        _write_at(self._times, content, self._times_start + span.first_row * 8)

    def flush(self) -> None:
        """Wait until what was written is on the disk, so that it does not pile up in memory."""
        os.fdatasync(self._frames)

    def finish(self, span: Span, video_sha256: str) -> None:
        """Record that an episode is complete, once its frames are on the disk."""
        os.fdatasync(self._frames)
        os.fdatasync(self._times)
        sums = self._times_on_disk(span), *self.checksums[span.rows].tolist()
        line = JournalLine(episode=span.episode, sha256=video_sha256, crc32=sums)
        with self._lock:
            self._journal.write(line.model_dump_json() + "\n")
            self._journal.flush()
            os.fdatasync(self._journal.fileno())
            self.done[span.episode] = video_sha256

    def close(self) -> None:
        """Close the files; a later ``open`` goes on."""
        self._journal.close()
        os.close(self._frames)
        os.close(self._times)

    def write_index(self, video_bytes: Iterable[int]) -> None:
        """Write the index and the checksums, when every episode is complete.

        ``video_bytes`` are the sizes of the episodes' videos, in the order of the plan.
        """
        videos = tuple(
            Video(sha256=self.done[span.episode], bytes=size)
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

    def _on_disk(self, span: Span) -> np.ndarray:
        """CRC-32 of an episode's frames as they are read back, ``(frames,)`` uint32."""
        size, first = self.plan.frame_bytes, self._offset(span)
        frames = (os.pread(self._frames, size, first + n * size) for n in range(span.frames))
        return np.fromiter(map(zlib.crc32, frames), np.uint32, span.frames)

    def _times_on_disk(self, span: Span) -> int:
        offset = self._times_start + span.first_row * 8
        return zlib.crc32(os.pread(self._times, span.frames * 8, offset))

    def _offset(self, span: Span) -> int:
        return self._frames_start + span.first_row * self.plan.frame_bytes


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


def _write_at(descriptor: int, content: memoryview, offset: int) -> None:
    while content:
        written = os.pwrite(descriptor, content, offset)
        content, offset = content[written:], offset + written


def _copy(source: int, source_offset: int, target: int, offset: int, size: int) -> None:
    """Copy within the kernel where it can, so that a file system that shares blocks does so."""
    done, in_kernel = 0, True
    while done < size:
        left, first, place = size - done, source_offset + done, offset + done
        try:
            if in_kernel:
                copied = os.copy_file_range(source, target, left, first, place)
            else:
                block = os.pread(source, min(_COPY_BYTES, left), first)
                _write_at(target, memoryview(block), place)
                copied = len(block)
        except OSError as error:
            if not in_kernel or error.errno not in _NO_KERNEL_COPY:
                raise
            in_kernel = False
            continue
        if not copied:
            raise EOFError(f"the file ends {left} bytes early")
        done += copied
