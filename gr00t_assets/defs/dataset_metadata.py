"""What the pages of the data assets show, in the order in which a person asks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from gr00t_assets.datasets.frames.truth.result import FrameTruth
from gr00t_assets.datasets.sources.record import DatasetRecord
from gr00t_assets.defs.metadata import bullets, image, readable, table
from gr00t_assets.modality.config import ModalityConfig, VectorKey

if TYPE_CHECKING:
    from gr00t_assets.datasets.quality.figures import Quality

Shown = dict[str, dg.MetadataValue | str | int | float]


def dataset_metadata(record: DatasetRecord) -> Shown:
    """What a dataset holds and where it is from."""
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


def modality_metadata(config: ModalityConfig) -> Shown:
    """How a dataset is read."""
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
        "frames_cached_at": " x ".join(map(str, config.frame_size or ())) or "their own size",
        "held_out_episodes": ", ".join(map(str, config.held_out_episodes)) or "none",
        "video_backends": bullets(truth.sentence() for truth in config.frames),
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


def quality_metadata(quality: "Quality") -> Shown:
    """Figures of the demonstrations as a table and a picture, and what is striking about them."""
    from gr00t_assets.datasets.quality.plots import quality_png
    from gr00t_assets.datasets.quality.table import COLUMNS, quality_table

    return {
        "quality_findings": bullets(quality.messages()),
        "quality": table(list(COLUMNS), quality_table(quality)),
        "quality_plots": image(quality_png(quality), f"quality of {quality.dataset}"),
    }


def frame_truth_metadata(truth: FrameTruth) -> Shown:
    """Whether frames are the right ones, with the figures."""
    return {
        "frames_verified": "yes" if truth.verified else "no",
        "frame_check": truth.sentence(),
        "frame_warnings": bullets(truth.warnings()),
    }
