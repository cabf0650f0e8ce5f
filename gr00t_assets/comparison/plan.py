"""What a sweep would run: its partitions, what differs between them, and which are done."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gr00t_assets.comparison.console import console
from gr00t_assets.comparison.formatting import shown_setting
from gr00t_assets.comparison.runs import Run, read_runs
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.experiments.sweeps import Sweep, find_sweep, load_sweep, load_sweeps
from gr00t_assets.project import Store

COLUMNS = 5
"""Settings that differ are columns up to this many; beyond it each row names its own."""

ACTIONS = {
    "finished": "nothing, it is finished",
    "interrupted": "go on from its last checkpoint",
    "unfinished": "go on from its last checkpoint",
    "failed": "try again from its last checkpoint",
    "unreadable": "look at its run directory first",
    "missing": "train",
    "stale": "train, the older run is kept",
}


def named_sweep(name: str) -> Sweep:
    """A sweep by its name, or by its file, which may lie outside the project.

    Raises:
        SweepError: There is no such sweep, or its file is wrong.
    """
    if name.endswith((".yaml", ".yml")):
        return load_sweep(Path(name), load_catalog())
    return find_sweep(name, load_sweeps())


def print_plan(sweep: Sweep, out: Console | None = None) -> None:
    """Print one line for each partition of a sweep, and what they have in common below."""
    out = out or console()
    runs: dict[str, Run] = {}
    for run in read_runs(sweep.experiments, Store.from_environment()):
        runs.setdefault(run.name, run)
    settings = [_settings(experiment) for experiment in sweep.experiments]
    varying = [name for name in settings[0] if len({repr(each[name]) for each in settings}) > 1]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("partition", overflow="fold")
    wide = len(varying) > COLUMNS
    usual = _usual(settings, varying) if wide else {}
    for name in [] if wide else varying:
        table.add_column(name, justify="right")
    if wide:
        table.add_column("differs", ratio=1)
    table.add_column("status", no_wrap=True)
    table.add_column("would")
    for experiment, values in zip(sweep.experiments, settings, strict=True):
        status = runs[experiment.name].status
        shown = [shown_setting(values[name]) for name in varying]
        if wide:
            shown = [
                ", ".join(
                    f"{name} {shown_setting(values[name])}"
                    for name in varying
                    if repr(values[name]) != repr(usual[name])
                )
            ]
        table.add_row(experiment.name, *shown, status, ACTIONS[status])
    out.print(f"[bold]Sweep {sweep.name}[/bold]  {sweep.description}", highlight=False)
    out.print(table)
    if wide:
        named = ", ".join(f"{name} {shown_setting(usual[name])}" for name in varying)
        out.print(f"where nothing else is named: {named}", highlight=False, style="dim")
    out.print(_in_common(settings, varying), highlight=False, style="dim")
    if sweep.schedule:
        out.print(f"schedule: {sweep.schedule} (UTC)", highlight=False, style="dim")


def _usual(settings: Sequence[dict[str, object]], varying: Sequence[str]) -> dict[str, object]:
    """The commonest value of each setting, the first of several."""
    found: dict[str, object] = {}
    for name in varying:
        values = [each[name] for each in settings]
        counts = Counter(map(repr, values))
        found[name] = max(values, key=lambda value: counts[repr(value)])
    return found


def _settings(experiment: Experiment) -> dict[str, object]:
    named: dict[str, object] = {
        "dataset": experiment.dataset,
        "trainer": experiment.trainer,
        "base_model": experiment.base_model,
        "continue_from": experiment.continue_from,
    }
    return named | experiment.hyperparameters.model_dump()


def _in_common(settings: Sequence[dict[str, object]], varying: Sequence[str]) -> str:
    defaults = Hyperparameters().model_dump()
    common = {
        name: value
        for name, value in settings[0].items()
        if name not in varying
        and value is not None
        and (name not in defaults or defaults[name] != value)
    }
    shown = ", ".join(f"{name} {shown_setting(value)}" for name, value in common.items())
    return f"all: {shown}; what is not named has gr00t_finetune.py's default"
