"""From runs of W&B to runs of a comparison: those of the upstream script, and of this package."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import PurePosixPath

import numpy as np

from gr00t_assets.comparison.curves import Curve, Loss, logged_value_error
from gr00t_assets.comparison.run import Run, samples_of, samples_per_step, upstream_trainer
from gr00t_assets.comparison.tables.cells import cell_value, is_empty
from gr00t_assets.comparison.tables.rows import STATES
from gr00t_assets.comparison.tables.runs_table import NEARLY_DONE, frame_state, logging_steps
from gr00t_assets.comparison.tables.wandb_import import LOSS, STEP, WandbRun
from gr00t_assets.experiments.registry import all_hyperparameters
from gr00t_assets.runs.stored_run import STATUS_WORDS

SCRIPT = "gr00t_finetune.py"

SCRIPT_DEFAULTS: dict[str, object] = {
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

_BOOLEAN = {name for name, value in SCRIPT_DEFAULTS.items() if isinstance(value, bool)}

_RENAMED = {"per_device_train_batch_size": "batch_size"}
"""Names of ``transformers.TrainingArguments`` that the script gives another name."""


def script_arguments(arguments: Sequence[str]) -> dict[str, object]:
    """What was asked of the script, in tyro's form, with the defaults of what was not given.

    Values are numbers and truth values where the default is one, else text.

    Examples:
        >>> asked = script_arguments(["--dataset-path", "demo_data/x", "--no-tune-projector"])
        >>> asked["dataset_path"], asked["tune_projector"], asked["num_gpus"]
        ('demo_data/x', False, 1)
    """
    asked: dict[str, object] = dict(SCRIPT_DEFAULTS)
    parts = [
        part
        for argument in arguments
        for part in (argument.split("=", 1) if argument.startswith("--") else [argument])
    ]
    place = 0
    while place < len(parts):
        part, place = parts[place], place + 1
        if not part.startswith("--"):
            continue
        name = part[2:].replace("-", "_")
        if name in _BOOLEAN:
            asked[name] = True
        elif name.startswith("no_") and name[3:] in _BOOLEAN:
            asked[name[3:]] = False
        elif place < len(parts):
            kind = type(SCRIPT_DEFAULTS.get(name, ""))
            asked[name] = parts[place]
            if kind in (int, float):
                with suppress(ValueError):
                    asked[name] = kind(parts[place])
            place += 1
    return asked


def run_of_wandb(run: WandbRun, dataset_frames: Mapping[str, int] | None = None) -> Run:
    """One W&B run, with its curve where it has one.

    Settings come from the logged config (the names of ``transformers.TrainingArguments`` or those
    of this package) and from the command's arguments, which W&B keeps; what neither says is
    absent. A run whose dataset is not known is in a class of its own, with a problem that says so.
    """
    ours = "config_hash" in run.config
    asked: dict[str, object] = {}
    if not ours and run.arguments is not None and run.program == SCRIPT:
        asked = script_arguments(run.arguments)
    settings = _settings(run, asked)
    if not ours and "num_gpus" not in settings and (gpus := _gpus(run, settings)):
        settings["num_gpus"] = gpus
    data, problems = (_our_data(run.config), ()) if ours else _script_data(run, asked)
    steps = int(max(*run.steps[-1:], run.summary.get(STEP, -1), -1))
    steps = steps if steps >= 0 else None
    max_steps = settings.get("max_steps")
    max_steps = max_steps if isinstance(max_steps, int) and max_steps > 0 else None
    status = STATES.get(run.state, run.state)
    status = status if status in STATUS_WORDS else "unfinished"
    if status == "finished" and steps is not None and max_steps is not None:
        status = "finished" if steps >= NEARLY_DONE * max_steps else "unfinished"
    per_step = samples_per_step(settings)
    curve = None
    if run.steps and per_step is not None:
        done = np.array(run.steps)
        curve = Curve(done, done * per_step, np.array(run.losses))
    seconds = run.summary.get("_runtime", _summary(run, "train_runtime"))
    gpus = settings.get("num_gpus", 1)
    return Run(
        run_id=run.run_id,
        name=run.name,
        source="wandb",
        status=status,
        settings=settings,
        data=data,
        frames=frame_state(settings.get("video_backend"), run.created_at, None),
        steps=steps,
        max_steps=max_steps,
        samples_seen=steps * per_step if steps is not None and per_step else None,
        dataset_frames=(dataset_frames or {}).get(data.get("dataset", "")),
        loss=_loss(run, curve, settings),
        curve=curve,
        started_at=run.created_at,
        samples_per_second=_summary(run, "train_samples_per_second"),
        gpu_hours=seconds * gpus / 3600 if seconds and isinstance(gpus, int) else None,
        note=run.notes,
        problems=(*run.problems, *problems),
    )


def _settings(run: WandbRun, asked: Mapping[str, object]) -> dict[str, object]:
    """Known hyperparameters in their types; one that is no such value is passed over."""
    named = {_RENAMED.get(name, name): value for name, value in run.config.items()}
    named |= dict(asked)
    settings: dict[str, object] = {}
    for name in all_hyperparameters():
        with suppress(ValueError):
            if not is_empty(name, named.get(name)):
                settings[name] = cell_value(name, named[name])
    return settings


def _our_data(config: Mapping[str, object]) -> dict[str, str]:
    names = ("dataset", "dataset_version", "data_config", "embodiment_tag", "base_model", "trainer")
    data = {name.replace("_", " "): str(config[name]) for name in names if config.get(name)}
    if revision := config.get("base_model_revision"):
        data["base model"] = f"{data.get('base model', '')} at {str(revision)[:12]}"
    return data


def _script_data(
    run: WandbRun, asked: Mapping[str, object]
) -> tuple[dict[str, str], tuple[str, ...]]:
    if "dataset_path" not in asked:
        advice = (
            "W&B does not have the arguments of its command, so what it was trained on is not "
            "known; a row with its run_id in data/journal/runs.csv says it."
        )
        return {"dataset": f"not known ({run.run_id})"}, (advice,)
    base = str(asked["base_model_path"])
    return {
        "dataset": PurePosixPath(str(asked["dataset_path"])).name,
        "data config": str(asked["data_config"]),
        "embodiment tag": str(asked["embodiment_tag"]),
        "base model": PurePosixPath(base).name if base.startswith("/") else base,
        "trainer": f"{upstream_trainer()} {run.commit[:12]}".strip(),
    }, ()


def _gpus(run: WandbRun, settings: Mapping[str, object]) -> int | None:
    """GPUs, from the speed that the Trainer sums up with: samples asked for over run time."""
    speed = _summary(run, "train_samples_per_second")
    seconds = _summary(run, "train_runtime")
    samples = samples_of(settings)
    if not speed or not seconds or not samples:
        return None
    count = speed * seconds / samples
    return round(count) if count > 0.5 and abs(count - round(count)) < 0.05 * count else None


def _summary(run: WandbRun, name: str) -> float | None:
    return run.summary.get(f"train/{name}", run.summary.get(name))


def _loss(run: WandbRun, curve: Curve | None, settings: Mapping[str, object]) -> Loss | None:
    """A window of the curve, else the last logged value."""
    measured = curve.final_loss() if curve else None
    last = run.losses[-1] if run.losses else run.summary.get(LOSS)
    if measured is not None or last is None or not math.isfinite(last):
        return measured
    steps = 1 if run.per_step else logging_steps(settings)
    samples = steps * (samples_per_step(settings) or 1)
    return Loss(last, logged_value_error(last, samples), samples, "one logged value")
