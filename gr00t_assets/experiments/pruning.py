"""Pruning: which runs of a sweep are given up while they train, and when."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field


class Pruning(BaseModel):
    """Successive halving over the runs of a sweep (Li et al., "A System for Massively Parallel
    Hyperparameter Tuning", MLSys 2020).

    At ``min_steps``, and at every ``reduction_factor`` times as many, a run is held against those
    that were there before it; it goes on where it is among the best ``1 / reduction_factor``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_steps: int = Field(ge=1, description="Optimizer steps before the first decision")
    reduction_factor: int = Field(
        default=3, ge=2, description="Of so many runs one goes on; also the runs a decision needs"
    )

    def rungs(self, max_steps: int) -> tuple[int, ...]:
        """Steps at which a run of ``max_steps`` steps is decided about, the first one first.

        Example:
            >>> Pruning(min_steps=100, reduction_factor=3).rungs(1000)
            (100, 300, 900)
        """
        return tuple(self._below(max_steps))

    def _below(self, max_steps: int) -> Iterator[int]:
        step = self.min_steps
        while step < max_steps:
            yield step
            step *= self.reduction_factor
