"""``gr00t-assets dataset add``, ``list`` and ``show``: the datasets of a project."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from gr00t_assets.cli.output import console, plain_table, print_findings, print_json
from gr00t_assets.core.finding import Findings
from gr00t_assets.core.project import Store, own_modality_file, project_root
from gr00t_assets.core.units import duration
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.datasets.adding.adding import (
    Addition,
    UnsoundDatasetError,
    discard,
    look_at_entry,
    look_at_source,
)
from gr00t_assets.datasets.adding.draft_keys import DraftKey
from gr00t_assets.datasets.adding.named_source import named_source
from gr00t_assets.datasets.adding.state import dataset_state, next_command
from gr00t_assets.datasets.catalog import CatalogEntry, find_entry, load_catalog
from gr00t_assets.experiments.sweeps import load_sweeps

Json = Annotated[bool, typer.Option("--json", help="The same as JSON")]


def dataset_add(
    source: Annotated[
        str,
        typer.Argument(help="A folder, a Hub id owner/name, an address of git, or a catalog name"),
    ],
    name: Annotated[str | None, typer.Option(help="By default the folder's")] = None,
    data_config: Annotated[
        str | None, typer.Option(help="A data config that it is to fit: so100_dualcam")
    ] = None,
    embodiment_tag: Annotated[
        str | None, typer.Option(help="One of N1.5's; by default that of the data config")
    ] = None,
    description: Annotated[
        str | None, typer.Option(help="What the demonstrations show; by default their task")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit, of the Hub or of git")
    ] = None,
    path: Annotated[str | None, typer.Option(help="Folder inside a git repository")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without asking")] = False,
    as_json: Json = False,
) -> None:
    """Look at a dataset, draft what is missing and put it into the catalog; 1 if it was not."""
    store = Store.from_environment()
    with Progress(console=Console(stderr=True), transient=True, disable=as_json) as progress:
        task = progress.add_task("episodes", total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        def log(line: str) -> None:
            sys.stderr.write(f"{line}\n")

        try:
            catalog = _catalog()
            if source in catalog and not Path(source, "meta").is_dir():
                addition = look_at_entry(catalog[source], store, show)
            else:
                kind = named_source(source, revision, path)
                addition = look_at_source(
                    kind, store, name, data_config, embodiment_tag, description, show, log
                )
        except UnsoundDatasetError as error:
            progress.stop()
            if as_json:
                print_json({"name": error.subject, "written": [], **error.findings.to_json()})
            else:
                print_findings(error.findings, error.subject)
                typer.echo("nothing was written")
            raise typer.Exit(1) from error
    if not as_json:
        _print_addition(addition)
    written = addition.write() if yes or (not as_json and _agreed()) else []
    if not written:
        discard(addition, store)
    command = next_command(addition.entry.name) if written else _with_yes()
    if as_json:
        shown = [shown_path(file) for file in written]
        print_json({**_to_json(addition), "written": shown, "next": command})
    elif written:
        for file in written:
            verb = "added to" if file.name == "datasets.yaml" else "written:"
            typer.echo(f"{verb} {shown_path(file)}")
        typer.echo(f"next: {command}")
    else:
        typer.echo(f"nothing was written; to write it: {command}")
    raise typer.Exit(0 if written else 1)


def dataset_list(as_json: Json = False) -> None:
    """Print the datasets of the catalog, and how far each is."""
    store = Store.from_environment()
    states = [dataset_state(entry, store) for entry in _catalog().values()]
    if as_json:
        print_json([state.model_dump(mode="json") for state in states])
        return
    table = plain_table()
    for column in ("dataset", "episodes", "hours", "data config", "state"):
        table.add_column(column, no_wrap=True)
    for state in states:
        counts = [str(state.episodes), f"{state.hours:.1f}"] if state.version else ["", ""]
        table.add_row(state.name, *counts, state.data_config, state.progress)
    console().print(table)


def dataset_show(
    name: Annotated[str, typer.Argument(help="A dataset of the catalog")], as_json: Json = False
) -> None:
    """Print what is known of a dataset, and the next command."""
    state = dataset_state(find_entry(name, _catalog()), Store.from_environment())
    sweeps = [
        sweep.name
        for sweep in load_sweeps().values()
        if any(name in [part.name for part in item.datasets] for item in sweep.experiments)
    ]
    command = state.next or (
        f"gr00t-assets sweep plan {sweeps[0]}"
        if sweeps
        else f"gr00t-assets sweep new {name} --dataset {name}"
    )
    if as_json:
        print_json({**state.model_dump(mode="json"), "sweeps": sweeps, "next": command})
        return
    rows = {
        "source": state.source,
        "state": state.progress,
        "episodes": f"{state.episodes}, {duration(3600 * state.hours)}" if state.version else "",
        "version": state.version or "",
        "cameras": ", ".join(state.cameras),
        "tasks": "; ".join(state.tasks),
        "data config": f"{state.data_config}, embodiment tag {state.embodiment_tag}",
        "modality": state.modality_file,
        "sweeps": ", ".join(sweeps),
    }
    _print_rows(f"{name}: {state.description}", {key: text for key, text in rows.items() if text})
    typer.echo(f"next: {command}")


def _catalog() -> dict[str, CatalogEntry]:
    """The catalog; empty where the project has none yet."""
    return load_catalog() if (project_root() / "data" / "datasets.yaml").is_file() else {}


def _agreed() -> bool:
    """Whether a person at a terminal says yes; on a pipe nobody is asked."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    return typer.confirm("write it?")


def _with_yes() -> str:
    return shlex.join(["gr00t-assets", *sys.argv[1:], "--yes"])


def _print_addition(addition: Addition) -> None:
    """Print what was understood of a dataset."""
    rows = {key: text for key, text in _understood(addition).items() if text}
    _print_rows(f"{addition.entry.name}: {addition.entry.description}", rows)
    for note in addition.notes:
        typer.echo(f"note: {note}")
    warnings = [item for item in addition.findings if item.code != "feature-left-out"]
    print_findings(Findings(warnings), addition.entry.name)


def _understood(addition: Addition) -> dict[str, str]:
    dataset, choice, entry = addition.dataset, addition.choice, addition.entry
    episodes, rows = len(dataset.episodes), dataset.frame_count
    length = duration(rows / dataset.fps)
    sizes = {key: dataset.features[name].size or (0, 0) for key, name in choice.draft.video.items()}
    cameras = [f"{key} {width} x {height}" for key, (height, width) in sizes.items()]
    is_drafted = " (drafted)" if choice.text is not None else ""
    return {
        "source": entry.source.describe(),
        "format": f"LeRobot {dataset.codebase_version}, {dataset.robot_type}",
        "episodes": f"{episodes}, {rows:,} rows at {dataset.fps:g} per s, {length}",
        "cameras": ", ".join(cameras),
        "state": _keys(addition, choice.draft.state),
        "action": _keys(addition, choice.draft.action),
        "tasks": _tasks(list(dataset.tasks.values())),
        "data config": f"{choice.config.name}{is_drafted}, embodiment tag {entry.embodiment_tag}",
        "held out": f"the last tenth: {entry.held_out}" if entry.held_out else "",
    }


def _keys(addition: Addition, keys: Sequence[DraftKey]) -> str:
    """Keys with the names of their first and last number."""
    texts = []
    for key in keys:
        feature = addition.dataset.features.get(key.column)
        names = feature.names[key.start : key.end] if feature else ()
        span = " to ".join(dict.fromkeys((names[0], names[-1]))) if names else f"of {key.column}"
        texts.append(f"{key.key} {key.start}:{key.end} ({span})")
    return ", ".join(texts)


def _tasks(tasks: Sequence[str]) -> str:
    shown = ", ".join(repr(task) for task in tasks[:4])
    return f"{len(tasks)}: {shown}" + (", ..." if len(tasks) > 4 else "")


def _print_rows(title: str, rows: dict[str, str]) -> None:
    out = console()
    out.print(Text(title, style="bold"), soft_wrap=True)
    table = plain_table()
    table.show_header = False
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for key, text in rows.items():
        table.add_row(f"  {key}", Text(text))
    out.print(table)


def _to_json(addition: Addition) -> dict[str, Any]:
    dataset, choice = addition.dataset, addition.choice
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
        "modality": choice.draft.content(),
        "modality_file": shown_path(own_modality_file(addition.entry.name)),
        "data_config": choice.config.model_dump(mode="json"),
        "data_config_drafted": choice.text is not None,
        "notes": list(addition.notes),
        **addition.findings.to_json(),
    }
