"""What the report says beside its rankings: of each sweep, and of memory, hours and their price."""

import math
import os
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from gr00t_assets.comparison.all_runs import from_stored_run
from gr00t_assets.comparison.answers.headline import cautions
from gr00t_assets.comparison.columns import cpu_hours
from gr00t_assets.comparison.run import Run, grouped, trainable_parts
from gr00t_assets.comparison.wording import hours_words, names_in_words, shown
from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.text import shown_setting
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.planning.sweep_plan import next_step
from gr00t_assets.runs.stored_run import StoredRun

PRICE_VARIABLE = "GR00T_ASSETS_GPU_PRICE"

_MEMORY_SETTINGS = ("batch_size", "num_gpus", "num_nodes", "gradient_accumulation_steps")


@dataclass(frozen=True)
class Price:
    """Price of one GPU for one hour; ``currency`` is empty where none was named."""

    per_gpu_hour: float
    currency: str = ""

    def of(self, gpu_hours: float) -> str:
        """Cost of so many GPU-hours, such as ``10.00 EUR``."""
        return f"{self.per_gpu_hour * gpu_hours:,.2f} {self.currency}".strip()


def price_per_gpu_hour() -> Price | None:
    """The price in ``GR00T_ASSETS_GPU_PRICE``, such as ``2.49`` or ``2.49 EUR``; None without one.

    ``Gr00tAssetsError`` where it is not a number of at least 0.
    """
    text = os.environ.get(PRICE_VARIABLE, "").strip()
    if not text:
        return None
    number, _, currency = text.partition(" ")
    with suppress(ValueError):
        if 0 <= (price := float(number)) < math.inf:
            return Price(price, currency.strip())
    expected = "expected a number of at least 0, with a currency where you like: 2.49 EUR"
    raise Gr00tAssetsError(PRICE_VARIABLE, f"'{text}' is no price of a GPU-hour.", [expected])


class ConfigurationCost(NamedTuple):
    """Runs that share all that memory depends on; texts are '' where nothing is known."""

    trained_with: str
    parts: str
    settings: str
    runs: int
    memory: str  # The highest, in GB of one GPU or of the process on a CPU
    speed: str  # The median, in samples per second
    hours: str  # Of all runs, and so are ``cpu_hours`` and ``price``
    cpu_hours: str
    price: str


def configuration_costs(runs: Sequence[Run], price: Price | None = None) -> list[ConfigurationCost]:
    """One a configuration, the largest memory first; runs that tell nothing are left out."""
    measured = [run for run in runs if run.peak_memory_bytes or run.gpu_hours or cpu_hours(run)]
    groups = grouped(measured, _memory_depends_on)
    costs = [_cost(key, members, price) for key, members in groups.items()]
    return sorted(costs, key=lambda cost: (-float(cost.memory or 0), cost[:3]))


def _cost(key: tuple[str, str, str], runs: Sequence[Run], price: Price | None) -> ConfigurationCost:
    memory = max(run.peak_memory_bytes or 0 for run in runs)
    speeds = [run.samples_per_second for run in runs if run.samples_per_second]
    hours = sum(run.gpu_hours or 0.0 for run in runs)
    return ConfigurationCost(
        *key,
        runs=len(runs),
        memory=f"{memory / 1e9:.1f}" if memory else "",
        speed=shown(statistics.median(speeds), "samples_per_second") if speeds else "",
        hours=hours_words(hours),
        cpu_hours=hours_words(sum(cpu_hours(run) or 0.0 for run in runs)),
        price=price.of(hours) if price and hours else "",
    )


def hours_sentence(runs: Sequence[Run], price: Price | None = None) -> str:
    """GPU-hours of every run, failed ones too, since they were paid for; and hours of a CPU."""
    hours = sum(run.gpu_hours or 0.0 for run in runs)
    of_cpu = hours_words(sum(cpu_hours(run) or 0.0 for run in runs))
    on_cpu = f"{of_cpu} hours of a CPU" if of_cpu else ""
    if not hours:
        return f"No GPU was used{': ' if on_cpu else ''}{on_cpu}."
    cost = f", {price.of(hours)}" if price else ""
    also = f", and {on_cpu} without one" if on_cpu else ""
    return f"All runs together took {hours_words(hours)} GPU-hours{cost}{also}."


def _memory_depends_on(run: Run) -> tuple[str, str, str]:
    data = [run.data[name] for name in ("base model", "trainer") if run.data.get(name)]
    settings = ", ".join(
        f"{name.replace('_', ' ')} {shown_setting(run.settings[name])}"
        for name in _MEMORY_SETTINGS
        if name in run.settings and (name == "batch_size" or run.settings[name] not in (1, False))
    )
    return ", ".join(data), trainable_parts(run.settings), settings


@dataclass(frozen=True)
class SweepSummary:
    """What the report says of one sweep by itself."""

    sweep: Sweep
    runs: tuple[Run, ...]  # One an experiment: the present, else newest stale, else a placeholder
    older_runs: tuple[StoredRun, ...]  # Stale ones that others replaced
    cautions: tuple[str, ...]
    next_step: str = ""  # What one with ``until`` does next, or why it has stopped

    @property
    def counts(self) -> Counter[str]:
        """Experiments by the status of their run."""
        return Counter(map(stored_status, self.runs))

    @property
    def hypotheses(self) -> list[tuple[str, str]]:
        """Each hypothesis with the names of its experiments."""
        groups = grouped(self.sweep.experiments, lambda item: item.hypothesis or "none written")
        return [
            (text, names_in_words([x.name for x in group], 8)) for text, group in groups.items()
        ]

    @property
    def common_settings(self) -> list[str]:
        """Settings that all experiments share and that are not their trainer's defaults."""
        settings = [item.hyperparameters.changed() for item in self.sweep.experiments]
        return [
            f"{name} {shown_setting(value)}"
            for name, value in (settings[0] if settings else {}).items()
            if all(name in other and other[name] == value for other in settings)
        ]


def stored_status(run: Run) -> str:
    """What became of a run: of one of the store, what its directory says."""
    return run.stored.status if run.stored else run.status


def status_counts(statuses: Iterable[str]) -> str:
    """Counts in words: ``3 finished, 1 failed``."""
    return ", ".join(f"{count:,} {status}" for status, count in Counter(statuses).items())


def sweep_summary(sweep: Sweep, stored: Sequence[StoredRun], runs: Sequence[Run]) -> SweepSummary:
    """The summary of a sweep from its ``stored`` runs, and ``runs`` of the whole project."""
    compared = {id(run.stored): run for run in runs}
    newest: dict[str, StoredRun] = {}
    for item in stored:
        if item.name not in newest or (newest[item.name].stale and not item.stale):
            newest[item.name] = item
    shown = {id(item) for item in newest.values()}
    present = [compared[id(item)] for item in stored if id(item) in compared]
    step = next_step(sweep, present)
    return SweepSummary(
        sweep=sweep,
        runs=tuple(compared.get(id(item)) or from_stored_run(item) for item in newest.values()),
        older_runs=tuple(item for item in stored if item.stale and id(item) not in shown),
        cautions=tuple(cautions(present)),
        next_step=f"Until {step.question} is known: {step.words}" if step else "",
    )
