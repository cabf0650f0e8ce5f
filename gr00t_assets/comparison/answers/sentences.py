"""The sentence of an answer, by its verdict."""

from collections.abc import Sequence

from gr00t_assets.comparison.answers.words import (
    group_label,
    label,
    listed,
    loss_words,
    percent,
    shown,
    sides_words,
    times,
)
from gr00t_assets.comparison.contrasts.collinear import Collinear
from gr00t_assets.comparison.contrasts.configurations import configurations
from gr00t_assets.comparison.contrasts.contrast import Change, Contrast
from gr00t_assets.comparison.contrasts.factors import factor_value, order_of
from gr00t_assets.comparison.contrasts.noise import ASSUMED_SPREAD, spread_of
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.findings import names_in_words

_SERIES = 8
"""Runs of a series that a sentence lists at most."""


def controlled(factor: str, found: Sequence[Contrast], clean: int) -> str:
    """Where the factor was changed alone, and the difference is more than noise.

    Args:
        factor: What is asked about.
        found: The controlled contrasts, the one that says most first.
        clean: Contrasts in which nothing else changed, these among them.
    """
    worse: dict[object, set[object]] = {}
    for one in found:
        change = one.changes[0]
        better, other = (change.high, change.low) if _lower(one) else (change.low, change.high)
        worse.setdefault(better, set()).add(other)
    against = any(better in worse.get(other, ()) for better in worse for other in worse[better])
    first = found[0]
    effect = (
        f"{_side(first, high=True)} is {times(first.ratio or 1.0)} times that of "
        f"{_side(first, high=False)}{_basis(first)}, and nothing else changed"
    )
    share = f" ({len(found)} of {clean} such pairs are apart)" if clean > 1 else ""
    if against:
        return f"It depends on the other settings: {effect}, elsewhere the reverse{share}."
    lost = {other for others in worse.values() for other in others}
    best = [value for value in worse if value not in lost]
    claims = [
        f"{factor} {shown(value)} ends lower than "
        f"{listed([shown(other) for other in sorted(worse[value], key=_order(factor))])}"
        for value in best
    ]
    return f"Yes: {listed(claims)}; {effect}{share}."


def within_noise(found: Sequence[Contrast]) -> str:
    """Where the factor was changed alone, and noise covers the difference."""
    first = found[0]
    which = (
        "the only clean pair" if len(found) == 1 else f"the clearest of {len(found)} clean pairs"
    )
    single = len(first.low) == 1 and len(first.high) == 1
    until = ": nothing is known until it is repeated" if single else ""
    return (
        f"Not shown: {which}, {_pair(first)}{_basis(first)}, differs by no more than noise "
        f"({times(first.ratio or 1.0)} times the loss, {_interval(first)}){until}."
    )


def inconclusive(found: Sequence[Contrast]) -> str:
    """Where the factor was changed alone, and the spread between runs is not known."""
    first = found[0]
    which = (
        "the only clean pair" if len(found) == 1 else f"the clearest of {len(found)} clean pairs"
    )
    return (
        f"Perhaps: {which}, {_pair(first)}{_basis(first)}, differs by more than the noise within "
        f"the runs ({times(first.ratio or 1.0)} times the loss), but two runs of one configuration "
        f"may differ as much ({_interval(first)}), which was not measured."
    )


def confounded(factor: str, found: Sequence[Contrast], series: Collinear | None) -> str:
    """Where every contrast changed something else as well."""
    first = found[0]
    others = [one for one in first.changes if one.factor in first.confounders]
    also = sides_words(others)
    if len(found) == 1:
        text = (
            f"Unknown: the only pair that differs in {factor}, {_pair(first)}, also changes {also}"
        )
    else:
        text = (
            f"Unknown: each of {len(found)} pairs that differ in {factor} changes more than that; "
            f"the nearest one, {_pair(first)}, also changes {also}"
        )
    text += f", so the difference cannot be put down to {factor}"
    return f"{text}; {series_words(series)}." if series else f"{text}."


def series_words(series: Collinear) -> str:
    """Factors that move together, with their values, the run of the lowest loss first."""
    runs = sorted(
        (run for run in series.observations if run.loss),
        key=lambda run: run.loss.mean if run.loss else 0.0,
    )[:_SERIES]
    columns = []
    for name in series.factors:
        values = ", ".join(shown(factor_value(run, name)) for run in runs)
        columns.append(f"{name} ({values})")
    losses = ", ".join(f"{label(run)} {loss_words([run])}" for run in runs)
    return f"{listed(columns)} move together over {losses}, lowest loss first"


def nothing_to_compare(factor: str, observations: Sequence[Observation]) -> str:
    """Where no two finished runs of one class differ in the factor."""
    values: dict[object, list[Observation]] = {}
    for run in observations:
        value = factor_value(run, factor)
        if value is not None:
            values.setdefault(value, []).append(run)
    if factor == "seed":
        return seed_unknown(values)
    if not values:
        return f"No run says what its {factor} was: nothing to compare."
    if len(values) == 1:
        known = sum(len(runs) for runs in values.values())
        which = "Every run" if known == len(observations) else "Every run that says so"
        return f"{which} has {factor} {shown(next(iter(values)))}: nothing to compare."
    words = [
        f"{shown(value)}: {names_in_words([label(run) + _mark(run) for run in runs], 6)}"
        for value, runs in sorted(values.items(), key=lambda item: order_of(factor, item[0]))
    ]
    return (
        f"No two finished runs of one class differ in {factor} ({'; '.join(words)}): nothing to "
        "compare."
    )


def seed_unknown(values: dict[object, list[Observation]]) -> str:
    """Where nothing was repeated with another seed."""
    every = f" (every run has {shown(next(iter(values)))})" if len(values) == 1 else ""
    return (
        f"No configuration ran with two seeds{every}: how much two runs of one configuration "
        f"differ is not known, and taken to be {100 * ASSUMED_SPREAD:.0f} percent."
    )


def seed_spread(observations: Sequence[Observation]) -> str | None:
    """How much runs differ that differ in the seed alone; None where none do."""
    found = [one for one in configurations(observations) if len(one.units) > 1]
    spread = spread_of(found)
    if not spread.measured:
        return None
    runs = sum(len(one.units) for one in found)
    count = f"{len(found)} configuration" + ("s" if len(found) > 1 else "")
    return (
        f"Runs that differ in the seed alone differ by about {percent(spread.between)} beyond the "
        f"noise within them (standard deviation over {count}, {runs} runs)."
    )


def _pair(one: Contrast) -> str:
    return f"{_side(one, high=False)} against {_side(one, high=True)}"


def _side(one: Contrast, high: bool) -> str:
    change: Change = one.changes[0]
    runs, value = (one.high, change.high) if high else (one.low, change.low)
    return f"{group_label(runs)} ({one.factor} {shown(value)}, loss {loss_words(runs)})"


def _interval(one: Contrast) -> str:
    low, high = one.interval or (0.0, 0.0)
    return f"the difference is {low:+.2g} to {high:+.2g} at 95 percent"


def _basis(one: Contrast) -> str:
    return "" if one.basis == "end" else f" at {one.basis}"


def _lower(one: Contrast) -> bool:
    return (one.ratio or 1.0) < 1.0


def _mark(run: Observation) -> str:
    return "" if run.finished else f" ({run.status})"


def _order(factor: str):
    return lambda value: order_of(factor, value)
