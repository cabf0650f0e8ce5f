"""What each configuration needed: memory, hours of a GPU or CPU, and money where a price is given.

Memory belongs to the settings it was measured with, such as the batch size, and to no others.
"""

import math
import os
import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from gr00t_assets.comparison.columns import cpu_hours
from gr00t_assets.comparison.run import Run, trainable_parts
from gr00t_assets.comparison.wording import hours_words, shown
from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.text import shown_setting

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

    Raises:
        Gr00tAssetsError: It is not a number of at least 0.
    """
    text = os.environ.get(PRICE_VARIABLE, "").strip()
    if not text:
        return None
    number, _, currency = text.partition(" ")
    with suppress(ValueError):
        if 0 <= (price := float(number)) < math.inf:
            return Price(price, currency.strip())
    raise Gr00tAssetsError(
        PRICE_VARIABLE,
        f"'{text}' is no price of a GPU-hour.",
        ["expected a number of at least 0, with a currency where you like: 2.49 EUR"],
    )


class ConfigurationCost(NamedTuple):
    """Runs that share all that memory depends on; texts are '' where nothing is known.

    ``memory`` is the highest of the runs, in GB of one GPU or of the process on a CPU, ``speed``
    the median in samples per second, and ``hours``, ``cpu_hours`` and ``price`` are of all of them.
    """

    trained_with: str
    parts: str
    settings: str
    runs: int
    memory: str
    speed: str
    hours: str
    cpu_hours: str
    price: str


def configuration_costs(runs: Sequence[Run], price: Price | None = None) -> list[ConfigurationCost]:
    """One a configuration, the largest memory first; runs that tell nothing are left out."""
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        if run.peak_memory_bytes or run.gpu_hours or cpu_hours(run):
            data = [run.data[name] for name in ("base model", "trainer") if run.data.get(name)]
            key = (", ".join(data), trainable_parts(run.settings), _settings(run))
            groups.setdefault(key, []).append(run)
    costs = []
    for key, members in groups.items():
        memory = max(run.peak_memory_bytes or 0 for run in members)
        speeds = [run.samples_per_second for run in members if run.samples_per_second]
        speed = shown(statistics.median(speeds), "samples_per_second") if speeds else ""
        hours = sum(run.gpu_hours or 0.0 for run in members)
        costs.append(
            ConfigurationCost(
                *key,
                runs=len(members),
                memory=f"{memory / 1e9:.1f}" if memory else "",
                speed=speed,
                hours=hours_words(hours),
                cpu_hours=hours_words(sum(cpu_hours(run) or 0.0 for run in members)),
                price=price.of(hours) if price and hours else "",
            )
        )
    return sorted(costs, key=lambda cost: (-float(cost.memory or 0), cost[:3]))


def hours_sentence(runs: Sequence[Run], price: Price | None = None) -> str:
    """GPU-hours of every run, failed ones too, since they were paid for; and hours of a CPU."""
    hours = sum(run.gpu_hours or 0.0 for run in runs)
    of_cpu = sum(cpu_hours(run) or 0.0 for run in runs)
    on_cpu = f"{hours_words(of_cpu)} hours of a CPU" if of_cpu else ""
    if not hours:
        return f"No GPU was used{': ' if on_cpu else ''}{on_cpu}."
    cost = f", {price.of(hours)}" if price else ""
    also = f", and {on_cpu} without one" if on_cpu else ""
    return f"All runs together took {hours_words(hours)} GPU-hours{cost}{also}."


def hours_unit(runs: Sequence[Run]) -> str:
    """The unit of hours of runs like these."""
    on_cpu = bool(runs) and all(run.gpu_hours == 0 for run in runs)
    return "hours of a CPU" if on_cpu else "GPU-hours"


def _settings(run: Run) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {shown_setting(run.settings[name])}"
        for name in _MEMORY_SETTINGS
        if name in run.settings and (name == "batch_size" or run.settings[name] not in (1, False))
    )
