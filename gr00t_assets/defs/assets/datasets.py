"""Assets by dataset: the dataset itself, its modality config, its frame cache."""

import time
from collections.abc import Callable, Sequence

import dagster as dg

from gr00t_assets.datasets.record import DatasetRecord, load_record
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.metadata import bullets, image, in_store, readable, table
from gr00t_assets.defs.partitions import CATALOG, dataset_partitions
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.modality.config import ModalityConfig, VectorKey, load_modality_config

OWNERS = ["team:robot-learning"]
_LOG_EVERY = 10.0


@dg.asset(
    partitions_def=dataset_partitions,
    group_name="data",
    kinds={"huggingface", "parquet"},
    owners=OWNERS,
    code_version="1",
)
@explained
def dataset(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    """A dataset in LeRobot's format, copied whole into the store and checked file by file."""
    from gr00t_assets.datasets.contact_sheet import contact_sheet
    from gr00t_assets.datasets.ingest import ingest_dataset
    from gr00t_assets.datasets.lerobot import LeRobotDataset

    record = ingest_dataset(CATALOG[context.partition_key], store)
    sheet = contact_sheet(LeRobotDataset.open(record.directory(store), record.name))
    for warning in record.warnings:
        context.log.warning(warning)
    context.log.info(
        f"{record.name}: {record.episodes} episodes, {record.frames} frames, "
        f"version {record.version}, from {record.source}"
    )
    return dg.MaterializeResult(
        data_version=dg.DataVersion(record.version),
        metadata={
            "description": CATALOG[record.name].description,
            "contact_sheet": image(sheet, f"frames of {record.name}"),
            **_counts(record),
            "directory": in_store(record.directory(store), store),
        },
    )


@dg.asset(
    partitions_def=dataset_partitions,
    deps=[dataset],
    group_name="data",
    kinds={"json"},
    owners=OWNERS,
    code_version="1",
)
@explained
def modality_config(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult:
    """A dataset held against its data config: every camera, state, action and language key found,
    every slice inside its vector, statistics of every dimension.
    """
    from gr00t_assets.modality.build import build_modality_config

    config = build_modality_config(CATALOG[context.partition_key], store)
    for warning in config.warnings:
        context.log.warning(warning)
    context.log.info(
        f"{config.dataset} fits {config.data_config}: {config.state_dim} numbers of state, "
        f"{config.action_dim} of action, {len(config.video)} camera(s)"
    )
    return dg.MaterializeResult(
        data_version=dg.DataVersion(config.content_hash()), metadata=_modality(config)
    )


@dg.asset(
    partitions_def=dataset_partitions,
    deps=[dataset, modality_config],
    group_name="data",
    kinds={"numpy"},
    owners=OWNERS,
    code_version="1",
)
@explained
def frame_cache(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    """Every frame of the dataset's cameras, decoded once in order to memory-mapped arrays, so that
    training reads the frame of a timestamp without a video decoder. Frames of videos that an older
    version of the dataset had are copied.
    """
    from gr00t_assets.datasets.frame_cache import (
        build_frame_cache,
        earlier_caches,
        estimate,
        in_units,
    )
    from gr00t_assets.datasets.lerobot import LeRobotDataset

    record = load_record(context.partition_key, store)
    config = load_modality_config(record.name, store)
    directory = store.frame_cache(record.name, record.version)
    cameras = [key.original_key for key in config.video]
    source = LeRobotDataset.open(record.directory(store), record.name)
    context.log.info(f"its frame cache takes {in_units(estimate(source, cameras))}")
    info = build_frame_cache(
        source, cameras, directory, _progress(context), previous=earlier_caches(directory)
    )
    context.log.info(
        f"{info.frames} frames, {in_units(info.size_bytes)}: {info.decoded} videos decoded, "
        f"{info.reused} copied from an earlier version's cache, {info.kept} done before"
    )
    rows = [[name, frames, f"{w} x {h}"] for name, (frames, h, w) in info.cameras.items()]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(record.version),
        metadata={
            "frames": info.frames,
            "size_megabytes": readable(info.size_bytes / 1e6),
            "cameras": table(["camera", "frames", "pixels"], rows),
            "videos_decoded": info.decoded,
            "videos_reused": info.reused,
            "directory": in_store(directory, store),
        },
    )


def _counts(record: DatasetRecord) -> dict[str, dg.MetadataValue | str | int | float]:
    cameras = [
        [camera.original_key, f"{camera.width} x {camera.height}", f"{camera.fps:g}", camera.codec]
        for camera in record.cameras
    ]
    return {
        "episodes": record.episodes,
        "frames": record.frames,
        "minutes": round(record.hours * 60, 2),
        "fps": record.fps,
        "robot": record.robot_type,
        "cameras": table(["camera", "pixels", "fps", "codec"], cameras),
        "tasks": table(["task", "instruction"], enumerate(record.tasks)),
        "warnings": bullets(record.warnings),
        "size_megabytes": readable(record.size_bytes / 1e6),
        "format": f"LeRobot {record.codebase_version}",
        "source": record.source,
        "content_hash": record.version,
    }


def _modality(config: ModalityConfig) -> dict[str, dg.MetadataValue | str | int]:
    cameras = [
        [key.key, key.original_key, f"{key.width} x {key.height}", f"{key.fps:g}"]
        for key in config.video
    ]
    return {
        "data_config": config.data_config,
        "embodiment": f"{config.embodiment_tag} (row {config.embodiment_id} of the weights)",
        "video": table(["key", "column", "pixels", "fps"], cameras),
        "state": _vectors(config.state),
        "action": _vectors(config.action),
        "language": config.language or "none",
        "state_dim": config.state_dim,
        "action_dim": config.action_dim,
        "action_horizon": len(config.action_indices),
        "warnings": bullets(config.warnings),
        "dataset_version": config.dataset_version,
        "content_hash": config.content_hash(),
    }


def _vectors(keys: Sequence[VectorKey]) -> dg.MarkdownMetadataValue:
    """Keys of one modality; the column they are slices of heads the table where it is one."""
    columns = {key.original_key for key in keys}
    (head,) = columns if len(columns) == 1 else ("key",)
    rows = [
        [
            key.key if len(columns) == 1 else f"{key.original_key}: {key.key}",
            f"{key.start} to {key.end - 1}",
            key.end - key.start,
            _transforms(key),
        ]
        for key in keys
    ]
    return table([head, "slice", "size", "transforms"], rows)


def _transforms(key: VectorKey) -> str:
    done = [
        f"{key.rotation_type} to {key.target_rotation}" if key.target_rotation else "",
        "sin and cos" if key.sin_cos else "",
        key.normalization or "",
    ]
    return ", ".join(filter(None, done)) or "none"


def _progress(context: dg.AssetExecutionContext) -> Callable[[int, int], None]:
    """Log how far it is, every ten seconds at most."""
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _LOG_EVERY:
            last = time.monotonic()
            context.log.info(f"{done} of {total} frames")

    return show
