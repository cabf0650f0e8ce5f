"""An evaluation in sentences and table cells, the same on terminal, page and report."""

from collections.abc import Mapping, Sequence

from gr00t_assets.core.text import counted
from gr00t_assets.evaluation.intervals import LEAST_EPISODES
from gr00t_assets.evaluation.result import (
    BASELINE_NAMES,
    NOT_SUCCESS,
    Baseline,
    BaselineName,
    Estimate,
    Evaluation,
    LanguageUsed,
    PartEvaluation,
    PromptSwap,
)
from gr00t_assets.runs.training_data import TrainingData

PART_HEAD = ("action group", "error", "in units", *BASELINE_NAMES)
"""Columns of ``group_rows``; those of the rules are normalised."""

JOINT_HEAD = ("number", "error", *BASELINE_NAMES)  # Columns of ``joint_rows``, all in units
_BEATEN = {
    "yes": "The policy errs less than the rule '{rule}'",
    "no": "The policy errs more than the rule '{rule}'",
    "cannot be told": "Whether the policy errs less than the rule '{rule}' cannot be told",
}
_AGAINST = {
    "yes": "better than",
    "no": "worse than",
    "cannot be told": "not shown to be better than",
}


def estimate_text(estimate: Estimate, form: str = ".3g") -> str:
    """``0.42 (0.37 to 0.49)``: the mean and its 95 percent interval; the mean alone without one."""
    if estimate.interval is None:
        return f"{estimate.mean:{form}}"
    low, high = estimate.interval
    return f"{estimate.mean:{form}} ({low:{form}} to {high:{form}})"


def baseline_sentence(baseline: Baseline) -> str:
    """Whether the policy beats a baseline, with the paired difference."""
    verdict = _BEATEN[baseline.beaten].format(rule=baseline.words)
    return (
        f"{verdict}: {estimate_text(baseline.error)} for the rule, "
        f"policy minus rule {estimate_text(baseline.difference)}."
    )


def part_sentence(part: PartEvaluation) -> str:
    """Error of a part, with what it is over."""
    spread = f"with fewer than {LEAST_EPISODES} episodes its uncertainty cannot be told"
    if part.error.interval:
        spread = f"interval over {part.resampled}"
    return (
        f"{part.part}: error {estimate_text(part.error)} normalised, over {part.windows} windows "
        f"of {counted(len(part.episodes), 'episode')} ({spread})."
    )


def dataset_sentences(part: PartEvaluation) -> list[str]:
    """Error on each dataset of a mixture, with whether it beats the rules there."""
    return [
        f"{part.part}, {item.dataset}: error {estimate_text(item.error)} normalised, over "
        f"{item.windows} windows; " + _against(item.baselines) + "."
        for item in part.datasets
    ]


def verdict_sentence(evaluation: Evaluation) -> str:
    """The whole evaluation in one sentence, for a first line."""
    part = evaluation.main
    where = "on held-out episodes" if part.part == "held out" else "on episodes seen in training"
    return f"Error {estimate_text(part.error)} normalised {where}: {_against(part.baselines)}."


def _against(baselines: Sequence[Baseline]) -> str:
    return ", ".join(
        f"{phrase} {', '.join(rules[:-1])}{' and ' if rules[1:] else ''}{rules[-1]}"
        for outcome, phrase in _AGAINST.items()
        if (rules := [f"'{rule.words}'" for rule in baselines if rule.beaten == outcome])
    )


def group_rows(part: PartEvaluation) -> list[list[str]]:
    """A row for each action group, columns as ``PART_HEAD``."""
    return [
        [
            group.group,
            estimate_text(group.normalised),
            estimate_text(group.in_units),
            *_rule_cells(group.baselines, f" ({group.held})"),
        ]
        for group in part.groups
    ]


def joint_rows(part: PartEvaluation) -> list[list[str]]:
    """A row for each number, columns as ``JOINT_HEAD``."""
    return [
        [
            joint.name if joint.label is None else f"{joint.name} {joint.label}",
            estimate_text(joint.in_units),
            *_rule_cells(joint.baselines_in_units),
        ]
        for joint in part.joints
    ]


def _rule_cells(errors: Mapping[BaselineName, float], held: str = "") -> list[str]:
    """Error of each rule; '' of one that an earlier version did not know."""
    return [
        f"{errors[rule]:.3g}{held if rule == 'hold' else ''}" if rule in errors else ""
        for rule in BASELINE_NAMES
    ]


def language_sentence(evaluation: Evaluation) -> str:
    """Whether the prompt is used, with the number."""
    swap = evaluation.prompt_swap
    return (
        f"{evaluation.language_used}: {swap.other} in place of the prompt changes the actions by "
        f"{estimate_text(swap.ratio)} times what another draw of the noise changes"
    )


def limits_of(
    data: TrainingData, parts: Sequence[PartEvaluation], swap: PromptSwap, language: LanguageUsed
) -> tuple[str, ...]:
    """What the numbers do not say, the weightiest first."""
    limits = [NOT_SUCCESS]
    configs = [dataset.config for dataset in data.datasets]
    if trained_on := [item.dataset for item in configs if not item.held_out_episodes]:
        consequence = "the errors on held-out episodes say nothing of it."
        if parts[0].part != "held out":
            consequence = (
                "every error is on episodes that it was trained on, and says nothing of new ones."
            )
        limits.append(
            f"No episode of {' and '.join(trained_on)} was held out: {consequence} Set held_out in "
            "data/datasets.yaml."
        )
    for part in parts:
        count = len(part.episodes)
        if count < LEAST_EPISODES:
            limits.append(
                f"{counted(count, 'episode')} of the part {part.part}: with fewer than "
                f"{LEAST_EPISODES}, how much another episode would differ cannot be told, so that "
                "its numbers have no intervals and its comparisons no answer."
            )
        if count < part.episodes_in_part:
            limits.append(
                f"{count} of {part.episodes_in_part} episodes were evaluated of the "
                f"part {part.part}, evenly spread."
            )
    limits += [
        "On episodes seen in training the rule of the nearest chunks finds the recorded chunk "
        "itself among them.",
        _language(swap, language),
    ]
    actions = [key for config in configs for key in config.action]
    constant = [key.key for key in actions if key.statistics.min == key.statistics.max]
    if still := ", ".join(dict.fromkeys(constant)):
        limits.append(f"{still} never changes in the data and is left out of normalised errors.")
    if turned := dict.fromkeys(key.key for key in actions if key.target_rotation):
        limits.append(
            f"Errors in units of {', '.join(turned)} are component by component of the rotation as "
            "the data has it, not angles between poses."
        )
    return tuple(limits)


def _language(swap: PromptSwap, language: LanguageUsed) -> str:
    number = (
        f"{swap.other} moves the actions by {estimate_text(swap.ratio, '.2g')} times what another "
        f"draw of the noise does, and changes the error by "
        f"{estimate_text(swap.error_increase, '+.2g')}"
    )
    if language == "yes":
        return f"The prompt is used: that of {number}. That does not say that it is understood."
    if language == "no":
        return f"The prompt is hardly used: that of {number}."
    reason = {
        "cannot be told: one task": "the dataset has one task; ",
        "cannot be told: too few episodes": f"fewer than {LEAST_EPISODES} episodes; ",
    }.get(language, "the prompt of ")
    return f"Whether language is used cannot be told: {reason}{number}."
