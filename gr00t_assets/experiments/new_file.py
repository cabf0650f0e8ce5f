"""A sweep file that is written once: read before it stands among the others, never overwritten."""

from collections.abc import Callable
from pathlib import Path

from gr00t_assets.core.errors import SweepError
from gr00t_assets.core.names import name_problem
from gr00t_assets.core.project import project_root
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.experiments.starter import try_text
from gr00t_assets.experiments.sweeps import load_sweeps


def taken_names() -> set[str]:
    """Names of every experiment of the project."""
    sweeps = load_sweeps(datasets=load_catalog())
    return {item.name for sweep in sweeps.values() for item in sweep.experiments}


def write_sweep(name: str, text_of: Callable[[set[str]], str]) -> Path:
    """Write ``data/sweeps/NAME.yaml``, once it has been read without a problem.

    Args:
        name: The sweep's name.
        text_of: Gives the text from the names that experiments have already.

    Returns:
        The file.

    Raises:
        SweepError: The name cannot be a sweep's, the file is there, or it would not load.
    """
    file = project_root() / "data" / "sweeps" / f"{name}.yaml"
    if problem := name_problem(name):
        raise SweepError(name or "sweep", f"{problem}.")
    if file.exists():
        hint = "choose another name; a sweep file is never overwritten"
        raise SweepError(shown_path(file), "this file is there already.", [hint])
    text = text_of(taken_names())
    catalog = load_catalog()
    try_text(name, text, catalog, load_sweeps(datasets=catalog))
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("x", encoding="utf-8") as opened:
        opened.write(text)
    return file
