"""``gr00t-assets dataset frames``: what a video backend really gives a trainer."""

import sys

from gr00t_assets.datasets.checks.report import dataset_folder
from gr00t_assets.datasets.frames.truth.check import check_frames
from gr00t_assets.datasets.lerobot.lerobot import LeRobotDataset


def run_frame_check(path: str, backend: str, isaac_commit: str | None, all_rows: bool) -> int:
    """Check a video backend on a dataset and print the verdict, its figures and the remedy.

    Returns:
        Exit code: 0 where every frame compared is the right one, else 1.

    Raises:
        DatasetError: There is no such dataset, or it cannot be read.
    """
    dataset = LeRobotDataset.open(dataset_folder(path))
    sample = {"samples_per_episode": None, "most_episodes": None} if all_rows else {}
    truth = check_frames(
        dataset, None, dataset.cameras, backend, isaac_commit=isaac_commit, **sample
    )
    sys.stdout.write(f"{truth.sentence()}\n")
    for warning in truth.warnings():
        said = warning.removeprefix(f"{truth.sentence()}; ")
        sys.stdout.write(f"  {'do' if said != warning else 'warning'}: {said}\n")
    return 0 if truth.verified else 1
