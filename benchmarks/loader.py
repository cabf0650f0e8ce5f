"""Samples per second that the native trainer is fed, on one thread of a CPU, at 224 pixels.

``python -m benchmarks.loader [--dataset FOLDER] [--seconds S]``, on synthetic demonstrations by
default. All in one process and one run, each for some seconds, in turns so that a busy machine
slows all of them alike:

(a) per sample, as NVIDIA's loader does it: the episode's parquet read, the frame decoded by PyAV,
    with nothing done to it
(b) the trainer's batches without augmentation
(c) the trainer's batches with random crop and colours
(d) bare reads of the frame cache, the limit

Targets on NVIDIA's ``robot_sim.PickNPlace``: (b) at least 40 times (a), (c) at least 10 times. The
synthetic videos have many key frames, so (a) is several times faster on them, and no target is held
against them. What is done once, at the start of a run or of the first run on a dataset, is printed
beside it.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import av
import numpy as np
import torch

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.fit.fit_check import fitting_data_configs, known_cameras
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import combined_hyperparameters
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.modality.modality_json import parse_modality
from gr00t_assets.runs.spec import make_spec
from gr00t_assets.trainers.native.base_models import BaseModel, load_base_model
from gr00t_assets.trainers.native.batches import BatchSource

SIZE, BATCH, ROUNDS = 224, 32, 4
TARGETS = {"b": 40, "c": 10}

Work = Callable[[int], int]
"""Told the number of the call; the samples that it made."""


def at_full_size(base: BaseModel) -> BaseModel:
    """The tiny model's tokenizer, asked for images and image tokens as N1.5's own are."""
    vision = base.config.towers.vision_config
    vision = vision.model_copy(update={"image_size": SIZE, "patch_size": 14})
    towers = base.config.towers.model_copy(update={"vision_config": vision})
    base.model.config = base.config.model_copy(update={"towers": towers})
    return base


def dataset_in(store: Store, folder: Path | None) -> tuple[LeRobotDataset, ModalityConfig]:
    """A dataset in the store with its modality config and frame cache."""
    source = {"kind": "synthetic"} if folder is None else {"kind": "folder", "path": str(folder)}
    fitting = ["fourier_gr1_arms_only"]
    if folder is not None:
        dataset = LeRobotDataset.open(folder)
        modality = parse_modality(dataset.modality, dataset.name)
        fitting = fitting_data_configs(modality, known_cameras(dataset.info, dataset.cameras))
    entry = CatalogEntry.model_validate(
        {"name": "data", "description": "timed", "source": source, "data_config": fitting[0]}
    )
    record = ingest_dataset(entry, store)
    config = build_modality_config(entry, store)
    dataset = LeRobotDataset.open(record.directory(store), record.name)
    cameras = [camera.original_key for camera in config.video]
    build_frame_cache(dataset, cameras, store.frame_cache(record.name, record.version))
    return dataset, config


def decoded(dataset: LeRobotDataset, config: ModalityConfig) -> Work:
    """(a): all of the episode's columns read, and each camera decoded from its last key frame."""
    random = np.random.default_rng(0)

    def work(number: int) -> int:
        episode = dataset.episodes[int(random.integers(len(dataset.episodes)))].index
        table = dataset.read_episode(episode).to_pandas()
        timestamp = float(random.choice(table["timestamp"]))
        for camera in config.video:
            with av.open(str(dataset.video_path(episode, camera.original_key))) as container:
                stream = container.streams.video[0]
                stream.thread_type = "NONE"
                container.seek(int(timestamp / stream.time_base), stream=stream)  # type: ignore[operator]
                frame = None
                for frame in container.decode(stream):
                    if frame.time is not None and frame.time >= timestamp - 1e-3:
                        break
                assert frame is not None
                frame.to_ndarray(format="rgb24")
        return 1

    return work


def batches(store: Store, base: BaseModel, augmentation: str) -> tuple[Work, float]:
    """(b) and (c): the trainer's own source of batches, and the seconds that it took to open."""
    settings = combined_hyperparameters().model_validate(
        {"batch_size": BATCH, "augmentation": augmentation}
    )
    experiment = Experiment(
        name=augmentation, sweep="loader", dataset="data", hyperparameters=settings
    )
    began = time.perf_counter()
    source = BatchSource(make_spec(experiment, store), base, torch.device("cpu"))
    opened = time.perf_counter() - began

    def work(number: int) -> int:
        return len(source.batch(range(number * BATCH, (number + 1) * BATCH))["state"])

    return work, opened


def bare_reads(cache: FrameCache, config: ModalityConfig, frames: int) -> Work:
    """(d): frames at random, copied out of the map."""
    random = np.random.default_rng(0)

    def work(number: int) -> int:
        rows = random.integers(frames, size=BATCH)
        for camera in config.video:
            cache.frames(camera.original_key, rows)
        return BATCH

    return work


def rates(works: dict[str, Work], seconds: float) -> dict[str, tuple[float, float]]:
    """Samples per second and per CPU second of each, after one call that is not counted."""
    calls, spent = dict.fromkeys(works, 1), {name: [0, 0.0, 0.0] for name in works}
    for work in works.values():
        work(0)
    for _ in range(ROUNDS):
        for name, work in works.items():
            wall, cpu = time.perf_counter(), time.process_time()
            while time.perf_counter() - wall < seconds / ROUNDS:
                spent[name][0] += work(calls[name])
                calls[name] += 1
            spent[name][1] += time.perf_counter() - wall
            spent[name][2] += time.process_time() - cpu
    return {name: (made / wall, made / cpu) for name, (made, wall, cpu) in spent.items()}


def main() -> int:
    """Print the table; 1 where a target is missed on a dataset that was named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dataset", type=Path, help="a LeRobot dataset")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each row of the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    base = at_full_size(load_base_model("tiny", seed=0))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        dataset, config = dataset_in(store, options.dataset)
        _, first_time = batches(store, base, "none")
        plain, again = batches(store, base, "none")
        augmented, opened = batches(store, base, "gr00t")
        cache = FrameCache.open(store.frame_cache(config.dataset, config.dataset_version))
        found = rates(
            {
                "a": decoded(dataset, config),
                "b": plain,
                "c": augmented,
                "d": bare_reads(cache, config, dataset.frame_count),
            },
            options.seconds,
        )
    names = {
        "a": "decoded one by one, parquet read each time",
        "b": "this loader without augmentation",
        "c": "this loader with full augmentation",
        "d": "bare reads of the frame cache",
    }
    print(
        f"{dataset.frame_count} rows, {len(config.video)} camera(s), {SIZE} pixels, batch {BATCH}"
    )
    print(f"{'':46} {'samples/s':>9} {'per CPU s':>9} {'times (a)':>9}")
    ratios = {name: rate / found["a"][0] for name, (rate, _) in found.items()}
    for name, (wall, cpu) in found.items():
        print(f"({name}) {names[name]:42} {wall:>9.0f} {cpu:>9.0f} {ratios[name]:>9.1f}")
    print(f"opened in {opened:.2f} s; without augmentation {again:.2f} s, ", end="")
    print(f"{first_time:.2f} s the first time, when images are prepared")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB; targets: (b) 40 times (a), (c) 10 times (a)")
    if options.dataset is None:
        return 0
    return 0 if all(ratios[name] >= target for name, target in TARGETS.items()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
