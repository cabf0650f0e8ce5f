"""``gr00t-assets sweep run``: ask for what is missing of a sweep, and watch it."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from gr00t_assets.cli.arguments import argument, option, sweeps
from gr00t_assets.cli.output import console, echo, print_json
from gr00t_assets.cli.status import progress_line, states_table
from gr00t_assets.core.errors import EngineError, PageError
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted
from gr00t_assets.experiments.engine_file import SlurmEngine, usable_engines
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.runs.spec import make_spec

if TYPE_CHECKING:
    import dagster as dg

    from gr00t_assets.defs.sweep_runs import ExperimentState, SweepRuns

LOOK_EVERY, SAY_EVERY = 2.0, 30.0
"""Seconds between two looks at the runs, and between two lines of each where there is no
terminal."""


def sweep_run(
    name: Annotated[str, argument("The sweep's name: demo", sweeps)],
    engine: Annotated[str | None, option("Train on this engine of data/engines.yaml")] = None,
    wait: Annotated[bool, option("Watch until all have ended", "--wait")] = False,
    array: Annotated[
        bool, option("Submit the jobs of a Slurm engine as one array", "--array")
    ] = False,
    as_json: Annotated[bool, option("What became of each at the end, as JSON", "--json")] = False,
) -> None:
    """Ask for what is missing of a sweep, through the queue; 1 where something is not to be had.

    With --wait it ends when every experiment has: 0 where all are finished, 1 else. Ctrl-C ends the
    watching and leaves the runs alone.
    """
    sweep, store = read_project().sweeps[name], Store.from_environment()
    before = _array(engine, store) if array else None
    if engine is not None:
        usable_engines().named(engine)

    from gr00t_assets.defs.queue import NO_DAEMON, daemon_is_alive, project_instance
    from gr00t_assets.defs.sweep_runs import SweepRuns

    with project_instance() as instance:
        if not daemon_is_alive(instance):
            remedy = "nothing was asked for; then run it again"
            raise PageError(sweep.name, f"{NO_DAEMON}.", [remedy])
        runs = SweepRuns(sweep.first_round.experiments, store, instance, engine)
        try:
            runs.ask(before=before)
            if not as_json:
                _print_asked(runs)
            states = _watch(runs, instance, quiet=as_json) if wait else runs.states()
        except KeyboardInterrupt:
            echo("\nno longer watched; the runs go on: gr00t-assets status", err=True)
            raise typer.Exit(130) from None
    if as_json:
        print_json([state.model_dump(mode="json") for state in states])
    failed = [state for state in states if state.state == "failed"]
    for state in failed if wait or as_json else ():
        echo(f"{state.experiment}: {state.reason}", err=True)
    raise typer.Exit(int(bool(failed)))


def _array(engine: str | None, store: Store) -> Callable[[list[Experiment]], object]:
    """What submits one Slurm array for those of the experiments to be asked for that it is for."""
    from gr00t_assets.engines.slurm import submit_array

    engines = usable_engines()
    settings = engines.named(engine)
    if not isinstance(settings, SlurmEngine):
        problem = f"--array is for engines of kind slurm, this one is of kind {settings.kind}."
        raise EngineError(settings.name, problem, ["leave --array out, or name one with --engine"])

    def submit(experiments: list[Experiment]) -> None:
        own = [item for item in experiments if engine or engines.named(item.engine) == settings]
        if engine is not None:
            own = [item.model_copy(update={"engine": engine}) for item in own]
        specs = [make_spec(item, store) for item in own]
        submit_array(specs, settings, store, lambda line: echo(str(line), err=True))

    return submit


def _print_asked(runs: "SweepRuns") -> None:
    for name in runs.experiments:
        asked = runs.asked.get(name)
        reason = runs.reasons.get(name, "").strip()
        text = f"asked for, run {asked[:8]}" if asked else f"not asked for: {reason}"
        echo(f"{name}: {text}")
    echo(f"asked for {len(runs.asked)} of {counted(len(runs.experiments), 'experiment')}")


def _watch(
    runs: "SweepRuns", instance: "dg.DagsterInstance", quiet: bool
) -> "list[ExperimentState]":
    out = console()
    if quiet or not out.is_terminal:
        return _say(runs, instance, (lambda _: None) if quiet else echo)
    from gr00t_assets.defs.queue import NO_DAEMON, daemon_is_alive
    from gr00t_assets.defs.schedules import reason_lines

    states = []
    with Live(console=out, auto_refresh=False) as live:
        for states in _looks(runs):
            reasons = {item.experiment: item.reason for item in states if item.reason}
            below = Text(f"{_summary(states)}\n{reason_lines(reasons)}".strip())
            if not daemon_is_alive(instance):
                below.append(f"\n{NO_DAEMON}", style="bold red")
            lines = max(3, shutil.get_terminal_size().lines - 4 - below.plain.count("\n"))
            live.update(Group(states_table(states, lines), below), refresh=True)
    return states


def _say(
    runs: "SweepRuns", instance: "dg.DagsterInstance", say: Callable[[str], object]
) -> "list[ExperimentState]":
    """The same in lines: one when a state changes, and one of each training every 30 seconds."""
    from gr00t_assets.defs.queue import NO_DAEMON, daemon_is_alive

    known: dict[str, tuple[str, str | None]] = {}
    due, is_due, states = 0.0, False, []

    def tell(line: str) -> None:
        say(f"{datetime.now(UTC):%H:%M:%S} {line}")

    for states in _looks(runs):
        is_due = time.monotonic() >= due
        for item in states:
            now = (item.state, item.reason)
            if known.get(item.experiment) != now or (is_due and item.state == "training"):
                line = progress_line(item.progress) if item.state == "training" else item.reason
                tell(f"{item.experiment}: {item.state}{f', {line}' if line else ''}")
            known[item.experiment] = now
        if is_due:
            due = time.monotonic() + SAY_EVERY
            tell(_summary(states))
            if not daemon_is_alive(instance):
                tell(NO_DAEMON)
    if not is_due:
        tell(_summary(states))
    return states


def _looks(runs: "SweepRuns") -> "Iterator[list[ExperimentState]]":
    """What has become of each at every look, until all have ended."""
    while True:
        states = runs.states()
        yield states
        if all(state.is_over for state in states):
            return
        time.sleep(LOOK_EVERY)


def _summary(states: "list[ExperimentState]") -> str:
    counts = Counter(state.state for state in states)
    return ", ".join(f"{count} {state}" for state, count in counts.most_common())
