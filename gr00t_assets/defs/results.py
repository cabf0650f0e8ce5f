"""What an asset's materialisation says: its data version and metadata, from what the store holds.

Made in one place for the assets, which have just computed it, and for ``store rematerialize``,
which tells it anew.
"""

from typing import TYPE_CHECKING

import dagster as dg

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.quality.figures import Quality
from gr00t_assets.datasets.sources.versions import DatasetRecord
from gr00t_assets.defs.asset_metadata import (
    checkpoint_metadata,
    dataset_metadata,
    frame_check_metadata,
    lineage_metadata,
    modality_metadata,
    quality_metadata,
)
from gr00t_assets.defs.evaluation_metadata import evaluation_metadata
from gr00t_assets.defs.metadata import Metadata, image, readable, stored_path, table
from gr00t_assets.defs.rollout_metadata import rollout_metadata
from gr00t_assets.evaluation.result import Evaluation
from gr00t_assets.evaluation.rollouts.result import Rollouts
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.modality.frame_check_result import FrameCheckResult
from gr00t_assets.reporting.promotion.record import Promotion, promoted_folder
from gr00t_assets.runs.manifest import Manifest
from gr00t_assets.runs.spec import TrainingSpec

if TYPE_CHECKING:
    from gr00t_assets.datasets.frames.frame_index import FrameCacheInfo

ALREADY_FINISHED = "already finished; nothing trained"


def dataset_result(
    record: DatasetRecord, description: str, sheet: bytes, quality: Quality, store: Store
) -> dg.MaterializeResult:
    """Of a dataset, with frames of it as a PNG and the figures of its demonstrations."""
    return _result(
        record.version,
        {
            "description": description,
            "contact_sheet": image(sheet, f"frames of {record.name}"),
            **dataset_metadata(record),
            **lineage_metadata(record, store),
            **quality_metadata(quality),
            "directory": stored_path(record.directory(store), store),
        },
    )


def modality_result(config: ModalityConfig) -> dg.MaterializeResult:
    """Of a modality config."""
    return _result(config.content_hash(), modality_metadata(config))


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
    return _result(
        record.version,
        {
            "frames": info.frames,
            "size_megabytes": readable(info.size_bytes / 1e6),
            "cameras": table(["camera", "frames", "pixels"], rows),
            **frame_check_metadata(frame_check),
            **quality_metadata(quality),
            "videos_decoded": info.decoded,
            "videos_reused": info.reused,
            "directory": stored_path(directory, store),
        },
    )


def checkpoint_result(
    manifest: Manifest, spec: TrainingSpec, store: Store, result: str = ALREADY_FINISHED
) -> dg.MaterializeResult:
    """Of a run that is finished or pruned; ``result`` says in words whether it was trained now."""
    version = f"{manifest.config_hash}-{manifest.trainer_revision}"
    if manifest.status == "pruned":
        result, version = manifest.failure or "pruned", f"{version}-pruned"
    return _result(version, checkpoint_metadata(manifest, spec, store, result))


def evaluation_result(
    evaluation: Evaluation, spec: TrainingSpec, store: Store
) -> dg.MaterializeResult:
    """Of a run's evaluation."""
    return _result(evaluation.content_hash(), evaluation_metadata(evaluation, spec, store))


def rollouts_result(rollouts: Rollouts, spec: TrainingSpec, store: Store) -> dg.MaterializeResult:
    """Of a run's rollouts in one environment."""
    return _result(rollouts.content_hash(), rollout_metadata(rollouts, spec, store))


def promotion_result(record: Promotion, store: Store) -> dg.MaterializeResult:
    """Of a promoted model."""
    from gr00t_assets.reporting.promotion.promote import CARD
    from gr00t_assets.reporting.promotion.record import pushes

    folder = promoted_folder(store, record.experiment, record.config_hash, record.step)
    hubs = {push.url: push.commit for push in pushes(folder)}
    return _result(
        "-".join(sorted(record.weights.values()))[:64],
        {
            "verdict": record.verdict,
            "success": record.success_text or "not rolled out",
            "weights_of": "the end of the run"
            if record.step is None
            else f"step {record.step}: {record.chosen or 'asked for by its step'}",
            "experiment": record.experiment,
            "model_card": dg.MetadataValue.md((folder / CARD).read_text(encoding="utf-8")),
            "loss": readable(record.loss),
            "loss_se": "cannot be told"
            if record.loss_standard_error is None
            else readable(record.loss_standard_error),
            "promoted_at": record.promoted_at,
            "commit": record.commit or "none",
            "pushed": table(["repository", "commit"], hubs.items()) if hubs else "not pushed",
            "folder": stored_path(folder, store),
            "config_hash": record.config_hash,
            "weights": table(["file", "sha256"], record.weights.items()),
        },
    )


def _result(version: str, metadata: Metadata) -> dg.MaterializeResult:
    return dg.MaterializeResult(data_version=dg.DataVersion(version), metadata=metadata)
