"""Findings on a terminal, grouped by fault, and as JSON: ``gr00t-assets dataset check``."""

import json
import sys
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from gr00t_assets.core.finding import Finding, Findings
from gr00t_assets.core.names import name_problem
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.checks.check import check_dataset
from gr00t_assets.datasets.sources.record import load_record

_STYLES = {"error": "bold red", "warning": "yellow"}


def run_check(path: str, data_config: str | None, tag: str, backend: str, as_json: bool) -> int:
    """Check a folder, or a dataset of the catalog that is in the store, and print the findings.

    Returns:
        Exit code: 1 where there is an error, else 0.

    Raises:
        DatasetError: The path is no folder, and no dataset of that name is in the store.
    """
    directory = dataset_folder(path)
    if as_json:
        findings = check_dataset(directory, data_config, tag, backend)
        content = {"dataset": str(directory), **findings.to_json()}
        sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        return 0 if findings.ok else 1
    progress = Progress(console=Console(stderr=True), transient=True)
    with progress:
        task = progress.add_task("episodes", total=None)
        findings = check_dataset(
            directory,
            data_config,
            tag,
            backend,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    print_findings(findings, path)
    return 0 if findings.ok else 1


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
    """Print the findings by fault: what was found in which file, what was expected, what to do.

    Args:
        findings: As :func:`check_dataset` gives them.
        title: What the summary calls the dataset.
        out: Where to print; the standard output where left out.
    """
    out = out or Console(highlight=False)
    for (severity, code), group in groupby(findings, lambda item: (item.severity, item.code)):
        out.print(Text(f"{severity} {code}", style=_STYLES[severity]))
        for (expected, remedy), alike in groupby(group, lambda item: (item.expected, item.remedy)):
            for item in alike:
                out.print(Text.assemble("  ", *_where(item), item.found), soft_wrap=True)
            out.print(Text.assemble("    ", ("expected  ", "dim"), expected), soft_wrap=True)
            out.print(Text.assemble("    ", ("do        ", "dim"), remedy), soft_wrap=True)
    if len(findings):
        out.print()
    style = "green" if findings.ok else "bold red"
    out.print(Text(f"{title}: {findings.summary()}", style=style), soft_wrap=True)


def _where(item: Finding) -> list[tuple[str, str]]:
    return [(f"{item.file}: ", "bold")] if item.file else []
