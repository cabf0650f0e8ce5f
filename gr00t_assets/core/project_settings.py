"""``data/project.yaml``: who a project belongs to, and what marks its runs. It may be left out."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError

from gr00t_assets.core.errors import ProjectError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.project import project_root
from gr00t_assets.core.yaml_files import (
    explained_error,
    load_yaml,
    raise_problems,
    validation_problems,
    yaml_problem,
)

_OWNER = re.compile(r"team:\S.*|[\w.%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}", re.ASCII)
"""As Dagster takes them."""


def _checked_owner(value: str) -> str:
    if not _OWNER.fullmatch(value):
        raise explained_error(f"expected team:NAME or an email address, found {value!r}")
    return value


Owner = Annotated[str, AfterValidator(_checked_owner)]


class ProjectSettings(FrozenModel):
    """What the whole project has in common."""

    owners: tuple[Owner, ...] = Field(
        default=(), description="Of every asset, on the page: team:NAME, or an email address"
    )
    wandb_tags: tuple[str, ...] = Field(
        default=(), description="On every run at Weights & Biases, before the experiment's own"
    )


def load_project_settings() -> ProjectSettings:
    """The settings of the file; defaults where there is none.

    Raises:
        ProjectError: Every problem of the file with its line and field.
    """
    file = project_root() / "data" / "project.yaml"
    if not file.is_file():
        return ProjectSettings()
    located = load_yaml(file, ProjectError)
    content = {} if located.data is None else located.data
    if not isinstance(content, dict):
        problems = [yaml_problem((), "expected the fields of the project's settings")]
        raise_problems(located, problems, ProjectError)
    try:
        return ProjectSettings.model_validate(content)
    except ValidationError as failure:
        problems = validation_problems(failure, ProjectSettings)
        raise_problems(located, problems, ProjectError)
        raise


def project_settings() -> ProjectSettings:
    """The same; defaults also where the file is wrong, which keeps nothing from running."""
    try:
        return load_project_settings()
    except ProjectError:
        return ProjectSettings()
