"""An evaluation in sentences and tables, for terminals and pages."""

from gr00t_assets.evaluation.result import Baseline, Estimate, Evaluation, PartEvaluation

PART_HEAD = ("action group", "error", "in units", "hold", "mean action")
"""Columns of :func:`group_rows`; ``hold`` and ``mean action`` are normalised."""

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
    told = _BEATEN[baseline.beaten].format(rule=baseline.words)
    return (
        f"{told}: {estimate_text(baseline.error)} for the rule, "
        f"policy minus rule {estimate_text(baseline.difference)}."
    )


def part_sentence(part: PartEvaluation) -> str:
    """Error of a part, with what it is over."""
    episodes = len(part.episodes)
    return (
        f"{part.part}: error {estimate_text(part.error)} normalised, over {part.windows} windows "
        f"of {episodes} episode{'s' if episodes > 1 else ''} (interval over {part.resampled})."
    )


def verdict_sentence(evaluation: Evaluation) -> str:
    """The whole evaluation in one sentence, for a first line."""
    part = evaluation.main
    told = ", ".join(
        f"{words} {_listed(rules)}"
        for outcome, words in _AGAINST.items()
        if (rules := [rule.words for rule in part.baselines if rule.beaten == outcome])
    )
    where = "on held-out episodes" if part.part == "held out" else "on episodes seen in training"
    return f"Error {estimate_text(part.error)} normalised {where}: {told}."


def group_rows(part: PartEvaluation) -> list[list[str]]:
    """A row for each action group, columns as :data:`PART_HEAD`."""
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


def _listed(rules: list[str]) -> str:
    return " and ".join(f"'{words}'" for words in rules)
