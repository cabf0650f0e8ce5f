"""``gr00t-assets trials``: blind trials on a real robot, from the plan to what they say."""

import secrets
import socket
from contextlib import suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gr00t_assets.cli.arguments import Json, argument, experiments, option
from gr00t_assets.cli.dataset_catalog import next_command
from gr00t_assets.cli.output import console, echo, plain_table, print_json
from gr00t_assets.core.files import folders
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted
from gr00t_assets.evaluation.trials import plan as trial_plans
from gr00t_assets.evaluation.trials.outcomes import Outcomes, import_trials, read_outcomes
from gr00t_assets.reporting.trials import form_app, trials_report
from gr00t_assets.runs.model_reference import find_model

trials_app = typer.Typer(help="Blind trials on a real robot.", no_args_is_help=True)

Name = Annotated[str, argument("Of the trials, as 'trials new' printed it")]
Sheet = Annotated[Path | None, option("A copy of the sheet elsewhere", "--outcomes")]


@trials_app.command("new")
def trials_new(
    policies: Annotated[
        list[str],
        argument("EXPERIMENT, EXPERIMENT@STEP, a promoted model, or a folder of one", experiments),
    ],
    conditions: Annotated[
        str, option("Initial conditions: how many, or a text file with one a line")
    ],
    repeats: Annotated[int, option("Trials of each policy from each", min=1)] = 1,
    seed: Annotated[int | None, option("Of letters and order; drawn", min=0)] = None,
    name: Annotated[str | None, option("Of the trials; trials-1 and so on")] = None,
) -> None:
    """Lay out which policy is tried when; write the key of the letters and a sheet to fill in."""
    store = Store.from_environment()
    taken = [folder.name for folder in folders(store.root / "trials")]
    names = (f"trials-{number}" for number in count(len(taken) + 1))
    name = name or next(free for free in names if free not in taken)
    models = [find_model(reference) for reference in policies]
    drawn = secrets.randbelow(1 << 31) if seed is None else seed
    scenes = trial_plans.read_conditions(conditions)
    plan = trial_plans.make_plan(name, models, scenes, repeats, drawn, store)
    folder = trial_plans.publish_plan(plan, store)
    policies_tried = counted(len(models), "policy", "policies")
    echo(f"{name}: {counted(len(plan.trials), 'trial')} of {policies_tried}, in {folder}")
    echo(f"{trial_plans.SHEET} is for whoever scores, the letters' key beside it is not")
    echo(f"serve a letter: gr00t-assets serve trial:{name}:{plan.trials[0].letter}")
    echo(f"write outcomes into the sheet, or: gr00t-assets trials form {name}")


@trials_app.command("form")
def trials_form(name: Name) -> None:
    """Serve a page on this machine to write outcomes down; it shows letters only."""
    import uvicorn

    from gr00t_assets.defs.page_guard import PageGuard

    store, token = Store.from_environment(), secrets.token_urlsafe(24)
    plan = trial_plans.load_plan(name, store)
    with socket.create_server(("127.0.0.1", 0)) as listener, suppress(KeyboardInterrupt):
        echo(f"http://127.0.0.1:{listener.getsockname()[1]}/?token={token}")
        app = PageGuard(form_app(plan, store, token))
        # No access log: it would have the token.
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
        uvicorn.Server(config).run(sockets=[listener])


@trials_app.command("show")
def trials_show(
    name: Name,
    sheet: Sheet = None,
    unblind: Annotated[bool, option("Also which policy a letter stands for", "--unblind")] = False,
    as_json: Json = False,
) -> None:
    """Print success by policy with intervals, which is better, and whether to go on."""
    plan, _, outcomes = _read(name, sheet)
    policies, pairs = trials_report(plan, outcomes)
    if as_json:
        ends = [{"wilson": item.wilson(), "exact": item.clopper_pearson()} for item in policies]
        print_json({
            "name": name,
            "planned": len(plan.trials),
            "key": [item.model_dump() for item in plan.policies] if unblind else None,
            "policies": [item.model_dump() | end for item, end in zip(policies, ends, strict=True)],
            "pairs": [asdict(pair) | {"is_settled": pair.is_settled} for pair in pairs],
            "warnings": outcomes.deviations,
        })  # fmt: skip
        return
    out = console()
    names = {p.letter: f"{p.letter} ({p.name})" if unblind else p.letter for p in plan.policies}
    trials = counted(len(plan.trials), "trial")
    out.print(Text(f"{name}: {len(outcomes.done)} of {trials} done", style="bold"))
    headings = ("policy", "trials", "success", "95 % (Wilson)", "95 % (exact)", "score", "seconds")
    table = plain_table(*headings)
    for item in policies:
        intervals = (item.wilson(), item.clopper_pearson())
        table.add_row(
            names[item.letter],
            f"{item.episodes} of {len(plan.trials) // len(plan.policies)}",
            f"{item.successes} ({100 * item.rate:.0f} %)" if item.episodes else "",
            *(f"{100 * low:.0f} to {100 * high:.0f} %" for low, high in intervals),
            "" if item.score is None else f"{item.score:.2f}",
            "" if item.seconds is None else f"{item.seconds:.1f}",
        )
    out.print(table)
    for pair in pairs:
        out.print(Text(pair.sentences(names)), soft_wrap=True)
    for warning in outcomes.deviations:
        out.print(Text.assemble(("warning ", "yellow"), warning), soft_wrap=True)


@trials_app.command("import")
def trials_import(
    name: Name,
    dataset: Annotated[str, argument("That they were recorded into, once added by 'dataset add'")],
    sheet: Sheet = None,
) -> None:
    """Bring the recorded trials into the store as a dataset version that knows what drove it."""
    plan, store, outcomes = _read(name, sheet)
    lineage = import_trials(plan, outcomes.done, dataset, store, lambda line: echo(line, err=True))
    part = lineage.rounds[-1]
    episodes = counted(part.episodes, "episode")
    echo(f"{dataset} version {lineage.version}: {episodes} of the trials {name}")
    if not part.outcomes:
        outcome_count = counted(len(outcomes.done), "outcome")
        echo(f"which episode was which trial is not known: there are {outcome_count}")
    echo(f"next: {next_command(dataset)}")


def _read(name: str, sheet: Path | None) -> tuple[trial_plans.TrialPlan, Store, Outcomes]:
    store = Store.from_environment()
    plan = trial_plans.load_plan(name, store)
    return plan, store, read_outcomes(plan, sheet or plan.sheet_path(store))
