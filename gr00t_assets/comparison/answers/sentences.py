"""The sentence of an answer, by its verdict."""

from collections.abc import Sequence

from gr00t_assets.comparison.contrasts.collinear import CollinearSeries
from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.comparison.contrasts.factors import configurations, factor_value, order_of
from gr00t_assets.comparison.contrasts.noise import ASSUMED_SPREAD, spread_of
from gr00t_assets.comparison.formatting import percent, times
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.wording import (
    group_label,
    in_words,
    label,
    listed,
    loss_words,
    names_in_words,
    value_words,
)

_SERIES = 8
"""Runs of a series that a sentence lists at most."""


def controlled(factor: str, evidence: Sequence[Contrast], clean: int) -> str:
    """Where the factor was changed alone, and the difference is more than noise.

    Args:
        factor: What is asked about.
        evidence: The controlled contrasts, the one that says most first.
        clean: Contrasts in which nothing else changed, these among them.
    """
    worse: dict[object, set[object]] = {}
    for contrast in evidence:
        change = contrast.changes[0]
        better, other = (change.high, change.low) if _lower(contrast) else (change.low, change.high)
        worse.setdefault(better, set()).add(other)
    against = any(better in worse.get(other, ()) for better in worse for other in worse[better])
    first = evidence[0]
    effect = (
        f"{_side(first, high=True)} is {times(first.ratio or 1.0)} times that of "
        f"{_side(first, high=False)}{_basis(first)}, and nothing else changed"
    )
    share = f" ({len(evidence)} of {clean} such pairs are apart)" if clean > 1 else ""
    if against:
        return f"It depends on the other settings: {effect}, elsewhere the reverse{share}."
    lost = {other for others in worse.values() for other in others}
    best = [value for value in worse if value not in lost]
    claims = []
    for value in best:
        higher = sorted(worse[value], key=lambda other: order_of(factor, other))
        others = listed([value_words(other) for other in higher])
        claims.append(f"{factor} {value_words(value)} ends lower than {others}")
    return f"Yes: {listed(claims)}; {effect}{share}."


def within_noise(evidence: Sequence[Contrast]) -> str:
    """Where the factor was changed alone, and noise covers the difference."""
    first = evidence[0]
    which = (
        "the only clean pair"
        if len(evidence) == 1
        else f"the clearest of {len(evidence)} clean pairs"
    )
    single = len(first.low) == 1 and len(first.high) == 1
    until = ": nothing is known until it is repeated" if single else ""
    return (
        f"Not shown: {which}, {_pair(first)}{_basis(first)}, differs by no more than noise "
        f"({times(first.ratio or 1.0)} times the loss, {_interval(first)}){until}."
    )


def inconclusive(evidence: Sequence[Contrast]) -> str:
    """Where the factor was changed alone, and the spread between runs is not known."""
    first = evidence[0]
    which = (
        "the only clean pair"
        if len(evidence) == 1
        else f"the clearest of {len(evidence)} clean pairs"
    )
    return (
        f"Perhaps: {which}, {_pair(first)}{_basis(first)}, differs by more than the noise within "
        f"the runs ({times(first.ratio or 1.0)} times the loss), but two runs of one configuration "
        f"may differ as much ({_interval(first)}), which was not measured."
    )


def confounded(factor: str, evidence: Sequence[Contrast], series: CollinearSeries | None) -> str:
    """Where every contrast changed something else as well."""
    first = evidence[0]
    also = in_words([item for item in first.changes if item.factor in first.confounders])
    if len(evidence) == 1:
        text = (
            f"Unknown: the only pair that differs in {factor}, {_pair(first)}, also changes {also}"
        )
    else:
        text = (
            f"Unknown: each of {len(evidence)} pairs that differ in {factor} changes more than "
            f"that; the nearest one, {_pair(first)}, also changes {also}"
        )
    text += f", so the difference cannot be put down to {factor}"
    return f"{text}; {series_words(series)}." if series else f"{text}."


def series_words(series: CollinearSeries) -> str:
    """Factors that move together, with their values, the run of the lowest loss first."""
    runs = sorted(
        (run for run in series.runs if run.loss),
        key=lambda run: run.loss.mean if run.loss else 0.0,
    )[:_SERIES]
    columns = []
    for name in series.factors:
        values = ", ".join(value_words(factor_value(run, name)) for run in runs)
        columns.append(f"{name} ({values})")
    losses = ", ".join(f"{label(run)} {loss_words([run])}" for run in runs)
    return f"{listed(columns)} move together over {losses}, lowest loss first"


def nothing_to_compare(factor: str, runs: Sequence[Run]) -> str:
    """Where no two finished runs of one class differ in the factor."""
    values: dict[object, list[Run]] = {}
    for run in runs:
        value = factor_value(run, factor)
        if value is not None:
            values.setdefault(value, []).append(run)
    if factor == "seed":
        return seed_unknown(values)
    if not values:
        return f"No run says what its {factor} was: nothing to compare."
    if len(values) == 1:
        known = sum(len(members) for members in values.values())
        which = "Every run" if known == len(runs) else "Every run that says so"
        return f"{which} has {factor} {value_words(next(iter(values)))}: nothing to compare."
    groups = [
        f"{value_words(value)}: {names_in_words([label(run) + _status(run) for run in members], 6)}"
        for value, members in sorted(values.items(), key=lambda item: order_of(factor, item[0]))
    ]
    return (
        f"No two finished runs of one class differ in {factor} ({'; '.join(groups)}): nothing to "
        "compare."
    )


def seed_unknown(values: dict[object, list[Run]]) -> str:
    """Where nothing was repeated with another seed."""
    every = f" (every run has {value_words(next(iter(values)))})" if len(values) == 1 else ""
    return (
        f"No configuration ran with two seeds{every}: how much two runs of one configuration "
        f"differ is not known, and taken to be {100 * ASSUMED_SPREAD:.0f} percent."
    )


def seed_spread(runs: Sequence[Run]) -> str | None:
    """How much runs differ that differ in the seed alone; None where none do."""
    repeated = [item for item in configurations(runs) if len(item.by_seed) > 1]
    spread = spread_of(repeated)
    if not spread.measured:
        return None
    seeds = sum(len(item.by_seed) for item in repeated)
    count = f"{len(repeated)} configuration" + ("s" if len(repeated) > 1 else "")
    return (
        f"Runs that differ in the seed alone differ by about {percent(spread.between)} beyond the "
        f"noise within them (standard deviation over {count}, {seeds} runs)."
    )


def _pair(contrast: Contrast) -> str:
    return f"{_side(contrast, high=False)} against {_side(contrast, high=True)}"


def _side(contrast: Contrast, high: bool) -> str:
    change = contrast.changes[0]
    runs, value = (contrast.high, change.high) if high else (contrast.low, change.low)
    return f"{group_label(runs)} ({contrast.factor} {value_words(value)}, loss {loss_words(runs)})"


def _interval(contrast: Contrast) -> str:
    if contrast.interval is None:
        return "the noise within the runs cannot be told"
    low, high = contrast.interval
    return f"the difference is {low:+.2g} to {high:+.2g} at 95 percent"


def _basis(contrast: Contrast) -> str:
    return "" if contrast.basis == "end" else f" at {contrast.basis}"


def _lower(contrast: Contrast) -> bool:
    return (contrast.ratio or 1.0) < 1.0


def _status(run: Run) -> str:
    return "" if run.finished else f" ({run.status})"
