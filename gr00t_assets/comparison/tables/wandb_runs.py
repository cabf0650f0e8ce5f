"""From runs of W&B to observations: those of Isaac-GR00T's script, and those of this package."""

import math
from collections.abc import Mapping
from pathlib import PurePosixPath

import numpy as np

from gr00t_assets.comparison.contrasts.factors import samples_per_step
from gr00t_assets.comparison.contrasts.measures import end_loss
from gr00t_assets.comparison.contrasts.noise import logged_value_error
from gr00t_assets.comparison.contrasts.observation import Loss, Observation, RunCurve
from gr00t_assets.comparison.tables.frame_state import frame_state
from gr00t_assets.comparison.tables.read_table import NEARLY_DONE, logging_steps
from gr00t_assets.comparison.tables.script_arguments import SCRIPT, dataset_name, script_arguments
from gr00t_assets.comparison.tables.wandb_record import WandbRun
from gr00t_assets.experiments.hyperparameters import Hyperparameters

STATUS = {
    "finished": "finished",
    "failed": "failed",
    "killed": "interrupted",
    "crashed": "unfinished",
}
"""W&B's states; any other one, such as running, is ``unfinished``."""

_RENAMED = {"per_device_train_batch_size": "batch_size"}
"""Names of ``transformers.TrainingArguments`` that the script gives another name."""

_UNKNOWN = "what it was trained on is not known"


def wandb_observation(
    run: WandbRun, dataset_frames: Mapping[str, int] | None = None
) -> Observation:
    """One W&B run, with its curve where it has one.

    Settings come from the logged config (the names of ``transformers.TrainingArguments`` or those
    of this package) and from the command's arguments, which W&B keeps; what neither says is
    absent. A run whose dataset is not known is in a class of its own, and the problem is said.
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
    return Observation(
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


def _asked(run: WandbRun) -> dict[str, object]:
    if run.arguments is None or run.program != SCRIPT:
        return {}
    return script_arguments(run.arguments)


def _settings(run: WandbRun, asked: Mapping[str, object]) -> dict[str, object]:
    """Known hyperparameters in their types; one that is no such value is passed over."""
    named = {_RENAMED.get(name, name): value for name, value in run.config.items()}
    found: dict[str, object] = {}
    for name, field in Hyperparameters.model_fields.items():
        value = asked.get(name, named.get(name))
        if value is None:
            continue
        try:
            checked = Hyperparameters.model_validate({name: value})
        except ValueError:
            continue
        if field.annotation is not bool or isinstance(value, bool):
            found[name] = getattr(checked, name)
    return found


def _our_data(run: WandbRun) -> tuple[dict[str, str], tuple[str, ...]]:
    config = run.config
    base = str(config.get("base_model", ""))
    if revision := config.get("base_model_revision"):
        base += f" at {str(revision)[:12]}"
    words = {
        "dataset": config.get("dataset"),
        "dataset version": config.get("dataset_version"),
        "data config": config.get("data_config"),
        "embodiment tag": config.get("embodiment_tag"),
        "base model": base,
        "trainer": config.get("trainer"),
    }
    return {name: str(value) for name, value in words.items() if value}, ()


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
        "trainer": f"isaac-gr00t {run.commit[:12]}".strip(),
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
    status = STATUS.get(run.state, "unfinished")
    if status != "finished" or done is None or max_steps is None:
        return status
    return status if done >= NEARLY_DONE * max_steps else "unfinished"


def _curve(run: WandbRun, per_step: int | None) -> RunCurve | None:
    if not run.steps or per_step is None:
        return None
    return RunCurve(np.array(run.steps) * per_step, np.array(run.losses))


def _loss(run: WandbRun, curve: RunCurve | None, settings: Mapping[str, object]) -> Loss | None:
    """A window of the curve, else the last logged value."""
    measured = end_loss(curve) if curve else None
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
