"""``gr00t-assets trials``: blind trials on a real robot, from the plan to what they say."""

import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gr00t_assets.cli.dataset_list import Json, next_command
from gr00t_assets.cli.output import console, echo, plain_table, print_json
from gr00t_assets.core.errors import TrialsError
from gr00t_assets.core.names import name_problem
from gr00t_assets.core.project import Store
from gr00t_assets.defs.page_guard import PageGuard
from gr00t_assets.evaluation.trials.importing import import_trials
from gr00t_assets.evaluation.trials.plan import SHEET, TrialPlan, read_conditions, trials_folder
from gr00t_assets.evaluation.trials.plan_files import load_plan, make_plan, publish_plan
from gr00t_assets.evaluation.trials.sheet import Outcomes, read_outcomes
from gr00t_assets.reporting.trials_form import form_app, next_trial
from gr00t_assets.reporting.trials_report import trials_report
from gr00t_assets.runs.model_reference import find_model

trials_app = typer.Typer(help="Blind trials on a real robot.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Of the trials, as 'trials new' printed it")]
Sheet = Annotated[
    Path | None, typer.Option("--outcomes", help="A sheet elsewhere than where it was written")
]


@trials_app.command("new")
def trials_new(
    policies: Annotated[
        list[str],
        typer.Argument(help="EXPERIMENT, EXPERIMENT@STEP, a promoted model, or a folder of one"),
    ],
    conditions: Annotated[
        str, typer.Option(help="Initial conditions: how many, or a text file with one a line")
    ],
    repeats: Annotated[int, typer.Option(min=1, help="Trials of each policy from each")] = 1,
    seed: Annotated[int | None, typer.Option(min=0, help="Of letters and order; drawn")] = None,
    name: Annotated[str | None, typer.Option(help="Of the trials; trials-1 and so on")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for sheet and instructions, apart from the key")
    ] = None,
) -> None:
    """Lay out which policy is tried when; write the key, a sheet to fill in, and instructions."""
    store = Store.from_environment()
    taken = {path.name for path in (store.root / "trials").glob("[!.]*")}
    count = len(taken) + 1
    name = name or next(new for at in range(1, count + 1) if (new := f"trials-{at}") not in taken)
    trials_folder(name, store)  # refuses what cannot be a name
    models = [find_model(reference) for reference in policies]
    sheet = out.resolve() / f"{name}-{SHEET}" if out else None
    drawn = secrets.randbelow(1 << 31) if seed is None else seed
    plan = make_plan(name, models, read_conditions(conditions), repeats, drawn, store, sheet)
    folder = publish_plan(plan, store)
    echo(f"{name}: {len(plan.trials)} trials of {len(models)} policies, in {folder}")
    echo(f"the letters' key, not for whoever scores: {trials_folder(name, store)}")
    echo(f"next: gr00t-assets trials next {name}")


@trials_app.command("next")
def trials_next(name: Name, sheet: Sheet = None) -> None:
    """Print the next trial and how to start its policy; only the letter is named."""
    plan, store, outcomes = _read(name, sheet)
    trial = next_trial(plan, [outcome.order for outcome in outcomes.done])
    if trial is None:
        echo(f"all {len(plan.trials)} trials have an outcome: gr00t-assets trials show {name}")
        return
    echo(f"trial {trial.order} of {len(plan.trials)}: policy {trial.letter}")
    echo(plan.words(trial.condition))
    echo(f"serve it: gr00t-assets serve trial:{name}:{trial.letter}")
    echo(f"write the outcome into {plan.sheet_path(store)}, or: gr00t-assets trials form {name}")


@trials_app.command("form")
def trials_form(
    name: Name,
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, help="Of 127.0.0.1; 0: a free one")
    ] = 0,
) -> None:
    """Serve a page on this machine to write outcomes down; it shows letters only."""
    import uvicorn

    store, token = Store.from_environment(), secrets.token_urlsafe(24)
    plan = load_plan(name, store)
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        remedy = "end what listens there, or choose another with --port"
        raise TrialsError(
            f"127.0.0.1:{port}", f"cannot be listened on: {error}.", [remedy]
        ) from None
    with listener, suppress(KeyboardInterrupt):
        echo(f"http://127.0.0.1:{listener.getsockname()[1]}/?token={token}")
        app = PageGuard(form_app(plan, store, token))
        # No access log: it would have the token.
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
        uvicorn.Server(config).run(sockets=[listener])


@trials_app.command("show")
def trials_show(
    name: Name,
    sheet: Sheet = None,
    unblind: Annotated[
        bool, typer.Option("--unblind", help="Also which policy a letter stands for")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print success by policy with intervals, which is better, and whether to go on."""
    plan, store, outcomes = _read(name, sheet)
    report = trials_report(plan, outcomes, store)
    if as_json:
        print_json(report.to_json(unblind))
        return
    out, names = console(), report.names(unblind)
    out.print(Text(f"{name}: {report.done} of {len(plan.trials)} trials done", style="bold"))
    headings = ("policy", "trials", "success", "95 % (Wilson)", "95 % (exact)", "score", "seconds")
    table = plain_table(*headings)
    for item in report.policies:
        intervals = (item.rate.wilson(), item.rate.clopper_pearson())
        table.add_row(
            names[item.letter],
            f"{item.rate.episodes} of {item.planned}",
            f"{item.rate.successes} ({100 * item.rate.rate:.0f} %)" if item.rate.episodes else "",
            *(f"{100 * low:.0f} to {100 * high:.0f} %" for low, high in intervals),
            "" if item.score is None else f"{item.score:.2f}",
            "" if item.seconds is None else f"{item.seconds:.1f}",
        )
    out.print(table)
    for pair in report.pairs:
        out.print(Text(" ".join(pair.sentences(names))), soft_wrap=True)
    for warning in report.warnings:
        out.print(Text.assemble(("warning ", "yellow"), warning), soft_wrap=True)
    for lineage in report.recorded:
        parts = [part for part in lineage.rounds if part.plan == name]
        count = sum(part.episodes for part in parts)
        out.print(Text(f"recorded: {count} episodes, {lineage.dataset} {lineage.version}"))
    if report.done < len(plan.trials):
        echo(f"next: gr00t-assets trials next {name}")


@trials_app.command("import")
def trials_import(
    name: Name,
    folder: Annotated[Path, typer.Argument(help="What was recorded: a LeRobot dataset")],
    dataset: Annotated[str, typer.Option(help="Of the catalog, or a new name")],
    data_config: Annotated[
        str | None, typer.Option(help="Of a new dataset; that of the policies fits")
    ] = None,
    sheet: Sheet = None,
) -> None:
    """Bring the recorded trials into the store as a dataset version that knows what drove it."""
    if problem := name_problem(dataset):
        raise TrialsError(dataset, f"{problem}.", ["choose another with --dataset"])
    plan, store, outcomes = _read(name, sheet)
    lineage = import_trials(
        plan, outcomes.done, folder, dataset, store, data_config, lambda line: echo(line, err=True)
    )
    part = lineage.rounds[-1]
    echo(f"{dataset} version {lineage.version}: {part.episodes} episodes of the trials {name}")
    if not part.outcomes:
        count = len(outcomes.done)
        echo(f"which episode was which trial is not known: {count} trials have an outcome")
    echo(f"next: {next_command(dataset)}")


def _read(name: str, sheet: Path | None) -> tuple[TrialPlan, Store, Outcomes]:
    store = Store.from_environment()
    plan = load_plan(name, store)
    return plan, store, read_outcomes(plan, sheet or plan.sheet_path(store))
