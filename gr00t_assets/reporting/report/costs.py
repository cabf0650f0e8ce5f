"""What each configuration needed: memory of a GPU, hours, and money where a price is given.

Memory belongs to the settings it was measured with, such as the batch size, and to no others.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from gr00t_assets.comparison.contrasts.factors import trainable_parts
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.formatting import shown, shown_setting
from gr00t_assets.reporting.report.price import Price

_MEMORY = ("batch_size", "num_gpus", "gradient_accumulation_steps")


@dataclass(frozen=True)
class Cost:
    """Runs that share all that memory depends on.

    Attributes:
        subject: Base model and trainer.
        parts: Trained parts in words.
        settings: Batch size, and what else is not one of its kind.
        memory: Highest of the runs, in GB of one GPU, or of the process on a CPU.
        hours: GPU-hours of all of them.
        cost: Of those hours; '' without a price.
    """

    subject: str
    parts: str
    settings: str
    runs: int
    memory: str
    memory_order: float
    speed: str
    hours: str
    cost: str


def costs(observations: Sequence[Observation], price: Price | None) -> list[Cost]:
    """One a configuration, the largest memory first; runs that tell nothing are left out."""
    groups: dict[tuple[str, str, str], list[Observation]] = {}
    for run in observations:
        if run.peak_memory_bytes or run.gpu_hours:
            key = (_subject(run), trainable_parts(run.settings), _settings(run))
            groups.setdefault(key, []).append(run)
    rows = [_cost(key, runs, price) for key, runs in groups.items()]
    return sorted(rows, key=lambda row: (-row.memory_order, row.subject, row.parts, row.settings))


def total_hours(observations: Sequence[Observation]) -> float:
    """GPU-hours of every run, failed ones too: they were paid for."""
    return sum(run.gpu_hours or 0.0 for run in observations)


def _subject(run: Observation) -> str:
    return ", ".join(run.data[name] for name in ("base model", "trainer") if run.data.get(name))


def _settings(run: Observation) -> str:
    known = [(name, run.settings[name]) for name in _MEMORY if name in run.settings]
    return ", ".join(
        f"{name.replace('_', ' ')} {shown_setting(value)}"
        for name, value in known
        if name == "batch_size" or value not in (1, False)
    )


def _cost(key: tuple[str, str, str], runs: Sequence[Observation], price: Price | None) -> Cost:
    memory = max((run.peak_memory_bytes or 0 for run in runs), default=0)
    speeds = [run.samples_per_second for run in runs if run.samples_per_second]
    hours = total_hours(runs)
    return Cost(
        *key,
        runs=len(runs),
        memory=f"{memory / 1e9:.1f}" if memory else "",
        memory_order=float(memory),
        speed=shown(statistics.median(speeds), "samples_per_second") if speeds else "",
        hours=shown(hours, "gpu_hours"),
        cost=price.of(hours) if price and hours else "",
    )
