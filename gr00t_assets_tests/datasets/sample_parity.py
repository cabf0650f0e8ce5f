"""What is made of a dataset, against samples of NVIDIA's own data pipeline.

``python -m gr00t_assets_tests.datasets.sample_parity DATASET DIR [--data-config NAME]`` prints the
differences as JSON and exits with 0 where all are within the limits, else with 1. DIR holds
``samples.json`` and ``samples.safetensors``; frames are decoded to a temporary folder.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from gr00t_assets.core.errors import DatasetError, Gr00tAssetsError
from gr00t_assets.datasets.fit.fit_check import fitting_data_configs, known_cameras
from gr00t_assets.datasets.fit.modality_configs import resolve_modality_config
from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.modality.generations import GENERATIONS
from gr00t_assets.modality.images import prepare_images
from gr00t_assets.modality.modality_json import parse_modality

LIMITS = {"state": 1e-6, "action": 1e-6, "image": 1.0}
"""Largest differences allowed: state and action as they are normalised, images in grey levels."""

_ARRAYS = ("state", "state_mask", "action", "action_mask", "image")
_FIELDS = ("episode_index", "frame_index", "embodiment_id", "prompt", "frame_sha256")


def compare(
    dataset: LeRobotDataset, vectors: Path, data_config: str | None = None
) -> dict[str, Any]:
    """Every difference between what this project makes of some samples and what NVIDIA made.

    Args:
        dataset: The dataset that the samples are of.
        vectors: Folder with the samples.
        data_config: Name of the data config that they were made with; may be left out where only
            one fits the dataset.

    Returns:
        ``ok``, ``samples``, ``data_config``, and for each array and each fact of a sample the
        largest difference or the count of samples that differ, with its limit and whether it is
        within it.

    Raises:
        DatasetError: The samples cannot be read, are not of this dataset, or fit none or several
            data configs.
    """
    samples, expected = _read(vectors)
    config = _config(dataset, samples, data_config)
    with tempfile.TemporaryDirectory() as scratch:
        cameras = [camera.original_key for camera in config.video]
        directory = Path(scratch) / dataset.name / "version"
        build_frame_cache(dataset, cameras, directory)
        data = Demonstrations(dataset, FrameCache.open(directory), config)
        rows = _rows(data, samples, dataset.name)
        frames = data.frames(rows)
    is_state = np.arange(config.max_state_dim) < config.state_dim
    computed = {
        "state": data.states(rows),
        "state_mask": np.tile(is_state, (len(rows), 1, 1)),
        "action": data.actions(rows),
        "action_mask": data.action_mask(len(rows)),
        "image": _images(frames, expected["image"].shape, config.crop_scale),
    }
    report: dict[str, Any] = {"samples": len(rows), "data_config": config.data_config}
    for name in _ARRAYS:
        report[name] = _difference(computed[name], expected[name], LIMITS.get(name, 0.0))
    names = [f"video.{camera.key}" for camera in config.video]
    report["frames"] = _count_different(
        {name: _digest(frame) for name, frame in zip(names, sample_frames, strict=True)}
        == {name: sample["frame_sha256"].get(name) for name in names}
        for sample_frames, sample in zip(frames, samples, strict=True)
    )
    report["instruction"] = _count_different(
        text in sample["prompt"] for text, sample in zip(data.texts(rows), samples, strict=True)
    )
    report["embodiment_id"] = _count_different(
        sample["embodiment_id"] == config.embodiment_id for sample in samples
    )
    return {
        "ok": all(item["within"] for item in report.values() if isinstance(item, dict)),
        **report,
    }


def _read(vectors: Path) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    try:
        samples = json.loads((vectors / "samples.json").read_text())
        expected = load_file(vectors / "samples.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        problem = "its samples cannot be read."
        details = [str(error), "expected samples.json and samples.safetensors in this folder"]
        raise DatasetError(str(vectors), problem, details) from error
    wrong = [name for name in _ARRAYS if len(expected.get(name, ())) != len(samples)]
    wrong += [field for field in _FIELDS if any(field not in sample for sample in samples)]
    if wrong or not samples:
        details = [f"missing, or not one for each of {len(samples)} samples: {', '.join(wrong)}"]
        raise DatasetError(str(vectors), "its samples are not complete.", details)
    return samples, expected


def _config(
    dataset: LeRobotDataset, samples: list[dict[str, Any]], data_config: str | None
) -> ModalityConfig:
    modality = parse_modality(dataset.modality, dataset.name)
    fitting = fitting_data_configs(modality, known_cameras(dataset.info, dataset.cameras))
    if data_config is None and len(fitting) != 1:
        raise DatasetError(
            dataset.name,
            "which data config the samples were made with is not clear.",
            [
                f"data configs that fit: {', '.join(fitting) or 'none'}",
                "name it: --data-config NAME",
            ],
        )
    embodiment_id = samples[0]["embodiment_id"]
    tags = [
        tag for tag, number in GENERATIONS["n1.5"].embodiment_ids.items() if number == embodiment_id
    ]
    if not tags:
        problem = f"no embodiment tag has the samples' embodiment id {embodiment_id}."
        raise DatasetError(
            dataset.name, problem, [f"known: {dict(GENERATIONS['n1.5'].embodiment_ids)}"]
        )
    return resolve_modality_config(
        dataset, dataset.name, "parity", data_config or fitting[0], tags[0]
    )


def _rows(data: Demonstrations, samples: list[dict[str, Any]], name: str) -> np.ndarray:
    sample_rows, unknown = [], []
    for sample in samples:
        rows = data.rows(sample["episode_index"])
        if 0 <= sample["frame_index"] < len(rows):
            sample_rows.append(rows[sample["frame_index"]])
        else:
            unknown.append(f"episode {sample['episode_index']}, frame {sample['frame_index']}")
    if unknown:
        raise DatasetError(name, "the samples are not of this dataset, which lacks", unknown)
    return np.asarray(sample_rows)


def _images(frames: np.ndarray, shape: tuple[int, ...], crop_scale: float) -> np.ndarray:
    """Prepared as a batch, in the shape of NVIDIA's: (samples, rows x cameras, size, size, 3)."""
    import torch

    images = prepare_images(torch.from_numpy(frames), shape[-2], crop_scale).numpy()
    return images.reshape(shape) if images.size == np.prod(shape) else images


def _difference(computed: np.ndarray, expected: np.ndarray, limit: float) -> dict[str, Any]:
    if computed.shape != expected.shape:
        shapes = {"computed": list(computed.shape), "expected": list(expected.shape)}
        return {"shapes": shapes, "limit": limit, "within": False}
    differences = np.abs(computed.astype(np.float64) - expected.astype(np.float64))
    largest = float(differences.max(initial=0.0))
    finite = bool(np.isfinite(largest))
    return {
        "largest_difference": largest if finite else None,
        "different": int((differences != 0).sum()),
        "limit": limit,
        "within": finite and largest <= limit,
    }


def _count_different(equal: Iterable[bool]) -> dict[str, Any]:
    different = sum(not is_equal for is_equal in equal)
    return {"different": different, "limit": 0, "within": different == 0}


def _digest(frame: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(frame).tobytes()).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Compare and print; see the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path, help="a LeRobot dataset")
    parser.add_argument("vectors", type=Path, help="folder of samples.json, samples.safetensors")
    parser.add_argument("--data-config", help="that the samples were made with")
    options = parser.parse_args(arguments)
    try:
        dataset = LeRobotDataset.open(options.dataset)
        report = compare(dataset, options.vectors, options.data_config)
    except Gr00tAssetsError as error:
        sys.stderr.write(f"{error.explain()}\n")
        return 1
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
