"""Runs from W&B: read through its public API, kept in the store as parquet, and as runs here."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import numpy as np
from pydantic import Field, ValidationError, model_validator

from gr00t_assets.comparison.columns import DATA
from gr00t_assets.comparison.curves import Curve
from gr00t_assets.comparison.run import Run, samples_of, samples_per_step, upstream_trainer
from gr00t_assets.comparison.tables.cells import cell_value, is_empty
from gr00t_assets.comparison.tables.rows import STATES, Row
from gr00t_assets.comparison.tables.runs_table import parquet, run_of_row
from gr00t_assets.comparison.wording import plain
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.files import FrozenModel, parquet_rows, write_bytes
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import writable
from gr00t_assets.experiments.registry import all_hyperparameters
from gr00t_assets.runs.stored_run import STATUS_WORDS

_JSON = ("config", "summary", "arguments", "tags", "problems")  # Columns of an import
STEP, LOSS = "train/global_step", "train/loss"
STEP_LOSS = "train/step_loss"  # What the trainers of this package log besides, one value a step
_MOST_RUNS, _MOST_BYTES = 100_000, 128 << 20  # Of an import: eight million steps with their losses
SCRIPT = "gr00t_finetune.py"
SCRIPT_DEFAULTS: dict[str, Any] = {
    "data_config": "fourier_gr1_arms_only",
    "base_model_path": "nvidia/GR00T-N1.5-3B",
    "embodiment_tag": "new_embodiment",
    **{"num_gpus": 1, "lora_rank": 0, "lora_alpha": 16, "lora_dropout": 0.1},
    **dict.fromkeys(("tune_llm", "tune_visual", "lora_full_model"), False),
    **dict.fromkeys(("tune_projector", "tune_diffusion_model"), True),
    **dict.fromkeys(("balance_dataset_weights", "balance_trajectory_weights"), True),
}
"""Of the N1.5 script in every release of 2025, so that an argument that was not given has these.
``video_backend`` is not among them: June's default is decord and October's torchcodec."""


class WandbRun(FrozenModel):
    """What was read of one run; lists are of one length and in order of steps."""

    run_id: str
    name: str
    entity: str
    project: str
    state: str = Field(description="running, finished, failed, crashed or killed")
    created_at: str = Field(description="ISO 8601, UTC")
    tags: tuple[str, ...] = ()
    notes: str = ""
    url: str = ""
    config: dict[str, Any] = Field(default_factory=dict, description="As it was logged")
    summary: dict[str, float] = Field(default_factory=dict, description="Its numbers")
    arguments: tuple[str, ...] | None = Field(default=None, description="Of the command, if known")
    program: str = Field(default="", description="File name of the script")
    commit: str = Field(default="", description="Of Isaac-GR00T, where it ran in its checkout")
    steps: tuple[int, ...] = Field(default=(), description="Optimizer steps done")
    losses: tuple[float, ...] = Field(default=(), description="Logged at those steps")
    per_step: bool = Field(default=False, description="One loss a step, not a mean of several")
    problems: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _in_unicode(cls, fields: Any) -> Any:
        return writable(fields)


def imports_folder(store: Store) -> Path:
    """Where imported W&B runs are, one parquet file an import."""
    return store.root / "imports" / "wandb"


def save_wandb_runs(runs: Sequence[WandbRun], path: Path) -> None:
    """Replace a file by imported runs in one step, one row a run."""
    import pandas as pd

    rows = [run.model_dump() | {x: json.dumps(getattr(run, x)) for x in _JSON} for run in runs]
    write_bytes(path, parquet(pd.DataFrame(rows, columns=pd.Index(list(WandbRun.model_fields)))))


def load_wandb_runs(path: Path) -> list[WandbRun]:
    """Read what ``save_wandb_runs`` wrote.

    Raises:
        ComparisonError: The file cannot be read.
    """
    try:
        batches = parquet_rows(path, most_rows=_MOST_RUNS, most_bytes=_MOST_BYTES)
        rows = (row for batch in batches for row in batch.to_pylist())
        return [WandbRun(**row | {name: json.loads(row[name]) for name in _JSON}) for row in rows]
    except (OSError, ValueError, LookupError, TypeError, ValidationError) as error:
        details = [str(error).splitlines()[0], "import them again: gr00t-assets import wandb"]
        raise ComparisonError(str(path), "these imported runs cannot be read.", details) from error


def import_wandb(
    path: str, store: Store, tag: str | None = None, say: Callable[[str], object] = lambda _: None
) -> tuple[Path, list[WandbRun]]:
    """Read every run of the W&B project ``ENTITY/PROJECT``, and keep them in the store.

    The server is that of WANDB_BASE_URL, and the key that of WANDB_API_KEY or of ``wandb login``;
    neither is written anywhere. A former import of the same project and tag is replaced. ``say`` is
    told of each run. Returned are the parquet file, and the runs in order of their beginning.

    Raises:
        ComparisonError: There is no such project or no such run, or W&B does not answer.
        StoreError: The disk is full.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]+/[A-Za-z0-9._ -]+", path):
        raise ComparisonError(path, "this is no W&B project.",
                              ["expected: ENTITY/PROJECT, such as wild-ai/pippa"])  # fmt: skip
    import wandb

    runs: list[WandbRun] = []
    filters = {"tags": {"$in": [tag]}} if tag else {}
    try:
        api = wandb.Api(timeout=30)
        for run in api.runs(path, filters=filters, order="+created_at", per_page=100, lazy=False):
            runs.append(_read(run))
            say(f"{runs[-1].run_id} {runs[-1].name}: {runs[-1].state}, {len(runs[-1].steps)} steps")
    except (wandb.Error, ValueError, OSError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        problem = "the runs of this W&B project cannot be read."
        remedy = "check the name, WANDB_API_KEY (or run: wandb login) and WANDB_BASE_URL"
        raise ComparisonError(path, problem, [*lines[:2], remedy]) from error
    if not runs:
        wanted = f"with the tag {tag}" if tag else "at all"
        raise ComparisonError(path, f"there is no run {wanted} in this W&B project.",
                              ["look at its page, or import with another --tag"])  # fmt: skip
    name = re.sub(r"[^A-Za-z0-9._-]", "_", "--".join([*path.split("/"), *filter(None, [tag])]))
    file = imports_folder(store) / f"{name.lstrip('.')}.parquet"
    save_wandb_runs(runs, file)
    return file, runs


def _read(run: Any) -> WandbRun:
    metadata = run.metadata or {}
    arguments, git = metadata.get("args"), metadata.get("git")
    git = git if isinstance(git, Mapping) else {}
    of_gr00t = "isaac-gr00t" in str(git.get("remote")).lower()
    return WandbRun(
        run_id=run.id,
        name=run.name or run.id,
        created_at=run.created_at or "",
        tags=tuple(run.tags or ()),
        notes=run.notes or "",
        config=plain(dict(run.config)),
        summary={str(k): float(v) for k, v in dict(run.summary).items() if _is_number(v)},
        arguments=tuple(map(str, arguments)) if isinstance(arguments, list) else None,
        program=PurePath(str(metadata.get("program") or "")).name,
        commit=str(git.get("commit") or "") if of_gr00t else "",
        **{name: getattr(run, name) for name in ("entity", "project", "state", "url")},
        **_history(run),
    )


def _history(run: Any) -> dict[str, Any]:
    """Steps, losses, and whether each is of one step; rows may lack a key, or have NaN for it."""
    for key in (STEP_LOSS, LOSS):
        by_step: dict[int, float] = {}
        try:
            for row in run.scan_history([STEP, key], use_cache=False):
                step, loss = row.get(STEP), row.get(key)
                if _is_number(step) and _is_number(loss):
                    by_step[int(step)] = float(loss)
        except Exception as error:
            first = (str(error) or type(error).__name__).splitlines()[0]
            return {"problems": (f"Its history could not be read: {first}.",)}
        if by_step:
            steps, losses = zip(*sorted(by_step.items()), strict=True)
            return {"steps": steps, "losses": losses, "per_step": key == STEP_LOSS}
    return {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


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

    Settings come from the logged config and the command's arguments; what neither says is absent.
    A run whose dataset is not known is in a class of its own, with a problem that says so.
    """
    ours = "config_hash" in run.config
    by_script = not ours and run.program == SCRIPT
    asked = script_arguments(run.arguments) if by_script and run.arguments is not None else {}
    settings = _settings(run, asked)
    if not ours and "num_gpus" not in settings and (count := _gpus(run, settings)):
        settings["num_gpus"] = count
    seconds = run.summary.get("_runtime", _summary(run, "train_runtime"))
    gpus = math.prod(int(str(settings.get(name, 1))) for name in ("num_gpus", "num_nodes"))
    per_step, curve = samples_per_step(settings), None
    if run.steps and per_step is not None:
        done = np.array(run.steps)
        curve = Curve(done, done * per_step, np.array(run.losses))
    last = max([*run.steps[-1:], run.summary.get(STEP, -1)])
    values = {
        "run_id": run.run_id,
        "name": run.name,
        "status": STATES.get(run.state, run.state if run.state in STATUS_WORDS else "unfinished"),
        "started_at": run.created_at,
        "note": run.notes,
        "logged_step": int(last) if last >= 0 else None,
        "loss": run.losses[-1] if run.losses else run.summary.get(LOSS),
        "loss_samples": per_step if run.per_step else None,
        "samples_per_second": _summary(run, "train_samples_per_second"),
        "gpu_hours": seconds * gpus / 3600 if seconds else None,
        **_data(run, ours, asked),
        **settings,
    }
    known = {name: value for name, value in values.items() if value is not None}
    read = run_of_row(Row(run.name, known), dataset_frames or {})
    loss = (curve.final_loss() if curve else None) or read.loss
    problems = [*run.problems]
    if not ours and "dataset_path" not in asked:
        problems.append(
            "W&B does not have the arguments of its command, so what it was trained on is not "
            "known; a row with its run_id in data/journal/runs.csv says it."
        )
    problems += read.problems
    return replace(read, source="wandb", loss=loss, curve=curve, problems=tuple(problems))


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


def _data(run: WandbRun, ours: bool, asked: Mapping[str, object]) -> dict[str, str]:
    if ours:
        data = {name: str(run.config[name]) for name in DATA if run.config.get(name)}
        if revision := run.config.get("base_model_revision"):
            data["base_model"] = f"{data.get('base_model', '')} at {str(revision)[:12]}"
        return data
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
    if not (speed and seconds and (samples := samples_of(settings))):
        return None
    count = speed * seconds / samples
    return round(count) if count > 0.5 and abs(count - round(count)) < 0.05 * count else None


def _summary(run: WandbRun, name: str) -> float | None:
    return run.summary.get(f"train/{name}", run.summary.get(name))
