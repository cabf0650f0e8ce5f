"""Assets by dataset: the dataset itself, its modality config, its frame cache."""

import time
from collections.abc import Callable

import dagster as dg

from gr00t_assets.datasets.record import DatasetRecord, load_record
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.metadata import bullets, image, in_store, table
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
            **_counts(record),
            "contact_sheet": image(sheet, f"frames of {record.name}"),
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
            "size_megabytes": round(info.size_bytes / 1e6, 3),
            "cameras": table(["camera", "frames", "pixels"], rows),
            "videos_decoded": info.decoded,
            "videos_reused": info.reused,
            "directory": in_store(directory, store),
        },
    )


def _counts(record: DatasetRecord) -> dict[str, dg.MetadataValue | str | int | float]:
    cameras = [
        [camera.original_key, f"{camera.width} x {camera.height}", camera.fps, camera.codec]
        for camera in record.cameras
    ]
    return {
        "episodes": record.episodes,
        "frames": record.frames,
        "hours": round(record.hours, 4),
        "fps": record.fps,
        "robot": record.robot_type,
        "cameras": table(["camera", "pixels", "fps", "codec"], cameras),
        "tasks": table(["task", "instruction"], enumerate(record.tasks)),
        "size_megabytes": round(record.size_bytes / 1e6, 3),
        "content_hash": record.version,
        "format": record.codebase_version,
        "source": record.source,
        "warnings": bullets(record.warnings),
    }


def _modality(config: ModalityConfig) -> dict[str, dg.MetadataValue | str | int]:
    rows = [
        ["video", key.key, key.original_key, f"{key.width} x {key.height}", ""]
        for key in config.video
    ]
    rows += [["state", *_vector(key)] for key in config.state]
    rows += [["action", *_vector(key)] for key in config.action]
    if config.language:
        rows.append(["language", config.language, "", "", ""])
    return {
        "keys": table(["modality", "key", "column", "size", "transforms"], rows),
        "data_config": config.data_config,
        "embodiment": f"{config.embodiment_tag} ({config.embodiment_id})",
        "state_dim": config.state_dim,
        "action_dim": config.action_dim,
        "action_horizon": len(config.action_indices),
        "content_hash": config.content_hash(),
        "dataset_version": config.dataset_version,
        "warnings": bullets(config.warnings),
    }


def _vector(key: VectorKey) -> list[str]:
    transforms = [
        f"{key.rotation_type} to {key.target_rotation}" if key.target_rotation else "",
        "sin and cos" if key.sin_cos else "",
        key.normalization or "",
    ]
    size = f"{key.end - key.start} ({key.start} to {key.end - 1})"
    return [key.key, key.original_key, size, ", ".join(filter(None, transforms))]


def _progress(context: dg.AssetExecutionContext) -> Callable[[int, int], None]:
    """Log how far it is, every ten seconds at most."""
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _LOG_EVERY:
            last = time.monotonic()
            context.log.info(f"{done} of {total} frames")

    return show
