"""Telling Dagster of the store: all of it where its database is lost, and what a command has made.

Records and manifests are what counts; the database repeats them for the page. Materialisations
that are reported here belong to no run of Dagster: runs, their logs and checks are not made up.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_TAG,
    INPUT_DATA_VERSION_TAG_PREFIX,
    INPUT_EVENT_POINTER_TAG_PREFIX,
)

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.sources.versions import load_record
from gr00t_assets.defs.assets import analysis, data, evaluation, training
from gr00t_assets.defs.partitions import CATALOG, EXPERIMENTS
from gr00t_assets.defs.queue import project_instance
from gr00t_assets.defs.resources import observe
from gr00t_assets.evaluation.rollouts import result as rolled_out
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.modality.frame_check_result import load_frame_check
from gr00t_assets.reporting.promotion.record import promoted_models
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.retry import is_complete
from gr00t_assets.runs.spec import TrainingSpec, make_spec

Result = dg.MaterializeResult | None
"""None where the store does not have it."""


class Reported(NamedTuple):
    """What became of one partition: whether it was new to Dagster, or why it cannot be read."""

    asset: str
    partition: str
    new: bool
    problem: str = ""


def rematerialize(instance: dg.DagsterInstance, store: Store) -> Iterator[Reported]:
    """Report to Dagster what the store has of the project's datasets and experiments.

    In the order in which one is made from the other. What Dagster knows in this version is left
    as it is, so that a second time reports nothing.
    """
    for asset, (partitions, read) in _ASSETS.items():
        name = asset.key.to_user_string()
        tags = instance.event_log_storage.get_latest_tags_by_partition(
            asset.key, dg.DagsterEventType.ASSET_MATERIALIZATION, [DATA_VERSION_TAG]
        )
        for partition in partitions:
            try:
                result = read(partition, store)
            except Gr00tAssetsError as error:
                yield Reported(name, partition, False, str(error))
                continue
            if result is not None:
                known = dg.DataVersion(tags.get(partition, {}).get(DATA_VERSION_TAG, ""))
                if new := result.data_version != known:
                    _report(asset, partition, result, store, instance)
                yield Reported(name, partition, new)


def report_partition(name: str, partition: str, store: Store) -> None:
    """Tell the project's Dagster what a command has made of one partition, known before or not.

    It is not told what is of another configuration than the present one.
    """
    asset = next(asset for asset in _ASSETS if asset.key == dg.AssetKey(name))
    partitions, read = _ASSETS[asset]
    if partition in partitions and (result := read(partition, store)) is not None:
        with project_instance() as instance:
            _report(asset, partition, result, store, instance)


def _report(
    asset: dg.AssetsDefinition,
    partition: str,
    result: dg.MaterializeResult,
    store: Store,
    instance: dg.DagsterInstance,
) -> None:
    key, version = asset.key, result.data_version
    assert version is not None
    if asset is training.checkpoint:
        observe(EXPERIMENTS[partition], store, instance)
    tags = {
        DATA_VERSION_TAG: version.value,
        CODE_VERSION_TAG: asset.code_versions_by_key[key] or "",
        **_made_from(asset, instance),
    }
    event = dg.AssetMaterialization(key, partition=partition, metadata=result.metadata, tags=tags)
    instance.report_runless_asset_event(event)


def _made_from(asset: dg.AssetsDefinition, instance: dg.DagsterInstance) -> dict[str, str]:
    """Tags that say that it was made from what Dagster knows by now; without them it is stale."""
    tags = {}
    for key in asset.asset_deps[asset.key]:
        record, name = instance.get_latest_data_version_record(key), key.to_user_string()
        known = record and (record.asset_materialization or record.asset_observation)
        version = (known.tags or {}).get(DATA_VERSION_TAG) if known else None
        tags[f"{INPUT_DATA_VERSION_TAG_PREFIX}/{name}"] = version or "INITIAL"
        pointer = "NULL" if record is None else str(record.storage_id)
        tags[f"{INPUT_EVENT_POINTER_TAG_PREFIX}/{name}"] = pointer
    return tags


def _dataset(name: str, store: Store) -> Result:
    if not store.dataset_record(name).is_file():
        return None
    return data.dataset_result(load_record(name, store), CATALOG[name], store)


def _modality_config(name: str, store: Store) -> Result:
    there = store.modality_config(name).is_file()
    return data.modality_result(load_modality_config(name, store)) if there else None


def _frame_cache(name: str, store: Store) -> Result:
    from gr00t_assets.datasets.frames.frame_cache import FrameCache
    from gr00t_assets.datasets.frames.frame_index import frame_cache_info
    from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
    from gr00t_assets.datasets.quality.measure import measure_quality

    if not store.dataset_record(name).is_file() or not store.modality_config(name).is_file():
        return None
    record, config = load_record(name, store), load_modality_config(name, store)
    directory = store.frame_cache(name, record.version)
    if (checked := load_frame_check(store.frame_check(name, record.version))) is None:
        return None
    info, files = frame_cache_info(directory, size := config.frame_size), record.directory(store)
    dataset, cache = LeRobotDataset.open(files, name), FrameCache.open(directory, size)
    quality = measure_quality(dataset, cache, config.language)
    return data.frame_cache_result(record, info, checked, quality, store)


def _of_run(read: Callable[[TrainingSpec], Result]) -> Callable[[str, Store], Result]:
    """Of an experiment's present configuration, where the data is there that it is for."""

    def read_run(name: str, store: Store) -> Result:
        experiment = EXPERIMENTS[name]
        there = (store.modality_config(dataset.name).is_file() for dataset in experiment.datasets)
        return read(make_spec(experiment, store)) if all(there) else None

    return read_run


def _checkpoint(spec: TrainingSpec) -> Result:
    manifest = load_manifest(spec.run_directory)
    if manifest is None or not is_complete(manifest, spec.experiment):
        return None
    return training.checkpoint_result(manifest, spec)


def _rollouts(spec: TrainingSpec) -> Result:
    environment = rolled_out.declared_environment(spec)
    path = environment and rolled_out.rollouts_file(spec.run_directory, environment.name)
    rollouts = rolled_out.read_rollouts(path) if path and path.is_file() else None
    return evaluation.rollouts_result(rollouts, spec) if rollouts else None


def _promotion(spec: TrainingSpec) -> Result:
    store = Store(Path(spec.store))
    records = (model.record for model in promoted_models(store, spec.experiment.name))
    record = next((item for item in records if item and item.config_hash == spec.config_hash), None)
    return analysis.promotion_result(record, store) if record else None


_ASSETS = {
    data.dataset: (CATALOG, _dataset),
    data.modality_config: (CATALOG, _modality_config),
    data.frame_cache: (CATALOG, _frame_cache),
    training.checkpoint: (EXPERIMENTS, _of_run(_checkpoint)),
    evaluation.open_loop_evaluation: (EXPERIMENTS, _of_run(evaluation.evaluation_result)),
    evaluation.rollouts: (EXPERIMENTS, _of_run(_rollouts)),
    analysis.promoted_model: (EXPERIMENTS, _of_run(_promotion)),
}
"""Partitions of each asset, and what the store says of one of them."""
