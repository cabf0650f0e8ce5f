"""Whether a run's final weights load and predict finite actions for real samples.

``python -m gr00t_assets.trainers.native.final_check RUN_DIRECTORY`` prints
``{"passed": bool, "problem": str | null}`` and exits with 0 whatever it found.
"""

import json
import sys
from pathlib import Path

import numpy as np

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.lerobot import LeRobotDataset
from gr00t_assets.runs.run_directory import MODEL, SPEC
from gr00t_assets.runs.spec import load_spec
from gr00t_assets.trainers.native.devices import choose_device
from gr00t_assets.trainers.native.policy import Policy

SAMPLES = 4


def check_final_weights(run_directory: Path) -> str | None:
    """What is wrong with the final weights of a run, in a sentence; ``None`` where nothing is.

    The samples are spread evenly over the dataset that the run was trained on.
    """
    try:
        spec = load_spec(run_directory / SPEC)
        policy = Policy(run_directory / MODEL, choose_device())
        dataset = LeRobotDataset.open(spec.dataset_directory, spec.modality_config.dataset)
        data = Demonstrations(
            dataset,
            FrameCache.open(spec.frame_cache, spec.modality_config.frame_size),
            spec.modality_config,
        )
        rows = np.linspace(0, len(data) - 1, SAMPLES).astype(int)
        texts = [data.instructions[task] for task in data.tasks[rows]]
        actions = policy.normalised_actions(data.frames(rows), data.states(rows), texts)
        in_units = policy.in_units(actions)
    except Gr00tAssetsError as error:
        return " ".join(error.explain().split())
    wrong = [name for name, values in in_units.items() if not np.isfinite(values).all()]
    if wrong or not np.isfinite(actions).all():
        return f"predicted actions are not finite: {', '.join(wrong) or 'padding'}"
    return None


def main(arguments: list[str]) -> int:
    """Check one run directory; see the module."""
    problem = check_final_weights(Path(arguments[0]))
    sys.stdout.write(json.dumps({"passed": problem is None, "problem": problem}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
