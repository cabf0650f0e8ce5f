"""A project for ``noop_definitions.py``: experiments that a no-op trainer can train at once."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gr00t_assets.modality.config import save_modality_config
from gr00t_assets_tests.defs import noop_trainer
from gr00t_assets_tests.defs.project import Project, make_project
from gr00t_assets_tests.defs.specs import a_modality_config

MODULE = "gr00t_assets_tests.defs.noop_definitions"
DATASET = "demo"
CATALOG = {
    DATASET: {
        "description": "No dataset: nothing reads it",
        "source": {"kind": "folder", "path": "/nowhere"},
        "data_config": "so100_dualcam",
    }
}
TWO_GPUS = {
    "trainer": "isaac-gr00t",
    "base_model": "nvidia/GR00T-N1.5-3B",
    "hyperparameters": {"num_gpus": 2},
}
"""What an entry of a sweep file has besides its name to want two devices."""


def noop_project(
    root: Path, sweeps: Mapping[str, Any], variables: Mapping[str, str] | None = None
) -> Project:
    """A project that the no-op trainer can train; its dataset is said to be materialised.

    Args:
        root: Folder to make it in.
        sweeps: Content of each sweep file by name, such as :func:`noop_sweep` gives.
        variables: More environment: ``GR00T_ASSETS_GPUS``, ``NOOP_STEP_SECONDS``.
    """
    made = make_project(root, CATALOG, dict(sweeps))
    save_modality_config(a_modality_config(), made.store)
    gates = root / "gates"
    gates.mkdir()
    fixed = {
        noop_trainer.LOG: str(noop_log(made)),
        noop_trainer.GATES: str(gates),
        "WANDB_MODE": "disabled",
    }
    return Project(root, {**fixed, **(variables or {})})


def noop_sweep(*experiments: str | dict[str, Any], steps: int = 1, **more: Any) -> dict[str, Any]:
    """A sweep file's content: an experiment a name or entry, each with a seed of its own.

    Args:
        experiments: Names, or entries such as ``{"name": "pair", **TWO_GPUS}``.
        steps: Steps of each, ``NOOP_STEP_SECONDS`` long.
        more: Further keys of the file, such as ``schedule``.
    """
    entries: list[dict[str, Any]] = []
    for seed, experiment in enumerate(experiments):
        entry: dict[str, Any] = {"name": experiment}
        if isinstance(experiment, dict):
            entry = experiment
        settings = {"seed": seed, **entry.get("hyperparameters", {})}
        entries.append({**entry, "hyperparameters": settings})
    common = {"max_steps": steps, "batch_size": 1}
    defaults = {"dataset": DATASET, "report_to": "none", "hyperparameters": common}
    return {"defaults": defaults, "experiments": entries, **more}


def gate(project: Project, experiment: str) -> Path:
    """A file that holds an experiment at its next step for as long as it is there."""
    return project.root / "gates" / experiment


def noop_log(project: Project) -> Path:
    """The file that every no-op training of a project appends to."""
    return project.root / "noop.jsonl"


def noop_events(project: Project) -> list[dict[str, Any]]:
    """Lines of that file in order of time: event, time, pid, experiment, step, devices, slots."""
    path = noop_log(project)
    lines = path.read_text().splitlines() if path.is_file() else []
    return sorted((json.loads(line) for line in lines), key=lambda event: event["time"])


def most_at_once(events: list[dict[str, Any]]) -> int:
    """The most trainings that ran at the same time; one that was killed counts to the end."""
    now, most = set(), 0
    for event in events:
        if event["event"] == "start":
            now.add(event["pid"])
        else:
            now.discard(event["pid"])
        most = max(most, len(now))
    return most
