"""One run as W&B has it, and the parquet file that imported runs are kept in."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.files import write_bytes
from gr00t_assets.core.project import Store


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


_WORDS = ("run_id", "name", "entity", "project", "state", "created_at", "notes", "url",
          "program", "commit")  # fmt: skip
_JSON = ("config", "summary", "arguments", "tags", "problems")
_COLUMNS = (*_WORDS, *_JSON, "steps", "losses", "per_step")


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
