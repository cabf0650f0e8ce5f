"""Makes the datasets."""

from gr00t.data.dataset.sharded_mixture_dataset import ShardedMixtureDataset
from gr00t.data.dataset.sharded_single_step_dataset import ShardedSingleStepDataset


def generate_stats(dataset_path):
    """NVIDIA's writes meta/stats.json."""
    raise AssertionError("statistics are written into the dataset")


generate_rel_stats = generate_stats


def build(data, processor):
    """The stream of all datasets."""
    datasets = []
    for path in data.dataset_paths:
        generate_stats(path)
        generate_rel_stats(path, data.embodiment_tag)
        configs = data.modality_configs[data.embodiment_tag]
        tag = data.embodiment_tag
        datasets.append(ShardedSingleStepDataset(path, tag, configs, data.shard_size, data.seed))
    return ShardedMixtureDataset(
        datasets=datasets,
        weights=[len(dataset) for dataset in datasets],
        processor=processor,
        seed=data.seed,
        num_shards_per_epoch=data.num_shards_per_epoch,
    )
