"""``gr00t-assets dataset config``: a data config made of NVIDIA's modality config in Python."""

from pathlib import Path
from typing import Annotated

import typer

from gr00t_assets.cli.output import echo
from gr00t_assets.core.errors import DataConfigError
from gr00t_assets.core.files import write_bytes
from gr00t_assets.core.project import project_root
from gr00t_assets.core.text import name_problem
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.modality.data_config import data_configs
from gr00t_assets.modality.python_config import read_python, yaml_text


def dataset_config(
    file: Annotated[
        Path, typer.Argument(help="A file of launch_finetune.py's --modality-config-path")
    ],
    name: Annotated[str | None, typer.Option(help="By default the file's")] = None,
) -> None:
    """Read NVIDIA's modality config of N1.7 into data/data_configs; the file is not run."""
    chosen = name or file.stem
    known = data_configs()
    problem = name_problem(chosen)
    if chosen in known or chosen in known.errors:
        problem = "there is a data config of this name"
    if problem:
        raise DataConfigError(chosen, f"{problem}.", ["give another one: --name"])
    text = yaml_text(read_python(file), file.name)
    path = project_root() / "data" / "data_configs" / f"{chosen}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, text.encode())
    echo(text)
    echo(f"written to {shown_path(path)}; name it as data_config in data/datasets.yaml")
