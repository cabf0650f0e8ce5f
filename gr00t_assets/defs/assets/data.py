"""Assets by dataset: the dataset itself, its modality config, its frame cache."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg

from gr00t_assets.core.text import counted, format_bytes
from gr00t_assets.datasets.sources.versions import load_record, require_sound_version
from gr00t_assets.defs.data_results import dataset_result, frame_cache_result, modality_result
from gr00t_assets.defs.failures import explained_asset
from gr00t_assets.defs.partitions import CATALOG, EXPERIMENTS, dataset_partitions
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.modality.frame_check_result import save_frame_check

_LOG_EVERY = 10.0


@explained_asset(
    partitions_def=dataset_partitions, group_name="data", kinds={"huggingface", "parquet"}
)
def dataset(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    """A dataset in LeRobot's format, copied whole into the store and checked file by file."""
    from gr00t_assets.datasets.sources.ingest import ingest_dataset

    entry = CATALOG[context.partition_key]
    record = ingest_dataset(entry, store, context.log.info)
    made = dataset_result(record, entry, store, context.log.warning)
    context.log.info(
        f"{record.name}: {counted(record.episodes, 'episode')}, {counted(record.frames, 'frame')}, "
        f"version {record.version}, from {record.source}"
    )
    return made


@explained_asset(
    partitions_def=dataset_partitions, deps=[dataset], group_name="data", kinds={"json"}
)
def modality_config(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult:
    """A dataset held against its data config: every camera, state, action and language key found,
    every slice inside its vector, statistics of every dimension.
    """
    from gr00t_assets.datasets.fit.modality_configs import build_modality_config

    entry = CATALOG[context.partition_key]
    config = build_modality_config(entry, store, video_backends(entry.name))
    of_frames = (warning for frame_check in config.frames for warning in frame_check.warnings())
    for warning in (*config.warnings, *of_frames):
        context.log.warning(warning)
    context.log.info(
        f"{config.dataset} fits {config.data_config}: {config.state_dim} numbers of state, "
        f"{config.action_dim} of action, {len(config.video)} camera(s)"
    )
    return modality_result(config)


@explained_asset(
    partitions_def=dataset_partitions,
    deps=[dataset, modality_config],
    group_name="data",
    kinds={"numpy"},
)
def frame_cache(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    """Every frame of the dataset's cameras, decoded once in order to memory-mapped arrays, so that
    training reads the frame of a timestamp without a video decoder. Frames of videos that an older
    version of the dataset had are copied.
    """
    from gr00t_assets.datasets.frames.frame_cache import FrameCache
    from gr00t_assets.datasets.frames.frame_cache_build import (
        build_frame_cache,
        earlier_caches,
        frame_cache_bytes,
    )
    from gr00t_assets.datasets.frames.frame_check import check_frames
    from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
    from gr00t_assets.datasets.quality.measure import measure_quality

    record = load_record(context.partition_key, store)
    config = load_modality_config(record.name, store)
    directory = store.frame_cache(record.name, record.version)
    cameras, size = [key.original_key for key in config.video], config.frame_size
    require_sound_version(record.name, record.version, store)
    source = LeRobotDataset.open(record.directory(store), record.name)
    context.log.info(
        f"its frame cache takes {format_bytes(frame_cache_bytes(source, cameras, size))}"
    )
    with _progress(context, f"frames of {record.name}") as show:
        caches = earlier_caches(directory)
        info = build_frame_cache(
            source, cameras, directory, show, size=size, previous=caches, log=context.log.info
        )
    context.log.info(
        f"{counted(info.frames, 'frame')}, {format_bytes(info.size_bytes)}: "
        f"{counted(info.decoded, 'video')} decoded, "
        f"{info.reused} copied from an earlier version's cache, {info.kept} done before"
    )
    cache = FrameCache.open(directory, size)
    frame_check = check_frames(source, cache, cameras)
    save_frame_check(frame_check, store.frame_check(record.name, record.version))
    for warning in frame_check.warnings():
        context.log.warning(warning)
    quality = measure_quality(source, cache, config.language)
    return frame_cache_result(record, info, frame_check, quality, store)


def video_backends(dataset: str) -> list[str]:
    """Backends that experiments on a dataset read its videos with; the others read frame caches."""
    backends = {
        trainer_named(experiment.trainer).video_backend(experiment)
        for experiment in EXPERIMENTS.values()
        if dataset in [item.name for item in experiment.datasets]
    }
    return sorted(backend for backend in backends if backend is not None)


@contextmanager
def _progress(
    context: dg.AssetExecutionContext, description: str
) -> Iterator[Callable[[int, int], None]]:
    """A bar where standard error is a terminal, and a line of the log every ten seconds at most."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    last = time.monotonic()
    with Progress(console=console, disable=not console.is_terminal) as bars:
        bar = bars.add_task(description, total=None)

        def show(done: int, total: int) -> None:
            nonlocal last
            bars.update(bar, completed=done, total=total)
            if time.monotonic() - last >= _LOG_EVERY:
                last = time.monotonic()
                context.log.info(f"{done} of {counted(total, 'frame')}")

        yield show
