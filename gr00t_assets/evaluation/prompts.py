"""Whether a policy uses language: actions for the right prompt beside those for another one.

Both start from the same noise, so that a policy that does not read its prompt gives the same
actions twice. What a change of prompt does is held against what another draw of the noise does.
"""

from collections.abc import Sequence

import numpy as np

from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.evaluation.intervals import ClusterBootstrap
from gr00t_assets.evaluation.part import Measured, draw_spread
from gr00t_assets.evaluation.predictions import Predictor, Progress, row_numbers
from gr00t_assets.evaluation.result import (
    Estimate,
    EvaluationSettings,
    LanguageUsed,
    PromptSwap,
)

UNRELATED = "Water the flowers on the balcony."
"""Told in place of the one task of a dataset."""

LEAST_RATIO = 0.1
"""Of the spread between draws: a change of prompt that does less is taken for no use of it."""

LEAST_DIFFERENCE = 0.01
"""Normalised, half a percent of the data's range: less is no use of it, however sure the model."""


def other_texts(told: Sequence[str], tasks: Sequence[str]) -> list[str]:
    """For each window a task of the dataset that is not its own, all of them in turn.

    Example:
        >>> other_texts(["a", "a", "b"], ["a", "b", "c"])
        ['b', 'c', 'a']
        >>> other_texts(["a"], ["a"]) == [UNRELATED]
        True
    """
    if len(set(tasks)) < 2:
        return [UNRELATED] * len(told)
    seen: dict[str, int] = {}
    texts = []
    for text in told:
        others = [task for task in tasks if task != text]
        turn = seen[text] = seen.get(text, -1) + 1
        texts.append(others[turn % len(others)])
    return texts


def swap_prompts(
    predictor: Predictor,
    data: Demonstrations,
    measured: Measured,
    tasks: Sequence[str],
    settings: EvaluationSettings,
    progress: Progress,
) -> PromptSwap:
    """Ask again at the windows of a part with another prompt.

    Args:
        predictor: The policy; its noise is that of the first time.
        data: The part.
        measured: What it predicted for the right prompts.
        tasks: Every prompt of the dataset once.
        settings: Of the bootstrap.
        progress: Told of windows done.
    """
    told = data.texts(row_numbers(data, measured.windows))
    others = other_texts(told, tasks)
    swapped = predictor.predict(data, measured.windows, others, progress)
    right, actions = measured.predicted, measured.recorded.actions
    difference = measured.over_numbers(np.abs(swapped - right).mean(axis=0))
    spread = measured.over_numbers(draw_spread(right))
    off = np.abs(swapped - actions) - np.abs(right - actions)
    increase = measured.over_numbers(off.mean(axis=0))
    bootstrap = ClusterBootstrap(measured.windows, settings.resamples, settings.seed)
    means = bootstrap.means([difference, spread, increase])
    return PromptSwap(
        part=measured.part,
        other="another task" if others[0] != UNRELATED else "an unrelated sentence",
        tasks=len(set(tasks)),
        example=(told[0], others[0]),
        windows=len(measured.windows),
        difference=means[0],
        draw_spread=means[1],
        ratio=bootstrap.ratio(difference, spread),
        error_increase=means[2],
    )


def language_used(tasks: int, ratio: Estimate, difference: Estimate) -> LanguageUsed:
    """What a prompt swap says.

    ``yes`` where another task's prompt moves the actions by more than a tenth of what another draw
    does and by more than half a percent of the data's range, by the whole intervals; ``no`` where
    either is less. With one task the model was never shown that a prompt can mean something else,
    whatever an unrelated sentence does to it.

    Args:
        tasks: Different prompts in the dataset.
        ratio: The difference over the spread between draws.
        difference: Mean absolute, normalised.
    """
    if tasks < 2:
        return "cannot be told: one task"
    if ratio.low > LEAST_RATIO and difference.low > LEAST_DIFFERENCE:
        return "yes"
    if ratio.high < LEAST_RATIO or difference.high < LEAST_DIFFERENCE:
        return "no"
    return "cannot be told: too close"
