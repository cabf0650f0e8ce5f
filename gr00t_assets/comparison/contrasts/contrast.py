"""A contrast: two groups of runs, what differs between them, and what may be said of it."""

from dataclasses import dataclass
from typing import Literal

from gr00t_assets.comparison.contrasts.observation import Observation

Verdict = Literal["controlled", "confounded", "within_noise", "inconclusive", "not_comparable"]
"""What a contrast says of the factor that is asked about.

========================  ==========================================================================
``controlled``            One factor changed, and the difference is more than noise.
``within_noise``          One factor changed; the noise within the runs alone covers the difference.
``inconclusive``          One factor changed; the difference is more than the noise within the runs,
                          but not more than that between two runs of one configuration may be, which
                          nothing here has measured well enough.
``confounded``            More than the factor changed, samples seen included.
``not_comparable``        The losses are not of one kind: other data, base model, trainer, frames.
========================  ==========================================================================
"""


@dataclass(frozen=True)
class Change:
    """One setting with its value on either side.

    Attributes:
        factor: Name of the hyperparameter; ``trainable_parts``, ``samples_seen`` or a word of
            ``Observation.data`` where it is that.
        material: Whether it can change what is learned; the number of loader processes cannot.
        implied: Whether it follows from the factor that is asked about: twice the steps are twice
            the samples, and no other experiment on steps could be made.
    """

    factor: str
    low: object
    high: object
    material: bool = True
    implied: bool = False


@dataclass(frozen=True)
class Contrast:
    """Two groups of finished runs that differ in the factor that is asked about.

    Attributes:
        factor: The factor that is asked about.
        low: Replicates of one configuration (equal but for the seed); the lower value of the
            factor, or the reference where values have no order. Of matched pairs, which are
            contrasted together only where that shows an effect, all runs of the value.
        high: Replicates of the other configuration, or of the other value.
        changes: Everything that differs, the factor first, then the other material ones.
        effect: Loss of ``high`` minus loss of ``low``, pooled over replicates; None where it means
            nothing, that is, where the verdict is ``not_comparable``.
        interval: Of the effect at 95 percent, both kinds of noise included.
        ratio: Loss of ``high`` over that of ``low``.
        verdict: One of :data:`Verdict`.
        reason: One sentence that gives the verdict's reason, for a reader.
        basis: Where the losses are taken: ``end`` or ``equal samples``.
    """

    factor: str
    low: tuple[Observation, ...]
    high: tuple[Observation, ...]
    changes: tuple[Change, ...]
    effect: float | None
    interval: tuple[float, float] | None
    ratio: float | None
    verdict: Verdict
    reason: str
    basis: str = "end"

    @property
    def runs(self) -> tuple[str, ...]:
        """Ids of all runs, low ones first."""
        return tuple(run.run_id for run in (*self.low, *self.high))

    @property
    def changed_factors(self) -> tuple[str, ...]:
        """Names of what differs, the factor first."""
        return tuple(change.factor for change in self.changes)

    @property
    def confounders(self) -> tuple[str, ...]:
        """Material factors that changed besides the one asked about, and are not implied."""
        return tuple(
            change.factor
            for change in self.changes
            if change.material and not change.implied and change.factor != self.factor
        )
