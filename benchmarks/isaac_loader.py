"""Samples per second of Isaac-GR00T's own dataset class, as it is and fed by the launcher.

``python benchmarks/isaac_loader.py [--checkout DIR] [--python FILE] [--dataset DIR] [--seconds S]``

One process of the checkout's Python, one thread, decord for the videos; rows at random, as training
draws them; in turns, so that a busy machine slows both alike. Transforms off is what the class does
itself: parquet, frames, slices. Transforms on adds crop, resize, colours and the prompt, which the
launcher leaves as they are. Target: fed at least 5 times as many samples with transforms off, on
NVIDIA's ``robot_sim.PickNPlace``.

The checkout and its Python are those of ``gr00t-assets isaac setup`` unless named here or in the
environment; no GPU is used. Where something is missing it says so and ends with 0.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TARGET, ROUNDS = 5.0, 5
ROOT = Path(__file__).resolve().parents[1]
DEMO = "robot_sim.PickNPlace"
DATA_CONFIG, EMBODIMENT = "fourier_gr1_arms_only", "gr1"
WITHOUT_GPU = ROOT / "gr00t_assets_tests" / "training" / "isaac_gr00t" / "real" / "cpu"


def main() -> int:
    """Prepare the data here, measure there, print a table."""
    options = _options()
    if options.measure:
        _measure(json.loads(options.measure.read_text()), options.seconds)
        return 0
    from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment

    found = IsaacEnvironment.from_environment()
    environment = IsaacEnvironment(
        options.checkout or found.checkout, options.python or found.python
    )
    missing = [
        f"{what}: {path}"
        for what, path in (
            ("fine-tuning script", environment.script),
            ("Python of the checkout", environment.python),
            ("dataset", options.dataset),
        )
        if not path.exists()
    ]
    if missing:
        print(f"isaac_loader: not measured, missing {'; '.join(missing)}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        launch = _prepare(options.dataset, Path(folder))
        return subprocess.run(
            [environment.python, __file__, "--measure", launch, "--seconds", str(options.seconds)],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(environment.checkout), str(WITHOUT_GPU)]),
                "HF_MODULES_CACHE": folder,
                "HF_HUB_OFFLINE": "1",
                "OMP_NUM_THREADS": "1",
                "CUDA_VISIBLE_DEVICES": "",
                "NO_ALBUMENTATIONS_UPDATE": "1",
            },
            check=False,
        ).returncode


def _options() -> argparse.Namespace:
    shared = Path(os.environ.get("GR00T_ASSETS_SHARED", ROOT.parent / "shared"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--checkout", type=Path, help="folder of Isaac-GR00T")
    parser.add_argument("--python", type=Path, help="Python 3.10 with its dependencies")
    parser.add_argument("--dataset", type=Path, default=shared / "datasets" / DEMO)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each of the four")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _prepare(folder: Path, target: Path) -> Path:
    """Decode the frames; returns the part of a launch file that the dataset class is fed by."""
    from gr00t_assets.datasets.fit.modality_configs import resolve_modality_config
    from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
    from gr00t_assets.datasets.frames.frame_index import FRAMES, TIMES, read_indices
    from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
    from gr00t_assets.trainers.isaac_gr00t.isaac_run import LAUNCHER
    from gr00t_assets.trainers.run_files import isaac_metadata

    dataset = LeRobotDataset.open(folder)
    config = resolve_modality_config(dataset, folder.name, "v1", DATA_CONFIG, EMBODIMENT)
    cameras = [camera.original_key for camera in config.video]
    started = time.perf_counter()
    build_frame_cache(dataset, cameras, target / "frames")
    rows = dataset.frame_count
    print(f"{folder.name}: {rows} rows cached in {time.perf_counter() - started:.1f} s, once")
    frames = {}
    for camera in config.video:
        index = read_indices(target / "frames")[camera.original_key]
        assert index is not None
        at = target / "frames" / camera.original_key
        frames[camera.key] = {
            "frames": str(at / FRAMES),
            "timestamps": str(at / TIMES),
            "spans": {span.episode: (span.first_row, span.frames) for span in index.plan.spans},
        }
    launch = {
        "dataset": str(folder),
        "launcher": str(LAUNCHER.parent),
        "metadata": isaac_metadata(config),
        "datasets": {str(folder): {"held_out_episodes": [], "frames": frames}},
    }
    (target / "launch.json").write_text(json.dumps(launch))
    return target / "launch.json"


def _measure(launch, seconds):
    """Runs under the checkout's Python."""
    import numpy as np

    module: Any = importlib.import_module("gr00t.data.dataset")
    configs = importlib.import_module("gr00t.experiment.data_config").DATA_CONFIG_MAP
    plain = module.LeRobotSingleDataset
    fed = type("Fed", (plain,), {})
    sys.path.append(launch["launcher"])
    module.LeRobotSingleDataset = fed
    importlib.import_module("launcher_data").replace_reading(launch)
    module.LeRobotSingleDataset = plain

    def opened(kind, transformed):
        config = configs[DATA_CONFIG]
        return kind(
            dataset_path=launch["dataset"],
            modality_configs=config.modality_config(),
            embodiment_tag=EMBODIMENT,
            video_backend="decord",
            transforms=config.transform() if transformed else None,
        )

    sets = {
        (name, transformed): opened(kind, transformed)
        for transformed in (False, True)
        for name, kind in (("as it is", plain), ("fed", fed))
    }
    rows = np.random.default_rng(0).permutation(len(sets["fed", False]))
    done, wall, cpu = (dict.fromkeys(sets, 0.0) for _ in range(3))
    for turn in range(ROUNDS):
        for which, data in sets.items():
            number = turn * 97
            began, busy = time.perf_counter(), time.process_time()
            while time.perf_counter() - began < seconds / ROUNDS:
                data[int(rows[number % len(rows)])]
                number += 1
            done[which] += number - turn * 97
            wall[which] += time.perf_counter() - began
            cpu[which] += time.process_time() - busy
    print(f"\n{'samples/s':<16}{'as it is':>12}{'fed':>12}{'ratio':>9}{'by CPU time':>14}")
    for transformed in (False, True):
        one, other = ("as it is", transformed), ("fed", transformed)
        rates = [done[which] / wall[which] for which in (one, other)]
        by_cpu = (done[other] / cpu[other]) / (done[one] / cpu[one])
        print(
            f"transforms {'on' if transformed else 'off':<5}{rates[0]:>12.1f}{rates[1]:>12.1f}"
            f"{rates[1] / rates[0]:>8.1f}x{by_cpu:>13.1f}x"
            + ("" if transformed else f"   target {TARGET:.0f}x")
        )


if __name__ == "__main__":
    sys.exit(main())
