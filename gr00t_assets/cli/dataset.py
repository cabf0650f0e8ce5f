"""``gr00t-assets dataset``: whether datasets can be trusted, and what a video backend gives."""

import json
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from gr00t_assets.core.finding import Finding, Findings
from gr00t_assets.core.names import name_problem
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.record import load_record

_STYLES = {"error": "bold red", "warning": "yellow", "ok": "green"}

dataset_app = typer.Typer(help="Datasets, and whether they can be trusted.", no_args_is_help=True)


@dataset_app.command("check")
def dataset_check(
    path: Annotated[str, typer.Argument(help="A dataset's folder, or its name in the store")],
    data_config: Annotated[
        str | None, typer.Option(help="A data config that it is to fit: so100_dualcam")
    ] = None,
    embodiment_tag: Annotated[
        str, typer.Option(help="One of N1.5's embodiment tags")
    ] = "new_embodiment",
    video_backend: Annotated[
        str, typer.Option(help="What will decode it: frame-cache, decord, torchcodec")
    ] = "frame-cache",
    as_json: Annotated[bool, typer.Option("--json", help="The findings as JSON")] = False,
) -> None:
    """Print everything that is wrong with a dataset; exit code 1 where it cannot be trained on."""
    from gr00t_assets.datasets.fit.dataset_check import check_dataset

    directory = dataset_folder(path)
    with Progress(console=Console(stderr=True), transient=True, disable=as_json) as progress:
        task = progress.add_task("episodes", total=None)
        findings = check_dataset(
            directory,
            data_config,
            embodiment_tag,
            video_backend,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    if as_json:
        content = {"dataset": str(directory), **findings.to_json()}
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        print_findings(findings, path)
    raise typer.Exit(0 if findings.ok else 1)


@dataset_app.command("accept-modality")
def dataset_accept_modality(
    name: Annotated[str, typer.Argument(help="A dataset that brings no modality.json")],
) -> None:
    """Accept the proposed modality.json of a dataset, which then stands in for the missing one."""
    from gr00t_assets.datasets.fit.modality_proposal import accept_proposal

    typer.echo(f"accepted: {accept_proposal(name, Store.from_environment())}")
    typer.echo(f"now materialise the dataset {name} again")


@dataset_app.command("frames")
def dataset_frames(
    path: Annotated[str, typer.Argument(help="A dataset's folder, or its name in the store")],
    video_backend: Annotated[
        str, typer.Option(help="frame_cache, decord, torchcodec or torchvision_av")
    ] = "torchvision_av",
    isaac_commit: Annotated[
        str | None, typer.Option(help="Commit of Isaac-GR00T that trains with it")
    ] = None,
    all_rows: Annotated[bool, typer.Option("--all-rows", help="Every row, not a sample")] = False,
) -> None:
    """Compare the frames that a video backend gives with those decoded in order; 1 if wrong."""
    from gr00t_assets.datasets.frames.frame_check import check_frames
    from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset

    dataset = LeRobotDataset.open(dataset_folder(path))
    sample = {"samples_per_episode": None, "max_episodes": None} if all_rows else {}
    result = check_frames(
        dataset, None, dataset.cameras, video_backend, isaac_commit=isaac_commit, **sample
    )
    typer.echo(result.sentence())
    for warning in result.warnings():
        remedy = warning.removeprefix(f"{result.sentence()}; ")
        typer.echo(f"  {'do' if remedy != warning else 'warning'}: {remedy}")
    raise typer.Exit(0 if result.verified else 1)


def dataset_folder(path: str) -> Path:
    """The folder of a dataset by its path, or by its name in the store.

    Raises:
        DatasetError: It is neither.
    """
    folder = Path(path)
    if folder.exists() or name_problem(path):
        return folder
    store = Store.from_environment()
    return load_record(path, store).directory(store)


def print_findings(findings: Findings, title: str, out: Console | None = None) -> None:
    """Print findings by fault: what was found in which file, what was expected, what to do.

    Args:
        findings: As ``check_dataset`` gives them.
        title: What the summary calls the dataset.
        out: Where to print; the standard output where left out.
    """
    out = out or Console(highlight=False)
    for (severity, code), group in groupby(findings, lambda item: (item.severity, item.code)):
        out.print(Text(f"{severity} {code}", style=_STYLES[severity]))
        for (expected, remedy), alike in groupby(group, lambda item: (item.expected, item.remedy)):
            for item in alike:
                out.print(Text.assemble("  ", *_subject(item), item.found), soft_wrap=True)
            for label, text in (("expected  ", expected), ("do        ", remedy)):
                if text:
                    out.print(Text.assemble("    ", (label, "dim"), text), soft_wrap=True)
    if len(findings):
        out.print()
    style = "green" if findings.ok else "bold red"
    out.print(Text(f"{title}: {findings.summary()}", style=style), soft_wrap=True)


def _subject(item: Finding) -> list[tuple[str, str]]:
    return [(f"{item.subject}: ", "bold")] if item.subject else []
