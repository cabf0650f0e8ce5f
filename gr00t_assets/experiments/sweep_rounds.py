"""Rounds of a sweep that goes on by itself: the seeds that it may add, and those that it has.

Every experiment that a later round may ask for is a partition from the start; it belongs to the
sweep once a round in ``STORE/sweeps/NAME.json`` names it.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from gr00t_assets.core.checksums import load_sealed, sealed
from gr00t_assets.core.errors import SweepError, system_errors_explained
from gr00t_assets.core.files import FrozenModel, write_json
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment

MOST_SEEDS = 5
"""Of one configuration: what five cannot show is too small to be worth more."""


class AskedRound(FrozenModel):
    """Experiments that were asked for together."""

    asked_at: str = Field(description="When, in ISO 8601")
    experiments: tuple[str, ...] = Field(description="Their names")
    chance: float | None = Field(description="That they settle the question, as it was expected")
    hours: float = Field(description="GPU-hours, of a CPU where there is none, as expected")
    reason: str = Field(description="Why, in words")


class SweepRounds(FrozenModel):
    """The rounds of one sweep after that of its file, the first one first."""

    rounds: tuple[AskedRound, ...] = ()

    @property
    def names(self) -> set[str]:
        """Names of all their experiments."""
        return {name for item in self.rounds for name in item.experiments}


def rounds_file(sweep: str, store: Store) -> Path:
    """Where the rounds of a sweep are kept."""
    return store.root / "sweeps" / f"{sweep}.json"


def load_rounds(sweep: str, store: Store) -> SweepRounds:
    """The rounds of a sweep; none where there is no file.

    What a lost file named is found out again: the same runs ask for the same rounds.

    Raises:
        SweepError: The file is damaged.
        StoreError: This user may not read it.
    """
    path = rounds_file(sweep, store)
    with system_errors_explained(path):
        try:
            path.stat()
        except FileNotFoundError:
            return SweepRounds()
    problem = f"the rounds of sweep {sweep} cannot be read, so that no further one is asked for."
    remedy = f"move it away, and its rounds are found out again from the runs: {path}"
    return load_sealed(
        path, SweepRounds, lambda why: SweepError(str(path), problem, [why.splitlines()[0], remedy])
    )


def save_round(sweep: str, store: Store, asked: AskedRound) -> SweepRounds:
    """Add a round, in one step.

    Raises:
        SweepError: The file is damaged; it is as it was.
        StoreError: The disk is full, or this user may not read or write it; it is as it was.
    """
    rounds = SweepRounds(rounds=(*load_rounds(sweep, store).rounds, asked))
    write_json(rounds_file(sweep, store), sealed(rounds.model_dump(mode="json")))
    return rounds


def further_experiments(experiments: Sequence[Experiment]) -> list[Experiment]:
    """Every experiment with each seed that it does not have, from 1 to ``MOST_SEEDS``.

    Seeds that several configurations have in the file are among them. What goes on from another
    experiment has the seed of that one and no other.
    """
    own: dict[str, tuple[Experiment, set[int]]] = {}
    for item in experiments:
        if item.continue_from is None:
            settings = item.hyperparameters.model_copy(update={"seed": 0})
            alike = item.model_copy(update={"hyperparameters": settings})
            key = alike.model_dump_json(exclude={"name", "hypothesis", "tags", "priority"})
            own.setdefault(key, (item, set()))[1].add(item.hyperparameters.seed)
    counts = Counter(seed for _, seeds in own.values() for seed in seeds)
    common = {seed for seed, count in counts.items() if count > 1}
    further = []
    for first, seeds in own.values():
        name = first.name.removesuffix(f"-seed{first.hyperparameters.seed}")
        for seed in sorted({*range(1, MOST_SEEDS + 1), *common} - seeds):
            settings = first.hyperparameters.model_copy(update={"seed": seed})
            changes = {"name": f"{name}-seed{seed}", "hyperparameters": settings}
            further.append(first.model_copy(update=changes))
    return further
