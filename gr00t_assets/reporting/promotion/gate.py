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
from gr00t_assets.core.text import counted
from gr00t_assets.evaluation.intervals import LEAST_EPISODES
from gr00t_assets.evaluation.open_loop import weights_hash
from gr00t_assets.evaluation.result import BaselineName, Evaluation, again, load_evaluation
from gr00t_assets.evaluation.rollouts import result as rolled_out
from gr00t_assets.evaluation.wording import estimate_text
from gr00t_assets.runs.model_reference import ModelReference

RULES: dict[BaselineName, str] = {"hold": "holding still", "mean action": "the mean action"}
"""Rules that a policy must beat on held-out episodes."""

MOST_CHARACTERS = 500  # Of the reason that somebody gives against the gate


class Gate(NamedTuple):
    """Why some weights do not pass, and what was shown of them, a sentence each."""

    reasons: tuple[str, ...]
    shown: tuple[str, ...]

    def verdict(self, because: str | None) -> str:
        """In a sentence or two, for the record, the card and the page."""
        if not self.reasons:
            return "Passed: " + "; ".join(self.shown) + "."
        return f"Promoted against the gate: {'; '.join(self.reasons)}. Because: {because}"


class Evidence(NamedTuple):
    """What was measured of some weights, and what is not there or cannot be read, in sentences."""

    evaluation: Evaluation | None
    rollouts: list[rolled_out.Rollouts]
    missing: list[str]


def read_evidence(run_directory: Path, model: ModelReference) -> Evidence:
    """Read what a run directory has of weights of its; never raises."""
    evaluation, rollouts, missing, step = None, [], [], model.step
    present = weights_hash(model.directory) if model.directory.is_dir() else None
    try:
        evaluation = load_evaluation(run_directory, step)
        if evaluation is None:
            missing.append(f"it was not evaluated: {again(run_directory, step)}")
        elif present not in (None, evaluation.model_hash):
            missing.append(f"its evaluation is of other weights: {again(run_directory, step)}")
            evaluation = None
        elif not math.isfinite(evaluation.main.error.mean):
            missing.append("its evaluation has an error that is not a finite number")
    except Gr00tAssetsError as error:
        missing.append(f"its evaluation cannot be read: {error.problem}")
    for path in sorted(rolled_out.rollouts_file(run_directory, "", step).parent.glob("[!.]*.json")):
        environment = path.stem.partition("@")[0]
        if path != rolled_out.rollouts_file(run_directory, environment, step):
            continue  # of other weights of the run
        try:
            item = rolled_out.read_rollouts(path)
        except Gr00tAssetsError as error:
            missing.append(f"its rollouts in {environment} cannot be read: {error.problem}")
            continue
        if present in (None, item.model_hash):
            rollouts.append(item)
        else:
            command = f"gr00t-assets rollout {model.name} --environment {environment}"
            missing.append(f"its rollouts in {environment} are of other weights: {command}")
    return Evidence(evaluation, rollouts, missing)


def gate(evidence: Evidence, environments: Sequence[str], name: str) -> Gate:
    """What speaks for and against weights that are to be rolled out in ``environments``."""
    reasons, shown = _open_loop(evidence.evaluation, name) if evidence.evaluation else ([], [])
    for item in evidence.rollouts:
        own = f"in {item.environment} it succeeds {item.rate.words()}"
        if (best := item.best_baseline) is None:
            reasons.append(f"{own}; no baseline was rolled out with it, so that nothing is beaten")
            continue
        rule, rate = best
        text = f"{own}, the best baseline, which {rolled_out.BASELINES[rule]}, {rate.words()}"
        if item.rate.wilson()[0] > rate.wilson()[1]:
            shown.append(text)
        else:
            reasons.append(f"{text}: its interval does not clear the baseline's")
    acted_in = {item.environment for item in evidence.rollouts}
    reasons += [
        f"its dataset declares the environment {environment}, and it was not rolled out there: "
        f"gr00t-assets rollout {name} --environment {environment}"
        for environment in dict.fromkeys(environments)
        if environment not in acted_in
    ]
    return Gate(tuple(reasons), tuple(shown))


def reason_given(because: str | None) -> str | None:
    """What ``--because`` says, in one line; ``PromotionError`` where it is nothing, or too long."""
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
    """Reasons and what was shown, on held-out episodes."""
    part = evaluation.held_out
    if part is None:
        return [
            "no episode is held out, so nothing shows what it does on new ones: set held_out in "
            "data/datasets.yaml and train again"
        ], []
    rules = {rule.name: rule for rule in part.baselines}
    if missing := [words for rule, words in RULES.items() if rule not in rules]:
        remedy = f"gr00t-assets evaluate {name}"
        return [f"its evaluation has no error of {' and '.join(missing)}: {remedy}"], []
    where = counted(part.clusters, "held-out episode")
    if part.clusters < LEAST_EPISODES:
        errors = ", ".join(f"{rules[rule].error.mean:.3g} for {RULES[rule]}" for rule in RULES)
        remedy = "hold out more in data/datasets.yaml and train again"
        if part.episodes_in_part >= LEAST_EPISODES:
            remedy = f"gr00t-assets evaluate {name} --max-episodes {part.episodes_in_part}"
        return [
            f"{where} cannot tell whether it beats {' and '.join(RULES.values())}, "
            f"{LEAST_EPISODES} can: its error is {part.error.mean:.3g} there, against {errors}; "
            f"{remedy}"
        ], []
    reasons, beaten = [], []
    for rule, words in RULES.items():
        numbers = f"{part.error.mean:.3g} against {rules[rule].error.mean:.3g}"
        if rules[rule].beaten == "yes":
            beaten.append(f"{words} ({numbers})")
        elif rules[rule].beaten == "no":
            reasons.append(f"on held-out episodes it errs more than {words}: {numbers}")
        else:
            reasons.append(
                f"whether it errs less than {words} on {where} cannot be told: {numbers}, "
                f"difference {estimate_text(rules[rule].difference)}; train longer, or hold out "
                "more episodes"
            )
    return reasons, [f"it errs less than {' and '.join(beaten)} on {where}"] if beaten else []
