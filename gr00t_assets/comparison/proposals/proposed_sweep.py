"""What to run next as a sweep file, ready to be looked at, changed, and run."""

import re
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from gr00t_assets.comparison.all_runs import chosen_runs
from gr00t_assets.comparison.contrasts.factors import factor_named
from gr00t_assets.comparison.differences import proposal_words
from gr00t_assets.comparison.proposals.control_runs import Origin, Proposal, ProposedExperiment
from gr00t_assets.comparison.proposals.proposals import proposals
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.speed import Speeds
from gr00t_assets.comparison.wording import factor_words, listed
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.names import MAX_LENGTH
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.experiments.new_sweep import taken_names, write_sweep
from gr00t_assets.experiments.random_samples import short_value
from gr00t_assets.experiments.registry import hyperparameters_model
from gr00t_assets.experiments.sweeps import load_sweep

_WIDTH = 98

_SHORT = {
    "learning_rate": "lr",
    "batch_size": "b",
    "max_steps": "s",
    "warmup_ratio": "warmup",
    "weight_decay": "wd",
    "lr_scheduler_type": "",
    "seed": "seed",
}

DEFAULT_NAME = "next"
"""What a proposed sweep is called where no name is asked for."""


def sweep_text(
    name: str,
    proposed: Sequence[Proposal],
    taken: Collection[str] = (),
) -> str:
    """A sweep file of proposed experiments, with the reason of each and what it will cost.

    Args:
        name: The sweep's name, which its experiments begin with.
        proposed: As :func:`proposals` gave them.
        taken: Names of experiments that there are in other sweep files.

    Raises:
        ComparisonError: There is nothing to propose.
    """
    if not any(item.experiments for item in proposed):
        raise ComparisonError(name, "there is no experiment to propose.", _reasons(proposed))
    every = [experiment for item in proposed for experiment in item.experiments]
    origins = [Origin.of(experiment.reference) for experiment in every]
    usual = max(dict.fromkeys(origins), key=origins.count)
    common = _common(every)
    defaults: dict[str, Any] = {**usual.fields(), "hyperparameters": common}
    lines = _head(name, proposed)
    lines.append(_dumped({"tags": [name], "defaults": defaults}))
    lines.append("experiments:")
    names = set(taken)
    for item in proposed:
        if item.experiments:
            lines += _comment(
                f"{_title(item)}: {item.reason} {hours_words(item.gpu_hours, [item])}", "  "
            )
        for experiment in item.experiments:
            entry_name = _fresh(f"{name}-{_slug(experiment)}", names)
            origin = Origin.of(experiment.reference)
            entry = _entry(entry_name, experiment, origin, usual, common)
            lines.append(textwrap.indent(_dumped([entry]), "  ").rstrip("\n"))
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def with_references(proposed: Sequence[Proposal], speeds: Speeds) -> list[Proposal]:
    """The proposals with the runs that they are held against, to be made here as well, each once.

    For runs that were imported: what a run made here is to be held against has to be made here.
    """
    extra = []
    for run in _references(proposed):
        reason = f"{run.name} ({run.run_id}) once more, made here, to hold the others against."
        origin = Origin.of(run)
        hours = speeds.hours(origin.trainer, origin.base_model, run.settings)
        extra.append(ProposedExperiment(run, {}, reason, hours))
    if not extra:
        return list(proposed)
    questions = tuple(dict.fromkeys(name for item in proposed for name in item.questions))
    reason = "the runs that the others are held against."
    return [Proposal(questions, "control", reason, tuple(extra)), *proposed]


def hours_words(hours: float | None, proposed: Iterable[Proposal]) -> str:
    """What proposals cost, in a sentence."""
    if hours is None:
        return "GPU-hours unknown: no run like it has a speed."
    runs = _references(proposed)
    on_cpu = bool(runs) and all(run.gpu_hours == 0 for run in runs)
    return f"About {hours:.2g} {'hours of a CPU' if on_cpu else 'GPU-hours'}."


def propose(
    runs: Path | None,
    sweep: str | None,
    question: str | None,
    out: str | None,
    references: bool = False,
) -> tuple[str, Path | None]:
    """A sweep file that settles what is open.

    Args:
        runs: A table of runs; those of the store where left out.
        sweep: Only the runs of this sweep.
        question: Only this factor, by its name or another word for it.
        out: Name of the sweep file to write; one that is there is never overwritten.
        references: Have the runs that the new ones are held against made as well.

    Returns:
        The text, and the file where one was written.

    Raises:
        ComparisonError: The table is wrong, there is no such factor, or nothing is to be proposed.
        SweepError: There is no such sweep, or the file cannot be written as asked.
    """
    factor = factor_named(question) if question is not None else None
    compared = chosen_runs(runs, [sweep] if sweep else [], imported=False)
    speeds = Speeds.of_runs(compared, Store.from_environment())
    proposed = proposals(compared, factor, speeds=speeds)
    if references:
        proposed = with_references(proposed, speeds)
    if out is None:
        return sweep_text(DEFAULT_NAME, proposed, taken_names()), None
    file = write_sweep(out, lambda taken: sweep_text(out, proposed, taken))
    return file.read_text(encoding="utf-8"), file


def check_sweep(file: Path, runs: Path | None) -> Iterator[tuple[str, bool]]:
    """For every experiment of a sweep file a line of how far it is from the nearest run.

    Yields:
        The line, and whether the experiment is equal to a run that exists.
    """
    sweep = load_sweep(file, load_catalog())
    known = chosen_runs(runs, imported=False)
    for experiment in sweep.experiments:
        others = [
            run for run in known if not (run.source == "store" and run.name == experiment.name)
        ]
        text, equal = proposal_words(experiment, others)
        yield f"{experiment.name}: {text}", equal


def _references(proposed: Iterable[Proposal]) -> list[Run]:
    every = [experiment.reference for item in proposed for experiment in item.experiments]
    return list({run.run_id: run for run in every}.values())


def _entry(
    name: str,
    experiment: ProposedExperiment,
    origin: Origin,
    usual: Origin,
    common: Mapping[str, object],
) -> dict[str, Any]:
    own = {key: value for key, value in _asked(experiment).items() if key not in common}
    own |= experiment.changes
    entry: dict[str, Any] = {"name": name}
    if origin != usual:
        entry |= origin.fields()
    return entry | {"hypothesis": experiment.reason, "hyperparameters": own}


def _common(every: Sequence[ProposedExperiment]) -> dict[str, object]:
    """What all have alike, none leaves at its default, and none changes against its reference."""
    first, *others = [_asked(experiment) for experiment in every]
    changed = {name for experiment in every for name in experiment.changes}
    return {
        name: value
        for name, value in first.items()
        if name not in changed and all(name in other and other[name] == value for other in others)
    }


def _head(name: str, proposed: Sequence[Proposal]) -> list[str]:
    count = sum(len(item.experiments) for item in proposed)
    asked_of = dict.fromkeys(name for item in proposed for name in item.questions)
    questions = listed([factor_words(name) for name in asked_of])
    hours = [item.gpu_hours for item in proposed if item.experiments]
    total = None if None in hours else sum(value for value in hours if value is not None)
    noun = "experiment that tells" if count == 1 else "experiments that tell"
    lines = _comment(f"{name}: {count} {noun} of {questions}. {hours_words(total, proposed)}")
    lines += _comment(f"gr00t-assets sweep plan {name} shows what it would run.")
    unknown = _unknown(proposed)
    if unknown:
        lines += _comment(
            "The runs behind it do not tell these settings, which have the script's defaults here: "
            f"{', '.join(unknown)}."
        )
    imported = sorted({run.run_id for run in _references(proposed) if run.source != "store"})
    if imported:
        lines += _comment(
            f"Held against imported runs ({', '.join(imported)}): a run made here is of their "
            "class only with the same trainer and the same frames. With --references those runs "
            "are made here as well."
        )
    for item in proposed:
        if not item.experiments:
            lines += _comment(f"Not proposed. {_title(item)}: {item.reason}")
    return lines


def _unknown(proposed: Sequence[Proposal]) -> list[str]:
    """Hyperparameters of its trainer that the settings of a proposed experiment do not have."""
    names: dict[str, None] = {}
    for item in proposed:
        for experiment in item.experiments:
            model = hyperparameters_model(Origin.of(experiment.reference).trainer)
            settings = experiment.settings
            names.update(dict.fromkeys(name for name in model.model_fields if name not in settings))
    return list(names)


def _title(item: Proposal) -> str:
    text = listed([factor_words(name) for name in item.questions])
    return text[:1].upper() + text[1:]


def _reasons(proposed: Iterable[Proposal]) -> list[str]:
    reasons = [f"{_title(item)}: {item.reason}" for item in proposed]
    none = "no question about these runs is open: each factor that varies has an answer"
    return reasons or [none]


def _slug(experiment: ProposedExperiment) -> str:
    parts = [
        f"{_SHORT[name]}{_short(value)}"
        for name, value in experiment.changes.items()
        if name in _SHORT
    ]
    if any(name.startswith("tune_") or name.startswith("lora_") for name in experiment.changes):
        parts.append("parts")
    return "-".join([experiment.reference.name, *parts])


def _fresh(name: str, names: set[str]) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).replace("..", "._")[: MAX_LENGTH - 4]
    fresh, number = plain, 2
    while fresh in names:
        fresh, number = f"{plain}-{number}", number + 1
    names.add(fresh)
    return fresh


def _comment(text: str, indent: str = "") -> list[str]:
    lead = f"{indent}# "
    return textwrap.wrap(
        " ".join(text.split()), _WIDTH, initial_indent=lead, subsequent_indent=lead
    )


def _dumped(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=_WIDTH - 2)


def _short(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return short_value(value) if isinstance(value, int | float) else str(value)


def _asked(experiment: ProposedExperiment) -> dict[str, object]:
    """Hyperparameters that differ from the trainer's defaults, in order."""
    settings = experiment.settings
    model = hyperparameters_model(Origin.of(experiment.reference).trainer)
    return {
        name: settings[name]
        for name, default in model().model_dump().items()
        if settings.get(name) is not None and settings[name] != default
    }
