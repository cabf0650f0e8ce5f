"""A frame cache's frames as a model sees them without augmentation, cropped and resized once.

Training without augmentation on a CPU is fed from here by bare reads. A GPU crops and resizes
faster than a disk reads, and augmented images differ at every draw: neither needs this.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gr00t_assets.core.files import published_directory
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_index import INDEX, Progress, cache_folder, frame_cache_info
from gr00t_assets.modality.camera_images import camera_images
from gr00t_assets.modality.config import ModalityConfig

_AT_ONCE = 64
"""Frames that are read, prepared and written at once."""


class PreparedFrames:
    """Prepared frames by the rows of the frame cache that they were made of.

    They are in a hidden folder of the frame cache, one file a camera. Its name is made of all that
    decides their content, so a frame cache that is built anew is prepared anew. They are read, not
    mapped: a process does not grow by what it has read.

    Args:
        cache: Finds rows by timestamp.
        folder: Holds one ``<camera>.npy`` for each camera.
    """

    def __init__(self, cache: FrameCache, folder: Path) -> None:
        self._cache = cache
        self._folder = folder
        self._files = {path.stem: _Frames(path) for path in sorted(folder.glob("*.npy"))}

    @classmethod
    def open(
        cls, directory: Path, config: ModalityConfig, size: int, progress: Progress | None = None
    ) -> "PreparedFrames":
        """Open the prepared frames of a frame cache; at the first time they are made.

        Args:
            directory: Of the frame cache.
            config: Names the cameras and the share of height and width that is kept.
            size: Pixels of the square wanted.
            progress: Called with frames while they are made.

        Raises:
            DatasetError: There is no frame cache, or it is damaged.
            StoreError: The disk is full.
        """
        cache = FrameCache.open(directory, config.frame_size)
        directory = cache_folder(directory, config.frame_size)
        cameras = sorted({camera.original_key for camera in config.video})
        indices = [hashlib.sha256((directory / name / INDEX).read_bytes()) for name in cameras]
        contents = [
            *([name, index.hexdigest()] for name, index in zip(cameras, indices, strict=True)),
            [size, config.crop_scale],
            *(
                [camera.original_key, camera.transforms.model_dump()]
                for camera in config.video
                if not camera.transforms.is_default
            ),
        ]
        key = hashlib.sha256(json.dumps(contents).encode()).hexdigest()[:16]
        folder = directory / f".prepared-{key}"
        if not folder.is_dir():
            shapes = frame_cache_info(directory).cameras
            counts = {camera: shapes[camera][0] for camera in cameras}
            with published_directory(folder) as partial:
                _write_prepared(cache, counts, partial, size, config, progress)
        return cls(cache, folder)

    def rows(self, episode: int, camera: str, timestamps: np.ndarray) -> np.ndarray:
        """As ``FrameCache.rows``."""
        return self._cache.rows(episode, camera, timestamps)

    def frames(self, camera: str, rows: np.ndarray) -> np.ndarray:
        """Prepared frames by row, shape ``(n, size, size, 3)``, uint8 RGB."""
        return self._files[camera].read(rows)


class _Frames:
    """An ``.npy`` file of frames, read by row."""

    def __init__(self, path: Path) -> None:
        mapped = np.load(path, mmap_mode="r")
        assert isinstance(mapped, np.memmap)
        self._shape, self._offset = mapped.shape[1:], mapped.offset
        self._bytes = int(np.prod(self._shape))
        self._file = path.open("rb", buffering=0)

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        frames = np.empty((len(rows), *self._shape), np.uint8)
        for frame, row in zip(frames, rows, strict=True):
            count = os.preadv(
                self._file.fileno(), [frame.data], self._offset + int(row) * self._bytes
            )
            assert count == self._bytes, f"{self._file.name} ends before row {row}"
        return frames


def _write_prepared(
    cache: FrameCache,
    counts: dict[str, int],
    folder: Path,
    size: int,
    config: ModalityConfig,
    progress: Progress | None,
) -> None:
    import torch

    done = 0
    for camera, count in counts.items():
        keys = tuple(key for key in config.video if key.original_key == camera)
        one_camera = config.model_copy(update={"video": keys[:1]})
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, 3)}
        with (folder / f"{camera}.npy").open("wb") as output:
            np.lib.format.write_array_header_1_0(output, header)
            for first in range(0, count, _AT_ONCE):
                rows = np.arange(first, min(first + _AT_ONCE, count))
                frames = torch.from_numpy(cache.frames(camera, rows))[:, None]
                images = camera_images(frames, size, one_camera)
                output.write(images.contiguous().numpy().data)
                done += len(rows)
                if progress is not None:
                    progress(done, sum(counts.values()))
