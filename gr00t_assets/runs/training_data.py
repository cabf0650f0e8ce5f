"""The data of a run: the datasets that it trains on, each with its folders in the store.

A single dataset is a mixture of one: whoever trains or evaluates goes over ``datasets``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import json_hash
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment, WeightedDataset, mixture_name
from gr00t_assets.modality.config import ModalityConfig, load_modality_config
from gr00t_assets.modality.mixture import epoch_samples, mixed_configs, sampling_shares

SAMPLE_SECONDS = 0.3
"""How long frames drawn at random are held against their checksums at a start."""


@dataclass(frozen=True)
class RunDataset:
    """One dataset that a run trains on, with the statistics that it is normalised by in this run.

    The weight is as the sweep file states it.
    """

    config: ModalityConfig
    weight: float
    store: Store

    @property
    def name(self) -> str:
        """Name in the catalog."""
        return self.config.dataset

    @property
    def version(self) -> str:
        """Content hash of the version that is trained on."""
        return self.config.dataset_version

    @property
    def directory(self) -> Path:
        """The files of that version."""
        return self.store.dataset_directory(self.name, self.version)

    @property
    def frame_cache(self) -> Path:
        """The decoded frames of that version."""
        return self.store.frame_cache(self.name, self.version)

    @property
    def frame_check(self) -> Path:
        """The check of those frames."""
        return self.store.frame_check(self.name, self.version)

    @property
    def rows(self) -> int:
        """Rows of the episodes that are trained on; ``DatasetError``: it is not there."""
        return _training_rows(self.directory, self.config.held_out_episodes)


@dataclass(frozen=True)
class TrainingData:
    """Everything that a run trains on."""

    datasets: tuple[RunDataset, ...]

    @classmethod
    def of(
        cls, experiment: Experiment, configs: Sequence[ModalityConfig], store: Store
    ) -> "TrainingData":
        """The data of an experiment, with the modality configs of its datasets in their order."""
        pairs = zip(experiment.datasets, configs, strict=True)
        return cls(tuple(RunDataset(config, dataset.weight, store) for dataset, config in pairs))

    @property
    def name(self) -> str:
        """``a``, or ``a 0.7 + b 0.3``."""
        return mixture_name(
            [WeightedDataset(name=item.name, weight=item.weight) for item in self.datasets]
        )

    @property
    def version(self) -> str:
        """Versions of the datasets."""
        return " + ".join(item.version for item in self.datasets)

    @property
    def data_config(self) -> str:
        """Names of the data configs, each once."""
        return " + ".join(dict.fromkeys(item.config.data_config for item in self.datasets))

    @property
    def embodiment_tag(self) -> str:
        """The embodiment tags, each once."""
        return " + ".join(dict.fromkeys(item.config.embodiment_tag for item in self.datasets))

    @property
    def modality_hash(self) -> str:
        """The modality config's hash; of a mixture one over all of them and their weights."""
        hashes = [item.config.content_hash() for item in self.datasets]
        if len(hashes) == 1:
            return hashes[0]
        highest = max(item.weight for item in self.datasets)
        weights = [round(item.weight / highest, 9) for item in self.datasets]
        return json_hash(list(zip(hashes, weights, strict=True)), 16)

    def config_hash(self, experiment: Experiment) -> str:
        """The config hash of an experiment that is trained on it."""
        return experiment.config_hash(self.version, self.modality_hash)

    def shares(self, experiment: Experiment) -> tuple[float, ...]:
        """Share of all samples of each dataset, see ``sampling_shares``; raises as ``rows``."""
        if len(self.datasets) == 1:
            return (1.0,)
        balanced = experiment.hyperparameters.weights_count_for_each_row
        return sampling_shares(self._weights, [item.rows for item in self.datasets], balanced)

    def epoch_samples(self, experiment: Experiment) -> int:
        """Samples of an epoch, see ``modality.mixture.epoch_samples``; raises as ``rows``."""
        rows = [item.rows for item in self.datasets]
        return epoch_samples(self._weights, rows, self.shares(experiment))

    @property
    def _weights(self) -> list[float]:
        return [item.weight for item in self.datasets]


def load_training_data(
    experiment: Experiment,
    store: Store,
    load: Callable[[str, Store], ModalityConfig] = load_modality_config,
) -> TrainingData:
    """What an experiment trains on, from the materialised data in the store.

    Raises:
        DatasetError: A dataset has no validated modality config yet, or those of a mixture cannot
            be trained on together.
    """
    configs = [load(item.name, store) for item in experiment.datasets]
    shares = TrainingData.of(experiment, configs, store).shares(experiment)
    return TrainingData.of(experiment, mixed_configs(configs, shares), store)


def find_training_data(
    experiments: Iterable[Experiment], store: Store
) -> Iterator[tuple[Experiment, TrainingData | str]]:
    """Each experiment with what it trains on, or in one line why the data is not there.

    Every modality config is read once.
    """
    load = cache(load_modality_config)
    for experiment in experiments:
        try:
            data = load_training_data(experiment, store, load)
        except (Gr00tAssetsError, OSError) as error:
            data = " ".join(line.strip() for line in str(error).splitlines())
        yield experiment, data


def check_stored_data(
    data: TrainingData, say: Callable[[str], object], *, from_videos: bool = False
) -> None:
    """Hold the files that a training or an evaluation reads against what they were made as.

    Meta files and rows are hashed; of the frame caches a sample is read, of other frames at every
    start. What a frame cache gives later is looked at when it is read, see ``FrameCache``.

    Args:
        say: Is told what was looked at.
        from_videos: Whether the videos are read, and no frame cache.

    Raises:
        DatasetError: Something has changed; with what makes it anew.
    """
    from gr00t_assets.datasets.frames.frame_cache import FrameCache
    from gr00t_assets.datasets.sources.versions import check_rows_and_meta

    for dataset in data.datasets:
        if not dataset.directory.is_dir():
            continue  # whoever opens it says so
        name, version, store = dataset.name, dataset.version, dataset.store
        say(check_rows_and_meta(name, version, store, with_videos=from_videos))
        if from_videos or not dataset.frame_cache.is_dir():
            continue
        cache = FrameCache.open(dataset.frame_cache, dataset.config.frame_size)
        if unchecked := cache.sample(SAMPLE_SECONDS / len(data.datasets)):
            say(f"the frame cache of {name} has no checksums of {', '.join(unchecked)}")


@lru_cache(maxsize=256)
def _training_rows(directory: Path, held_out: tuple[int, ...]) -> int:
    """Of a version of a dataset, which never changes."""
    from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset

    episodes = LeRobotDataset.open(directory).episodes
    return sum(episode.length for episode in episodes if episode.index not in held_out)
