"""``gr00t-assets dataset add``: a new dataset looked at, drafted for and put into the catalog."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from gr00t_assets.cli.dataset_list import Json, next_command, print_rows
from gr00t_assets.cli.output import TextConsole, echo, print_findings, print_json
from gr00t_assets.core.finding import Findings
from gr00t_assets.core.project import Store, own_modality_file
from gr00t_assets.core.units import counted, duration
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.datasets.adding.adding import (
    Addition,
    UnsoundDatasetError,
    discard,
    look_at_entry,
    look_at_source,
    write_project_files,
)
from gr00t_assets.datasets.catalog import project_catalog
from gr00t_assets.datasets.sources.fetch import named_source
from gr00t_assets.modality.modality_json import Modality


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
        str | None, typer.Option(help="One of GR00T's tags; by default that of the data config")
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
    with Progress(console=TextConsole(stderr=True), transient=True, disable=as_json) as progress:
        task = progress.add_task("episodes", total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        def log(line: str) -> None:
            echo(line, err=True)

        try:
            catalog = project_catalog()
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
                echo("nothing was written")
            raise typer.Exit(1) from error
    if not as_json:
        _print_addition(addition)
    written = []
    if yes or (not as_json and _agreed()):
        written = write_project_files(addition.files, addition.entry if addition.is_new else None)
    command = next_command(addition.entry.name)
    if not written:
        discard(addition, store)
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


def _agreed() -> bool:
    """Whether a person at a terminal says yes; on a pipe nobody is asked."""
    return sys.stdin.isatty() and sys.stdout.isatty() and typer.confirm("write it?")


def _print_addition(addition: Addition) -> None:
    """Print what was understood of a dataset."""
    dataset, choice, entry = addition.dataset, addition.choice, addition.entry
    episodes, rows, file = len(dataset.episodes), dataset.frame_count, choice.draft.file
    sizes = {key: dataset.features[file.video_feature(key)].size or (0, 0) for key in file.video}
    tasks = [repr(task) for task in dataset.tasks.values()]
    more = ", ..." if len(tasks) > 4 else ""
    is_drafted = " (drafted)" if choice.text is not None else ""
    print_rows(
        f"{entry.name}: {entry.description}",
        {
            "source": entry.source.describe(),
            "format": f"LeRobot {dataset.codebase_version}, {dataset.robot_type}",
            "episodes": f"{episodes}, {counted(rows, 'row')} at {dataset.fps:g} per s, "
            + duration(rows / dataset.fps),
            "cameras": ", ".join(f"{key} {size[1]} x {size[0]}" for key, size in sizes.items()),
            "state": _keys(addition, "state"),
            "action": _keys(addition, "action"),
            "tasks": f"{len(tasks)}: {', '.join(tasks[:4])}{more}",
            "data config": f"{choice.config.name}{is_drafted}, "
            f"embodiment tag {entry.embodiment_tag}",
            "held out": f"the last tenth: {entry.held_out}" if entry.held_out else "",
        },
    )
    if addition.is_new and entry.tasks is not None:
        echo("note: special tokens in its tasks are escaped (tasks: {special_tokens: escape})")
    for note in choice.draft.notes:
        echo(f"note: {note}")
    warnings = [item for item in addition.findings if item.code != "feature-left-out"]
    print_findings(Findings(warnings), entry.name)


def _keys(addition: Addition, modality: Modality) -> str:
    """Keys with the names of their first and last number."""
    texts, file = [], addition.choice.draft.file
    for key, part in file.slices(modality).items():
        column = file.vector_column(modality, key)
        feature = addition.dataset.features.get(column)
        names = feature.names[part.start : part.end] if feature else ()
        span = " to ".join(dict.fromkeys((names[0], names[-1]))) if names else f"of {column}"
        texts.append(f"{key} {part.start}:{part.end} ({span})")
    return ", ".join(texts)


def _to_json(addition: Addition) -> dict[str, Any]:
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
