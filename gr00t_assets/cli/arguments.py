"""What commands take: ``--json``, and names that a shell completes, but for what has a fault.

The shell starts the whole program for each TAB, so nothing is read here but the checked-in files.
"""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from gr00t_assets.core.project import data_files
from gr00t_assets.core.yaml_files import VISIBLE_YAML
from gr00t_assets.datasets.catalog import project_catalog
from gr00t_assets.environments.environment_file import load_environments
from gr00t_assets.experiments.project_files import read_project


def option(text: str, *names: str, **limits: Any) -> Any:
    """An option with its help, its names where they are not the parameter's, and its limits."""
    return typer.Option(*names, help=text, **limits)


def argument(text: str, complete: Callable[[], list[str]] | None = None) -> Any:
    """An argument with its help, and the names that the shell completes it to."""
    return typer.Argument(help=text, autocompletion=complete)


Json = Annotated[bool, option("The same as JSON", "--json")]


def sweeps() -> list[str]:
    """Every sweep file's name."""
    return [file.stem for file in data_files(f"sweeps/{VISIBLE_YAML}")]


def experiments() -> list[str]:
    """Every experiment of a sweep file that can be read."""
    return list(read_project().experiments)


def datasets() -> list[str]:
    """Every dataset of the catalog."""
    return list(project_catalog())


def environments() -> list[str]:
    """Every environment that policies are rolled out in."""
    return list(load_environments())
