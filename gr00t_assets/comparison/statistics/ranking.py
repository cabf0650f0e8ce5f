"""Comparability classes, the order of configurations within one, and the chance to be the best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gr00t_assets.comparison.curves import Loss
from gr00t_assets.comparison.run import Frames, Run, grouped, trainable_parts
from gr00t_assets.comparison.statistics import factors
from gr00t_assets.comparison.statistics.effects import holm
from gr00t_assets.comparison.statistics.linear_model import LEVEL, independent, seed_columns
from gr00t_assets.comparison.statistics.questions import additive_question
from gr00t_assets.evaluation.intervals import student_t

BAND = 0.05  # Losses no further apart than this share are equally good for most purposes
LARGEST_HALF = 600.0  # Of an interval of log losses: beyond it ``exp`` overflows
NAMED = 0.03  # Chance that one of two equally good configurations is named the best
GRID = 60  # Standard deviations between configurations that are drawn from
DRAWS = 4000  # Of the losses that the configurations may really have
ENOUGH_REPEATS = 3  # Degrees of freedom from which a variance is taken for known

CLASS_DEGREES = 1.5
"""So many degrees of freedom the spread of a class is worth for that of one configuration in it;
with more of them two runs that happen to agree hide that a configuration scatters."""


@dataclass(frozen=True)
class RankedConfiguration:
    """A configuration's place in its class, from 1 for the lowest loss."""

    place: int
    runs: tuple[Run, ...]
    loss: Loss  # Geometric mean over seeds; its error is that between runs, else that within them
    interval: tuple[float, float] | None = None  # Of the loss at 95 percent, between runs
    expected: float | None = None  # In new runs, drawn towards the others: the lowest is lucky
    expected_interval: tuple[float, float] | None = None
    chance_best: float | None = None  # That no configuration of the class has a lower loss
    chance_good: float | None = None  # That its loss is at most the band above the lowest
    finished: int = 1  # Number of its runs that finished
    started: int = 1  # Of those that were begun
    failed: int = 0  # With any it is not called the best
    tied_with_best: bool = True  # Whether it cannot be told from the first; so for that one

    @property
    def run(self) -> Run:
        """The first of the replicates."""
        return self.runs[0]

    @property
    def tied(self) -> bool:
        """Whether it cannot be told from the best, and is not it."""
        return self.tied_with_best and self.place > 1

    @property
    def survivors(self) -> str:
        """``2 of 5 finished``; '' where no run failed."""
        return f"{self.finished} of {self.started} finished" if self.failed else ""


@dataclass(frozen=True)
class ComparabilityClass:
    """Runs whose losses may be set side by side: equal data, frames and trainable parts."""

    runs: tuple[Run, ...]
    band: float = BAND  # Share by which losses may differ and still be equally good

    @property
    def comparability(self) -> dict[str, str]:
        """What they have in common, by name."""
        return self.runs[0].comparability

    @property
    def frames(self) -> Frames:
        """Whether the images that they trained on are known to be the right ones."""
        return self.runs[0].frames

    @cached_property
    def id(self) -> str:
        """What it is called by, 6 hex digits."""
        return self.runs[0].class_id

    @property
    def finished(self) -> tuple[Run, ...]:
        """Those that are ranked."""
        return tuple(run for run in self.runs if run.finished)

    @cached_property
    def members(self) -> list[factors.Configuration]:
        """The configurations with a finished run."""
        return factors.configurations(self.runs)

    @cached_property
    def spread(self) -> factors.Spread:
        """How much two runs of one configuration differ here."""
        return class_spread(self.members)

    @cached_property
    def ranking(self) -> tuple[RankedConfiguration, ...]:
        """The configurations with a finished run, lowest loss first."""
        return tuple(_ranking(self))

    @property
    def best(self) -> RankedConfiguration | None:
        """The best by more than noise, if known; none that ran once, or of which a run failed."""
        if len(self.ranking) < 2 or self.ranking[0].failed:
            return None
        first = self.ranking[0]
        seeds = next(item.by_seed for item in self.members if item.first is first.run)
        return None if len(seeds) == 1 or any(item.tied for item in self.ranking) else first

    @property
    def good(self) -> tuple[RankedConfiguration, ...]:
        """Those that are at most the band above the lowest, with 95 percent of certainty."""
        return tuple(item for item in self.ranking if (item.chance_good or 0.0) >= LEVEL)


def comparability_classes(runs: Sequence[Run], band: float = BAND) -> list[ComparabilityClass]:
    """The classes of runs; with verified frames first, then those with more finished runs.

    A run that is missing is in none. Losses of two classes say nothing of each other.
    """
    present = [run for run in runs if run.status != "missing"]
    groups = grouped(present, lambda run: (run.comparable, trainable_parts(run.settings)))
    classes = [ComparabilityClass(tuple(members), band) for members in groups.values()]
    return sorted(classes, key=lambda item: (item.frames != "verified", -len(item.finished)))


def class_spread(members: Sequence[factors.Configuration]) -> factors.Spread:
    """Of repeated seeds; where they are few or none, of what the model of all factors leaves."""
    repeated = factors.repeated_spread(members)
    if repeated.degrees >= ENOUGH_REPEATS or (question := additive_question(members)) is None:
        return repeated
    of_model = question.additive
    return of_model.spread if of_model.residual_degrees > repeated.degrees else repeated


class AdjustedMeans:
    """Mean log loss of each configuration, what seeds add to all of them taken out.

    ``means`` and ``counts`` of observations have the shape ``(configurations,)``. ``paired`` is the
    spread of differences, without what seeds add; ``spread`` where too little tells it.
    """

    def __init__(
        self, rows: Sequence[factors.Observation], configurations: int, spread: factors.Spread
    ) -> None:
        self.cells = np.array([row.cell for row in rows])
        losses = np.array([row.log_loss for row in rows])
        self.counts = np.bincount(self.cells, minlength=configurations)
        self.means = np.bincount(self.cells, losses, configurations) / self.counts
        self._of_seeds = np.zeros(len(rows))
        seeds = seed_columns([row.seed for row in rows], self.cells.tolist())
        if seeds.shape[1]:
            dummies = np.eye(configurations)[self.cells]
            seeds = independent(seeds, dummies)
            solution, *_ = np.linalg.lstsq(np.hstack([dummies, seeds]), losses, rcond=None)
            self.means = solution[:configurations]
            self._of_seeds = seeds @ solution[configurations:]
        self.residuals = losses - self.means[self.cells] - self._of_seeds
        self._seed_degrees = seeds.shape[1]
        self.spread = self.paired = spread
        degrees = len(rows) - configurations - self._seed_degrees
        if self._seed_degrees and degrees >= ENOUGH_REPEATS:
            squares = float(self.residuals @ self.residuals)
            self.paired = factors.Spread.of_squares(squares, degrees, spread.source, spread.runs)

    def with_seeds(self, draws: np.ndarray) -> np.ndarray:
        """Drawn losses with what the common seeds may have added to all of them alike."""
        if self.paired is self.spread:
            return draws
        degrees = self._seed_degrees
        mean_square = float(self._of_seeds @ self._of_seeds) / degrees
        share = degrees / (len(self.cells) - len(self.means)) / (degrees + 1)
        deviation = math.sqrt(max(0.0, share * (mean_square - self.paired.variance)))
        drawn = np.random.default_rng(1).standard_t(degrees, size=(len(draws), 1))
        return draws + deviation * drawn

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the spread of one configuration's mean (Satterthwaite's)."""
        if self.paired is self.spread:
            return self.spread.degrees
        squares = np.array([x @ x for x in (self._of_seeds, self.residuals)])
        degrees = np.array([self._seed_degrees, self.paired.degrees])
        return float(squares.sum() ** 2 / max(1e-300, (squares**2 / degrees).sum()))

    def tied_with_first(self, order: np.ndarray) -> list[bool]:
        """Whether each configuration, in the order of means, cannot be told from the first one.

        Tests with the spread of the class, and by Welch's with the variances of both, each a
        weighted mean of its own and that of the class (a moderated t-test: G. K. Smyth, Statistical
        Applications in Genetics 3, 2004). The larger p counts, adjusted by Holm's procedure.
        """
        from scipy.special import stdtr

        spread = self.paired
        own, squares = self.counts - 1, np.bincount(self.cells, self.residuals**2, len(self.means))
        variances = (CLASS_DEGREES * spread.variance + squares) / (CLASS_DEGREES + own)
        degrees = np.where(own > 0, CLASS_DEGREES + own, spread.degrees)
        first, chances = int(order[0]), []
        for cell in order[1:]:
            pair = np.array([cell, first])
            gap = float(self.means[cell] - self.means[first])
            pooled, parts = spread.variance / self.counts[pair], variances[pair] / self.counts[pair]
            welch = float(parts.sum() ** 2 / (parts**2 / degrees[pair]).sum())
            tests = (pooled, spread.degrees), (parts, welch)
            chances.append(max(2 * float(stdtr(n, -gap / math.sqrt(x.sum()))) for x, n in tests))
        return [True, *(p > NAMED for p in holm(chances))]


def drawn_losses(means: np.ndarray, variances: np.ndarray, degrees: int) -> np.ndarray:
    """Log losses that the configurations may have, shape ``(draws, configurations)``.

    A normal hierarchical model: true log losses scatter about their mean, by how much is drawn from
    its posterior under a flat prior (A. Gelman and others, "Bayesian Data Analysis", third edition,
    section 5.4). The variance between runs is drawn from its scaled inverse chi-square.
    """
    generator = np.random.default_rng(0)
    count = min(DRAWS, max(400, 4_000_000 // len(means)))
    widest = 4 * float(means.std()) + math.sqrt(float(variances.mean()))
    grid = np.linspace(0.0, widest, GRID)[:, None] ** 2
    weights = 1 / (grid + variances)
    centers = (weights * means).sum(axis=1) / weights.sum(axis=1)
    squares = (weights * (means - centers[:, None]) ** 2).sum(axis=1)
    chances = 0.5 * (np.log(weights).sum(axis=1) - np.log(weights.sum(axis=1)) - squares)
    chances = np.exp(chances - chances.max())
    place = generator.choice(GRID, size=count, p=chances / chances.sum())
    scale = degrees / generator.chisquare(degrees, size=(count, 1))
    between, noise = grid[place], variances * scale
    kept = between / (between + noise)
    error = np.sqrt(1 / (1 / (between + noise)).sum(axis=1, keepdims=True))
    center = centers[place][:, None] + error * generator.standard_normal((count, 1))
    own = np.sqrt(kept * noise) * generator.standard_normal((count, len(means)))
    return kept * means + (1 - kept) * center + own


def _ranking(of_class: ComparabilityClass) -> list[RankedConfiguration]:
    members, spread = of_class.members, of_class.spread
    if not members:
        return []
    begun = [run for run in of_class.runs if run.status not in ("missing", "stale")]
    by_configuration = grouped(begun, factors.configuration_key)
    adjusted = AdjustedMeans(factors.observations(members), len(members), spread)
    order = np.argsort(adjusted.means, kind="stable")
    chances = _chances(adjusted, order, of_class.band)
    ranking = []
    for place, cell in enumerate(order, 1):
        item = members[cell]
        losses = [run.loss for run in item.runs if run.loss]
        mean, interval = math.exp(item.log_loss), None
        errors = [loss.standard_error for loss in losses if loss.standard_error is not None]
        error = math.hypot(*errors) / len(losses) if len(errors) == len(losses) else None
        if spread.deviation is not None:
            between = spread.deviation / math.sqrt(adjusted.counts[cell])
            half = student_t(adjusted.degrees) * between
            error = mean * between
            if half < LARGEST_HALF:
                interval = mean * math.exp(-half), mean * math.exp(half)
        started = by_configuration[factors.configuration_key(item.first)]
        ranking.append(
            RankedConfiguration(
                place=place,
                runs=item.runs,
                loss=Loss(mean, error, sum(loss.samples for loss in losses), losses[0].kind),
                interval=interval,
                finished=len(item.runs),
                started=len(started),
                failed=sum(run.status == "failed" for run in started),
                **{name: values[cell] for name, values in chances.items()},
            )
        )
    return ranking


def _chances(adjusted: AdjustedMeans, order: np.ndarray, band: float) -> dict[str, Sequence[Any]]:
    """Fields of each configuration by its cell; none where no spread is known."""
    spread = adjusted.paired
    if adjusted.spread.deviation is None:
        return {}
    draws = drawn_losses(adjusted.means, spread.variance / adjusted.counts, spread.degrees)
    lowest = draws.min(axis=1, keepdims=True)
    first = draws <= lowest
    quantiles = (1 - LEVEL) / 2, (1 + LEVEL) / 2
    ends = np.quantile(adjusted.with_seeds(draws), quantiles, axis=0)
    tied = adjusted.tied_with_first(order)
    return {
        "chance_best": (first / first.sum(axis=1, keepdims=True)).mean(axis=0).tolist(),
        "chance_good": (draws <= lowest + math.log1p(band)).mean(axis=0).tolist(),
        "expected": np.exp(draws.mean(axis=0)).tolist(),
        "expected_interval": [
            (math.exp(low), math.exp(high)) if high - low < LARGEST_HALF else None
            for low, high in ends.T.tolist()
        ],
        "tied_with_best": [tied[place] for place in np.argsort(order)],
    }
