"""Whole episodes."""

import json
from pathlib import Path

import pandas as pd


class LeRobotEpisodeLoader:
    """Reads the rows of an episode, and decodes all of its frames."""

    def __init__(self, dataset_path, modality_configs):
        self.dataset_path = Path(dataset_path)
        self.modality_configs = modality_configs
        self._load_metadata()
        self.episode_lengths = [int(item["length"]) for item in self.episodes_metadata]

    def _load_metadata(self):
        meta = self.dataset_path / "meta"
        info = json.loads((meta / "info.json").read_text())
        self.data_path_pattern, self.chunk_size = info["data_path"], info["chunks_size"]
        self.episodes_metadata = _lines(meta / "episodes.jsonl")
        self.tasks = {item["task_index"]: item["task"] for item in _lines(meta / "tasks.jsonl")}
        self.modality = json.loads((meta / "modality.json").read_text())
        self.stats = json.loads((meta / "stats.json").read_text())

    def get_dataset_statistics(self):
        """What the launcher is to replace."""
        raise AssertionError("statistics are computed from the dataset's folder")

    def _load_video_data(self, episode_index, indices):
        raise AssertionError("a whole episode is decoded")

    def __len__(self):
        return len(self.episodes_metadata)

    def __getitem__(self, place):
        number = self.episodes_metadata[place]["episode_index"]
        file = self.data_path_pattern.format(
            episode_chunk=number // self.chunk_size, episode_index=number
        )
        rows, table = pd.read_parquet(self.dataset_path / file), pd.DataFrame()
        for part, column in (("state", "observation.state"), ("action", "action")):
            for key in self.modality_configs[part].modality_keys:
                at = self.modality[part][key]
                cut = slice(at["start"], at["end"])
                source = rows[at.get("original_key") or column]
                table[f"{part}.{key}"] = source.map(lambda row, cut=cut: row[cut])
        (key,) = self.modality_configs["language"].modality_keys
        at = self.modality["annotation"][key.removeprefix("annotation.")]
        table[f"language.{key}"] = rows[at.get("original_key") or key].map(self.tasks)
        for key, frames in self._load_video_data(number, range(len(rows))).items():
            table[f"video.{key}"] = list(frames)
        return table


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]
