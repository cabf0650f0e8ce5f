"""The gate of a promotion: does anything show that a policy is better than doing nothing?

Two questions, each asked where it can be: whether its error on held-out episodes is below those of
holding still and of the mean action, and whether its success rate is above that of the best rule
without a model, with intervals that do not overlap. What cannot be told is not passed.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gr00t_assets.core.errors import Gr00tAssetsError, PromotionError
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.evaluation.open_loop import weights_hash
from gr00t_assets.evaluation.result import (
    Baseline,
    BaselineName,
    Evaluation,
    PartEvaluation,
    again,
    load_evaluation,
)
from gr00t_assets.evaluation.rollouts.result import (
    BASELINES,
    Rollouts,
    read_rollouts,
    rollouts_file,
)
from gr00t_assets.evaluation.windows import LEAST_EPISODES
from gr00t_assets.evaluation.wording import estimate_text
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.runs.checkpoint_choice import rolled_out_in

RULES: dict[BaselineName, str] = {"hold": "holding still", "mean action": "the mean action"}
"""Rules that a policy must beat on held-out episodes."""

MOST_CHARACTERS = 500
"""Of the reason that somebody gives against the gate."""


class Gate(NamedTuple):
    """What the gate says of some weights.

    Attributes:
        reasons: Why they do not pass, a sentence each; none where they do.
        shown: What was shown of them, a sentence each.
    """

    reasons: tuple[str, ...]
    shown: tuple[str, ...]

    def verdict(self, because: str | None) -> str:
        """In a sentence or two, for the record, the card and the page."""
        if not self.reasons:
            return "Passed: " + "; ".join(self.shown) + "."
        return f"Promoted against the gate: {'; '.join(self.reasons)}. Because: {because}"


class Evidence(NamedTuple):
    """What was measured of some weights.

    Attributes:
        evaluation: Open loop; None where there is none of these weights.
        rollouts: Of these weights, by environment.
        missing: What is not there or cannot be read, a sentence each, with what to do.
    """

    evaluation: Evaluation | None
    rollouts: list[Rollouts]
    missing: list[str]


def read_evidence(run_directory: Path, weights: Path, step: int | None, name: str) -> Evidence:
    """Read what a run directory has of weights; nothing here raises.

    Args:
        run_directory: Of the run.
        weights: Folder of the weights.
        step: Of a checkpoint; None for the final weights.
        name: As in ``gate``.
    """
    evaluation, rollouts, missing = None, [], []
    present = weights_hash(weights) if weights.is_dir() else None
    try:
        evaluation = load_evaluation(run_directory, step)
        if evaluation is None:
            missing.append(f"it was not evaluated: {again(run_directory, step)}")
    except Gr00tAssetsError as error:
        missing.append(f"its evaluation cannot be read: {error.problem}")
    if evaluation is not None and present not in (None, evaluation.model_hash):
        missing.append(f"its evaluation is of other weights: {again(run_directory, step)}")
        evaluation = None
    if evaluation is not None and not math.isfinite(evaluation.main.error.mean):
        missing.append("its evaluation has an error that is not a finite number")
    for environment in rolled_out_in(run_directory, step):
        try:
            item = read_rollouts(rollouts_file(run_directory, environment, step))
        except Gr00tAssetsError as error:
            missing.append(f"its rollouts in {environment} cannot be read: {error.problem}")
            continue
        if present not in (None, item.model_hash):
            command = f"gr00t-assets rollout {name}"
            missing.append(f"its rollouts in {environment} are of other weights: {command}")
        else:
            rollouts.append(item)
    return Evidence(evaluation, rollouts, missing)


def declared_environments(experiment: Experiment) -> list[str]:
    """Environments that the datasets of an experiment are to be rolled out in."""
    catalog = load_catalog()
    entries = [catalog.get(dataset.name) for dataset in experiment.datasets]
    names = [entry.environment for entry in entries if entry is not None and entry.environment]
    return list(dict.fromkeys(names))


def gate(evidence: Evidence, environments: Sequence[str], name: str) -> Gate:
    """What speaks for and against weights, from what was measured.

    Args:
        evidence: Of these weights.
        environments: Where they are to be rolled out.
        name: What a person gives commands for these weights, such as ``EXPERIMENT@200``.
    """
    evaluation = evidence.evaluation
    reasons, shown = ([], []) if evaluation is None else _open_loop(evaluation, name)
    for item in evidence.rollouts:
        passed, words = _success(item)
        (shown if passed else reasons).append(words)
    rolled_out = {item.environment for item in evidence.rollouts}
    reasons += [
        f"its dataset declares the environment {environment}, and it was not rolled out there: "
        f"gr00t-assets rollout {name}"
        for environment in environments
        if environment not in rolled_out
    ]
    return Gate(tuple(reasons), tuple(shown))


def reason_given(because: str | None) -> str | None:
    """What somebody wrote for ``--because``, in one line without control characters.

    Raises:
        PromotionError: It says nothing, or is longer than a reason.
    """
    if because is None:
        return None
    shown = (letter if letter.isprintable() else " " * letter.isspace() for letter in because)
    text = " ".join("".join(shown).split())
    if not text or len(text) > MOST_CHARACTERS:
        found = f"{len(text):,} characters" if text else "nothing that can be read"
        remedy = f"say in 1 to {MOST_CHARACTERS} characters why it is promoted all the same"
        raise PromotionError("--because", f"this has {found}.", [remedy])
    return text


def _open_loop(evaluation: Evaluation, name: str) -> tuple[list[str], list[str]]:
    part = evaluation.held_out
    if part is None:
        return [
            "no episode is held out, so nothing shows what it does on new ones: set held_out in "
            "data/datasets.yaml and train again"
        ], []
    rules: dict[BaselineName, Baseline] = {rule.name: rule for rule in part.baselines}
    if missing := [words for rule, words in RULES.items() if rule not in rules]:
        remedy = f"gr00t-assets evaluate {name}"
        return [f"its evaluation has no error of {' and '.join(missing)}: {remedy}"], []
    if part.clusters < LEAST_EPISODES:
        return [_too_few(part, rules, name)], []
    reasons, beaten = [], []
    for rule, words in RULES.items():
        numbers = f"{part.error.mean:.3g} against {rules[rule].error.mean:.3g}"
        difference = f"difference {estimate_text(rules[rule].difference)}"
        if rules[rule].beaten == "yes":
            beaten.append(f"{words} ({numbers})")
        elif rules[rule].beaten == "no":
            reasons.append(f"on held-out episodes it errs more than {words}: {numbers}")
        else:
            reasons.append(
                f"whether it errs less than {words} on {part.clusters} held-out episodes cannot be "
                f"told: {numbers}, {difference}; train longer, or hold out more episodes"
            )
    where = f" on {part.clusters} held-out episodes"
    return reasons, [f"it errs less than {' and '.join(beaten)}{where}"] if beaten else []


def _too_few(part: PartEvaluation, rules: dict[BaselineName, Baseline], name: str) -> str:
    errors = ", ".join(f"{rules[rule].error.mean:.3g} for {RULES[rule]}" for rule in RULES)
    remedy = "hold out more in data/datasets.yaml and train again"
    if part.episodes_in_part >= LEAST_EPISODES:
        remedy = f"gr00t-assets evaluate {name} --max-episodes {part.episodes_in_part}"
    count = f"{part.clusters} held-out episode{'s' if part.clusters > 1 else ''}"
    return (
        f"{count} cannot tell whether it beats {' and '.join(RULES.values())}, {LEAST_EPISODES} "
        f"can: its error is {part.error.mean:.3g} there, against {errors}; {remedy}"
    )


def _success(rollouts: Rollouts) -> tuple[bool, str]:
    """Whether a success rate is above that of the best baseline, and the sentence that says so."""
    own = f"in {rollouts.environment} it succeeds {rollouts.rate.words()}"
    best = rollouts.best_baseline
    if best is None:
        return False, f"{own}; no baseline was rolled out with it, so that nothing is beaten"
    rule, rate = best
    passed = rollouts.rate.wilson()[0] > rate.wilson()[1]
    against = f"the best baseline, which {BASELINES[rule]}, {rate.words()}"
    text = f"{own}, {against}"
    return passed, text if passed else f"{text}: its interval does not clear the baseline's"
