"""``gr00t-assets sweep plan``: what a sweep would run, and what it costs."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gr00t_assets.cli.arguments import Json, argument, option, sweeps
from gr00t_assets.cli.output import console, echo, plain_table, print_json
from gr00t_assets.comparison.wording import shown
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted, shown_setting
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import all_hyperparameters, trainer_named
from gr00t_assets.planning.sweep_plan import ACTIONS, PlanRow, SweepPlan, make_plan, named_sweep

MOST_COLUMNS = 5
"""Settings that differ are columns up to this many; beyond it each row names its own."""


def sweep_plan(
    sweep: Annotated[str, argument("A sweep's name or file: demo, data/sweeps/x.yaml", sweeps)],
    names: Annotated[
        Literal["datasets", "experiments", "trainers"] | None,
        option("Only these names, one a line, for scripts", "--list"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print what a sweep would run: partitions, what differs, which are done, and what it costs."""
    chosen = named_sweep(sweep)
    if names is not None:
        lists = {
            "datasets": chosen.datasets,
            "experiments": [experiment.name for experiment in chosen.experiments],
            "trainers": dict.fromkeys(experiment.trainer for experiment in chosen.experiments),
        }
        echo("\n".join(lists[names]))
        return
    plan = make_plan(chosen, Store.from_environment())
    if as_json:
        print_json(plan_json(plan))
    else:
        print_plan(plan, console())


def print_plan(plan: SweepPlan, out: Console) -> None:
    """Print one line for each partition of a sweep, and what they have in common below."""
    settings = [row.experiment.settings for row in plan.rows]
    names = dict.fromkeys(name for of_row in settings for name in of_row)
    values = {name: [of_row.get(name) for of_row in settings] for name in names}
    varying = {name: _usual(of) for name, of in values.items() if len(set(map(repr, of))) > 1}
    out.print(Text.assemble((f"Sweep {plan.sweep.name}", "bold"), "  ", plan.sweep.description))
    out.print(_table(plan, settings, varying))
    defaults = {name: field.default for name, field in all_hyperparameters().items()}
    common = {
        name: value
        for name, value in settings[0].items()
        if name not in varying and value is not None and defaults.get(name) != value
    }
    if len(varying) > MOST_COLUMNS:
        out.print(Text(f"where nothing else is named: {_named(varying)}", style="dim"))
    out.print(Text(f"all: {_named(common)}; what is not named has its default", style="dim"))
    for line in _remarks(plan):
        out.print(Text(line, style="dim"))
    out.print(Text(total(plan)))


def total(plan: SweepPlan) -> str:
    """What is left to do, in a sentence; what has no estimate is counted and not guessed."""
    left = sum(row.samples_left > 0 for row in plan.rows)
    if not left:
        return f"left to do: nothing, all {len(plan.rows)} are finished"
    hours = {"GPU": plan.hours_left(on_gpus=True), "CPU": plan.hours_left(on_gpus=False)}
    sums = [f"about {_hours(count)} {unit}-hours" for unit, count in hours.items() if count]
    samples = counted(sum(row.samples_left for row in plan.rows), "sample")
    parts = [f"left to do: {left} of {len(plan.rows)}", samples, " and ".join(sums)]
    if plan.unknown:
        parts.append(f"hours unknown of {plan.unknown}: no finished run resembles them")
    return ", ".join(filter(None, parts))


def plan_json(plan: SweepPlan) -> dict[str, Any]:
    """The plan as an object: the sweep, its totals, and under ``experiments`` one for each row."""
    sweep = plan.sweep
    return {
        "sweep": sweep.name,
        **{name: getattr(sweep, name) for name in ("description", "schedule", "time_zone")},
        "max_retries": sweep.max_retries,
        "gpu_hours_left": plan.hours_left(on_gpus=True),
        "cpu_hours_left": plan.hours_left(on_gpus=False),
        "without_estimate": plan.unknown,
        "until": sweep.until and sweep.until.model_dump(),
        "next_step": plan.next_step and plan.next_step.words,
        "statuses": dict(Counter(row.status for row in plan.rows)),
        "experiments": [_as_json(row) for row in plan.rows],
    }


def _as_json(row: PlanRow) -> dict[str, Any]:
    item, estimate = row.experiment, row.estimate
    return {
        "partition": item.name,
        "status": row.status,
        "would": ACTIONS[row.status][0],
        "equal_to": row.equal_to,
        **item.settings,
        **{name: getattr(item, name) for name in ("tags", "hypothesis", "priority", "vram_gb")},
        "gpu_memory_bytes": trainer_named(item.trainer).gpu_memory(item),
        **{name: getattr(row, name) for name in ("samples", "samples_left", "epochs", "shares")},
        "hours_left": row.hours_left,
        "hours_of": estimate and ("GPU" if estimate.gpus else "CPU"),
        "estimate": estimate
        and {
            "samples_per_second": estimate.samples_per_second,
            "device": estimate.device,
            "taken_from": estimate.source,
            "runs": estimate.runs,
            "differs": list(estimate.differs),
        },
    }


def _table(plan: SweepPlan, settings: list[dict[str, object]], varying: dict[str, object]) -> Table:
    """Settings that differ have a column each; of many each row names what is not usual."""
    rows, many = plan.rows, len(varying) > MOST_COLUMNS
    asked = [_needs(row.experiment) for row in rows]
    needs = [name for name in asked[0] if any(of_row[name] for of_row in asked)]
    epochs = ["epochs"] if any(row.epochs is not None for row in rows) else []
    units = {row.estimate.gpus > 0 for row in rows if row.estimate}
    hours = {True: "GPU h", False: "CPU h"}[units.pop()] if len(units) == 1 else "hours"
    table = plain_table()
    table.add_column("partition", overflow="fold")
    for name in () if many else varying:
        table.add_column(name, justify="right")
    if many:
        table.add_column("differs", ratio=1)
    for name in (*needs, "samples", *epochs, hours):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("status", "would"):
        table.add_column(name, no_wrap=True)
    for row, values, needed in zip(rows, settings, asked, strict=True):
        own = {name: values.get(name) for name in varying}
        unusual = {key: value for key, value in own.items() if repr(value) != repr(varying[key])}
        table.add_row(
            row.experiment.name,
            *([_named(unusual)] if many else map(shown_setting, own.values())),
            *(needed[name] for name in needs),
            f"{row.samples:,}",
            *(shown(row.epochs, name) for name in epochs),
            "unknown" if row.hours_left is None else _hours(row.hours_left),
            row.status,
            ACTIONS[row.status][0],
        )
    return table


def _remarks(plan: SweepPlan) -> Iterable[str]:
    """What mixtures and actions are, which runs would repeat others, whence the hours come."""
    yield from dict.fromkeys(row.mixture for row in plan.rows if row.shares)
    for action, text in dict.fromkeys(ACTIONS[row.status] for row in plan.rows):
        if text and action != "nothing":
            yield f"{action}: {text}"
    for row in plan.rows:
        if row.equal_to:
            yield f"{row.experiment.name} is equal to {row.equal_to}, which has a run already"
    sources = Counter(
        (row.estimate.source, row.estimate.runs, row.estimate.device, row.estimate.differs)
        for row in plan.rows
        if row.estimate and row.samples_left
    )
    for (source, runs, device, differs), count in sources.most_common():
        more = f" and {runs - 1} more like it" if runs > 1 else ""
        where = f"otherwise {', '.join(differs)}" if differs else f"on {device}"
        yield f"hours of {count}: from the samples/s of {source}{more}, {where}"
    if plan.sweep.schedule:
        yield f"schedule: {plan.sweep.schedule} ({plan.sweep.time_zone})"
    if step := plan.next_step:
        yield f"until {step.question} is known: {step.words}"


def _hours(value: float) -> str:
    if not value:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 1 else f"{value:.1f}"


def _needs(item: Experiment) -> dict[str, str]:
    """What the queue is told of an experiment; a column where one of the sweep says something."""
    memory = f"{item.vram_gb:g} GB" if item.vram_gb else ""
    if not memory and (counted_bytes := trainer_named(item.trainer).gpu_memory(item)):
        memory = f"about {counted_bytes / 1e9:.0f} GB"
    asked = item.hyperparameters
    several = {"GPUs": asked.num_gpus, "nodes": asked.nodes}
    counts = {name: str(count) if count > 1 else "" for name, count in several.items()}
    return {"priority": str(item.priority or ""), **counts, "VRAM": memory}


def _usual(values: Sequence[object]) -> object:
    """The commonest value, the first of several."""
    counts = Counter(map(repr, values))
    return max(values, key=lambda value: counts[repr(value)])


def _named(settings: dict[str, object]) -> str:
    return ", ".join(f"{name} {shown_setting(value)}" for name, value in settings.items())
