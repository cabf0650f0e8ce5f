"""From differences and their noise to verdicts, for all contrasts of one question together."""

import math
from collections.abc import Sequence

import numpy as np

from gr00t_assets.comparison.contrasts.contrast import Contrast, Verdict
from gr00t_assets.comparison.contrasts.drafts import Draft, MatchedDraft
from gr00t_assets.comparison.contrasts.noise import LEVEL, quantiles, tails
from gr00t_assets.comparison.contrasts.reasons import reason


def judged(factor: str, drafts: Sequence[Draft]) -> list[Contrast]:
    """The contrasts of one question, in the order of their drafts.

    The hypothesis that a factor does nothing is tested in every contrast that changed nothing
    else, so the tests are adjusted together: Holm's step-down procedure ("A simple sequentially
    rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979) keeps the
    chance of one false effect among all of them below 5 percent. A contrast's interval has the
    level that it was tested at, so it leaves out zero where the effect stands and only there.
    Confounded contrasts claim nothing and have plain 95 percent intervals. Matched pairs are tested
    with the others, and left out where they show nothing.
    """
    if not drafts:
        return []
    ratios = np.array([draft.log_ratio for draft in drafts])
    variances = np.array([draft.variance for draft in drafts])
    degrees = np.array([draft.degrees for draft in drafts])
    errors = np.sqrt(np.maximum(variances, 1e-18))
    chances = 2 * tails(degrees, np.abs(ratios) / errors)
    clean = np.array([not draft.confounders for draft in drafts])
    alphas = np.full(len(drafts), 1 - LEVEL)
    alphas[clean] = holm_levels(chances[clean], 1 - LEVEL)
    halves = quantiles(degrees, alphas / 2) * errors
    explained = np.sqrt([draft.explained for draft in drafts]) * quantiles(0 * degrees, alphas / 2)
    return [
        _contrast(factor, draft, float(half), float(abs(ratio)) <= float(inner))
        for draft, half, ratio, inner in zip(drafts, halves, ratios, explained, strict=True)
        if not isinstance(draft, MatchedDraft) or abs(ratio) > half
    ]


def holm_levels(chances: np.ndarray, alpha: float) -> np.ndarray:
    """The level that each hypothesis is tested at by Holm's procedure, shape ``(m,)``.

    In order of their probabilities the hypotheses are tested at ``alpha / m``,
    ``alpha / (m - 1)``, and so on; those behind the first that stands have its level.

    Args:
        chances: Probability of so large a difference without an effect, shape ``(m,)``.
        alpha: Chance of a false effect that is put up with among all of them.
    """
    count = len(chances)
    order = np.argsort(chances, kind="stable")
    levels = alpha / (count - np.arange(count))
    standing = np.flatnonzero(chances[order] > levels)
    if len(standing):
        levels[standing[0] :] = levels[standing[0]]
    result = np.empty(count)
    result[order] = levels
    return result


def _contrast(factor: str, draft: Draft, half: float, explained: bool) -> Contrast:
    ratio = draft.log_ratio
    apart = abs(ratio) > half
    verdict: Verdict
    if draft.confounders:
        verdict = "confounded"
    elif apart:
        verdict = "controlled"
    elif explained:
        verdict = "within_noise"
    else:
        verdict = "inconclusive"
    middle = math.exp((draft.low_level.mean + draft.high_level.mean) / 2)
    low, high = (2 * middle * math.sinh(end / 2) for end in (ratio - half, ratio + half))
    return Contrast(
        factor=factor,
        low=draft.low.observations,
        high=draft.high.observations,
        changes=draft.changes,
        effect=2 * middle * math.sinh(ratio / 2),
        interval=(low, high),
        ratio=math.exp(ratio),
        verdict=verdict,
        reason=reason(verdict, draft, half),
        basis=draft.basis,
    )
