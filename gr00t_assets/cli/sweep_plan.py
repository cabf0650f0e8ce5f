"""A sweep's plan on the terminal and as JSON."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gr00t_assets.cli.console import console
from gr00t_assets.comparison.formatting import shown
from gr00t_assets.comparison.sweep_plan import ACTIONS, PlanRow, SweepPlan
from gr00t_assets.core.units import shown_setting
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import all_hyperparameters

MOST_COLUMNS = 5
"""Settings that differ are columns up to this many; beyond it each row names its own."""

_NEEDS: tuple[tuple[str, Callable[[Experiment], str]], ...] = (
    ("priority", lambda item: str(item.priority) if item.priority else ""),
    (
        "GPUs",
        lambda item: (
            str(item.hyperparameters.num_gpus) if item.hyperparameters.num_gpus > 1 else ""
        ),
    ),
    ("VRAM", lambda item: f"{item.vram_gb:g} GB" if item.vram_gb else ""),
)
"""What the queue is told of an experiment; a column where one of the sweep says something."""


def print_plan(plan: SweepPlan, out: Console | None = None) -> None:
    """Print one line for each partition of a sweep, and what they have in common below."""
    out = out or console()
    settings = [_settings(row.experiment) for row in plan.rows]
    names = dict.fromkeys(name for of_row in settings for name in of_row)
    varying = [name for name in names if len({repr(of_row.get(name)) for of_row in settings}) > 1]
    title = (f"Sweep {plan.sweep.name}", "bold")
    out.print(Text.assemble(title, "  ", plan.sweep.description))
    usual = _usual(settings, varying) if len(varying) > MOST_COLUMNS else {}
    out.print(_table(plan, settings, varying, usual))
    for line in _below(plan, settings, varying, usual):
        out.print(Text(line, style="dim"))
    out.print(Text(total(plan)))


def total(plan: SweepPlan) -> str:
    """What is left to do, in a sentence.

    Experiments without an estimate are counted and not guessed.
    """
    left = sum(row.samples_left > 0 for row in plan.rows)
    if not left:
        return f"left to do: nothing, all {len(plan.rows)} are finished"
    sums = [
        f"about {_hours(hours)} {unit}-hours"
        for hours, unit in ((plan.gpu_hours_left, "GPU"), (plan.cpu_hours_left, "CPU"))
        if hours
    ]
    samples = sum(row.samples_left for row in plan.rows)
    text = f"left to do: {left} of {len(plan.rows)}, {samples:,} samples"
    text += f", {' and '.join(sums)}" if sums else ""
    if plan.unknown:
        text += f", hours unknown of {plan.unknown}: no finished run resembles them"
    return text


def plan_json(plan: SweepPlan) -> str:
    """The plan as an object: the sweep, its totals, and under ``experiments`` one for each row."""
    sweep = plan.sweep
    content = {
        "sweep": sweep.name,
        "description": sweep.description,
        "schedule": sweep.schedule,
        "max_retries": sweep.max_retries,
        "gpu_hours_left": plan.gpu_hours_left,
        "cpu_hours_left": plan.cpu_hours_left,
        "without_estimate": plan.unknown,
        "statuses": dict(Counter(row.status for row in plan.rows)),
        "experiments": [_as_json(row) for row in plan.rows],
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)


def _as_json(row: PlanRow) -> dict[str, Any]:
    item, estimate = row.experiment, row.estimate
    return {
        "partition": item.name,
        "status": row.status,
        "would": ACTIONS[row.status][0],
        "equal_to": row.equal_to,
        **_settings(item),
        "tags": list(item.tags),
        "hypothesis": item.hypothesis,
        "priority": item.priority,
        "vram_gb": item.vram_gb,
        "samples": row.samples,
        "samples_left": row.samples_left,
        "epochs": row.epochs,
        "hours_left": row.hours_left,
        "hours_of": None if estimate is None else "GPU" if estimate.gpus else "CPU",
        "estimate": None
        if estimate is None
        else {
            "samples_per_second": estimate.samples_per_second,
            "device": estimate.device,
            "taken_from": estimate.source,
            "runs": estimate.runs,
            "differs": list(estimate.differs),
        },
    }


def _table(
    plan: SweepPlan,
    settings: Sequence[dict[str, object]],
    varying: Sequence[str],
    usual: dict[str, object],
) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("partition", overflow="fold")
    for name in [] if usual else varying:
        table.add_column(name, justify="right")
    if usual:
        table.add_column("differs", ratio=1)
    needs = [
        (head, text) for head, text in _NEEDS if any(text(row.experiment) for row in plan.rows)
    ]
    epochs = any(row.epochs is not None for row in plan.rows)
    units = {row.estimate.gpus > 0 for row in plan.rows if row.estimate}
    hours = {True: "GPU h", False: "CPU h"}[units.pop()] if len(units) == 1 else "hours"
    for head in [head for head, _ in needs] + ["samples"] + ["epochs"] * epochs + [hours]:
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("would", no_wrap=True)
    for row, values in zip(plan.rows, settings, strict=True):
        differing = [
            f"{name} {shown_setting(values.get(name))}"
            for name in usual
            if repr(values.get(name)) != repr(usual[name])
        ]
        texts = [shown_setting(values.get(name)) for name in varying]
        cells = [", ".join(differing)] if usual else texts
        cells += [text(row.experiment) for _, text in needs]
        cells += [f"{row.samples:,}", *([shown(row.epochs, "epochs")] * epochs), _left(row)]
        table.add_row(row.experiment.name, *cells, row.status, ACTIONS[row.status][0])
    return table


def _below(
    plan: SweepPlan,
    settings: Sequence[dict[str, object]],
    varying: Sequence[str],
    usual: dict[str, object],
) -> list[str]:
    lines = []
    if usual:
        named = ", ".join(f"{name} {shown_setting(usual[name])}" for name in varying)
        lines.append(f"where nothing else is named: {named}")
    lines.append(_in_common(settings, varying))
    actions = dict.fromkeys(ACTIONS[row.status] for row in plan.rows)
    lines += [f"{action}: {text}" for action, text in actions if text and action != "nothing"]
    lines += [
        f"{row.experiment.name} is equal to {row.equal_to}, which has a run already"
        for row in plan.rows
        if row.equal_to
    ]
    lines += _sources(plan)
    if plan.sweep.schedule:
        lines.append(f"schedule: {plan.sweep.schedule} (UTC)")
    return lines


def _sources(plan: SweepPlan) -> list[str]:
    """Where the hours come from, each source once."""
    sources: Counter[tuple[str, int, str, tuple[str, ...]]] = Counter(
        (row.estimate.source, row.estimate.runs, row.estimate.device, row.estimate.differs)
        for row in plan.rows
        if row.estimate and row.samples_left
    )
    lines = []
    for (source, runs, device, differs), count in sources.most_common():
        text = f"hours of {count}: from the samples/s of {source}"
        text += f" and {runs - 1} more like it" if runs > 1 else ""
        lines.append(f"{text}, {'otherwise ' + ', '.join(differs) if differs else 'on ' + device}")
    return lines


def _left(row: PlanRow) -> str:
    hours = row.hours_left
    return "unknown" if hours is None else _hours(hours)


def _hours(value: float) -> str:
    if not value:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 1 else f"{value:.1f}"


def _usual(settings: Sequence[dict[str, object]], varying: Sequence[str]) -> dict[str, object]:
    """The commonest value of each setting, the first of several."""
    usual: dict[str, object] = {}
    for name in varying:
        values = [of_row.get(name) for of_row in settings]
        counts = Counter(map(repr, values))
        usual[name] = max(values, key=lambda value: counts[repr(value)])
    return usual


def _settings(experiment: Experiment) -> dict[str, object]:
    named: dict[str, object] = {
        "dataset": experiment.dataset,
        "trainer": experiment.trainer,
        "base_model": experiment.base_model,
        "continue_from": experiment.continue_from,
    }
    return named | experiment.hyperparameters.model_dump()


def _in_common(settings: Sequence[dict[str, object]], varying: Sequence[str]) -> str:
    defaults = {name: field.default for name, field in all_hyperparameters().items()}
    common = {
        name: value
        for name, value in settings[0].items()
        if name not in varying
        and value is not None
        and (name not in defaults or defaults[name] != value)
    }
    shown_values = ", ".join(f"{name} {shown_setting(value)}" for name, value in common.items())
    return f"all: {shown_values}; what is not named has its default"
