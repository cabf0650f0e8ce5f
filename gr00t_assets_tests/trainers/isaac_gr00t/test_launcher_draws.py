"""Random transforms draw the same for a sample, whenever and by whichever process it is loaded."""

import shutil
from pathlib import Path

import pytest

from gr00t_assets_tests.trainers.isaac_gr00t.launching import SmallRun, Trainer

DRAWING = '''

import os
import random

_apply = GR00TTransform.__call__


def _augmented(self, data):
    """Draws as NVIDIA's crops, colours and dropout do, and says what it drew."""
    drawn = (float(torch.rand(())), float(np.random.rand()), random.random())
    with open(os.environ["DRAWS"], "a") as file:
        file.write(f"{drawn}\\n")
    sample = _apply(self, data)
    sample["pixel_values"] = sample["pixel_values"] * sum(drawn)
    return sample


GR00TTransform.__call__ = _augmented
'''


@pytest.fixture
def augmented(october_run: Trainer, october_checkout: Path) -> SmallRun:
    """Six steps over two and a half epochs, with a random transform."""
    transforms = october_checkout / "gr00t" / "model" / "transforms.py"
    transforms.write_text(transforms.read_text() + DRAWING)
    return october_run(max_steps=6, save_steps=1, batch_size=40, save_total_limit=6)


def train(run: SmallRun, draws: Path, resume_step: int = 0, workers: int = 0) -> list[str]:
    """Train; returns what was drawn, in order."""
    launch = run.launch(resume_step, arguments={"dataloader_num_workers": workers})
    ended = run.start(launch, DRAWS=str(draws)).ended()
    assert ended.code == 0, ended.output
    return draws.read_text().splitlines()


@pytest.mark.parametrize("workers", [0, 2])
def test_losses_after_a_resume_are_those_of_a_run_that_never_stopped(
    augmented: SmallRun, tmp_path: Path, workers: int
) -> None:
    run = augmented
    drawn = train(run, tmp_path / "whole")
    expected = run.losses()
    assert len(expected) == 6
    # No sample of any epoch is drawn as another one.
    assert len(set(drawn)) == len(drawn) > 200

    for step in (5, 6):
        shutil.rmtree(run.output / f"checkpoint-{step}")
    Path(run.launch()["metrics"]).unlink()
    again = train(run, tmp_path / "resumed", resume_step=4, workers=workers)
    assert set(again) <= set(drawn)
    assert run.losses() == expected[4:]
