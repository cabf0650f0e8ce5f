"""Action chunks of a policy at many windows, for the recorded prompts and for other ones.

Whether a policy uses language is told by a prompt swap: both predictions start from the same noise,
so that a policy that does not read its prompt gives the same actions twice. What a change of prompt
does is held against what another draw of the noise does.
"""

import math
import time
from collections.abc import Callable, Sequence
from itertools import cycle

import numpy as np

from gr00t_assets.core.text import counted
from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.videos import spread_positions
from gr00t_assets.evaluation.intervals import EpisodeMeans, Windows, joined_windows, rounded
from gr00t_assets.evaluation.part_errors import PartPredictions, draw_spread, joint_name
from gr00t_assets.evaluation.recorded_actions import ActionGroup
from gr00t_assets.evaluation.result import (
    Estimate,
    EvaluationSettings,
    LanguageUsed,
    PromptSwap,
    Trajectory,
    TrajectoryLine,
)
from gr00t_assets.trainers.policy import Observations, Policy

BATCH = 32  # Windows at a time
UNRELATED = "Water the flowers on the balcony."  # Told in place of the one task of a dataset
LEAST_RATIO = 0.1
"""Of the spread between draws: a change of prompt that does less is taken for no use of it."""

LEAST_DIFFERENCE = 0.01
"""Normalised, half a percent of the data's range: less is no use of it, however sure the model."""

Log = Callable[[str], object]

_PROGRESS_EVERY = 5.0  # Seconds between two lines of progress, at least


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

        def drawn(*seed: int) -> np.ndarray:
            return np.random.default_rng([self._seed, *seed]).standard_normal(shape, np.float32)

        places = list(zip(episodes.tolist(), rows.tolist(), strict=True))
        draws = range(self._draws)
        return np.stack([[drawn(draw, *place) for place in places] for draw in draws])


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


def prompt_swap(
    asked: Sequence[tuple[Predictor, Demonstrations, PartPredictions]], tasks: Sequence[str]
) -> PromptSwap:
    """Ask again at the windows of a part, on all its datasets, with other prompts and equal noise.

    ``tasks`` has every prompt of the data once.
    """
    examples, values = [], []
    for predictor, data, predictions in asked:
        texts = data.texts(row_numbers(data, predictions.windows))
        others = other_texts(texts, tasks)
        what = f"{predictions.dataset}, {predictions.part}: other prompts"
        swapped = predictor.predict(data, predictions.windows, what, others)
        right, actions = predictions.predicted, predictions.recorded.actions
        moved = np.abs(swapped - right)
        increase = np.abs(swapped - actions) - np.abs(right - actions)
        changes = (moved.mean(axis=0), draw_spread(right), increase.mean(axis=0))
        values.append([predictions.over_numbers(change) for change in changes])
        examples.append((texts[0], others[0]))
    windows = joined_windows([predictions.windows for _, _, predictions in asked])
    over = EpisodeMeans(windows)
    difference, spread, increase = map(np.concatenate, zip(*values, strict=True))
    return PromptSwap(
        part=asked[0][2].part,
        other="another task" if examples[0][1] != UNRELATED else "an unrelated sentence",
        tasks=len(set(tasks)),
        example=examples[0],
        windows=len(windows),
        difference=over.mean(difference),
        draw_spread=over.mean(spread),
        ratio=over.ratio(difference, spread),
        error_increase=over.mean(increase),
    )


def language_used(tasks: int, ratio: Estimate, difference: Estimate) -> LanguageUsed:
    """What a prompt swap says.

    ``yes`` where another task's prompt moves the actions by more than a tenth of what another draw
    does and by more than half a percent of the data's range, by the whole intervals; ``no`` where
    either is less. With one task the model was never shown that a prompt can mean something else,
    whatever an unrelated sentence does to it. With fewer than five episodes it cannot be told
    either. ``ratio`` is the difference over the spread between draws.
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


SHOWN_JOINTS = 6
RECORDED_POINTS = 160
PREDICTED_POINTS = 240
"""Of all chunks of one number at most; of a chunk every second step is kept, or fewer."""


def trajectory(
    predictions: PartPredictions, dataset: LeRobotDataset, named: bool = False
) -> Trajectory:
    """The first episode of a part: the numbers that move most, and chunks that do not overlap.

    ``named`` says the dataset's name, as in a mixture.
    """
    windows = predictions.windows
    horizon, episode = windows.inside.shape[1], int(windows.episodes[0])
    seconds = dataset.timestamps(episode)
    keys = {group.key.original_key for group in predictions.groups}
    columns = dataset.vectors(episode, sorted(keys))
    places = _non_overlapping(windows.rows, windows.episodes == episode, horizon)
    every = max(1, math.ceil(len(places) * horizon / PREDICTED_POINTS))
    steps = [np.flatnonzero(windows.inside[place])[::every] for place in places]
    rows = [windows.rows[place] + kept for place, kept in zip(places, steps, strict=True)]
    shown = spread_positions(len(seconds), RECORDED_POINTS)
    lines = []
    for group, number in _most_moving(predictions):
        truth = columns[group.key.original_key][:, group.key.start + number]
        anchor = predictions.recorded.anchors.get(group.key.key)
        anchor = None if anchor is None else anchor[places]
        predicted = predictions.predicted[:, places][..., group.normalised]
        units = group.inverse(predicted, anchor)[..., number]
        chunks = [units[:, at][:, kept] for at, kept in enumerate(steps)]
        lines.append(
            TrajectoryLine(
                joint=joint_name(group, number),
                recorded=_numbers(truth[shown]),
                predicted=tuple(_numbers(chunk.mean(axis=0)) for chunk in chunks),
                low=tuple(_numbers(chunk.min(axis=0)) for chunk in chunks),
                high=tuple(_numbers(chunk.max(axis=0)) for chunk in chunks),
            )
        )
    return Trajectory(
        part=predictions.part,
        dataset=predictions.dataset if named else None,
        episode=episode,
        seconds=_numbers(seconds[shown]),
        chunk_seconds=tuple(_numbers(seconds[chunk_rows]) for chunk_rows in rows),
        lines=tuple(lines),
    )


def _non_overlapping(rows: np.ndarray, chosen: np.ndarray, horizon: int) -> list[int]:
    places: list[int] = []
    for place in np.flatnonzero(chosen):
        if not places or rows[place] - rows[places[-1]] >= horizon:
            places.append(int(place))
    return places


def _most_moving(predictions: PartPredictions) -> list[tuple[ActionGroup, int]]:
    """The number of each group that moves most, then others, in the order of the groups."""
    ranked: list[tuple[int, float, int, int]] = []
    for at, group in enumerate(predictions.groups):
        values = predictions.recorded.actions_in_units[group.key.key]
        extent = np.subtract(group.key.statistics.max, group.key.statistics.min)
        moved = values.std(axis=(0, 1)) / np.where(extent > 0, extent, 1)
        for place, number in enumerate(np.argsort(-moved, kind="stable").tolist()):
            ranked.append((min(place, 1), -float(moved[number]), at, number))
    chosen = sorted((at, number) for _, _, at, number in sorted(ranked)[:SHOWN_JOINTS])
    return [(predictions.groups[at], number) for at, number in chosen]


def _numbers(values: np.ndarray) -> tuple[float, ...]:
    return tuple(rounded(np.asarray(values, np.float64), 4).tolist())
