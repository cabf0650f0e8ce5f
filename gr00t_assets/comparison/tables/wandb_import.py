"""Runs from W&B, through the public API of the wandb package, kept in the store as parquet."""

import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gr00t_assets.comparison.wording import plain
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.files import write_bytes
from gr00t_assets.core.project import Store

_WORDS = ("run_id", "name", "entity", "project", "state", "created_at", "notes", "url",
          "program", "commit")  # fmt: skip

_JSON = ("config", "summary", "arguments", "tags", "problems")

_COLUMNS = (*_WORDS, *_JSON, "steps", "losses", "per_step")

STEP = "train/global_step"

LOSS = "train/loss"

STEP_LOSS = "train/step_loss"
"""What the trainers of this package log besides, one value a step."""

TIMEOUT = 30
"""Seconds that one request may take."""

_PAGE = 100

_PATH = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._ -]+")

_CHECKOUT = "Isaac-GR00T"


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


def imports_folder(store: Store) -> Path:
    """Where imported W&B runs are, one parquet file an import."""
    return store.root / "imports" / "wandb"


def save_wandb_runs(runs: Sequence[WandbRun], path: Path) -> None:
    """Write imported runs in one step, one row a run; what the file held before is replaced.

    Raises:
        StoreError: The disk is full; the former file is as it was.
    """
    import pandas as pd

    rows = [_row(run) for run in runs]
    table = pd.DataFrame(rows, columns=pd.Index(_COLUMNS))
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    write_bytes(path, file.getvalue())


def load_wandb_runs(path: Path) -> list[WandbRun]:
    """Read what :func:`save_wandb_runs` wrote.

    Raises:
        ComparisonError: The file cannot be read.
    """
    import pandas as pd

    try:
        table = pd.read_parquet(path)
        return [_run(row) for row in table.to_dict(orient="records")]
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

    Args:
        path: ``ENTITY/PROJECT``.
        store: Where they are kept.
        tag: Only runs that carry it.
        say: Told of each run that was read.

    Returns:
        The parquet file, and the runs in order of their beginning.

    Raises:
        ComparisonError: There is no such project or no such run, or W&B does not answer.
        StoreError: The disk is full.
    """
    if not _PATH.fullmatch(path):
        raise ComparisonError(
            path, "this is no W&B project.", ["expected: ENTITY/PROJECT, such as wild-ai/pippa"]
        )
    runs: list[WandbRun] = []
    with _explained(path):
        for run in _runs(path, tag):
            runs.append(_read(run))
            say(f"{runs[-1].run_id} {runs[-1].name}: {runs[-1].state}, {len(runs[-1].steps)} steps")
    if not runs:
        wanted = f"with the tag {tag}" if tag else "at all"
        raise ComparisonError(
            path,
            f"there is no run {wanted} in this W&B project.",
            ["look at its page, or import with another --tag"],
        )
    file = imports_folder(store) / f"{_file_name(path, tag)}.parquet"
    save_wandb_runs(runs, file)
    return file, runs


def _row(run: WandbRun) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(run, name) for name in _WORDS}
    row |= {name: json.dumps(getattr(run, name)) for name in _JSON}
    return row | {
        "steps": list(run.steps),
        "losses": list(run.losses),
        "per_step": run.per_step,
    }


def _run(row: dict[Any, Any]) -> WandbRun:
    content = {name: str(row[name]) for name in _WORDS}
    content |= {name: json.loads(row[name]) for name in _JSON}
    content |= {"steps": row["steps"].tolist(), "losses": row["losses"].tolist()}
    return WandbRun.model_validate({**content, "per_step": bool(row["per_step"])})


def _runs(path: str, tag: str | None) -> Iterator[Any]:
    import wandb

    filters = {"tags": {"$in": [tag]}} if tag else {}
    api = wandb.Api(timeout=TIMEOUT)
    yield from api.runs(path, filters=filters, order="+created_at", per_page=_PAGE, lazy=False)


def _read(run: Any) -> WandbRun:
    config = {str(name): value for name, value in run.config.items()}
    metadata = run.metadata or {}
    steps, losses, per_step, problems = _history(run)
    arguments = metadata.get("args")
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
        config=plain(config),
        summary=_numbers(run.summary),
        arguments=tuple(map(str, arguments)) if isinstance(arguments, list) else None,
        program=PurePath(str(metadata.get("program") or "")).name,
        commit=_commit(metadata),
        steps=steps,
        losses=losses,
        per_step=per_step,
        problems=problems,
    )


def _history(run: Any) -> tuple[tuple[int, ...], tuple[float, ...], bool, tuple[str, ...]]:
    """Steps and losses, and whether each loss is of one step; the last one logged of a step.

    From an exported history wandb gives rows without a key that was asked for, or with None or NaN.
    """
    for key in (STEP_LOSS, LOSS):
        try:
            rows = [
                (row.get(STEP), row.get(key))
                for row in run.scan_history([STEP, key], use_cache=False)
            ]
        except Exception as error:
            first = (str(error) or type(error).__name__).splitlines()[0]
            return (), (), False, (f"Its history could not be read: {first}.",)
        by_step = {
            int(step): float(loss)
            for step, loss in rows
            if step is not None and loss is not None and _is_number(step, loss)
        }
        if by_step:
            steps = sorted(by_step)
            return tuple(steps), tuple(by_step[step] for step in steps), key == STEP_LOSS, ()
    return (), (), False, ()


def _is_number(*values: object) -> bool:
    return all(isinstance(value, int | float) and math.isfinite(value) for value in values)


def _numbers(summary: Mapping[str, Any]) -> dict[str, float]:
    entries = ((str(name), value) for name, value in dict(summary).items())
    return {
        name: float(value)
        for name, value in entries
        if _is_number(value) and not isinstance(value, bool)
    }


def _commit(metadata: Mapping[str, Any]) -> str:
    git = metadata.get("git")
    if not isinstance(git, Mapping) or _CHECKOUT.lower() not in str(git.get("remote")).lower():
        return ""
    return str(git.get("commit") or "")


def _file_name(path: str, tag: str | None) -> str:
    name = "--".join([*path.split("/"), *([tag] if tag else [])])
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Turn what the wandb package raises into an error that says what to do."""
    import wandb

    try:
        yield
    except (wandb.Error, ValueError, OSError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ComparisonError(
            path,
            "the runs of this W&B project cannot be read.",
            [
                *lines[:2],
                "check the name, WANDB_API_KEY (or run: wandb login) and WANDB_BASE_URL",
            ],
        ) from error
