"""One dataset in shards of rows."""

import numpy as np

from gr00t.data.dataset.lerobot_episode_loader import LeRobotEpisodeLoader
from gr00t.data.types import MessageType, VLAStepData  # noqa: F401


def extract_step_data(
    episode_data, step_index, modality_configs, embodiment_tag, allow_padding=False
):
    """The row of an episode."""
    found = {}
    for part, config in modality_configs.items():
        rows = [step_index + delta for delta in config.delta_indices]
        found[part] = {
            key: episode_data[f"{part}.{key}"].iloc[rows].tolist() for key in config.modality_keys
        }
    stacked = {
        part: {key: np.vstack(values).astype(np.float32) for key, values in found[part].items()}
        for part in ("state", "action")
    }
    (texts,) = found["language"].values()
    return VLAStepData(found.get("video", {}), stacked["state"], stacked["action"], texts[0])


class ShardedSingleStepDataset:
    """Rows with a whole chunk ahead, shuffled into shards; tails are left out."""

    allow_padding = False

    def __init__(self, dataset_path, embodiment_tag, modality_configs, shard_size, seed):
        self.dataset_path, self.embodiment_tag = dataset_path, embodiment_tag
        self.modality_configs, self.processor = modality_configs, None
        self.episode_loader = LeRobotEpisodeLoader(dataset_path, modality_configs)
        horizon = len(modality_configs["action"].delta_indices)
        random = np.random.default_rng(seed)
        rows = [
            (place, row)
            for place, length in enumerate(self.episode_loader.episode_lengths)
            for row in range(length - horizon + 1)
        ]
        random.shuffle(rows)
        cut = [rows[at : at + shard_size] for at in range(0, len(rows), shard_size)]
        self.sharded_episodes = [[(place, [row]) for place, row in shard] for shard in cut]

    def __len__(self):
        return len(self.sharded_episodes)

    def get_shard_length(self, index):
        """Rows of a shard."""
        return sum(len(rows) for _, rows in self.sharded_episodes[index])
