"""What to run next as a sweep file, ready to be looked at, changed, and run."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from gr00t_assets.comparison.all_runs import chosen_runs
from gr00t_assets.comparison.differences import proposal_words
from gr00t_assets.comparison.proposals.control_runs import Proposal, ProposedExperiment, origin_of
from gr00t_assets.comparison.proposals.proposals import proposals
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.speed import Speeds
from gr00t_assets.comparison.statistics.factors import factor_named
from gr00t_assets.comparison.wording import hours_unit, listed
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import MAX_LENGTH
from gr00t_assets.experiments.expansion import short_value
from gr00t_assets.experiments.new_sweep import sweep_yaml
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.experiments.registry import hyperparameters_model
from gr00t_assets.experiments.sweep_file import BEST
from gr00t_assets.experiments.sweeps import load_sweep

_WIDTH = 98
_SHORT = {"learning_rate": "lr", "batch_size": "b", "max_steps": "s", "warmup_ratio": "warmup",
          "weight_decay": "wd", "lr_scheduler_type": "", "seed": "seed"}  # fmt: skip

DEFAULT_NAME = "next"  # What a proposed sweep is called where no name is asked for


def propose(
    runs: Path | None,  # A table; runs of the store, or of one sweep, where left out
    sweep: str | None,
    question: str | None,
    name: str | None = None,
    references: bool = False,  # Have the runs that the new ones are held against made as well
) -> str:
    """The text of a sweep file that settles what is open, or what one question asks.

    Raises:
        ComparisonError: The table is wrong, there is no such factor, or nothing is to be proposed.
        SweepError: There is no such sweep.
    """
    factor = question if question in (None, BEST) else factor_named(question)
    compared = chosen_runs(runs, [sweep] if sweep else [])
    speeds = Speeds.of_runs(compared, Store.from_environment())
    proposed = proposals(compared, question=factor, speeds=speeds)
    held_against = _references(proposed)
    if references and held_against:
        again = "{} ({}) once more, made here, to hold the others against."
        extra = [ProposedExperiment(x, {}, again.format(x.name, x.run_id)) for x in held_against]
        questions = tuple(dict.fromkeys(name for item in proposed for name in item.questions))
        reason = "the runs that the others are held against."
        first = Proposal(questions, "control", reason, tuple(extra)).with_hours(speeds)
        proposed.insert(0, first)
    return _sweep_text(name or DEFAULT_NAME, proposed)


def check_sweep(file: Path, runs: Path | None) -> Iterator[tuple[str, bool]]:
    """By experiment how far it is from the nearest run, in words, and whether it is one."""
    known = chosen_runs(runs)
    for experiment in load_sweep(file, read_project().datasets).experiments:
        name = experiment.name
        others = [run for run in known if not (run.source == "store" and run.name == name)]
        text, equal = proposal_words(experiment, others)
        yield f"{name}: {text}", equal


def _sweep_text(name: str, proposed: Sequence[Proposal]) -> str:
    every = [experiment for item in proposed for experiment in item.experiments]
    if not every:
        none = "no question about these runs is open: each factor that varies has an answer"
        reasons = [f"{_title(item)}: {item.reason}" for item in proposed] or [none]
        raise ComparisonError(name, "there is no experiment to propose.", reasons)
    origins = [origin_of(experiment.reference) for experiment in every]
    usual, common = max(origins, key=origins.count), _common(every)
    names = set(read_project().experiment_names)
    defaults = {**usual, "hyperparameters": common}
    parts = [*_head(name, proposed), sweep_yaml({"tags": [name], "defaults": defaults})]
    parts.append("experiments:")
    for item in proposed:
        if item.experiments:
            cost = _cost(item.gpu_hours, [item])
            parts += _comment(f"{_title(item)}: {item.reason} {cost}", "  ")
        for experiment in item.experiments:
            origin = origin_of(experiment.reference)
            asked = _asked(experiment).items()
            own = {key: value for key, value in asked if key not in common}
            entry: dict[str, Any] = {
                "name": _fresh(f"{name}-{_slug(experiment)}", names),
                **(origin if origin != usual else {}),
                "hypothesis": experiment.reason,
                "hyperparameters": own | dict(experiment.changes),
            }
            parts += [textwrap.indent(sweep_yaml([entry]), "  ").rstrip("\n"), ""]
    return "\n".join(parts).rstrip("\n") + "\n"


def _cost(hours: float | None, proposed: Iterable[Proposal]) -> str:
    if hours is None:
        return "GPU-hours unknown: no run like it has a speed."
    return f"About {hours:.2g} {hours_unit(_references(proposed))}."


def _references(proposed: Iterable[Proposal]) -> list[Run]:
    every = [experiment.reference for item in proposed for experiment in item.experiments]
    return list({run.run_id: run for run in every}.values())


def _head(name: str, proposed: Sequence[Proposal]) -> Iterator[str]:
    every = [experiment for item in proposed for experiment in item.experiments]
    questions = listed(list(dict.fromkeys(name for item in proposed for name in item.topics)))
    hours = [item.gpu_hours for item in proposed if item.experiments]
    total = None if None in hours else sum(filter(None, hours))
    noun = "experiment that tells" if len(every) == 1 else "experiments that tell"
    yield from _comment(f"{name}: {len(every)} {noun} of {questions}. {_cost(total, proposed)}")
    yield from _comment(f"gr00t-assets sweep plan {name} shows what it would run.")
    pairs = ((_model(experiment).model_fields, experiment.settings) for experiment in every)
    if unknown := dict.fromkeys(
        name for fields, own in pairs for name in fields if name not in own
    ):
        yield from _comment(
            "The runs behind it do not tell these settings, which have the script's defaults here: "
            f"{', '.join(unknown)}."
        )
    if imported := sorted(x.run_id for x in _references(proposed) if x.source != "store"):
        yield from _comment(
            f"Held against imported runs ({', '.join(imported)}): a run made here is of their "
            "class only with the same trainer and the same frames. With --references those runs "
            "are made here as well."
        )
    for item in proposed:
        if not item.experiments:
            yield from _comment(f"Not proposed. {_title(item)}: {item.reason}")


def _title(item: Proposal) -> str:
    text = listed(item.topics)
    return text[:1].upper() + text[1:]


def _slug(experiment: ProposedExperiment) -> str:
    """The reference with what differs from it, such as ``low_lr-b8``."""
    parts = [experiment.reference.name]
    for name, value in experiment.changes.items():
        if name in _SHORT:
            text = short_value(value) if isinstance(value, int | float) else str(value)
            parts.append(f"{_SHORT[name]}{text}")
    if any(name.startswith(("tune_", "lora_")) for name in experiment.changes):
        parts.append("parts")
    return "-".join(parts)


def _fresh(name: str, names: set[str]) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).replace("..", "._")[: MAX_LENGTH - 4]
    numbered = (f"{plain}-{number}" for number in count(2))
    fresh = plain if plain not in names else next(item for item in numbered if item not in names)
    names.add(fresh)
    return fresh


def _comment(text: str, indent: str = "") -> list[str]:
    lead, text = f"{indent}# ", " ".join(text.split())
    return textwrap.wrap(text, _WIDTH, initial_indent=lead, subsequent_indent=lead)


def _model(experiment: ProposedExperiment) -> Any:
    return hyperparameters_model(origin_of(experiment.reference)["trainer"])


def _asked(experiment: ProposedExperiment) -> dict[str, object]:
    """Hyperparameters that differ from the trainer's defaults, in order."""
    settings = experiment.settings
    return {
        name: settings[name]
        for name, default in _model(experiment)().model_dump().items()
        if settings.get(name) is not None and settings[name] != default
    }


def _common(every: Sequence[ProposedExperiment]) -> dict[str, object]:
    """What all have alike, none leaves at its default, and none changes against its reference."""
    first, *others = map(_asked, every)
    changed = {name for experiment in every for name in experiment.changes}
    return {
        name: value
        for name, value in first.items()
        if name not in changed and all(name in other and other[name] == value for other in others)
    }
