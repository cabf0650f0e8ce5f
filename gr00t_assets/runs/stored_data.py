"""Whether the data of a run is still what was stored, looked at whenever it is opened."""

from collections.abc import Callable

from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.sources.version_files import check_rows_and_meta
from gr00t_assets.runs.training_data import TrainingData

SAMPLE_SECONDS = 0.3
"""How long frames drawn at random are held against their checksums at a start."""


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
