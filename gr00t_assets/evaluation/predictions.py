"""Action chunks of a policy at many windows, for the recorded prompts and for other ones.

Whether a policy uses language is told by a prompt swap: both predictions start from the same noise,
so that a policy that does not read its prompt gives the same actions twice. What a change of prompt
does is held against what another draw of the noise does.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from gr00t_assets.core.text import counted
from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.evaluation.part_errors import PartPredictions, draw_spread
from gr00t_assets.evaluation.result import (
    Estimate,
    EvaluationSettings,
    LanguageUsed,
    PartName,
    PromptSwap,
)
from gr00t_assets.evaluation.windows import EpisodeMeans, Windows, joined_windows
from gr00t_assets.trainers.policy import Observations, Policy

BATCH = 32
"""Windows at a time."""

UNRELATED = "Water the flowers on the balcony."
"""Told in place of the one task of a dataset."""

LEAST_RATIO = 0.1
"""Of the spread between draws: a change of prompt that does less is taken for no use of it."""

LEAST_DIFFERENCE = 0.01
"""Normalised, half a percent of the data's range: less is no use of it, however sure the model."""

Log = Callable[[str], object]

_PROGRESS_EVERY = 5.0
"""Seconds between two lines of progress, at least."""


class Predictor:
    """A policy with the settings that it is asked with.

    The noise of a draw is made of seed, draw, episode and row, so that neither the batch nor the
    other windows change it.
    """

    def __init__(self, policy: Policy, settings: EvaluationSettings, log: Log) -> None:
        self.policy, self._log = policy, log
        self.denoising_steps = settings.denoising_steps or policy.denoising_steps
        self._draws, self._seed = settings.draws, settings.seed

    def predict(
        self, data: Demonstrations, windows: Windows, what: str, texts: Sequence[str] | None = None
    ) -> np.ndarray:
        """Normalised actions, ``(draws, n, horizon, action_dim)`` float32.

        ``what`` is said of it in the log. ``texts`` are the instructions at each window; the
        recorded ones where left out.
        """
        self._log(f"{what}, {counted(len(windows), 'window')}")
        last_line, numbers = time.monotonic(), row_numbers(data, windows)
        instructions = data.texts(numbers) if texts is None else list(texts)
        batches = []
        for first in range(0, len(windows), BATCH):
            batch = slice(first, first + BATCH)
            rows = numbers[batch]
            observations = Observations(data.frames(rows), data.states(rows), instructions[batch])
            noise = self._noise(windows.episodes[batch], windows.rows[batch])
            batches.append(self.policy.predict(observations, noise, self.denoising_steps))
            if time.monotonic() - last_line > _PROGRESS_EVERY and batch.stop < len(windows):
                last_line = time.monotonic()
                self._log(f"{what}, {batch.stop} of {len(windows)} windows")
        return np.concatenate(batches, axis=1)[..., : data.config.action_dim]

    def _noise(self, episodes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """What denoising starts from, ``(draws, windows, horizon, max_action_dim)``, float32."""
        config = self.policy.config
        shape = len(config.action_indices), config.max_action_dim
        return np.stack(
            [
                [
                    np.random.default_rng([self._seed, draw, episode, row]).standard_normal(
                        shape, np.float32
                    )
                    for episode, row in zip(episodes.tolist(), rows.tolist(), strict=True)
                ]
                for draw in range(self._draws)
            ]
        )


def row_numbers(data: Demonstrations, windows: Windows) -> np.ndarray:
    """The windows' rows as ``data`` numbers them, ``(n,)``."""
    starts = {episode: int(data.rows(episode)[0]) for episode in np.unique(windows.episodes)}
    return np.array([starts[episode] for episode in windows.episodes]) + windows.rows


def other_texts(texts: Sequence[str], tasks: Sequence[str]) -> list[str]:
    """For each window a task of the dataset that is not its own, all of them in turn.

    Examples:
        >>> other_texts(["a", "a", "b"], ["a", "b", "c"])
        ['b', 'c', 'a']
        >>> other_texts(["a"], ["a"]) == [UNRELATED]
        True
    """
    if len(set(tasks)) < 2:
        return [UNRELATED] * len(texts)
    turns = {text: cycle([task for task in tasks if task != text]) for text in set(texts)}
    return [next(turns[text]) for text in texts]


@dataclass(frozen=True)
class SwappedPrompts:
    """What another prompt does at the n windows of one dataset, from the same noise.

    Attributes:
        windows: Where the policy was asked.
        texts: A right prompt, and the one in its place, of the first window.
        means: Difference to the actions for the right prompt, spread of those between draws, and
            what the error grows by: means over the numbers that can change, ``(n, horizon)`` each.
    """

    windows: Windows
    texts: tuple[str, str]
    means: list[np.ndarray]


def swap_prompts(
    predictor: Predictor, data: Demonstrations, predictions: PartPredictions, tasks: Sequence[str]
) -> SwappedPrompts:
    """Ask again at the windows of a part with another prompt, from the same noise.

    ``tasks`` has every prompt of the data once.
    """
    windows = predictions.windows
    texts = data.texts(row_numbers(data, windows))
    others = other_texts(texts, tasks)
    what = f"{predictions.dataset}, {predictions.part}: other prompts"
    swapped = predictor.predict(data, windows, what, others)
    right, actions = predictions.predicted, predictions.recorded.actions
    difference = predictions.over_numbers(np.abs(swapped - right).mean(axis=0))
    spread = predictions.over_numbers(draw_spread(right))
    increase = np.abs(swapped - actions) - np.abs(right - actions)
    means = [difference, spread, predictions.over_numbers(increase.mean(axis=0))]
    return SwappedPrompts(windows, (texts[0], others[0]), means)


def prompt_swap(
    swapped: Sequence[SwappedPrompts], part: PartName, tasks: Sequence[str]
) -> PromptSwap:
    """What another prompt does on a part, over the windows of all its datasets."""
    windows = joined_windows([item.windows for item in swapped])
    over = EpisodeMeans(windows)
    joined = zip(*(item.means for item in swapped), strict=True)
    difference, spread, increase = (np.concatenate(values) for values in joined)
    means = over.means([difference, spread, increase])
    texts = swapped[0].texts
    return PromptSwap(
        part=part,
        other="another task" if texts[1] != UNRELATED else "an unrelated sentence",
        tasks=len(set(tasks)),
        example=texts,
        windows=len(windows),
        difference=means[0],
        draw_spread=means[1],
        ratio=over.ratio(difference, spread),
        error_increase=means[2],
    )


def language_used(tasks: int, ratio: Estimate, difference: Estimate) -> LanguageUsed:
    """What a prompt swap says.

    ``yes`` where another task's prompt moves the actions by more than a tenth of what another draw
    does and by more than half a percent of the data's range, by the whole intervals; ``no`` where
    either is less. With one task the model was never shown that a prompt can mean something else,
    whatever an unrelated sentence does to it. With fewer than five episodes it cannot be told
    either. ``ratio`` is the difference over the spread between
    draws.
    """
    if tasks < 2:
        return "cannot be told: one task"
    if ratio.interval is None or difference.interval is None:
        return "cannot be told: too few episodes"
    if ratio.interval[0] > LEAST_RATIO and difference.interval[0] > LEAST_DIFFERENCE:
        return "yes"
    if ratio.interval[1] < LEAST_RATIO or difference.interval[1] < LEAST_DIFFERENCE:
        return "no"
    return "cannot be told: too close"
