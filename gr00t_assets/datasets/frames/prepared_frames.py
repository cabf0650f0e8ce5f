"""A frame cache's frames as a model sees them without augmentation, cropped and resized once.

Training without augmentation on a CPU is fed from here by bare reads. A GPU crops and resizes
faster than a disk reads, and augmented images differ at every draw: neither needs this.
"""

import hashlib
import io
import json
import math
import os
import shutil
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gr00t_assets.core.files import partial_name, published_directory, write_bytes
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_index import (
    INDEX,
    FrameChecksums,
    array_header,
    cache_folder,
    frame_cache_info,
    load_checksums,
)
from gr00t_assets.modality.camera_images import ImageRecipe, camera_images
from gr00t_assets.modality.config import ModalityConfig

PREPARED = ".prepared-"
"""How the names of their folders begin."""

_AT_ONCE = 64
"""Frames that are read, prepared and written at once."""

_SAMPLE_SECONDS = 0.3
"""How long frames drawn at random are held against their checksums when they are opened."""


class PreparedFrames:
    """Prepared frames by the rows of the frame cache that they were made of.

    They are in a hidden folder of the frame cache, one file a camera. Its name is made of all that
    decides their content, so a frame cache that is built anew is prepared anew. They are read, not
    mapped: a process does not grow by what it has read. Each is held against its checksum whenever
    it is read, and one that is damaged is prepared again from the frame cache.
    """

    def __init__(self, cache: FrameCache, recipe: ImageRecipe, config: ModalityConfig) -> None:
        self._cache, self._recipe, self._config = cache, recipe, config
        self._arrays: dict[str, _Array] = {}

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
        if folder.is_dir() and any(damaged_prepared(path, seconds) for path in arrays.values()):
            aside = folder.with_name(partial_name(folder.name))
            folder.rename(aside)
            shutil.rmtree(aside)
        if not folder.is_dir():
            shapes = frame_cache_info(directory).cameras
            with published_directory(folder) as partial:
                for camera in cameras:
                    prepared._write(camera, shapes[camera][0], partial / f"{camera}.npy")
        prepared._arrays = {camera: _Array.open(path) for camera, path in arrays.items()}
        return prepared

    def rows(self, episode: int, camera: str, timestamps: np.ndarray) -> np.ndarray:
        """As ``FrameCache.rows``."""
        return self._cache.rows(episode, camera, timestamps)

    def frames(self, camera: str, rows: np.ndarray) -> np.ndarray:
        """Prepared frames by row, shape ``(n, height, width, 3)``, uint8 RGB."""
        array = self._arrays[camera]
        frames, size = np.empty((len(rows), *array.shape), np.uint8), math.prod(array.shape)
        for place, (frame, row) in enumerate(zip(frames, rows, strict=True)):
            read = os.preadv(array.file.fileno(), [frame.data], array.offset + int(row) * size)
            if read != size or zlib.crc32(frame.data) != array.checksums[row]:
                frame[:] = self._prepare(camera, rows[place : place + 1])[0]
        return frames

    def _write(self, camera: str, count: int, array: Path) -> None:
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


class _Array(NamedTuple):
    """An open ``.npy`` file of frames: where the first begins, their shape and their checksums."""

    file: io.FileIO
    offset: int
    shape: tuple[int, ...]
    checksums: tuple[int, ...]

    @classmethod
    def open(cls, path: Path) -> "_Array":
        mapped, checksums = np.load(path, mmap_mode="r"), load_checksums(path.with_suffix(".json"))
        assert isinstance(mapped, np.memmap) and checksums is not None
        file = path.open("rb", buffering=0)
        return cls(file, mapped.offset, mapped.shape[1:], checksums.frames)


def damaged_prepared(array: Path, sample_seconds: float | None = None) -> bool:
    """Whether an array of prepared frames is damaged, or of a version without checksums.

    Frames drawn at random are read for ``sample_seconds``; every frame is by default.
    """
    try:
        checksums = load_checksums(array.with_suffix(".json"))
        if checksums is None:
            return True
        if sample_seconds is not None:
            return checksums.sampled_damage(array, sample_seconds) is not None
        return next(checksums.damaged_rows(array), None) is not None
    except (OSError, ValueError):
        return True
