"""What may be concluded from one experiment: its contrasts' verdicts, and nothing stronger."""

from collections.abc import Iterable, Mapping, Sequence

from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.reporting.report.contrast_rows import side_name
from gr00t_assets.reporting.report.subject import Group, Subject
from gr00t_assets.reporting.report.verdicts import MARKS, mark

MOST = 3
"""Contrasts told of one experiment; the comparison has the others."""

_NOT_TOLD = frozenset({"seed", "samples_seen"})


class Conclusions:
    """The contrasts and the place of every run of a subject."""

    def __init__(self, subject: Subject) -> None:
        self._contrasts = _by_run(
            contrast
            for factor, found in subject.contrasts.items()
            if factor not in _NOT_TOLD
            for contrast in found
        )
        self._places = _places(subject.groups)

    def of(self, run_id: str) -> list[str]:
        """Sentences: its place, then its most telling contrasts, at most one a question."""
        place = self._places.get(run_id)
        if place is None:
            return []
        told: dict[str, Contrast] = {}
        for contrast in sorted(self._contrasts.get(run_id, ()), key=_telling):
            told.setdefault(contrast.factor, contrast)
        chosen = sorted(told.values(), key=_telling)[:MOST]
        return [place, *(_sentence(contrast, run_id) for contrast in chosen)]


def _by_run(contrasts: Iterable[Contrast]) -> dict[str, list[Contrast]]:
    found: dict[str, list[Contrast]] = {}
    for contrast in contrasts:
        if contrast.verdict == "not_comparable":
            continue
        for run_id in contrast.runs:
            found.setdefault(run_id, []).append(contrast)
    return found


def _places(groups: Sequence[Group]) -> Mapping[str, str]:
    words: dict[str, str] = {}
    for group in groups:
        total = len(group.ranked)
        for each in group.ranked:
            if total == 1:
                text = "The only finished configuration of its class."
            elif each.place == 1:
                others = sum(one.tied_with_best for one in group.ranked[1:])
                text = f"Lowest loss of {total} configurations of its class"
                text += (
                    f", {others} of which cannot be told from it."
                    if others
                    else ", by more than noise explains."
                )
            else:
                tie = (
                    "it cannot be told from the best"
                    if each.tied_with_best
                    else "the best is lower by more than noise explains"
                )
                text = f"Place {each.place} of {total} in its class; {tie}."
            words |= {run.run_id: text for run in each.observations}
    return words


def _telling(contrast: Contrast) -> tuple[int, int, float, tuple[str, ...]]:
    order = list(MARKS)
    return (
        order.index(contrast.verdict),
        len(contrast.confounders),
        -abs(contrast.effect or 0.0),
        contrast.runs,
    )


def _sentence(contrast: Contrast, run_id: str) -> str:
    mine = any(run.run_id == run_id for run in contrast.low)
    other = side_name(contrast.high if mine else contrast.low)
    factor = contrast.factor.replace("_", " ")
    return f"Of {factor}, against {other}: {mark(contrast.verdict).text}. {contrast.reason}"
