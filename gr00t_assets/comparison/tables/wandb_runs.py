"""From runs of W&B to runs of a comparison: those of the upstream script, and of this package."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from gr00t_assets.comparison.columns import DATA
from gr00t_assets.comparison.curves import Curve
from gr00t_assets.comparison.run import Run, samples_of, samples_per_step, upstream_trainer
from gr00t_assets.comparison.tables.cells import cell_value, is_empty
from gr00t_assets.comparison.tables.rows import STATES, Row
from gr00t_assets.comparison.tables.runs_table import run_of_row
from gr00t_assets.comparison.tables.wandb_import import LOSS, STEP, WandbRun
from gr00t_assets.experiments.registry import all_hyperparameters
from gr00t_assets.runs.stored_run import STATUS_WORDS

SCRIPT = "gr00t_finetune.py"

SCRIPT_DEFAULTS: dict[str, Any] = {
    "data_config": "fourier_gr1_arms_only",
    "base_model_path": "nvidia/GR00T-N1.5-3B",
    "embodiment_tag": "new_embodiment",
    "num_gpus": 1,
    "tune_llm": False,
    "tune_visual": False,
    "tune_projector": True,
    "tune_diffusion_model": True,
    "lora_rank": 0,
    "lora_alpha": 16,
    "lora_dropout": 0.1,
    "lora_full_model": False,
    "balance_dataset_weights": True,
    "balance_trajectory_weights": True,
}
"""Of the N1.5 script in every release of 2025, so that an argument that was not given has these.
``video_backend`` is not among them: June's default is decord and October's torchcodec."""


_NO_ARGUMENTS = (
    "W&B does not have the arguments of its command, so what it was trained on is not known; a row "
    "with its run_id in data/journal/runs.csv says it."
)


def script_arguments(arguments: Sequence[str]) -> dict[str, object]:
    """What was asked of the script, in tyro's form, with the defaults of what was not given.

    Values have the type of the default; text where there is none, or the value is no such number.

    Examples:
        >>> asked = script_arguments(["--dataset-path", "demo_data/x", "--no-tune-projector"])
        >>> asked["dataset_path"], asked["tune_projector"], asked["num_gpus"]
        ('demo_data/x', False, 1)
    """
    asked: dict[str, object] = dict(SCRIPT_DEFAULTS)
    name = ""
    for argument in arguments:
        value = argument
        if argument.startswith("--"):
            option, _, value = argument.partition("=")
            name = option[2:].replace("-", "_")
            switch = name.removeprefix("no_")
            if isinstance(SCRIPT_DEFAULTS.get(switch), bool):
                asked[switch], name = switch == name, ""
        if name and value:
            asked[name] = value
            with suppress(ValueError):
                asked[name] = type(SCRIPT_DEFAULTS.get(name, ""))(value)
            name = ""
    return asked


def run_of_wandb(run: WandbRun, dataset_frames: Mapping[str, int] | None = None) -> Run:
    """One W&B run, with its curve where it has one.

    Settings come from the logged config (the names of ``transformers.TrainingArguments`` or those
    of this package) and from the command's arguments, which W&B keeps; what neither says is
    absent. A run whose dataset is not known is in a class of its own, with a problem that says so.
    """
    ours = "config_hash" in run.config
    by_script = not ours and run.program == SCRIPT
    asked = script_arguments(run.arguments) if by_script and run.arguments is not None else {}
    settings = _settings(run, asked)
    if not ours and "num_gpus" not in settings and (count := _gpus(run, settings)):
        settings["num_gpus"] = count
    status = STATES.get(run.state, run.state)
    seconds = run.summary.get("_runtime", _summary(run, "train_runtime"))
    gpus, nodes = settings.get("num_gpus", 1), settings.get("num_nodes", 1)
    hours = None
    if seconds and isinstance(gpus, int) and isinstance(nodes, int):
        hours = seconds * gpus * nodes / 3600
    per_step, curve = samples_per_step(settings), None
    if run.steps and per_step is not None:
        done = np.array(run.steps)
        curve = Curve(done, done * per_step, np.array(run.losses))
    last = max([*run.steps[-1:], run.summary.get(STEP, -1)])
    values = {
        "run_id": run.run_id,
        "name": run.name,
        "status": status if status in STATUS_WORDS else "unfinished",
        "started_at": run.created_at,
        "note": run.notes,
        "logged_step": int(last) if last >= 0 else None,
        "loss": run.losses[-1] if run.losses else run.summary.get(LOSS),
        "loss_samples": per_step if run.per_step else None,
        "samples_per_second": _summary(run, "train_samples_per_second"),
        "gpu_hours": hours,
        **(_our_data(run.config) if ours else _script_data(run, asked)),
        **settings,
    }
    row = Row(run.name, {name: value for name, value in values.items() if value is not None})
    read = run_of_row(row, dataset_frames or {})
    loss = (curve.final_loss() if curve else None) or read.loss
    unknown = () if ours or "dataset_path" in asked else (_NO_ARGUMENTS,)
    problems = (*run.problems, *unknown, *read.problems)
    return replace(read, source="wandb", loss=loss, curve=curve, problems=problems)


def _settings(run: WandbRun, asked: Mapping[str, object]) -> dict[str, object]:
    """Known hyperparameters in their types; one that is no such value is passed over."""
    named = {**run.config, **asked}
    named.setdefault("batch_size", named.get("per_device_train_batch_size"))
    settings: dict[str, object] = {}
    for name in all_hyperparameters():
        with suppress(ValueError):
            if not is_empty(name, named.get(name)):
                settings[name] = cell_value(name, named[name])
    return settings


def _our_data(config: Mapping[str, object]) -> dict[str, str]:
    data = {name: str(config[name]) for name in DATA if config.get(name)}
    if revision := config.get("base_model_revision"):
        data["base_model"] = f"{data.get('base_model', '')} at {str(revision)[:12]}"
    return data


def _script_data(run: WandbRun, asked: Mapping[str, object]) -> dict[str, str]:
    if "dataset_path" not in asked:
        return {"dataset": f"not known ({run.run_id})"}
    base = str(asked["base_model_path"])
    return {
        "dataset": PurePosixPath(str(asked["dataset_path"])).name,
        "data_config": str(asked["data_config"]),
        "embodiment_tag": str(asked["embodiment_tag"]),
        "base_model": PurePosixPath(base).name if base.startswith("/") else base,
        "trainer": f"{upstream_trainer()} {run.commit[:12]}".strip(),
    }


def _gpus(run: WandbRun, settings: Mapping[str, object]) -> int | None:
    """GPUs, from the speed that the Trainer sums up with: samples asked for over run time."""
    speed, seconds = _summary(run, "train_samples_per_second"), _summary(run, "train_runtime")
    samples = samples_of(settings)
    if not (speed and seconds and samples):
        return None
    count = speed * seconds / samples
    return round(count) if count > 0.5 and abs(count - round(count)) < 0.05 * count else None


def _summary(run: WandbRun, name: str) -> float | None:
    return run.summary.get(f"train/{name}", run.summary.get(name))
