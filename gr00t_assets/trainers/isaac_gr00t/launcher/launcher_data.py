"""Feeds the checkout's dataset class from outside. Runs under the checkout's Python.

Methods of ``LeRobotSingleDataset`` are replaced: its metadata is what this package validated, so
that nothing is computed or written into the dataset's folder; held-out episodes are left out;
frames come from the frame cache; and an episode's parquet file is read once, where the class reads
it again for every sample.
"""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from launcher_checkpoints import RefusedError

ROWS = "_rows_by_episode"


def feed(launch: dict[str, Any]) -> None:
    """Replace the methods of the checkout's ``LeRobotSingleDataset``."""
    dataset = importlib.import_module("gr00t.data.dataset").LeRobotSingleDataset
    frames = launch["frames"]
    cameras = None if frames is None else {key: Camera(**found) for key, found in frames.items()}
    _replace_metadata(dataset, launch["metadata"])
    _leave_out(dataset, set(launch["held_out_episodes"]))
    _read_once(dataset, cameras)
    if cameras is not None:
        _show(dataset, cameras)


class Camera:
    """Cached frames of one camera, mapped and shared by every process.

    Args:
        frames: ``.npy`` file, (rows, height, width, 3) uint8.
        timestamps: ``.npy`` file, (rows,) float64, seconds in the episode.
        spans: First row and number of rows of each episode.
    """

    def __init__(self, frames: str, timestamps: str, spans: dict[str, list[int]]) -> None:
        self._frames = np.load(frames, mmap_mode="r")
        self._timestamps = np.load(timestamps)
        self.spans = {int(episode): tuple(span) for episode, span in spans.items()}

    def at(self, episode: int, asked: np.ndarray) -> np.ndarray:
        """The frames nearest to times, the first of two equally near: NVIDIA's rule.

        Args:
            episode: Episode index.
            asked: Seconds, shape (T,).

        Returns:
            (T, height, width, 3) uint8, a copy.
        """
        first, count = self.spans[episode]
        shown = self._timestamps[first : first + count]
        rows = np.abs(shown[:, None] - asked.astype(np.float64)).argmin(axis=0)
        return np.array(self._frames[first + rows])


@dataclass(frozen=True)
class Rows:
    """One episode's parquet file.

    Attributes:
        table: Its columns of single numbers, a data frame.
        vectors: State and action by key, (rows, dimensions).
        texts: Instruction of each row by language key.
        timestamps: Seconds, (rows,) float64.
    """

    table: Any
    vectors: dict[str, np.ndarray]
    texts: dict[str, list[str]]
    timestamps: np.ndarray


def _replace_metadata(dataset: Any, metadata: dict[str, Any]) -> None:
    schema = importlib.import_module("gr00t.data.schema")

    def _get_metadata(self: Any, embodiment_tag: Any) -> Any:
        tag = getattr(embodiment_tag, "value", embodiment_tag)
        if tag not in metadata:
            raise RefusedError(
                f"the dataset was validated for embodiment tag {', '.join(metadata)}, training "
                f"asks for {tag}\n  set embodiment_tag in data/datasets.yaml"
            )
        return schema.DatasetMetadata.model_validate(metadata[tag])

    dataset._get_metadata = _get_metadata


def _leave_out(dataset: Any, held_out: set[int]) -> None:
    find = dataset._get_trajectories

    def _get_trajectories(self: Any) -> tuple[np.ndarray, np.ndarray]:
        ids, lengths = find(self)
        kept = np.array([int(episode) not in held_out for episode in ids], dtype=bool)
        return ids[kept], lengths[kept]

    dataset._get_trajectories = _get_trajectories


def _read_once(dataset: Any, cameras: dict[str, Camera] | None) -> None:
    """Read every episode when the dataset is opened, before loader processes share it."""
    initialize, read = dataset.__init__, dataset.get_trajectory_data
    vector, text = dataset.get_state_or_action, dataset.get_language

    def open_dataset(self: Any, *args: Any, **kwargs: Any) -> None:
        initialize(self, *args, **kwargs)
        if cameras is not None:
            _check_cameras(self, cameras)
        columns: dict[int, Rows] = {}
        for episode in map(int, self.trajectory_ids):
            columns[episode] = _rows(self, read(self, episode))
        setattr(self, ROWS, columns)

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

    dataset.__init__ = open_dataset
    dataset.get_trajectory_data = get_trajectory_data
    dataset.get_state_or_action = get_state_or_action
    dataset.get_language = get_language


def _show(dataset: Any, cameras: dict[str, Camera]) -> None:
    def get_video(self: Any, trajectory_id: int, key: str, base_index: int) -> np.ndarray:
        times = getattr(self, ROWS)[int(trajectory_id)].timestamps
        rows = _clipped(self, trajectory_id, key, base_index)
        return cameras[_name(key)].at(int(trajectory_id), times[rows])

    dataset.get_video = get_video


def _rows(dataset: Any, table: Any) -> Rows:
    meta, stacked = dataset.lerobot_modality_meta, {}
    vectors: dict[str, np.ndarray] = {}
    for modality in ("state", "action"):
        known = getattr(meta, modality)
        for key in dataset.modality_keys[modality]:
            field = known.get(_name(key))
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
    single = [name for name in table.columns if table[name].dtype != object]
    return Rows(table[single].copy(), vectors, texts, table["timestamp"].to_numpy(np.float64))


def _check_cameras(dataset: Any, cameras: dict[str, Camera]) -> None:
    asked = [_name(key) for key in dataset.modality_keys["video"]]
    missing = [key for key in asked if key not in cameras]
    missing += [
        f"{key}, episode {episode}"
        for key in asked
        if key in cameras
        for episode in dataset.trajectory_ids
        if int(episode) not in cameras[key].spans
    ]
    if missing:
        listed = "\n".join(f"  missing: {what}" for what in missing[:8])
        raise RefusedError(f"the frame cache does not hold what training reads\n{listed}")


def _clipped(dataset: Any, episode: int, key: str, base_index: int) -> np.ndarray:
    return np.clip(dataset.delta_indices[key] + base_index, 0, _length(dataset, episode) - 1)


def _length(dataset: Any, episode: int) -> int:
    return dataset.trajectory_lengths[dataset.get_trajectory_index(episode)]


def _name(key: str) -> str:
    """``left_arm`` of ``state.left_arm``."""
    return key.split(".", 1)[1]
