"""Starts the small checkout: by its bare script, and through the launcher."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gr00t_assets.runs.manifest import Outcome
from gr00t_assets.runs.metrics import Metric, MetricTail, read_metrics
from gr00t_assets.runs.run_directory import CHECKPOINTS
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers import isaac_gr00t
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.launch_file import make_launch
from gr00t_assets_tests.trainers.isaac_gr00t.processes import Ended, Program
from gr00t_assets_tests.trainers.isaac_gr00t.small_model import write_eagle

CHECKOUT = Path(__file__).with_name("small_checkout")
LAUNCHER = Path(isaac_gr00t.__path__[0]) / "launcher" / "launcher.py"
ROOT = Path(__file__).parents[3]
OCTOBER_ARGUMENTS = """    gradient_accumulation_steps: int = 1
    dataloader_prefetch_factor: int = 4
"""


def copy_checkout(target: Path) -> Path:
    """Copy the small checkout, with an Eagle folder."""
    shutil.copytree(CHECKOUT, target, ignore=shutil.ignore_patterns("__pycache__"))
    write_eagle(target / "gr00t" / "model" / "backbone" / "eagle2_hg_model")
    return target


def as_october(checkout: Path) -> Path:
    """Let a copy behave as the October release, with its two further arguments."""
    (checkout / "gr00t" / "release.py").write_text('"""October."""\n\nJUNE = False\n')
    video = checkout / "gr00t" / "utils" / "video.py"
    fault = "len(loaded_frames) >= len(timestamps)"
    assert fault in video.read_text()
    video.write_text(video.read_text().replace(fault, "frame.time >= timestamps[-1]"))
    script = checkout / "scripts" / "gr00t_finetune.py"
    text = script.read_text()
    before = "    report_to: Literal"
    settings = "gradient_accumulation_steps=1,"
    prefetch = "dataloader_prefetch_factor=config.dataloader_prefetch_factor,"
    assert text.count(before) == text.count(settings) == 1
    text = text.replace(before, OCTOBER_ARGUMENTS + before)
    text = text.replace(
        settings,
        f"gradient_accumulation_steps=config.gradient_accumulation_steps,\n        {prefetch}",
    )
    script.write_text(text)
    return checkout


def committed(checkout: Path) -> Path:
    """Make it a git repository of one commit."""
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "small"]):
        subprocess.run(["git", "-C", str(checkout), *command], check=True)
    return checkout


def with_dataset(launch: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What the launcher is told, with changes of its one dataset."""
    ((folder, dataset),) = launch["datasets"].items()
    return {**launch, "datasets": {folder: {**dataset, **changes}}}


def variables(**more: str) -> dict[str, str]:
    """Environment variables for a CPU, one thread, no network and no key."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB_", "HF_", "GR00T_"))}
    mine = {
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": _path(),
        "TOKENIZERS_PARALLELISM": "false",
    }
    return {**kept, **mine, **more}


@dataclass
class SmallRun:
    """A spec, and the small checkout that is to train it.

    Attributes:
        spec: What is asked.
        checkout: The copy of the small checkout.
        base: Folder of the base model.
    """

    spec: TrainingSpec
    checkout: Path
    base: Path

    @property
    def output(self) -> Path:
        """Where checkpoints go."""
        return self.spec.run_directory / CHECKPOINTS

    def launch(self, resume_step: int = 0, **changes: Any) -> dict[str, Any]:
        """What the launcher is told."""
        self.spec.run_directory.mkdir(parents=True, exist_ok=True)
        environment = IsaacEnvironment(self.checkout, Path(sys.executable))
        launch = make_launch(self.spec, environment, self.base, None)
        arguments = {**launch["arguments"], "dataloader_num_workers": 0}
        arguments.update(changes.pop("arguments", {}))
        is_there = (self.output / f"checkpoint-{resume_step}" / "complete.json").is_file()
        seen = self.record(resume_step)["samples_seen"] if is_there else 0
        resumed = {"resume_step": resume_step, "samples_seen": seen}
        return {**launch, **resumed, "arguments": arguments, **changes}

    def start(self, launch: dict[str, Any], **more: str) -> Program:
        """Start the launcher."""
        return self._program(LAUNCHER, [self.written(launch)], more)

    def written(self, launch: dict[str, Any]) -> str:
        """The launch file."""
        file = self.spec.run_directory / "launch.json"
        file.write_text(json.dumps(launch))
        return str(file)

    def train(self, resume_step: int = 0, **changes: Any) -> Ended:
        """Train through the launcher, to its end."""
        return self.start(self.launch(resume_step, **changes)).ended()

    def script(self, *flags: object, **more: str) -> Program:
        """Start the bare script as a person would, reporting to a W&B that is switched off."""
        settings = self.spec.experiment.hyperparameters
        asked = {
            "dataset-path": self.spec.datasets[0].directory,
            "output-dir": self.output,
            "base-model-path": self.base,
            "embodiment-tag": self.spec.modality_config.embodiment_tag,
            "batch-size": settings.batch_size,
            "max-steps": settings.max_steps,
            "save-steps": settings.save_steps,
            "learning-rate": settings.learning_rate,
            "dataloader-num-workers": 1,
        }
        line = [part for name, value in asked.items() for part in (f"--{name}", value)]
        script = self.checkout / "scripts" / "gr00t_finetune.py"
        around = {"PYTHONPATH": _path(self.checkout), "WANDB_MODE": "disabled", **more}
        return self._program(script, [*map(str, line), *map(str, flags)], around)

    def _program(self, file: Path, arguments: list[str], more: dict[str, str]) -> Program:
        output = self.spec.run_directory / "output.txt"
        output.parent.mkdir(parents=True, exist_ok=True)
        return Program(file, arguments, variables(**more), output)

    def metrics(self) -> list[Metric]:
        """What was logged."""
        return MetricTail(self.spec.run_directory, 0).new()

    def losses(self) -> list[float]:
        """The loss of each step."""
        return read_metrics(self.spec.run_directory).losses.tolist()

    def facts(self) -> Outcome:
        """What the launcher said of the model and the machine."""
        facts = json.loads(Path(self.launch()["facts"]).read_text())
        return Outcome(trainer_revision="unknown", **facts)

    def steps(self) -> list[int]:
        """Steps of the checkpoints, complete or not."""
        return sorted(int(path.name.split("-")[1]) for path in self.output.glob("checkpoint-*"))

    def record(self, step: int) -> dict[str, Any]:
        """``complete.json`` of a checkpoint."""
        return json.loads((self.output / f"checkpoint-{step}" / "complete.json").read_text())


Trainer = Callable[..., SmallRun]
"""Makes a :class:`SmallRun` from hyperparameters."""


def ended(process: "subprocess.Popen[str]", seconds: float = 600) -> Ended:
    """Wait for a process to end."""
    output, _ = process.communicate(timeout=seconds)
    return Ended(process.returncode, output)


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    """Wait until something is so while a process runs."""
    until = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)


def _path(*folders: Path) -> str:
    """This project, with what is in front of it and what the tests themselves were given."""
    given = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join([*map(str, folders), str(ROOT), *([given] if given else [])])
