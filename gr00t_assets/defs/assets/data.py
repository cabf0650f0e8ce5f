"""Assets by dataset: the dataset itself, its modality config, its frame cache.

What a materialisation says is told by the asset, and from the store by ``store rematerialize``.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.locks import Every
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted, format_bytes
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.curation import Curated, spans
from gr00t_assets.datasets.quality.figures import Quality
from gr00t_assets.datasets.quality.table import COLUMNS, SCORE_COLUMNS, quality_table, score_table
from gr00t_assets.datasets.sources.versions import DatasetRecord, load_record, require_sound_version
from gr00t_assets.defs import metadata as show
from gr00t_assets.defs.failures import explained_asset
from gr00t_assets.defs.partitions import CATALOG, EXPERIMENTS, dataset_partitions
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.evaluation.trials.outcomes import load_lineage
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.modality.config import ModalityConfig, VectorKey, load_modality_config
from gr00t_assets.modality.frame_check_result import FrameCheckResult, save_frame_check

if TYPE_CHECKING:
    from gr00t_assets.datasets.frames.frame_index import FrameCacheInfo


@explained_asset("data", {"huggingface", "parquet"}, partitions_def=dataset_partitions)
def dataset(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    """A dataset in LeRobot's format, copied whole into the store and checked file by file."""
    from gr00t_assets.datasets.sources.ingest import ingest_dataset

    entry = CATALOG[context.partition_key]
    record = ingest_dataset(entry, store, context.log.info)
    context.log.info(
        f"{record.name}: {counted(record.episodes, 'episode')}, {counted(record.frames, 'frame')}, "
        f"version {record.version}, from {record.source}"
    )
    return dataset_result(record, entry, store, context.log.warning)


@explained_asset("data", {"json"}, partitions_def=dataset_partitions, deps=[dataset])
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
    "data", {"numpy"}, partitions_def=dataset_partitions, deps=[dataset, modality_config]
)
def frame_cache(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    """Every frame of the dataset's cameras, decoded once in order to memory-mapped arrays, so that
    training reads the frame of a timestamp without a video decoder. Frames of videos that an older
    version of the dataset had are copied.
    """
    from gr00t_assets.datasets.frames import frame_cache_build
    from gr00t_assets.datasets.frames.frame_cache import FrameCache
    from gr00t_assets.datasets.frames.frame_check import check_frames
    from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
    from gr00t_assets.datasets.quality.measure import measure_quality

    record = load_record(context.partition_key, store)
    config = load_modality_config(record.name, store)
    directory = store.frame_cache(record.name, record.version)
    cameras, size = [key.original_key for key in config.video], config.frame_size
    require_sound_version(record.name, record.version, store)
    source = LeRobotDataset.open(record.directory(store), record.name)
    previous, log = frame_cache_build.earlier_caches(directory), context.log.info
    with _progress(context, f"frames of {record.name}") as progress:
        info = frame_cache_build.build_frame_cache(
            source, cameras, directory, progress, size=size, previous=previous, log=log
        )
    log(
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

    console, is_due = Console(stderr=True), Every(10.0)
    is_due()  # The first line comes after ten seconds.
    with Progress(console=console, disable=not console.is_terminal) as bars:
        bar = bars.add_task(description, total=None)

        def progress(done: int, total: int) -> None:
            bars.update(bar, completed=done, total=total)
            if is_due():
                context.log.info(f"{done} of {counted(total, 'frame')}")

        yield progress


def dataset_result(
    record: DatasetRecord,
    entry: CatalogEntry,
    store: Store,
    warn: Callable[[str], object] = lambda _: None,
) -> dg.MaterializeResult:
    """Of a dataset, with frames of it and the figures of its demonstrations, which are measured."""
    from gr00t_assets.datasets.contact_sheet import contact_sheet
    from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
    from gr00t_assets.datasets.quality.measure import measure_quality

    demonstrations = LeRobotDataset.open(record.directory(store), record.name)
    sheet = contact_sheet(demonstrations)
    quality = measure_quality(demonstrations, None)
    for warning in (*record.warnings, *quality.messages()):
        warn(warning)
    return show.result(
        record.version,
        {
            "description": entry.description,
            "contact_sheet": show.image(sheet, f"frames of {record.name}"),
            **dataset_metadata(record),
            **lineage_metadata(record, store),
            **quality_metadata(quality),
            "directory": show.stored_path(record.directory(store), store.root),
        },
    )


def dataset_metadata(record: DatasetRecord) -> show.Metadata:
    """What a dataset holds and where it is from."""
    cameras = [
        [camera.original_key, f"{camera.width} x {camera.height}", f"{camera.fps:g}", camera.codec]
        for camera in record.cameras
    ]
    return {
        **show.fields(record, "episodes", "frames"),
        "minutes": round(record.hours * 60, 2),
        "fps": record.fps,
        "robot": record.robot_type,
        "cameras": show.table(["camera", "pixels", "fps", "codec"], cameras),
        "tasks": show.folded_table(["task", "instruction"], enumerate(record.tasks)),
        **(_curation_metadata(record.curated) if record.curated else {}),
        "warnings": show.bullets(record.warnings),
        "size_megabytes": show.readable(record.size_bytes / 1e6),
        "format": f"LeRobot {record.codebase_version}",
        "source": record.source,
        "content_hash": record.version,
    }


def _curation_metadata(curated: Curated) -> show.Metadata:
    """What the catalog left out, cut off and renamed; episodes by their numbers in the source."""
    numbers = [
        [index, number, *curated.trimmed.get(number, ("", ""))]
        for index, number in enumerate(curated.episodes)
    ]
    headings = ["episode", "in the source", "cut off at start (s)", "at end (s)"]
    return {
        "episodes_left_out": ", ".join(map(str, spans(curated.left_out))) or "none",
        "seconds_trimmed": round(sum(map(sum, curated.trimmed.values())), 3),
        "tasks_renamed": show.folded_table(["in the source", "here"], curated.renamed.items()),
        "episode_numbers": show.folded_table(headings, numbers),
    }


def lineage_metadata(record: DatasetRecord, store: Store) -> show.Metadata:
    """Of a dataset that was recorded during trials what drove the robot; nothing of others."""
    try:
        lineage = load_lineage(record.name, record.version, store)
        lines = [part.sentence() for part in lineage.rounds] if lineage else []
    except DatasetError as error:
        lines = [str(error)]
    return {"driven_by": show.bullets(lines)} if lines else {}


def quality_metadata(quality: Quality) -> show.Metadata:
    """Figures of the demonstrations as a table and a picture, and what is striking about them."""
    from gr00t_assets.datasets.quality.plots import quality_png

    scores = score_table(quality)
    return {
        "quality_findings": show.bullets(quality.messages()),
        "quality": show.table(COLUMNS, quality_table(quality)),
        "episode_scores": show.folded_table(SCORE_COLUMNS, scores) if scores else "100 each",
        "quality_plots": show.image(quality_png(quality), f"quality of {quality.dataset}"),
    }


def modality_result(config: ModalityConfig) -> dg.MaterializeResult:
    """Of a modality config: how a dataset is read."""
    cameras = [
        [
            *(key.key, key.original_key, f"{key.width} x {key.height}", f"{key.fps:g}"),
            key.transforms.text() or "as the data config",
        ]
        for key in config.video
    ]
    return show.result(
        config.content_hash(),
        {
            "data_config": config.data_config,
            "embodiment": f"{config.embodiment_tag} (row {config.embodiment_id} of the weights)",
            "video": show.table(["key", "column", "pixels", "fps", "images"], cameras),
            "state": _vectors(config.state),
            "action": _vectors(config.action),
            "language": config.language or "none",
            **show.fields(config, "state_dim", "action_dim"),
            "action_horizon": len(config.action_indices),
            "frames_cached_at": " x ".join(map(str, config.frame_size or ())) or "their own size",
            "held_out_episodes": ", ".join(map(str, config.held_out_episodes)) or "none",
            "video_backends": show.bullets(frame_check.sentence() for frame_check in config.frames),
            "warnings": show.bullets(config.warnings),
            "dataset_version": config.dataset_version,
            "content_hash": config.content_hash(),
        },
    )


def _vectors(keys: Sequence[VectorKey]) -> dg.TableMetadataValue:
    """Keys of one modality; the column they are slices of heads the table where it is one."""
    columns = {key.original_key for key in keys}
    (head,) = columns if len(columns) == 1 else ("key",)
    rows = [
        [
            key.key if len(columns) == 1 else f"{key.original_key}: {key.key}",
            f"{key.start} to {key.end - 1}",
            key.end - key.start,
            key.transforms_text(),
        ]
        for key in keys
    ]
    return show.table([head, "slice", "size", "transforms"], rows)


def frame_cache_result(
    record: DatasetRecord,
    info: "FrameCacheInfo",
    frame_check: FrameCheckResult,
    quality: Quality,
    store: Store,
) -> dg.MaterializeResult:
    """Of a frame cache; ``quality`` is measured with its frames."""
    rows = [[name, frames, f"{w} x {h}"] for name, (frames, h, w) in info.cameras.items()]
    directory = store.frame_cache(record.name, record.version)
    return show.result(
        record.version,
        {
            "frames": info.frames,
            "size_megabytes": show.readable(info.size_bytes / 1e6),
            "cameras": show.table(["camera", "frames", "pixels"], rows),
            "frames_verified": "yes" if frame_check.verified else "no",
            "frame_check": frame_check.sentence(),
            "frame_warnings": show.bullets(frame_check.warnings()),
            **quality_metadata(quality),
            "videos_decoded": info.decoded,
            "videos_reused": info.reused,
            "directory": show.stored_path(directory, store.root),
        },
    )
