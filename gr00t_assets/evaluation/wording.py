"""An evaluation in sentences and table cells, the same on terminal, page and report."""

from collections.abc import Sequence

from gr00t_assets.evaluation.result import (
    NOT_SUCCESS,
    Baseline,
    Estimate,
    Evaluation,
    LanguageUsed,
    PartEvaluation,
    PromptSwap,
)
from gr00t_assets.evaluation.windows import ENOUGH_EPISODES
from gr00t_assets.runs.training_data import TrainingData

PART_HEAD = ("action group", "error", "in units", "hold", "mean action")
"""Columns of ``group_rows``; ``hold`` and ``mean action`` are normalised."""

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


def estimate_text(estimate: Estimate) -> str:
    """``0.42 (0.37 to 0.49)``: the mean and its 95 percent interval."""
    return f"{estimate.mean:.3g} ({estimate.low:.3g} to {estimate.high:.3g})"


def baseline_sentence(baseline: Baseline) -> str:
    """Whether the policy beats a baseline, with the paired difference."""
    verdict = _BEATEN[baseline.beaten].format(rule=baseline.words)
    return (
        f"{verdict}: {estimate_text(baseline.error)} for the rule, "
        f"policy minus rule {estimate_text(baseline.difference)}."
    )


def part_sentence(part: PartEvaluation) -> str:
    """Error of a part, with what it is over."""
    episodes = len(part.episodes)
    return (
        f"{part.part}: error {estimate_text(part.error)} normalised, over {part.windows} windows "
        f"of {episodes} episode{'s' if episodes > 1 else ''} (interval over {part.resampled})."
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
    verdict = _against(part.baselines)
    where = "on held-out episodes" if part.part == "held out" else "on episodes seen in training"
    return f"Error {estimate_text(part.error)} normalised {where}: {verdict}."


def _against(baselines: Sequence[Baseline]) -> str:
    return ", ".join(
        f"{phrase} {' and '.join(rules)}"
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
            f"{group.baselines['hold']:.3g} ({group.held})",
            f"{group.baselines['mean action']:.3g}",
        ]
        for group in part.groups
    ]


def joint_rows(part: PartEvaluation) -> list[list[str]]:
    """A row for each number: name, error in units with interval, both baselines in units."""
    return [
        [
            joint.name if joint.label is None else f"{joint.name} {joint.label}",
            estimate_text(joint.in_units),
            f"{joint.baselines_in_units['hold']:.3g}",
            f"{joint.baselines_in_units['mean action']:.3g}",
        ]
        for joint in part.joints
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
        held_out = parts[0].part == "held out"
        consequence = (
            "the errors on held-out episodes say nothing of it."
            if held_out
            else "every error is on episodes that it was trained on, and says nothing of new ones."
        )
        limits.append(
            f"No episode of {' and '.join(trained_on)} was held out: {consequence} Set held_out in "
            "data/datasets.yaml."
        )
    for part in parts:
        count = len(part.episodes)
        if count < ENOUGH_EPISODES:
            limits.append(
                f"Intervals of the part {part.part} are over {part.resampled}: with "
                f"{count} episode{'s' if count > 1 else ''} they cannot say how another episode "
                "would differ."
            )
        if count < part.episodes_in_part:
            limits.append(
                f"{count} of {part.episodes_in_part} episodes were evaluated of the "
                f"part {part.part}, evenly spread."
            )
    limits.append(_language(swap, language))
    actions = [key for config in configs for key in config.action]
    constant = [key.key for key in actions if key.statistics.min == key.statistics.max]
    still = dict.fromkeys(constant)
    if still:
        limits.append(
            f"{', '.join(still)} never changes in the data and is left out of normalised errors."
        )
    turned = dict.fromkeys(key.key for key in actions if key.target_rotation)
    if turned:
        limits.append(
            f"Errors in units of {', '.join(turned)} are component by component of the rotation as "
            "the data has it, not angles between poses."
        )
    return tuple(limits)


def _language(swap: PromptSwap, language: LanguageUsed) -> str:
    number = (
        f"{swap.other} moves the actions by {swap.ratio.mean:.2g} times "
        f"({swap.ratio.low:.2g} to {swap.ratio.high:.2g}) what another draw of the noise does, and "
        f"changes the error by {swap.error_increase.mean:+.2g} "
        f"({swap.error_increase.low:+.2g} to {swap.error_increase.high:+.2g})"
    )
    if language == "yes":
        return f"The prompt is used: that of {number}. That does not say that it is understood."
    if language == "no":
        return f"The prompt is hardly used: that of {number}."
    if language == "cannot be told: one task":
        return "Whether language is used cannot be told: the dataset has one task; " + number + "."
    return f"Whether language is used cannot be told: the prompt of {number}."
