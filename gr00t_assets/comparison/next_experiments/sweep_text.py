"""Proposals as a sweep file, ready to be looked at, changed, and run."""

import re
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import yaml

from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.next_experiments.origins import Origin, asked
from gr00t_assets.comparison.next_experiments.proposal import Proposal, ProposedExperiment
from gr00t_assets.comparison.next_experiments.words import factor_words, listed, value_words
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.names import MAX_LENGTH
from gr00t_assets.experiments.experiment import Experiment

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


def sweep_text(
    name: str,
    proposed: Sequence[Proposal],
    experiments: Mapping[str, Experiment],
    taken: Collection[str] = (),
) -> str:
    """A sweep file of proposed experiments, with the reason of each and what it will cost.

    Args:
        name: The sweep's name, which its experiments begin with.
        proposed: As :func:`proposals` gave them.
        experiments: Of runs of the store, by run id.
        taken: Names of experiments that there are in other sweep files.

    Raises:
        ComparisonError: There is nothing to propose.
    """
    if not any(item.experiments for item in proposed):
        raise ComparisonError(name, "there is no experiment to propose.", _reasons(proposed))
    every = [found for item in proposed for found in item.experiments]
    origins = [Origin.of(found.reference, experiments) for found in every]
    usual = max(dict.fromkeys(origins), key=origins.count)
    common = _common(every)
    defaults: dict[str, Any] = {**usual.words(), "hyperparameters": common}
    lines = _head(name, proposed)
    lines.append(_dumped({"tags": [name], "defaults": defaults}))
    lines.append("experiments:")
    names = set(taken)
    for item in proposed:
        if item.experiments:
            lines += _comment(
                f"{_title(item)}: {item.reason} {hours_words(item.gpu_hours, [item])}", "  "
            )
        for found in item.experiments:
            entry_name = _fresh(f"{name}-{_slug(found)}", names)
            origin = Origin.of(found.reference, experiments)
            entry = _entry(entry_name, found, origin, usual, common)
            lines.append(textwrap.indent(_dumped([entry]), "  ").rstrip("\n"))
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def with_references(proposed: Sequence[Proposal]) -> list[Proposal]:
    """The proposals with the runs that they are held against, to be made here as well, each once.

    For runs that were imported: what a run made here is to be held against has to be made here.
    """
    extra = []
    for run in _references(proposed):
        reason = f"{run.name} ({run.run_id}) once more, made here, to hold the others against."
        extra.append(ProposedExperiment(run, {}, reason))
    if not extra:
        return list(proposed)
    questions = tuple(dict.fromkeys(name for item in proposed for name in item.questions))
    reason = "the runs that the others are held against."
    return [Proposal(questions, "control", reason, tuple(extra)), *proposed]


def _references(proposed: Iterable[Proposal]) -> list[Observation]:
    every = [found.reference for item in proposed for found in item.experiments]
    return list({run.run_id: run for run in every}.values())


def _entry(
    name: str,
    found: ProposedExperiment,
    origin: Origin,
    usual: Origin,
    common: Mapping[str, object],
) -> dict[str, Any]:
    own = {key: value for key, value in asked(found.settings).items() if key not in common}
    own |= found.changes
    entry: dict[str, Any] = {"name": name}
    if origin != usual:
        entry |= origin.words()
    return entry | {"hypothesis": found.reason, "hyperparameters": own}


def _common(every: Sequence[ProposedExperiment]) -> dict[str, object]:
    """What all have alike, none leaves at its default, and none changes against its reference."""
    first, *others = [asked(found.settings) for found in every]
    changed = {name for found in every for name in found.changes}
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
    from gr00t_assets.experiments.hyperparameters import Hyperparameters

    every = [found.settings for item in proposed for found in item.experiments]
    return [name for name in Hyperparameters.model_fields if any(name not in has for has in every)]


def _title(item: Proposal) -> str:
    text = listed([factor_words(name) for name in item.questions])
    return text[:1].upper() + text[1:]


def hours_words(hours: float | None, proposed: Iterable[Proposal]) -> str:
    """What proposals cost, in a sentence."""
    if hours is None:
        return "GPU-hours unknown: no run like it has a speed."
    runs = _references(proposed)
    on_cpu = bool(runs) and all(run.gpu_hours == 0 for run in runs)
    return f"About {hours:.2g} {'hours of a CPU' if on_cpu else 'GPU-hours'}."


def _reasons(proposed: Iterable[Proposal]) -> list[str]:
    found = [f"{_title(item)}: {item.reason}" for item in proposed]
    return found or ["no question about these runs is open: each factor that varies has an answer"]


def _slug(found: ProposedExperiment) -> str:
    words = [
        f"{_SHORT[name]}{value_words(value)}"
        for name, value in found.changes.items()
        if name in _SHORT
    ]
    if any(name.startswith("tune_") or name.startswith("lora_") for name in found.changes):
        words.append("parts")
    return "-".join([found.reference.name, *words])


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
