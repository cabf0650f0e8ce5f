"""``data/retention.yaml``: which checkpoints of a finished run stay; may be left out."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gr00t_assets.core.errors import StoreError
from gr00t_assets.core.project import project_root
from gr00t_assets.core.yaml_files import load_yaml, raise_problems, validation_problems


class RetentionRule(BaseModel):
    """What stays of a finished run besides its model, which always stays.

    While a run trains, its ``save_total_limit`` newest checkpoints stay, and the best one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    last: int | None = Field(
        default=None,
        ge=1,
        description="Newest checkpoints kept; the run's own save_total_limit where left out",
    )
    best: bool = Field(
        default=True, description="Keep the checkpoint with the lowest window loss as well"
    )
    optimizer_state: Literal["drop", "keep"] = Field(
        default="drop", description="Of checkpoints that no experiment's continue_from needs"
    )


def load_rule(file: Path | None = None) -> RetentionRule:
    """The rule of a file; the defaults where there is none.

    Args:
        file: ``data/retention.yaml`` of the project where left out.

    Raises:
        StoreError: Every problem of the file, with line and field.
    """
    path = file or project_root() / "data" / "retention.yaml"
    if not path.is_file():
        return RetentionRule()
    located = load_yaml(path, StoreError)
    try:
        return RetentionRule.model_validate({} if located.data is None else located.data)
    except ValidationError as failure:
        raise_problems(located, validation_problems(failure, RetentionRule), StoreError)
        raise
