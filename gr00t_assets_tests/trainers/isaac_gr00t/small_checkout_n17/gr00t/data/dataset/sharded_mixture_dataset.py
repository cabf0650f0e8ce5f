"""An endless stream of samples of several datasets."""

import numpy as np
import torch.distributed as dist
from torch.utils.data import IterableDataset


class ShardedMixtureDataset(IterableDataset):
    """Draws shards; the order follows from the seed, which a resume changes."""

    def __init__(self, datasets, weights, processor, seed, num_shards_per_epoch):
        self.datasets, self.weights, self.seed, self.epoch = datasets, weights, seed, 0
        self.num_shards_per_epoch = num_shards_per_epoch
        self.shard_sampling_schedule = self.generate_shard_sampling_schedule()
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.world_size = dist.get_world_size() if dist.is_initialized() else 1
        tag = datasets[0].embodiment_tag
        processor.statistics[tag] = datasets[0].episode_loader.get_dataset_statistics()
        for dataset in datasets:
            dataset.processor = processor

    def generate_shard_sampling_schedule(self):
        """Pairs of a dataset and a shard of it."""
        random = np.random.default_rng(self.seed + self.epoch)
        shares = np.array(self.weights) / sum(self.weights)
        chosen = random.choice(len(self.datasets), self.num_shards_per_epoch, p=shares)
        return [(int(at), int(random.integers(len(self.datasets[at])))) for at in chosen]

    def reset_seed(self, seed):
        """Draw another order."""
        self.seed, self.epoch = seed, 0
        self.shard_sampling_schedule = self.generate_shard_sampling_schedule()

    def __iter__(self):
        raise AssertionError("shards are decoded whole")
