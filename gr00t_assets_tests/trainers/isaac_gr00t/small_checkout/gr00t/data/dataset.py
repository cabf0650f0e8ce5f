"""Samples of a LeRobot dataset; every sample reads its episode's parquet file again."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel
from torch.utils.data import Dataset

from gr00t.data.embodiment_tags import EmbodimentTag
from gr00t.data.schema import DatasetMetadata, LeRobotModalityMetadata, Slice
from gr00t.utils.video import get_frames_by_timestamps

COLUMNS = {"state": "observation.state", "action": "action"}


class ModalityConfig(BaseModel):
    """Keys of one modality, and the rows around the current one."""

    delta_indices: list[int]
    modality_keys: list[str]


class LeRobotSingleDataset(Dataset):
    """One dataset."""

    def __init__(
        self,
        dataset_path,
        modality_configs,
        embodiment_tag,
        video_backend="decord",
        transforms=None,
    ):
        self._dataset_path = Path(dataset_path)
        self.modality_configs = modality_configs
        self.video_backend = video_backend
        self.transforms = transforms
        self.tag = embodiment_tag.value
        self._modality = LeRobotModalityMetadata.model_validate(self._meta("modality.json"))
        self._info = self._meta("info.json")
        self._metadata = self._get_metadata(EmbodimentTag(self.tag))
        self._trajectory_ids, self._trajectory_lengths = self._get_trajectories()
        self._all_steps = [
            (episode, row)
            for episode, length in zip(self._trajectory_ids, self._trajectory_lengths, strict=True)
            for row in range(length)
        ]
        self.modality_keys = {name: c.modality_keys for name, c in modality_configs.items()}
        self.delta_indices = {
            key: np.array(config.delta_indices)
            for config in modality_configs.values()
            for key in config.modality_keys
        }
        lines = (self._dataset_path / "meta" / "tasks.jsonl").read_text().strip().split("\n")
        self.tasks = pd.DataFrame([json.loads(line) for line in lines]).set_index("task_index")
        self.curr_traj_data: Any = None
        self.curr_traj_id = None
        if transforms is not None:
            transforms.set_metadata(self._metadata)

    dataset_path = property(lambda self: self._dataset_path)
    metadata = property(lambda self: self._metadata)
    trajectory_ids = property(lambda self: self._trajectory_ids)
    trajectory_lengths = property(lambda self: self._trajectory_lengths)
    all_steps = property(lambda self: self._all_steps)
    lerobot_modality_meta = property(lambda self: self._modality)

    def _meta(self, name):
        return json.loads((self._dataset_path / "meta" / name).read_text())

    def _get_metadata(self, embodiment_tag):
        stats = self._dataset_path / "meta" / "stats.json"
        if not stats.is_file():
            stats.write_text(json.dumps(self._statistics()))
        columns = json.loads(stats.read_text())
        content = {"statistics": {}, "modalities": {"video": {}}, "embodiment_tag": self.tag}
        for modality in COLUMNS:
            named: dict[str, Slice] = getattr(self._modality, modality)
            content["statistics"][modality] = {
                key: {
                    name: np.array(values)[one.start : one.end].tolist()
                    for name, values in columns[one.original_key].items()
                    if name != "count"
                }
                for key, one in named.items()
            }
            content["modalities"][modality] = {
                key: {
                    "absolute": one.absolute,
                    "rotation_type": one.rotation_type,
                    "shape": [one.end - one.start],
                }
                for key, one in named.items()
            }
        for key, camera in self._modality.video.items():
            height, width, channels = self._info["features"][camera.original_key or key]["shape"]
            content["modalities"]["video"][key] = {
                "resolution": [width, height],
                "channels": channels,
                "fps": self._info["fps"],
            }
        return DatasetMetadata.model_validate(content)

    def _statistics(self):
        tables = [pd.read_parquet(path) for path in sorted(self._dataset_path.glob("data/*/*"))]
        found = {}
        for column in COLUMNS.values():
            values = np.concatenate([np.stack(table[column].to_numpy()) for table in tables])
            found[column] = {
                "min": values.min(0).tolist(),
                "max": values.max(0).tolist(),
                "mean": values.mean(0).tolist(),
                "std": values.std(0).tolist(),
                "q01": np.quantile(values, 0.01, axis=0).tolist(),
                "q99": np.quantile(values, 0.99, axis=0).tolist(),
            }
        return found

    def _get_trajectories(self):
        lines = (self._dataset_path / "meta" / "episodes.jsonl").read_text().strip().split("\n")
        episodes = [json.loads(line) for line in lines]
        ids = np.array([episode["episode_index"] for episode in episodes])
        return ids, np.array([episode["length"] for episode in episodes])

    def __len__(self):
        return len(self._all_steps)

    def __getitem__(self, index):
        sample = self.get_step_data(*self._all_steps[index])
        return sample if self.transforms is None else self.transforms(sample)

    def get_step_data(self, trajectory_id, base_index):
        """One sample without transforms."""
        self.curr_traj_data = self.get_trajectory_data(trajectory_id)
        return {
            key: self.get_data_by_modality(trajectory_id, modality, key, base_index)
            for modality, keys in self.modality_keys.items()
            for key in keys
        }

    def _file(self, pattern, episode, **names):
        chunk = episode // self._info["chunks_size"]
        return self._dataset_path / self._info[pattern].format(
            episode_chunk=chunk, episode_index=episode, **names
        )

    def get_trajectory_data(self, trajectory_id):
        """An episode's rows."""
        return pd.read_parquet(self._file("data_path", trajectory_id))

    def get_trajectory_index(self, trajectory_id):
        """An episode's place."""
        return np.where(self._trajectory_ids == trajectory_id)[0][0]

    def get_data_by_modality(self, trajectory_id, modality, key, base_index):
        """The part of a sample that one key names."""
        if modality == "video":
            return self.get_video(trajectory_id, key, base_index)
        if modality == "language":
            return self.get_language(trajectory_id, key, base_index)
        return self.get_state_or_action(trajectory_id, modality, key, base_index)

    def _inside(self, trajectory_id, key, base_index):
        length = self._trajectory_lengths[self.get_trajectory_index(trajectory_id)]
        return np.clip(self.delta_indices[key] + base_index, 0, length - 1)

    def get_video(self, trajectory_id, key, base_index):
        """Frames of one camera, (T, H, W, C)."""
        name = key.removeprefix("video.")
        original = self._modality.video[name].original_key or name
        times = self.curr_traj_data["timestamp"].to_numpy()
        rows = self._inside(trajectory_id, key, base_index)
        path = self._file("video_path", trajectory_id, video_key=original)
        return get_frames_by_timestamps(path, times[rows], self.video_backend)

    def get_state_or_action(self, trajectory_id, modality, key, base_index):
        """Rows of one key, (T, D); beyond the ends the nearest row, or zeros."""
        one = getattr(self._modality, modality)[key.split(".", 1)[1]]
        column = self.curr_traj_data[one.original_key]
        return self.retrieve_data_and_pad(
            array=np.stack(column)[:, one.start : one.end],
            step_indices=self.delta_indices[key] + base_index,
            max_length=self._trajectory_lengths[self.get_trajectory_index(trajectory_id)],
            padding_strategy="first_last" if one.absolute else "zero",
        )

    def retrieve_data_and_pad(self, array, step_indices, max_length, padding_strategy="first_last"):
        """Rows by number, padded beyond the ends."""
        inside = np.clip(step_indices, 0, max_length - 1)
        output = array[inside].astype(np.float64)
        if padding_strategy == "zero":
            output[inside != step_indices] = 0
        return output

    def get_language(self, trajectory_id, key, base_index):
        """Instructions of the rows."""
        name = key.removeprefix("annotation.")
        column = (self._modality.annotation or {})[name].original_key or key
        rows = self._inside(trajectory_id, key, base_index)
        return self.tasks.loc[[int(self.curr_traj_data[column][row]) for row in rows]][
            "task"
        ].tolist()


class LeRobotMixtureDataset(Dataset):
    """Several datasets: each sample is drawn from one of them, by seed, epoch and index."""

    def __init__(
        self,
        data_mixture,
        mode,
        balance_dataset_weights=True,
        balance_trajectory_weights=True,
        seed=42,
        metadata_config=None,
    ):
        assert mode == "train"
        self.datasets = [dataset for dataset, _ in data_mixture]
        weights = np.array([weight for _, weight in data_mixture])
        assert (weights == 1.0).any(), "No primary dataset found"
        self._primary = weights == 1.0
        self._lengths = np.array([len(dataset) for dataset in self.datasets])
        chances = weights * self._lengths if balance_dataset_weights else weights
        self.dataset_sampling_weights = chances / chances.sum()
        self._by_length = balance_trajectory_weights
        self.seed, self.epoch = seed, 0
        self.merged_metadata = self._merged()
        for dataset in self.datasets:
            dataset.transforms.set_metadata(self.merged_metadata[dataset.tag])

    def _merged(self):
        metadata = [dataset.metadata.model_dump() for dataset in self.datasets]
        assert all(item["modalities"] == metadata[0]["modalities"] for item in metadata)
        merged = {"state": {}, "action": {}}
        weights = self.dataset_sampling_weights
        for modality, keys in merged.items():
            for key in metadata[0]["statistics"][modality]:
                of_all = [item["statistics"][modality][key] for item in metadata]
                values = {name: np.array([one[name] for one in of_all]) for name in of_all[0]}
                mean = weights @ values["mean"]
                square = weights @ (values["std"] ** 2 + values["mean"] ** 2)
                keys[key] = {
                    "min": values["min"].min(0).tolist(),
                    "max": values["max"].max(0).tolist(),
                    "mean": mean.tolist(),
                    "std": np.sqrt(square - mean**2).tolist(),
                    "q01": (weights @ values["q01"]).tolist(),
                    "q99": (weights @ values["q99"]).tolist(),
                }
        content = {**metadata[0], "statistics": merged}
        return {self.datasets[0].tag: DatasetMetadata.model_validate(content)}

    def sample_step(self, index):
        """The dataset, episode and row of a sample."""
        text = repr((self.epoch, index, self.seed)).encode()
        random = np.random.default_rng(int(hashlib.sha256(text).hexdigest(), 16) % 2**128)
        dataset = self.datasets[random.choice(len(self.datasets), p=self.dataset_sampling_weights)]
        lengths = dataset.trajectory_lengths
        chances = lengths / lengths.sum() if self._by_length else None
        episode = random.choice(len(lengths), p=chances)
        return dataset, dataset.trajectory_ids[episode], random.choice(lengths[episode])

    def __len__(self):
        return int((self._lengths / self.dataset_sampling_weights)[self._primary].max())

    def __getitem__(self, index):
        dataset, episode, row = self.sample_step(index)
        return dataset.transforms(dataset.get_step_data(episode, row))
