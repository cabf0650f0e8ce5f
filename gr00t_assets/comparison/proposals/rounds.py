"""The next round of a design, with one common seed, and how likely rounds settle a question.

An effect is settled where it is shown, or where its interval lies within the band. Results are
looked at after every round, with at most five seeds: each look has a fifth of the level
(Bonferroni). An effect that is seen is too large on average: of a statistic ``z^2`` of ``f``
degrees of freedom ``z^2 - f`` is taken for real (empirical Bayes).
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gr00t_assets.comparison.proposals.control_runs import ProposedExperiment
from gr00t_assets.comparison.run import Key, Run
from gr00t_assets.comparison.statistics.effects import Effect
from gr00t_assets.comparison.statistics.factors import Configuration, configuration_key
from gr00t_assets.comparison.statistics.linear_model import LEVEL, MOST_LEVELS
from gr00t_assets.comparison.statistics.ranking import (
    BAND,
    ComparabilityClass,
    RankedConfiguration,
    drawn_losses,
)
from gr00t_assets.experiments.expansion import MOST_SEEDS

MOST_RUNS = 100  # Of one round; nobody repeats a random search of a thousand
QUANTILES = (np.arange(15) + 0.5) / 15  # Of the distribution of the spread
DRAWS = 300  # Of the losses that the contenders may have
USUAL_SEED = 42  # Of a run that does not tell its seed, the default of the trainers
ENDED = frozenset({"finished", "failed", "pruned"})
"""A seed of such a run had its turn; one that failed is not tried again."""


class Round(NamedTuple):
    """Runs of one seed."""

    experiments: tuple[ProposedExperiment, ...]  # That are not there yet
    begun: tuple[Run, ...]  # That are there and not finished
    seeds: float  # Mean number of seeds of the configurations before the round
    added: float  # By how many it grows with it


def next_round(members: Sequence[Configuration], runs: Sequence[Run]) -> Round:
    """The runs that bring every configuration to as many seeds as the others, else to one more.

    Seeds are common to all: what a seed adds to every loss does then not count in a comparison.
    Of the runs, which have any status, none is proposed again.
    """
    of_member = {configuration_key(item.first): item for item in members}
    tried: dict[tuple[object, ...], dict[object, Run]] = {key: {} for key in of_member}
    for run in runs:
        key, seed = configuration_key(run), run.settings.get("seed", USUAL_SEED)
        is_tried = key in tried and run.status not in ("missing", "stale")
        if is_tried and (seed not in tried[key] or run.finished):
            tried[key][seed] = run
    done = {key: sum(x.status in ENDED for x in seeds.values()) for key, seeds in tried.items()}
    counts = {key: max(len(item.by_seed), done[key]) for key, item in of_member.items()}
    short = [key for key in of_member if counts[key] < max(counts.values())] or list(of_member)
    seed = _seed(short, tried)
    experiments, begun = [], []
    for key in short:
        run = tried[key].get(seed)
        if run is None:
            first = of_member[key].first
            reason = f"{first.name} again with seed {seed}: how far two runs of it differ."
            experiments.append(ProposedExperiment(first, {"seed": seed}, reason))
        elif run.status not in ENDED:
            begun.append(run)
    added = (len(experiments) + len(begun)) / len(of_member)
    return Round(tuple(experiments), tuple(begun), sum(counts.values()) / len(counts), added)


def _seed(short: Sequence[Key], tried: Mapping[Key, Mapping[object, Run]]) -> int:
    """The seed of a begun round; else that of most others; else the lowest that nobody has."""
    begun = [seed for key in short for seed, run in tried[key].items() if run.status not in ENDED]
    every = Counter(seed for seeds in tried.values() for seed in seeds)
    lacking = (seed for seed, _ in every.most_common() if all(seed not in tried[x] for x in short))
    behind = len(short) < len(tried)
    known = [*(seed for seed, _ in Counter(begun).most_common()), *(lacking if behind else ())]
    fresh = next(seed for seed in range(1, len(every) + 2) if seed not in every)
    return next((seed for seed in known if isinstance(seed, int)), fresh)


def look_level(confidence: float = LEVEL) -> float:
    """The level of a test at each look.

    Examples:
        >>> round(look_level(0.95), 3)
        0.01
    """
    return (1 - confidence) / MOST_SEEDS


def is_settled(effect: Effect, level: float) -> bool:
    """Whether the effect is shown at the level, or its interval at all levels is in the band."""
    half, chances = _half(effect), (effect.p_adjusted, effect.interaction_p)
    shown = any(p is not None and p <= level for p in chances)
    return shown or (half is not None and _widest(effect) + half <= math.log1p(BAND))


def _half(effect: Effect) -> float | None:
    if effect.interval is None:
        return None
    return 0.5 * math.log(min(1e300, effect.interval[1] / max(1e-300, effect.interval[0])))


def _widest(effect: Effect) -> float:
    """The log ratio of the losses at the two levels that are furthest apart."""
    return float(np.ptp([math.log(item.loss) for item in effect.levels]))


def chances(effect: Effect, of_round: Round, tests: int, level: float) -> list[float]:
    """That the effect is settled after one, two, ... further rounds, up to ``MOST_SEEDS`` seeds.

    With ``k`` seeds the effect in units of its error is ``z``, of which ``B = 1 - f / z^2`` is
    taken for real, ``f`` its degrees of freedom. After ``r`` more seeds it is normal about
    ``sqrt((k + r) / k) z (k + r B) / (k + r)`` with variance ``r / (k + r) (1 + r B / k)``, and the
    test's power is that of a noncentral F. So many ``tests`` share the level. Empty where nothing
    tells the noise.
    """
    from scipy.special import chdtri, fdtri, ncfdtr, ndtr, stdtrit

    half, spread, p = _half(effect), effect.spread, effect.p
    if half is None or p is None or of_round.added <= 0:
        return []
    cells = sum(len(item.runs) for item in effect.levels) / of_round.seeds
    own = 2 if len(effect.levels) > MOST_LEVELS else len(effect.levels) - 1
    k, r = of_round.seeds, _further(of_round)[:, None]
    quantile = chdtri(spread.degrees, 1 - QUANTILES) / spread.degrees
    z2 = own * fdtri(own, spread.degrees, 1 - max(1e-9, p)) * quantile
    real = np.clip(1 - own / np.maximum(z2, 1e-12), 0.0, None)
    share = (k + r * real) / (k + r)
    mean, variance = (k + r) / k * z2 * share**2, r / (k + r) * (1 + r * real / k)
    left = spread.degrees if spread.source in ("repeated seeds", "residual") else 0
    degrees = np.maximum(1.0, left + r * (cells - 1))
    limit = own * fdtri(own, degrees, 1 - level / max(1, tests))
    shown = 1 - ncfdtr(own, degrees, mean / variance, limit / own / variance)
    error = half / stdtrit(spread.degrees, (1 + LEVEL) / 2) / np.sqrt(quantile)
    after = error * np.sqrt(k / (k + r))
    room = math.log1p(BAND) - stdtrit(degrees, (1 + LEVEL) / 2) * after
    where, deviation = _widest(effect) * share, after * np.sqrt(variance)
    small = ndtr((room - where) / deviation) - ndtr((-room - where) / deviation)
    settled = np.nan_to_num(shown, nan=0.0) + np.where(room > 0, small, 0.0)
    return np.minimum(1.0, settled).mean(axis=1).tolist()


def _further(of_round: Round) -> np.ndarray:
    """Seeds that are added by one, two, ... rounds, the first of which may be a part of one."""
    rounds = max(1, math.ceil(MOST_SEEDS - of_round.seeds - of_round.added + 1))
    return of_round.added + np.arange(rounds, dtype=float)


def best_is_settled(item: ComparabilityClass, confidence: float = LEVEL) -> bool:
    """Whether the first in the ranking is the best, or as good as it, with this certainty."""
    first = item.ranking[0]
    return item.best is not None or (first.chance_good or 0.0) >= confidence


def chances_of_best(
    item: ComparabilityClass,
    contenders: Sequence[RankedConfiguration],
    of_round: Round,
    confidence: float,
) -> list[float]:
    """That the first contender is the best, or as good, after one, two, ... further rounds."""
    from scipy.special import ndtr

    spread = item.spread
    if spread.deviation is None or of_round.added <= 0:
        return []
    generator = np.random.default_rng(0)
    chosen, variance = [place.place - 1 for place in contenders], spread.variance
    losses = np.log([place.loss.mean for place in item.ranking])
    counts = np.array([len(place.runs) for place in item.ranking])
    draws, own = drawn_losses(losses, variance / counts, spread.degrees), 1 / counts
    between, center = float(draws.var(axis=1, ddof=1).mean()), float(losses.mean())
    truth, means, own = draws[:DRAWS, chosen], losses[chosen], own[chosen]
    single = variance * spread.degrees / generator.chisquare(spread.degrees, (DRAWS, 1))
    noise = generator.standard_normal((DRAWS, len(chosen)))
    limit, settled = math.log1p(item.band), []
    for seeds in _further(of_round):
        after = own / (1 + seeds * own)
        new = truth + np.sqrt(single / seeds) * noise
        seen = after * (means / own + seeds * new)
        kept = between / (between + after * single)
        posterior = center + kept * (seen - center)
        error = np.sqrt(kept * after * single)
        first = posterior.argmin(axis=1)[:, None]
        gaps = posterior - np.take_along_axis(posterior, first, axis=1)
        errors = np.hypot(error, np.take_along_axis(error, first, axis=1))
        sure = np.where(gaps > 0, ndtr((limit + gaps) / np.maximum(errors, 1e-12)), 1.0)
        settled.append(float((sure.min(axis=1) >= confidence).mean()))
    return settled
