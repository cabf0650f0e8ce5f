"""Reading a frame cache: frames as they were decoded, or prepared for a model, by timestamp.

Frames are held against their checksums when a process reads them first, prepared ones always.
"""

import hashlib
import io
import json
import math
import os
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import discard_directory, published_directory, write_bytes
from gr00t_assets.core.locks import exclusive_lock
from gr00t_assets.core.project import materialize_command
from gr00t_assets.datasets.frames.frame_index import (
    CHECKSUMS,
    FRAMES,
    HEAD,
    INDEX,
    TIMES,
    FrameChecksums,
    FrameIndex,
    Size,
    Span,
    array_header,
    cache_folder,
    load_checksums,
    read_indices,
)
from gr00t_assets.datasets.videos import nearest_rows
from gr00t_assets.modality.camera_images import ImageRecipe, camera_images
from gr00t_assets.modality.config import ModalityConfig


class _FrameArray(NamedTuple):
    """An open ``.npy`` file of frames. It is read, not mapped: no process grows by what it reads.

    ``offset`` is where the first frame begins, ``unread`` are those that are to be held against
    their checksums, ``(frames,)``; none where there are no checksums.
    """

    file: io.FileIO
    offset: int
    shape: tuple[int, ...]
    checksums: FrameChecksums | None
    unread: np.ndarray

    @classmethod
    def open(cls, path: Path, checksums: Path) -> "_FrameArray":
        """Open an array; ValueError where it, or its checksums, are damaged."""
        mapped, sums = np.load(path, mmap_mode="r"), load_checksums(checksums)
        unread = np.full(len(mapped), sums is not None)
        file = path.open("rb", buffering=0)
        return cls(file, mapped.offset, mapped.shape[1:], sums, unread)

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, list[int]]:
        """Frames by row, ``(n, height, width, 3)`` uint8, and the places of damaged ones."""
        frames, size = np.empty((len(rows), *self.shape), np.uint8), math.prod(self.shape)
        sums = self.checksums.frames if self.checksums else ()
        damaged = []
        for place, (frame, row) in enumerate(zip(frames, rows.tolist(), strict=True)):
            read = os.preadv(self.file.fileno(), [frame.data], self.offset + row * size)
            if read != size or (self.unread[row] and zlib.crc32(frame.data) != sums[row]):
                damaged.append(place)
        return frames, damaged


class _CachedCamera(NamedTuple):
    """A camera's frames, their times, and the rows of each episode."""

    array: _FrameArray
    times: np.ndarray
    spans: dict[int, Span]


class FrameCache:
    """Decoded frames of some cameras; made by ``open``. ``size`` is that of resized ones."""

    def __init__(self, directory: Path, indices: dict[str, FrameIndex], size: Size | None) -> None:
        self._folder = cache_folder(directory, size)
        self._name, self.cameras, self.size = directory.parent.name, tuple(indices), size
        self._cached: dict[str, _CachedCamera] = {}
        for camera, index in indices.items():
            folder = self._folder / camera
            self._cached[camera] = _CachedCamera(
                array=_FrameArray.open(folder / FRAMES, folder / CHECKSUMS),
                times=np.load(folder / TIMES),
                spans={span.episode: span for span in index.plan.spans},
            )

    @classmethod
    def open(cls, directory: Path, size: Size | None = None) -> "FrameCache":
        """Open a frame cache; DatasetError where there is none, or it is damaged."""
        name, indices = directory.parent.name, read_indices(cache_folder(directory, size))
        command = materialize_command("frame_cache", name)
        if not indices:
            of_size = f" of {size[0]} x {size[1]}" if size else ""
            problem = f"this dataset version has no frame cache{of_size}."
            raise DatasetError(name, problem, [f"run: {command}"])
        if damaged := [camera for camera, index in indices.items() if index is None]:
            details = [*damaged, f"decode it anew: {command}"]
            raise DatasetError(name, "its frame cache is damaged, or of an older form.", details)
        return cls(directory, {name: index for name, index in indices.items() if index}, size)

    def timestamps(self, episode: int, camera: str) -> np.ndarray:
        """Seconds at which an episode's frames are shown, (frames,) float64; DatasetError without
        any.
        """
        cached = self._cached_camera(camera)
        if episode not in cached.spans:
            raise self._lacking(f"episode {episode} of camera {camera}")
        return cached.times[cached.spans[episode].rows]

    def rows(self, episode: int, camera: str, timestamps: np.ndarray) -> np.ndarray:
        """Row of the frame that is nearest to each timestamp, by NVIDIA's rule, for ``frames``.

        Timestamps are seconds, shape ``(n,)``; rows too, int64.
        """
        times = self.timestamps(episode, camera)
        return self._cached[camera].spans[episode].first_row + nearest_rows(times, timestamps)

    def frames(self, camera: str, rows: np.ndarray) -> np.ndarray:
        """Frames by row, (n, height, width, 3) uint8 RGB; DatasetError where one is damaged."""
        array = self._cached[camera].array
        frames, damaged = array.read(rows)
        if damaged:
            raise self._damaged(camera, int(rows[damaged[0]]))
        array.unread[rows] = False
        return frames

    def sample(self, seconds: float) -> list[str]:
        """Look at frames drawn at random for so many seconds; DatasetError where one is damaged.

        Gives the cameras whose frames have no checksums, as in caches of versions 0.1 and 0.2.
        """
        without = [camera for camera in self.cameras if not self._cached[camera].array.checksums]
        share = seconds / max(len(self.cameras) - len(without), 1)
        for camera, cached in self._cached.items():
            array, sums = self._folder / camera / FRAMES, cached.array.checksums
            if sums and (row := next(sums.damaged_rows(array, share), None)) is not None:
                raise self._damaged(camera, row)
        return without

    def _cached_camera(self, camera: str) -> _CachedCamera:
        if camera not in self._cached:
            raise self._lacking(f"camera {camera}")
        return self._cached[camera]

    def _lacking(self, what: str) -> DatasetError:
        lines = [f"cameras in it: {', '.join(self.cameras)}"]
        lines.append(f"decode what it lacks: {materialize_command('frame_cache', self._name)}")
        return DatasetError(self._name, f"its frame cache has no {what}.", lines)

    def _damaged(self, camera: str, row: int) -> DatasetError:
        where = "the head of its array"
        if row != HEAD:
            spans = self._cached[camera].spans.values()
            span = next(span for span in spans if row < span.rows.stop)
            where = f"frame {row - span.first_row} of episode {span.episode}"
        found = f"{camera}: {where} is not as it was decoded"
        remedy = f"decode it anew: {materialize_command('frame_cache', self._name)}"
        return DatasetError(self._name, "its frame cache is damaged.", [found, remedy])

    def frame(self, episode: int, camera: str, timestamp: float) -> np.ndarray:
        """The frame nearest to a timestamp in seconds, shape ``(height, width, 3)``, uint8 RGB."""
        return self.frames(camera, self.rows(episode, camera, np.array([timestamp])))[0]


PREPARED = ".prepared-"
"""How the names of their folders begin."""

_AT_ONCE = 64
"""Frames that are read, prepared and written at once."""

_SAMPLE_SECONDS = 0.3
"""How long frames drawn at random are held against their checksums when they are opened."""


class PreparedFrames:
    """Frames as a model sees them without augmentation, by the rows of their frame cache.

    Training without augmentation on a CPU is fed from here by bare reads. A GPU crops and resizes
    faster than a disk reads, and augmented images differ at every draw: neither needs this.

    They are in a hidden folder of the frame cache, one file a camera. Its name is made of all that
    decides their content, so a frame cache that is built anew is prepared anew. They are held
    against their checksums whenever they are read, and one that is damaged is prepared again.
    """

    def __init__(self, cache: FrameCache, recipe: ImageRecipe, config: ModalityConfig) -> None:
        self._cache, self._recipe, self._config = cache, recipe, config
        self._arrays: dict[str, _FrameArray] = {}

    @classmethod
    def open(cls, directory: Path, config: ModalityConfig, recipe: ImageRecipe) -> "PreparedFrames":
        """Open the prepared frames of a frame cache; at the first time, or damaged, they are made.

        Raises:
            DatasetError: There is no frame cache, or it is damaged.
            StoreError: The disk is full.
        """
        prepared = cls(FrameCache.open(directory, config.frame_size), recipe, config)
        directory = cache_folder(directory, config.frame_size)
        cameras = sorted({camera.original_key for camera in config.video})
        for camera in cameras:
            prepared._cache._cached_camera(camera)
        indices = [hashlib.sha256((directory / name / INDEX).read_bytes()) for name in cameras]
        contents = [
            *([name, index.hexdigest()] for name, index in zip(cameras, indices, strict=True)),
            [*recipe.content, config.crop_scale],
            *(
                [camera.original_key, camera.transforms.model_dump()]
                for camera in config.video
                if not camera.transforms.is_default
            ),
        ]
        key = hashlib.sha256(json.dumps(contents).encode()).hexdigest()[:16]
        folder = directory / f"{PREPARED}{key}"
        arrays = {camera: folder / f"{camera}.npy" for camera in cameras}
        seconds = _SAMPLE_SECONDS / len(cameras)

        def are_sound() -> bool:
            return not any(damaged_prepared(path, seconds) for path in arrays.values())

        if not are_sound():
            lock, what = directory / ".preparing.lock", "the frames that are being prepared"
            with exclusive_lock(lock, what, lambda line: sys.stderr.write(line + "\n")):
                if not are_sound():
                    if folder.is_dir():
                        discard_directory(folder)
                    with published_directory(folder) as partial:
                        for camera, array in arrays.items():
                            prepared._write(camera, partial / array.name)
        prepared._arrays = {
            camera: _FrameArray.open(path, path.with_suffix(".json"))
            for camera, path in arrays.items()
        }
        return prepared

    def rows(self, episode: int, camera: str, timestamps: np.ndarray) -> np.ndarray:
        """As ``FrameCache.rows``."""
        return self._cache.rows(episode, camera, timestamps)

    def frames(self, camera: str, rows: np.ndarray) -> np.ndarray:
        """Prepared frames by row, shape ``(n, height, width, 3)``, uint8 RGB."""
        frames, damaged = self._arrays[camera].read(rows)
        for place in damaged:
            frames[place] = self._prepare(camera, rows[place : place + 1])[0]
        return frames

    def _write(self, camera: str, array: Path) -> None:
        count = len(self._cache._cached_camera(camera).array.unread)
        shape = self._prepare(camera, np.arange(1)).shape[1:]
        head, sums = array_header("|u1", (count, *shape)), []
        with array.open("wb") as output:
            output.write(head)
            for first in range(0, count, _AT_ONCE):
                images = self._prepare(camera, np.arange(first, min(first + _AT_ONCE, count)))
                sums += (zlib.crc32(image.data) for image in images)
                output.write(images.data)
        checksums = FrameChecksums(
            frame_bytes=math.prod(shape), head=zlib.crc32(head), frames=tuple(sums)
        )
        write_bytes(array.with_suffix(".json"), checksums.model_dump_json().encode())

    def _prepare(self, camera: str, rows: np.ndarray) -> np.ndarray:
        """Frames of some rows as the model sees them, ``(rows, height, width, 3)`` uint8."""
        import torch

        key = next(key for key in self._config.video if key.original_key == camera)
        one_camera = self._config.model_copy(update={"video": (key,)})
        frames = torch.from_numpy(self._cache.frames(camera, rows))[:, None]
        return camera_images(frames, self._recipe, one_camera)[:, 0].contiguous().numpy()


def damaged_prepared(array: Path, sample_seconds: float | None = None) -> bool:
    """Whether an array of prepared frames is damaged, or of a version without checksums.

    Frames drawn at random are read for ``sample_seconds``; every frame is by default.
    """
    try:
        sums = load_checksums(array.with_suffix(".json"))
        return sums is None or next(sums.damaged_rows(array, sample_seconds), None) is not None
    except (OSError, ValueError):
        return True
