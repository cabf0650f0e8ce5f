"""What materialisations of a dataset, its modality config and its frame cache say.

Their data versions and metadata, the most wanted first, from what the store holds: for the assets,
which have just computed it, and for ``store rematerialize``, which tells it anew.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.curation import Curated, spans
from gr00t_assets.datasets.quality.figures import Quality
from gr00t_assets.datasets.quality.table import COLUMNS, SCORE_COLUMNS, quality_table, score_table
from gr00t_assets.datasets.sources.versions import DatasetRecord
from gr00t_assets.defs.metadata import (
    Metadata,
    bullets,
    fields,
    folded_table,
    image,
    readable,
    result,
    stored_path,
    table,
)
from gr00t_assets.evaluation.trials.outcomes import load_lineage
from gr00t_assets.modality.config import ModalityConfig, VectorKey
from gr00t_assets.modality.frame_check_result import FrameCheckResult

if TYPE_CHECKING:
    from gr00t_assets.datasets.frames.frame_index import FrameCacheInfo


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
    return result(
        record.version,
        {
            "description": entry.description,
            "contact_sheet": image(sheet, f"frames of {record.name}"),
            **dataset_metadata(record),
            **lineage_metadata(record, store),
            **quality_metadata(quality),
            "directory": stored_path(record.directory(store), store),
        },
    )


def dataset_metadata(record: DatasetRecord) -> Metadata:
    """What a dataset holds and where it is from."""
    cameras = [
        [camera.original_key, f"{camera.width} x {camera.height}", f"{camera.fps:g}", camera.codec]
        for camera in record.cameras
    ]
    return {
        **fields(record, "episodes", "frames"),
        "minutes": round(record.hours * 60, 2),
        "fps": record.fps,
        "robot": record.robot_type,
        "cameras": table(["camera", "pixels", "fps", "codec"], cameras),
        "tasks": folded_table(["task", "instruction"], enumerate(record.tasks)),
        **(_curation_metadata(record.curated) if record.curated else {}),
        "warnings": bullets(record.warnings),
        "size_megabytes": readable(record.size_bytes / 1e6),
        "format": f"LeRobot {record.codebase_version}",
        "source": record.source,
        "content_hash": record.version,
    }


def _curation_metadata(curated: Curated) -> Metadata:
    """What the catalog left out, cut off and renamed; episodes by their numbers in the source."""
    numbers = [
        [index, number, *curated.trimmed.get(number, ("", ""))]
        for index, number in enumerate(curated.episodes)
    ]
    headings = ["episode", "in the source", "cut off at start (s)", "at end (s)"]
    return {
        "episodes_left_out": ", ".join(map(str, spans(curated.left_out))) or "none",
        "seconds_trimmed": round(sum(map(sum, curated.trimmed.values())), 3),
        "tasks_renamed": folded_table(["in the source", "here"], curated.renamed.items()),
        "episode_numbers": folded_table(headings, numbers),
    }


def lineage_metadata(record: DatasetRecord, store: Store) -> Metadata:
    """Of a dataset that was recorded during trials what drove the robot; nothing of others."""
    try:
        lineage = load_lineage(record.name, record.version, store)
    except DatasetError as error:
        return {"driven_by": bullets([str(error)])}
    return {"driven_by": bullets(part.sentence() for part in lineage.rounds)} if lineage else {}


def quality_metadata(quality: Quality) -> Metadata:
    """Figures of the demonstrations as a table and a picture, and what is striking about them."""
    from gr00t_assets.datasets.quality.plots import quality_png

    scores = score_table(quality)
    return {
        "quality_findings": bullets(quality.messages()),
        "quality": table(list(COLUMNS), quality_table(quality)),
        "episode_scores": folded_table(list(SCORE_COLUMNS), scores) if scores else "100 each",
        "quality_plots": image(quality_png(quality), f"quality of {quality.dataset}"),
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
    return result(
        config.content_hash(),
        {
            "data_config": config.data_config,
            "embodiment": f"{config.embodiment_tag} (row {config.embodiment_id} of the weights)",
            "video": table(["key", "column", "pixels", "fps", "images"], cameras),
            "state": _vectors(config.state),
            "action": _vectors(config.action),
            "language": config.language or "none",
            **fields(config, "state_dim", "action_dim"),
            "action_horizon": len(config.action_indices),
            "frames_cached_at": " x ".join(map(str, config.frame_size or ())) or "their own size",
            "held_out_episodes": ", ".join(map(str, config.held_out_episodes)) or "none",
            "video_backends": bullets(frame_check.sentence() for frame_check in config.frames),
            "warnings": bullets(config.warnings),
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
    return table([head, "slice", "size", "transforms"], rows)


def frame_cache_result(
    record: DatasetRecord,
    info: "FrameCacheInfo",
    frame_check: FrameCheckResult,
    quality: Quality,
    store: Store,
) -> dg.MaterializeResult:
    """Of a frame cache; ``quality`` is measured with its frames."""
    rows = [[name, frames, f"{w} x {h}"] for name, (frames, h, w) in info.cameras.items()]
    return result(
        record.version,
        {
            "frames": info.frames,
            "size_megabytes": readable(info.size_bytes / 1e6),
            "cameras": table(["camera", "frames", "pixels"], rows),
            "frames_verified": "yes" if frame_check.verified else "no",
            "frame_check": frame_check.sentence(),
            "frame_warnings": bullets(frame_check.warnings()),
            **quality_metadata(quality),
            "videos_decoded": info.decoded,
            "videos_reused": info.reused,
            "directory": stored_path(store.frame_cache(record.name, record.version), store),
        },
    )
