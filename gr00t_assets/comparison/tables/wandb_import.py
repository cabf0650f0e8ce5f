"""Runs from W&B, through the public API of the wandb package, kept in the store as parquet."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gr00t_assets.comparison.tables.runs_table import parquet
from gr00t_assets.comparison.wording import plain
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.files import parquet_rows, write_bytes
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import writable

_JSON = ("config", "summary", "arguments", "tags", "problems")
"""Columns of an import that are JSON in it."""

STEP = "train/global_step"

LOSS = "train/loss"

STEP_LOSS = "train/step_loss"  # What the trainers of this package log besides, one value a step

_MOST_RUNS, _MOST_BYTES = 100_000, 128 << 20
"""Of an import; bytes of what it holds once it is read, eight million steps with their losses."""

_PATH = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._ -]+")


class WandbRun(BaseModel):
    """What was read of one run; lists are of one length and in order of steps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    arguments: tuple[str, ...] | None = Field(
        default=None, description="Of the command; None where W&B does not have them"
    )
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
    """Replace a file by imported runs in one step, one row a run.

    Raises:
        StoreError: The disk is full; the former file is as it was.
    """
    import pandas as pd

    rows = [run.model_dump() for run in runs]
    rows = [row | {name: json.dumps(row[name]) for name in _JSON} for row in rows]
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
        raise ComparisonError(
            str(path),
            "these imported runs cannot be read.",
            [str(error).splitlines()[0], "import them again: gr00t-assets import wandb"],
        ) from error


def import_wandb(
    path: str,
    store: Store,
    tag: str | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> tuple[Path, list[WandbRun]]:
    """Read every run of a W&B project, and keep them in ``imports/wandb/`` of the store.

    The server is that of WANDB_BASE_URL, and the key that of WANDB_API_KEY or of ``wandb login``;
    neither is written anywhere. A former import of the same project and tag is replaced.

    ``path`` is ``ENTITY/PROJECT``. Only runs with ``tag`` are read; ``say`` is told of each.
    Returned are the parquet file, and the runs in order of their beginning.

    Raises:
        ComparisonError: There is no such project or no such run, or W&B does not answer.
        StoreError: The disk is full.
    """
    if not _PATH.fullmatch(path):
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
        raise ComparisonError(
            path,
            "the runs of this W&B project cannot be read.",
            [*lines[:2], "check the name, WANDB_API_KEY (or run: wandb login) and WANDB_BASE_URL"],
        ) from error
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
        entity=run.entity,
        project=run.project,
        state=run.state,
        created_at=run.created_at or "",
        tags=tuple(run.tags or ()),
        notes=run.notes or "",
        url=run.url,
        config=plain(dict(run.config)),
        summary={str(k): float(v) for k, v in dict(run.summary).items() if _is_number(v)},
        arguments=tuple(map(str, arguments)) if isinstance(arguments, list) else None,
        program=PurePath(str(metadata.get("program") or "")).name,
        commit=str(git.get("commit") or "") if of_gr00t else "",
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
