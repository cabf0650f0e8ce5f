"""``gr00t-assets dataset list`` and ``show``: how far the datasets of a project are."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

import typer
from rich.text import Text

from gr00t_assets.cli.completion import datasets
from gr00t_assets.cli.output import console, echo, plain_table, print_json
from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.project import Store, materialize_command, own_modality_file
from gr00t_assets.core.units import duration
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.datasets.catalog import CatalogEntry, find_entry
from gr00t_assets.datasets.sources.versions import load_record
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.modality.config import load_modality_config

Json = Annotated[bool, typer.Option("--json", help="The same as JSON")]


def dataset_list(as_json: Json = False) -> None:
    """Print the datasets of the catalog, and how far each is."""
    store = Store.from_environment()
    states = [_state(entry, store) for entry in read_project().datasets.values()]
    if as_json:
        print_json(states)
        return
    table = plain_table()
    for column in ("dataset", "episodes", "hours", "data config", "state"):
        table.add_column(column, no_wrap=True)
    for state in states:
        has = state["version"] is not None
        counts = [str(state["episodes"]), f"{state['hours']:.1f}"] if has else ["", ""]
        table.add_row(state["name"], *counts, state["data_config"], state["progress"])
    console().print(table)


def dataset_show(
    name: Annotated[str, typer.Argument(help="A dataset of the catalog", autocompletion=datasets)],
    as_json: Json = False,
) -> None:
    """Print what is known of a dataset, and the next command."""
    state = _state(find_entry(name, read_project().datasets), Store.from_environment())
    sweeps = [
        sweep.name
        for sweep in read_project().sweeps.values()
        if any(name in [part.name for part in item.datasets] for item in sweep.experiments)
    ]
    plan = f"plan {sweeps[0]}" if sweeps else f"new {name} --dataset {name}"
    command = state["next"] or f"gr00t-assets sweep {plan}"
    if as_json:
        print_json({**state, "sweeps": sweeps, "next": command})
        return
    length = f"{state['episodes']}, {duration(3600 * state['hours'])}"
    print_rows(
        f"{name}: {state['description']}",
        {
            "source": state["source"],
            "state": state["progress"],
            "episodes": length if state["version"] else "",
            "version": state["version"] or "",
            "cameras": ", ".join(state["cameras"]),
            "tasks": "; ".join(state["tasks"]),
            "data config": f"{state['data_config']}, embodiment tag {state['embodiment_tag']}",
            "modality": state["modality_file"],
            "sweeps": ", ".join(sweeps),
        },
    )
    echo(f"next: {command}")


def next_command(name: str) -> str:
    """What brings a dataset into the store, checks it and decodes its frames."""
    return materialize_command("dataset,modality_config,frame_cache", name)


def print_rows(title: str, rows: Mapping[str, str]) -> None:
    """Print what is known of a dataset, but for what is empty."""
    out = console()
    out.print(Text(title, style="bold"), soft_wrap=True)
    table = plain_table()
    table.show_header = False
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for key, text in rows.items():
        if text:
            table.add_row(f"  {key}", text)
    out.print(table)


def _state(entry: CatalogEntry, store: Store) -> dict[str, Any]:
    """What is known of a dataset of the catalog, as JSON has it; its source is not asked.

    ``progress`` is "not in the store", "in the store", "checked" or "ready"; ``next`` is the
    command that brings it further, empty where it is ready.
    """
    own, record, progress = own_modality_file(entry.name), None, "not in the store"
    with suppress(DatasetError):
        record = load_record(entry.name, store)
        progress = "in the store"
        if load_modality_config(entry.name, store).dataset_version == record.version:
            has_frames = store.frame_check(entry.name, record.version).is_file()
            progress = "ready" if has_frames else "checked"
    cameras = record.cameras if record else ()
    return {
        "name": entry.name,
        "description": entry.description,
        "source": entry.source.describe(),
        "data_config": entry.data_config,
        "embodiment_tag": entry.embodiment_tag,
        "modality_file": shown_path(own) if own.is_file() else "",
        "version": record and record.version,
        "episodes": record.episodes if record else 0,
        "hours": record.hours if record else 0.0,
        "cameras": [f"{item.original_key} {item.width} x {item.height}" for item in cameras],
        "tasks": list(record.tasks) if record else [],
        "progress": progress,
        "next": "" if progress == "ready" else next_command(entry.name),
    }
