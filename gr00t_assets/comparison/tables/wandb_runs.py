"""From runs of W&B to runs of a comparison: those of the upstream script, and of this package."""

import math
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from gr00t_assets.comparison.contrasts.noise import logged_value_error
from gr00t_assets.comparison.curves import Curve, Loss
from gr00t_assets.comparison.run import Run, samples_per_step, upstream_trainer
from gr00t_assets.comparison.tables.runs_table import NEARLY_DONE, frame_state, logging_steps
from gr00t_assets.comparison.tables.wandb_import import WandbRun
from gr00t_assets.experiments.registry import all_hyperparameters, combined_hyperparameters

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

_STATUSES = {
    "finished": "finished",
    "failed": "failed",
    "killed": "interrupted",
    "crashed": "unfinished",
}
"""W&B's states; any other one, such as running, is ``unfinished``."""

_RENAMED = {"per_device_train_batch_size": "batch_size"}
"""Names of ``transformers.TrainingArguments`` that the script gives another name."""

_UNKNOWN = "what it was trained on is not known"


def script_arguments(arguments: Sequence[str]) -> dict[str, object]:
    """What was asked of the script: the arguments given, and the defaults of the others.

    Args:
        arguments: As the process got them, in tyro's form.

    Returns:
        Values by the script's names: numbers and truth values where the default is one, else text.

    Example:
        >>> asked = script_arguments(["--dataset-path", "demo_data/x", "--no-tune-projector"])
        >>> asked["dataset_path"], asked["tune_projector"], asked["num_gpus"]
        ('demo_data/x', False, 1)
    """
    asked: dict[str, object] = dict(SCRIPT_DEFAULTS)
    parts = [part for argument in arguments for part in _split(argument)]
    place = 0
    while place < len(parts):
        part = parts[place]
        place += 1
        if not part.startswith("--"):
            continue
        name = part[2:].replace("-", "_")
        if name in _BOOLEAN:
            asked[name] = True
        elif name.startswith("no_") and name[3:] in _BOOLEAN:
            asked[name[3:]] = False
        elif place < len(parts):
            asked[name] = _value(name, parts[place])
            place += 1
    return asked


def dataset_name(path: object) -> str:
    """The dataset's name: the last part of its path.

    Example:
        >>> dataset_name("./demo_data/so101-table-cleanup/")
        'so101-table-cleanup'
    """
    return PurePosixPath(str(path)).name


def run_of_wandb(run: WandbRun, dataset_frames: Mapping[str, int] | None = None) -> Run:
    """One W&B run, with its curve where it has one.

    Settings come from the logged config (the names of ``transformers.TrainingArguments`` or those
    of this package) and from the command's arguments, which W&B keeps; what neither says is
    absent. A run whose dataset is not known is in a class of its own, with a problem that says so.
    """
    ours = "config_hash" in run.config
    asked = {} if ours else _asked(run)
    settings = _settings(run, asked)
    data, problems = _our_data(run) if ours else _script_data(run, asked)
    gpus = None if ours or "num_gpus" in settings else _gpus(run, settings)
    if gpus:
        settings["num_gpus"] = gpus
    done = _steps_done(run)
    asked_steps = settings.get("max_steps")
    max_steps = asked_steps if isinstance(asked_steps, int) and asked_steps > 0 else None
    per_step = samples_per_step(settings)
    curve = _curve(run, per_step)
    dataset = data.get("dataset", "")
    return Run(
        run_id=run.run_id,
        name=run.name,
        source="wandb",
        status=_status(run, done, max_steps),
        settings=settings,
        data=data,
        frames=frame_state(settings.get("video_backend"), run.created_at, None),
        steps=done,
        max_steps=max_steps,
        samples_seen=done * per_step if done is not None and per_step else None,
        dataset_frames=(dataset_frames or {}).get(dataset),
        loss=_loss(run, curve, settings),
        curve=curve,
        started_at=run.created_at,
        samples_per_second=_summary(run, "train_samples_per_second"),
        gpu_hours=_gpu_hours(run, settings),
        note=run.notes,
        problems=(*run.problems, *problems),
    )


def _split(argument: str) -> list[str]:
    name, equals, value = argument.partition("=")
    return [name, value] if equals and argument.startswith("--") else [argument]


def _value(name: str, text: str) -> object:
    kind = type(SCRIPT_DEFAULTS.get(name, ""))
    try:
        return kind(text) if kind in (int, float) else text
    except ValueError:
        return text


def _asked(run: WandbRun) -> dict[str, object]:
    if run.arguments is None or run.program != SCRIPT:
        return {}
    return script_arguments(run.arguments)


def _settings(run: WandbRun, asked: Mapping[str, object]) -> dict[str, object]:
    """Known hyperparameters in their types; one that is no such value is passed over."""
    named = {_RENAMED.get(name, name): value for name, value in run.config.items()}
    settings: dict[str, object] = {}
    for name, field in all_hyperparameters().items():
        value = asked.get(name, named.get(name))
        if value is None:
            continue
        try:
            checked = combined_hyperparameters().model_validate({name: value})
        except ValueError:
            continue
        if field.annotation is not bool or isinstance(value, bool):
            settings[name] = getattr(checked, name)
    return settings


def _our_data(run: WandbRun) -> tuple[dict[str, str], tuple[str, ...]]:
    config = run.config
    base = str(config.get("base_model", ""))
    if revision := config.get("base_model_revision"):
        base += f" at {str(revision)[:12]}"
    data = {
        "dataset": config.get("dataset"),
        "dataset version": config.get("dataset_version"),
        "data config": config.get("data_config"),
        "embodiment tag": config.get("embodiment_tag"),
        "base model": base,
        "trainer": config.get("trainer"),
    }
    return {name: str(value) for name, value in data.items() if value}, ()


def _script_data(
    run: WandbRun, asked: Mapping[str, object]
) -> tuple[dict[str, str], tuple[str, ...]]:
    if "dataset_path" not in asked:
        advice = (
            f"W&B does not have the arguments of its command, so {_UNKNOWN}; a row with its run_id "
            "in data/journal/runs.csv says it."
        )
        return {"dataset": f"not known ({run.run_id})"}, (advice,)
    base = str(asked["base_model_path"])
    return {
        "dataset": dataset_name(asked["dataset_path"]),
        "data config": str(asked["data_config"]),
        "embodiment tag": str(asked["embodiment_tag"]),
        "base model": PurePosixPath(base).name if base.startswith("/") else base,
        "trainer": f"{upstream_trainer()} {run.commit[:12]}".strip(),
    }, ()


def _gpus(run: WandbRun, settings: Mapping[str, object]) -> int | None:
    """GPUs, from the speed that the Trainer sums up with: samples asked for over run time."""
    speed = _summary(run, "train_samples_per_second")
    seconds = _summary(run, "train_runtime")
    steps = settings.get("max_steps")
    per_step = samples_per_step(settings)
    if not speed or not seconds or not isinstance(steps, int) or not per_step:
        return None
    count = speed * seconds / (steps * per_step)
    return round(count) if count > 0.5 and abs(count - round(count)) < 0.05 * count else None


def _summary(run: WandbRun, name: str) -> float | None:
    return run.summary.get(f"train/{name}", run.summary.get(name))


def _steps_done(run: WandbRun) -> int | None:
    logged = [*run.steps[-1:], *([run.summary["train/global_step"]] if "train/global_step"
                                 in run.summary else [])]  # fmt: skip
    return int(max(logged)) if logged else None


def _status(run: WandbRun, done: int | None, max_steps: int | None) -> str:
    status = _STATUSES.get(run.state, "unfinished")
    if status != "finished" or done is None or max_steps is None:
        return status
    return status if done >= NEARLY_DONE * max_steps else "unfinished"


def _curve(run: WandbRun, per_step: int | None) -> Curve | None:
    if not run.steps or per_step is None:
        return None
    steps = np.array(run.steps)
    return Curve(steps, steps * per_step, np.array(run.losses))


def _loss(run: WandbRun, curve: Curve | None, settings: Mapping[str, object]) -> Loss | None:
    """A window of the curve, else the last logged value."""
    measured = curve.final_loss() if curve else None
    last = run.losses[-1] if run.losses else run.summary.get("train/loss")
    if measured is not None or last is None or not math.isfinite(last):
        return measured
    steps = 1 if run.per_step else logging_steps(settings)
    samples = steps * (samples_per_step(settings) or 1)
    return Loss(last, logged_value_error(last, samples), samples, "one logged value")


def _gpu_hours(run: WandbRun, settings: Mapping[str, object]) -> float | None:
    seconds = run.summary.get("_runtime", _summary(run, "train_runtime"))
    gpus = settings.get("num_gpus", 1)
    return seconds * gpus / 3600 if seconds and isinstance(gpus, int) else None
