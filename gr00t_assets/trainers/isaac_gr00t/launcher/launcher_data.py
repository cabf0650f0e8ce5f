"""Replaces what the checkout's dataset class reads and draws. Runs under the checkout's Python.

Methods of ``LeRobotSingleDataset`` are replaced: its metadata is what this package validated, so
that nothing is computed or written into a dataset's folder; held-out episodes are left out;
frames come from the frame cache; and an episode's parquet file is read once, where the class reads
it again for every sample.

Augmentation is made repeatable. The transforms draw crops and colours from the process's own
generators, whose state depends on what was loaded ahead and by which worker, so that a resumed run
would see other images than an uninterrupted one. Here each sample is drawn from a seed made of the
run's seed, the epoch and the row, and the generators are restored afterwards.
"""

import importlib
import json
import random
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from launcher_checkpoints import Launch, RefusedError

ROWS = "_rows_by_episode"  # attribute of the dataset: ``EpisodeRows`` by episode


def replace_reading(launch: Launch) -> None:
    """Replace the methods of the checkout's ``LeRobotSingleDataset``."""
    dataset = importlib.import_module("gr00t.data.dataset").LeRobotSingleDataset
    schema = importlib.import_module("gr00t.data.schema")
    all_trajectories = dataset._get_trajectories

    def get_metadata(self: Any, embodiment_tag: Any) -> Any:
        tag = getattr(embodiment_tag, "value", embodiment_tag)
        return schema.DatasetMetadata.model_validate(launch["metadata"][tag])

    def trained_trajectories(self: Any) -> tuple[np.ndarray, np.ndarray]:
        ids, lengths = all_trajectories(self)
        held_out = launch["datasets"][str(self.dataset_path)]["held_out_episodes"]
        trained = ~np.isin(ids, held_out)
        return ids[trained], lengths[trained]

    dataset._get_metadata, dataset._get_trajectories = get_metadata, trained_trajectories
    _read_episodes_once(dataset, cached_cameras(launch))


def cached_cameras(launch: Launch) -> "dict[str, dict[str, Camera]]":
    """Cameras by folder of a dataset and key; none of a dataset whose videos are read."""
    return {
        folder: {key: Camera(**files) for key, files in content["frames"].items()}
        for folder, content in launch["datasets"].items()
        if content["frames"] is not None
    }


class SampleRow(int):
    """A row of the dataset with its epoch; pickled on its way to a loader process."""

    epoch = 0


class Camera:
    """Cached frames of one camera, mapped and shared by every process.

    ``frames`` is an ``.npy`` file, (rows, height, width, 3) uint8, ``timestamps`` one of seconds in
    the episode, (rows,) float64, ``spans`` first row and number of rows of each episode,
    ``checksums`` a JSON file with the CRC-32 of each frame; none of older frame caches.
    """

    def __init__(
        self,
        frames: str,
        timestamps: str,
        spans: dict[str, list[int]],
        checksums: str | None = None,
    ) -> None:
        self._path = Path(frames)
        self._frames = np.load(frames, mmap_mode="r")
        self._unread = np.full(len(self._frames), checksums is not None)
        if checksums is not None:
            recorded = json.loads(Path(checksums).read_text(encoding="utf-8"))
            self._checksums = np.array(recorded["frames"])
        self._timestamps = np.load(timestamps)
        self.spans = {int(episode): tuple(span) for episode, span in spans.items()}

    def nearest(self, episode: int, times: np.ndarray) -> np.ndarray:
        """The frames nearest to times, the first of two equally near: NVIDIA's rule.

        Times are seconds in the episode, (T,); frames (T, height, width, 3) uint8, a copy. One
        that is not as it was decoded is refused.
        """
        first, count = self.spans[episode]
        timestamps = self._timestamps[first : first + count]
        rows = np.abs(timestamps[:, None] - times.astype(np.float64)).argmin(axis=0)
        frames = np.array(self._frames[first + rows])
        for row, frame in zip((first + rows).tolist(), frames, strict=True):
            if self._unread[row] and zlib.crc32(frame) != self._checksums[row]:
                name = self._path.parents[2].name
                raise RefusedError(
                    f"the frame cache of {name} is damaged\n"
                    f"  row {row} of {self._path} is not as it was decoded\n"
                    "  decode it anew: dagster asset materialize -m gr00t_assets.definitions "
                    f"--select frame_cache --partition {name}"
                )
            self._unread[row] = False
        return frames


@dataclass(frozen=True)
class EpisodeRows:
    """One episode's parquet file."""

    table: Any  # Its columns of single numbers, a data frame
    vectors: dict[str, np.ndarray]  # State and action by key, (rows, dimensions)
    texts: dict[str, list[str]]  # Instruction of each row by language key
    timestamps: np.ndarray  # Seconds, (rows,) float64


def make_draws_repeatable(seed: int) -> None:
    """Replace the sampler's iteration and the access by row of a dataset and of a mixture."""
    sampler = importlib.import_module("gr00t.experiment.trainer").BaseSampler
    datasets = importlib.import_module("gr00t.data.dataset")
    rows = sampler.__iter__

    def rows_with_epoch(self: Any) -> Iterator[SampleRow]:
        rows_of_epoch = [SampleRow(index) for index in rows(self)]
        for row in rows_of_epoch:
            row.epoch = self.epoch
        return iter(rows_of_epoch)

    def seeded(sample: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
        def seeded_sample(self: Any, index: int) -> Any:
            # A mixture draws from these; its epoch would stay 0 in loader processes.
            self.epoch, self.seed = getattr(index, "epoch", 0), seed
            with drawn_from([seed, self.epoch, int(index)]):
                return sample(self, index)

        return seeded_sample

    sampler.__iter__ = rows_with_epoch
    for dataset in (datasets.LeRobotSingleDataset, datasets.LeRobotMixtureDataset):
        dataset.__getitem__ = seeded(dataset.__getitem__)


@contextmanager
def drawn_from(seeds: "list[int]") -> Iterator[None]:
    """Let the process's generators begin at some numbers; they are restored afterwards."""
    import torch

    seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    python_state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)


def _read_episodes_once(dataset: Any, cameras: dict[str, dict[str, Camera]]) -> None:
    """Read every episode when the dataset is opened, before loader processes share it.

    ``cameras`` are by folder and key; where there are none, frames come from the videos.
    """
    initialize, read = dataset.__init__, dataset.get_trajectory_data
    vector, text = dataset.get_state_or_action, dataset.get_language

    def open_dataset(self: Any, *args: Any, **kwargs: Any) -> None:
        initialize(self, *args, **kwargs)
        episodes = map(int, self.trajectory_ids)
        setattr(self, ROWS, {episode: _rows(self, read(self, episode)) for episode in episodes})

    def get_trajectory_data(self: Any, trajectory_id: int) -> Any:
        return getattr(self, ROWS)[int(trajectory_id)].table

    def get_state_or_action(
        self: Any, trajectory_id: int, modality: str, key: str, base_index: int
    ) -> np.ndarray:
        array = getattr(self, ROWS)[int(trajectory_id)].vectors.get(key)
        if array is None:
            return vector(self, trajectory_id, modality, key, base_index)
        meta = getattr(self.metadata.modalities, modality)[_name(key)]
        return self.retrieve_data_and_pad(
            array=array,
            step_indices=self.delta_indices[key] + base_index,
            max_length=_length(self, trajectory_id),
            padding_strategy="first_last" if meta.absolute else "zero",
        )

    def get_language(self: Any, trajectory_id: int, key: str, base_index: int) -> list[str]:
        texts = getattr(self, ROWS)[int(trajectory_id)].texts.get(key)
        if texts is None:
            return text(self, trajectory_id, key, base_index)
        return [texts[row] for row in _clipped(self, trajectory_id, key, base_index)]

    def get_video(self: Any, trajectory_id: int, key: str, base_index: int) -> np.ndarray:
        camera = cameras[str(self.dataset_path)][_name(key)]
        times = getattr(self, ROWS)[int(trajectory_id)].timestamps
        rows = _clipped(self, trajectory_id, key, base_index)
        return camera.nearest(int(trajectory_id), times[rows])

    dataset.__init__ = open_dataset
    dataset.get_trajectory_data = get_trajectory_data
    dataset.get_state_or_action = get_state_or_action
    dataset.get_language = get_language
    if cameras:
        dataset.get_video = get_video


def _rows(dataset: Any, table: Any) -> EpisodeRows:
    meta, stacked = dataset.lerobot_modality_meta, {}
    vectors: dict[str, np.ndarray] = {}
    for modality in ("state", "action"):
        fields = getattr(meta, modality)
        for key in dataset.modality_keys[modality]:
            field = fields.get(_name(key))
            if field is None:  # made from other columns by the class itself
                continue
            column = field.original_key or _name(key)
            if column not in stacked:
                stacked[column] = np.stack(table[column].to_numpy())
            array = stacked[column].reshape(len(table), -1)
            vectors[key] = np.ascontiguousarray(array[:, field.start : field.end])
    texts: dict[str, list[str]] = {}
    tasks = dataset.tasks["task"].to_dict()
    for key in dataset.modality_keys["language"]:
        column = meta.annotation[_name(key)].original_key or key
        texts[key] = [tasks[int(index)] for index in table[column]]
    single = table[[name for name in table.columns if table[name].dtype != object]].copy()
    return EpisodeRows(single, vectors, texts, table["timestamp"].to_numpy(np.float64))


def _clipped(dataset: Any, episode: int, key: str, base_index: int) -> np.ndarray:
    return np.clip(dataset.delta_indices[key] + base_index, 0, _length(dataset, episode) - 1)


def _length(dataset: Any, episode: int) -> int:
    return dataset.trajectory_lengths[dataset.get_trajectory_index(episode)]


def _name(key: str) -> str:
    """``left_arm`` of ``state.left_arm``."""
    return key.split(".", 1)[1]
