"""``gr00t-assets dataset list``, ``show`` and ``add``: the datasets of the catalog."""

import shlex
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column
from rich.text import Text

from gr00t_assets.cli.arguments import Json, argument, datasets, option
from gr00t_assets.cli.output import (
    console,
    echo,
    episodes_progress,
    plain_table,
    print_findings,
    print_json,
)
from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.finding import Findings
from gr00t_assets.core.project import Store, materialize_command, own_modality_file
from gr00t_assets.core.text import counted, duration
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.datasets.adding import adding
from gr00t_assets.datasets.catalog import CatalogEntry, project_catalog
from gr00t_assets.datasets.sources.fetch import named_source
from gr00t_assets.datasets.sources.versions import load_record
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.modality.modality_json import Modality


def dataset_list(as_json: Json = False) -> None:
    """Print the datasets of the catalog, and how far each is."""
    store = Store.from_environment()
    states = [_state(entry, store) for entry in read_project().datasets.values()]
    if as_json:
        print_json(states)
        return
    table = plain_table("dataset", "episodes", "hours", "data config", "state")
    for column in table.columns:
        column.no_wrap = True
    for state in states:
        has = state["version"] is not None
        counts = [str(state["episodes"]), f"{state['hours']:.1f}"] if has else ["", ""]
        table.add_row(state["name"], *counts, state["data_config"], state["progress"])
    console().print(table)


def dataset_show(
    name: Annotated[str, argument("A dataset of the catalog", datasets)], as_json: Json = False
) -> None:
    """Print what is known of a dataset, and the next command."""
    state = _state(read_project().datasets[name], Store.from_environment())
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
    rows = {
        "source": state["source"],
        "state": state["progress"],
        "episodes": length if state["version"] else "",
        "version": state["version"] or "",
        "cameras": ", ".join(state["cameras"]),
        "tasks": "; ".join(state["tasks"]),
        "data config": f"{state['data_config']}, embodiment tag {state['embodiment_tag']}",
        "modality": state["modality_file"],
        "sweeps": ", ".join(sweeps),
    }
    print_rows(f"{name}: {state['description']}", rows)
    echo(f"next: {command}")


def next_command(name: str) -> str:
    """What brings a dataset into the store, checks it and decodes its frames."""
    return materialize_command("dataset,modality_config,frame_cache", name)


def print_rows(title: str, rows: Mapping[str, str]) -> None:
    """Print what is known of a dataset, but for what is empty."""
    out = console()
    out.print(Text(title, style="bold"), soft_wrap=True)
    cells = ((f"  {key}", text) for key, text in rows.items() if text)
    table = plain_table(Column(style="dim"), Column(overflow="fold"), rows=cells)
    table.show_header = False
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


def dataset_add(
    source: Annotated[
        str, argument("A folder, a Hub id owner/name, an address of git, or a catalog name")
    ],
    name: Annotated[str | None, option("By default the folder's")] = None,
    data_config: Annotated[
        str | None, option("A data config that it is to fit: so100_dualcam")
    ] = None,
    embodiment_tag: Annotated[
        str | None, option("One of GR00T's tags; by default that of the data config")
    ] = None,
    description: Annotated[
        str | None, option("What the demonstrations show; by default their task")
    ] = None,
    revision: Annotated[str | None, option("Branch, tag or commit, of the Hub or of git")] = None,
    path: Annotated[str | None, option("Folder inside a git repository")] = None,
    yes: Annotated[bool, option("Write without asking", "--yes", "-y")] = False,
    as_json: Json = False,
) -> None:
    """Look at a dataset, draft what is missing and put it into the catalog; 1 if it was not."""
    store = Store.from_environment()
    try:
        with episodes_progress(as_json) as show:
            catalog = project_catalog()
            if source in catalog and not Path(source, "meta").is_dir():
                addition = adding.look_at_entry(catalog[source], store, show)
            else:
                kind, log = named_source(source, revision, path), partial(echo, err=True)
                chosen = (name, data_config, embodiment_tag, description)
                addition = adding.look_at_source(kind, store, *chosen, show, log)
    except adding.UnsoundDatasetError as error:
        if as_json:
            print_json({"name": error.subject, "written": [], **error.findings.to_json()})
        else:
            print_findings(error.findings, error.subject)
            echo("nothing was written")
        raise typer.Exit(1) from error
    if not as_json:
        _print_addition(addition)
    written = []
    # On a pipe nobody is asked.
    is_asked = not (yes or as_json) and sys.stdin.isatty() and sys.stdout.isatty()
    if yes or (is_asked and typer.confirm("write it?")):
        entry = addition.entry if addition.is_new else None
        written = adding.write_project_files(addition.files, entry)
    command = next_command(addition.entry.name)
    if not written:
        adding.discard(addition, store)
        command = shlex.join(["gr00t-assets", *sys.argv[1:], "--yes"])
    if as_json:
        shown = [shown_path(file) for file in written]
        print_json({**_to_json(addition), "written": shown, "next": command})
    elif written:
        for file in written:
            verb = "added to" if file.name == "datasets.yaml" else "written:"
            echo(f"{verb} {shown_path(file)}")
        echo(f"next: {command}")
    else:
        echo(f"nothing was written; to write it: {command}")
    raise typer.Exit(0 if written else 1)


def _print_addition(addition: adding.Addition) -> None:
    dataset, choice, entry = addition.dataset, addition.choice, addition.entry
    episodes, rows, file = len(dataset.episodes), dataset.frame_count, choice.draft.file
    sizes = {key: dataset.features[file.video_feature(key)].size or (0, 0) for key in file.video}
    tasks = [repr(task) for task in dataset.tasks.values()]
    more = ", ..." if len(tasks) > 4 else ""
    config = choice.config.name + (" (drafted)" if choice.text is not None else "")
    counts, length = f"{episodes}, {counted(rows, 'row')}", duration(rows / dataset.fps)
    shown = {
        "source": entry.source.describe(),
        "format": f"LeRobot {dataset.codebase_version}, {dataset.robot_type}",
        "episodes": f"{counts} at {dataset.fps:g} per s, {length}",
        "cameras": ", ".join(f"{key} {size[1]} x {size[0]}" for key, size in sizes.items()),
        "state": _keys(addition, "state"),
        "action": _keys(addition, "action"),
        "tasks": f"{len(tasks)}: {', '.join(tasks[:4])}{more}",
        "data config": f"{config}, embodiment tag {entry.embodiment_tag}",
        "held out": f"the last tenth: {entry.held_out}" if entry.held_out else "",
    }
    print_rows(f"{entry.name}: {entry.description}", shown)
    if addition.is_new and entry.tasks is not None:
        echo("note: special tokens in its tasks are escaped (tasks: {special_tokens: escape})")
    for note in choice.draft.notes:
        echo(f"note: {note}")
    warnings = [item for item in addition.findings if item.code != "feature-left-out"]
    print_findings(Findings(warnings), entry.name)


def _keys(addition: adding.Addition, modality: Modality) -> str:
    """Keys with the names of their first and last number."""
    texts, file = [], addition.choice.draft.file
    for key, part in file.slices(modality).items():
        column = file.vector_column(modality, key)
        feature = addition.dataset.features.get(column)
        names = feature.names[part.start : part.end] if feature else ()
        span = " to ".join(dict.fromkeys((names[0], names[-1]))) if names else f"of {column}"
        texts.append(f"{key} {part.start}:{part.end} ({span})")
    return ", ".join(texts)


def _to_json(addition: adding.Addition) -> dict[str, Any]:
    dataset, choice = addition.dataset, addition.choice
    config = choice.config.model_dump(mode="json")
    for modality in ("state", "action"):
        config[modality] = [{"key": key, **value} for key, value in config[modality].items()]
    return {
        "name": addition.entry.name,
        "entry": addition.entry.model_dump(mode="json", exclude={"name"}),
        "format": dataset.codebase_version,
        "robot_type": dataset.robot_type,
        "episodes": len(dataset.episodes),
        "rows": dataset.frame_count,
        "fps": dataset.fps,
        "hours": dataset.frame_count / dataset.fps / 3600,
        "tasks": list(dataset.tasks.values()),
        "modality": choice.draft.content,
        "modality_file": shown_path(own_modality_file(addition.entry.name)),
        "data_config": {"name": choice.config.name, **config},
        "data_config_drafted": choice.text is not None,
        "notes": list(choice.draft.notes),
        **addition.findings.to_json(),
    }
