"""Sentences that belong beside the numbers of an evaluation."""

from collections.abc import Sequence

from gr00t_assets.evaluation.result import (
    NOT_SUCCESS,
    LanguageUsed,
    PartEvaluation,
    PromptSwap,
)
from gr00t_assets.evaluation.windows import ENOUGH_EPISODES
from gr00t_assets.modality.config import ModalityConfig


def limits_of(
    config: ModalityConfig,
    parts: Sequence[PartEvaluation],
    swap: PromptSwap,
    language: LanguageUsed,
) -> tuple[str, ...]:
    """What the numbers do not say, the weightiest first."""
    limits = [NOT_SUCCESS]
    if parts[0].part != "held out":
        limits.append(
            f"No episode of {config.dataset} was held out: every error is on episodes that it was "
            "trained on, and says nothing of new ones. Set held_out in data/datasets.yaml."
        )
    for part in parts:
        if len(part.episodes) < ENOUGH_EPISODES:
            count = len(part.episodes)
            limits.append(
                f"Intervals of the part {part.part} are over {part.resampled}: with "
                f"{count} episode{'s' if count > 1 else ''} they cannot say how another episode "
                "would differ."
            )
        if len(part.episodes) < part.episodes_in_part:
            limits.append(
                f"{len(part.episodes)} of {part.episodes_in_part} episodes were evaluated of the "
                f"part {part.part}, evenly spread."
            )
    limits.append(_language(swap, language))
    still = [key.key for key in config.action if key.statistics.min == key.statistics.max]
    if still:
        limits.append(
            f"{', '.join(still)} never changes in the data and is left out of normalised errors."
        )
    turned = [key.key for key in config.action if key.target_rotation]
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
