"""The places of a sweep's runs, as the comparison ranks them."""

from collections.abc import Sequence
from dataclasses import dataclass

from gr00t_assets.comparison.classes import manifest_class
from gr00t_assets.comparison.contrasts.class_words import class_id
from gr00t_assets.comparison.contrasts.ranking import Class, classes, ranking
from gr00t_assets.comparison.contrasts.store_runs import observe
from gr00t_assets.comparison.run import Run


@dataclass(frozen=True)
class Standing:
    """A finished run and its place.

    Attributes:
        place: From 1; replicates share that of their configuration.
        tied: Whether it cannot be told from the best, and is not it.
        replicates: Names of the other runs of the same configuration.
    """

    run: Run
    place: int
    tied: bool
    replicates: tuple[str, ...]


@dataclass(frozen=True)
class RankedClass:
    """One comparability class with a finished run, lowest loss first."""

    kind: Class
    standings: tuple[Standing, ...]

    @property
    def runs(self) -> list[Run]:
        """The ranked runs in order of their places."""
        return [standing.run for standing in self.standings]


def shown_runs(runs: Sequence[Run]) -> list[Run]:
    """One run for each experiment: the current one, else the newest stale one, else its place."""
    shown: dict[str, Run] = {}
    for run in runs:
        held = shown.get(run.name)
        if held is None or (held.stale and not run.stale):
            shown[run.name] = run
    return list(shown.values())


def class_of(run: Run) -> str | None:
    """What the run's class is called by; None without a manifest: only what was trained has one."""
    if not (run.manifest and run.hyperparameters):
        return None
    return class_id(manifest_class(run.manifest, run.hyperparameters))


def ranked_classes(runs: Sequence[Run]) -> list[RankedClass]:
    """The finished runs of each comparability class, in the order of :func:`ranking`.

    Classes with verified frames come first, then larger ones, then the first to appear. Their
    losses have no say in it: losses of two classes say nothing of each other.
    """
    present = [run for run in shown_runs(runs) if run.status != "missing"]
    observations = observe(present)
    of = {id(seen): run for seen, run in zip(observations, present, strict=True)}
    found = []
    for kind in classes(observations):
        standings = tuple(
            Standing(
                run=of[id(seen)],
                place=each.place,
                tied=each.tied_with_best and each.place > 1,
                replicates=tuple(one.name for one in each.observations if one is not seen),
            )
            for each in ranking(kind)
            for seen in each.observations
        )
        if standings:
            found.append(RankedClass(kind, standings))
    return found
