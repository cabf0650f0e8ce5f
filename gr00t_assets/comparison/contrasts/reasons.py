"""The reason of a verdict, in one sentence."""

import math
from collections.abc import Sequence

from gr00t_assets.comparison.contrasts.contrast import Change, Verdict
from gr00t_assets.comparison.contrasts.drafts import Draft, MatchedDraft
from gr00t_assets.comparison.contrasts.noise import ASSUMED_SPREAD
from gr00t_assets.comparison.formatting import shown_setting


def reason(verdict: Verdict, draft: Draft, half: float) -> str:
    """Why a contrast has its verdict.

    Args:
        verdict: The verdict.
        draft: The contrast.
        half: Half the interval of the log ratio.
    """
    asked = draft.changes[0]
    if verdict == "confounded":
        others = [one for one in draft.changes[1:] if one.material and not one.implied]
        return f"{changed(others)} changed as well as {asked.factor}."
    times = f"{_times(draft.log_ratio)} times"
    alone = f"Only {asked.factor} changed"
    if isinstance(draft, MatchedDraft):
        alone = f"Only {asked.factor} changed in {len(draft.pairs)} pairs at other settings"
    where = "" if draft.basis == "end" else f" at {draft.basis}"
    difference = f"the loss with {asked.factor} {shown(asked.high)} is {times} that with "
    difference += f"{shown(asked.low)}{where}"
    match verdict:
        case "controlled":
            ends = f"{_times(draft.log_ratio - half)} to {_times(draft.log_ratio + half)}"
            return (
                f"{alone}, and {difference}, more than noise explains "
                f"({ends} at 95 percent, {noise_words(draft)})."
            )
        case "within_noise":
            until = " Until it is repeated, nothing can be said." if _single(draft) else ""
            return (
                f"{alone}, and {difference}; noise explains as much ({noise_words(draft)}).{until}"
            )
    if draft.spread and draft.spread.measured:
        return (
            f"{alone}, and {difference}: more than the measured noise, but too "
            f"few runs were repeated to be sure of that noise ({noise_words(draft)})."
        )
    return (
        f"{alone}, and {difference}: more than the noise within the runs, but "
        f"two runs of one configuration may differ as much, which was not measured "
        f"({noise_words(draft)})."
    )


def noise_words(draft: Draft) -> str:
    """Where the noise between runs is known from."""
    spread = draft.spread
    if spread is None:
        return "noise within the runs"
    if not spread.measured:
        return f"run-to-run spread assumed to be {100 * ASSUMED_SPREAD:.0f} percent"
    return (
        f"run-to-run spread {100 * math.expm1(spread.between):.0f} percent, "
        f"from {spread.runs} repeated runs"
    )


def changed(changes: Sequence[Change]) -> str:
    """Changes in words, such as ``max_steps (1,000 and 1,500) and samples_seen (...)``."""
    words = [f"{one.factor} ({shown(one.low)} and {shown(one.high)})" for one in changes]
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def shown(value: object) -> str:
    """A value as a reader knows it; unknown where its source does not say."""
    if value is None:
        return "unknown"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return shown_setting(value)


def _single(draft: Draft) -> bool:
    return len(draft.low.units) == 1 and len(draft.high.units) == 1


def _times(log_ratio: float) -> str:
    return f"{math.exp(log_ratio):.2g}" if abs(log_ratio) < 20 else f"{math.exp(log_ratio):.0e}"
