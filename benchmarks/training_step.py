"""The native training step at the sweep demo-batch-size: steps per CPU second, and peak memory.

``python benchmarks/training_step.py [--steps N]`` makes the synthetic dataset in a temporary
store, trains each batch size in a process of its own on one thread, and prints a table. The last
column is the time of a whole step over that of the model alone in the same process: what reading,
cropping and resizing the images costs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BATCH_SIZES = (1, 8)
WARM_UP = 5


def main() -> None:
    """Measure every batch size and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--measure", nargs=2, metavar=("STORE", "BATCH_SIZE"))
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(Path(options.measure[0]), int(options.measure[1]), options.steps)))
        return
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        prepare(store)
        heads = ("batch", "steps/CPU s", "samples/CPU s", "peak MB", "step/model")
        print("{:>5} {:>12} {:>14} {:>8} {:>11}".format(*heads))
        for size in BATCH_SIZES:
            command = [sys.executable, __file__, "--steps", str(options.steps)]
            result = subprocess.run(
                [*command, "--measure", folder, str(size)],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
            )
            row = json.loads(result.stdout.splitlines()[-1])
            print(
                f"{size:>5} {row['steps']:>12.1f} {row['steps'] * size:>14.1f} "
                f"{row['peak_bytes'] / 1e6:>8.0f} {row['ratio']:>11.2f}"
            )


def prepare(root: Path) -> None:
    """The synthetic dataset, modality config and frame cache in a store."""
    from gr00t_assets.core.project import Store
    from gr00t_assets.datasets.catalog import load_catalog
    from gr00t_assets.datasets.fit.modality_configs import build_modality_config
    from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
    from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
    from gr00t_assets.datasets.sources.ingest import ingest_dataset

    store = Store(root)
    entry = load_catalog()["synthetic-pick-n-place"]
    record = ingest_dataset(entry, store)
    config = build_modality_config(entry, store)
    build_frame_cache(
        LeRobotDataset.open(record.directory(store), record.name),
        [camera.original_key for camera in config.video],
        store.frame_cache(record.name, record.version),
    )


def measure(root: Path, batch_size: int, steps: int) -> dict[str, float]:
    """Train some steps in this process."""
    from gr00t_assets.core.project import Store
    from gr00t_assets.experiments.experiment import Experiment
    from gr00t_assets.runs.spec import make_spec
    from gr00t_assets.trainers.attempt import StopRequest
    from gr00t_assets.trainers.native.base_models import choose_device, load_base_model
    from gr00t_assets.trainers.native.batches import BatchSource
    from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
    from gr00t_assets.trainers.native.optimizer import set_up_training
    from gr00t_assets.trainers.native.training_loop import TrainingLoop
    from gr00t_assets.trainers.reporter import Reporter

    settings = NativeHyperparameters(
        batch_size=batch_size,
        max_steps=WARM_UP,
        save_steps=10_000,
        learning_rate=1e-3,
        augmentation="none",
    )
    spec = make_spec(
        Experiment(
            name=f"step-{batch_size}",
            sweep="benchmark",
            dataset="synthetic-pick-n-place",
            hyperparameters=settings,
        ),
        Store(root),
    )
    spec.run_directory.mkdir(parents=True)
    device = choose_device()
    base = load_base_model("tiny", seed=0, device=device.device)
    set_up_training(base.model, settings, spec.embodiments)
    batches = BatchSource(spec, base, device.device)
    reporter = Reporter(spec.run_directory, steps)
    loop = TrainingLoop(base.model, settings, batches, device, reporter, lambda state: None)
    loop.run(StopRequest())
    loop.settings = settings.model_copy(update={"max_steps": WARM_UP + steps})
    began = time.process_time()
    loop.run(StopRequest())
    whole = time.process_time() - began
    made = batches.batch(range(batch_size))
    batches.batch = lambda draws, then=None: made
    loop.settings = settings.model_copy(update={"max_steps": WARM_UP + 2 * steps})
    began = time.process_time()
    loop.run(StopRequest())
    model = time.process_time() - began
    return {
        "steps": steps / whole,
        "peak_bytes": float(device.peak_memory_bytes()),
        "ratio": whole / model,
    }


if __name__ == "__main__":
    main()
