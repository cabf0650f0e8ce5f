"""Designs of simulated studies, their true losses and their run-to-run spreads."""

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

Row = dict[str, Any]
Design = Callable[[np.random.Generator], list[Row]]
"""The settings of a study's runs."""

Truth = Callable[[np.random.Generator, Sequence[Row]], np.ndarray]
"""Log losses without noise, or standard deviations of the noise, one for each run."""

BASE: Row = {
    "learning_rate": 1.5e-4, "weight_decay": 1e-4, "warmup_ratio": 0.03, "batch_size": 16,
    "max_steps": 3000, "seed": 7,
}  # fmt: skip
VALUES: dict[str, list[float]] = {
    "learning_rate": [5e-5, 1.5e-4, 6e-4],
    "weight_decay": [0.0, 1e-4, 0.03],
    "warmup_ratio": [0.0, 0.03, 0.12],
}
EFFECT = math.log(1.2)


def grid(factors: int, seeds: int, levels: int = 3) -> Design:
    """Every combination of the first factors, each with the same seeds."""
    values = {name: VALUES[name][-levels:] for name in list(VALUES)[:factors]}
    cells = [dict(zip(values, item, strict=True)) for item in product(*values.values())]
    return lambda rng: _with_seeds(cells, seeds)


def one_at_a_time(seeds: int) -> Design:
    """A base configuration, and each of three factors changed alone."""
    changes = [
        {name: value} for name, values in VALUES.items() for value in values if value != BASE[name]
    ]
    return lambda rng: _with_seeds([{}, *changes], seeds)


def random_search(rng: np.random.Generator, runs: int = 30) -> list[Row]:
    """Three factors drawn on their scales; every second search draws the steps as well."""
    steps = [1500, 3000, 6000] if rng.random() < 0.5 else [3000]
    return [
        BASE
        | {
            "learning_rate": float(10 ** rng.uniform(-4.5, -3)),
            "weight_decay": float(10 ** rng.uniform(-5, -1)),
            "warmup_ratio": float(rng.uniform(0.005, 0.15)),
            "max_steps": int(rng.choice(steps)),
            "seed": int(rng.integers(1_000_000)),
        }
        for _ in range(runs)
    ]


def separate(count: int, seeds: int) -> Design:
    """Configurations that differ in the learning rate alone."""
    rates = [float(f"{rate:.3g}") for rate in np.geomspace(3e-5, 1e-3, count)]
    return lambda rng: _with_seeds([{"learning_rate": rate} for rate in rates], seeds)


def _with_seeds(cells: Sequence[Row], seeds: int) -> list[Row]:
    return [BASE | cell | {"seed": seed} for cell in cells for seed in range(seeds)]


def cells_of(rows: Sequence[Row]) -> np.ndarray:
    """The number of each run's configuration, from 0."""
    keys = [tuple(value for name, value in row.items() if name != "seed") for row in rows]
    return np.unique(keys, axis=0, return_inverse=True)[1].ravel()


def constant(value: float) -> Truth:
    """The same for every run."""
    return lambda rng, rows: np.full(len(rows), value)


def _scale(rows: Sequence[Row]) -> np.ndarray:
    """The learning rate from 0 at its lowest to 1 at its highest value, on a logarithmic scale."""
    logs = np.log([row["learning_rate"] for row in rows])
    return (logs - logs.min()) / np.ptp(logs)


def line(rng: np.random.Generator, rows: Sequence[Row]) -> np.ndarray:
    """The loss rises by 20 percent from the lowest to the highest learning rate."""
    return EFFECT * _scale(rows)


def one_rate(rng: np.random.Generator, rows: Sequence[Row]) -> np.ndarray:
    """The loss is 20 percent higher at one learning rate, drawn by lot."""
    rates = np.array([row["learning_rate"] for row in rows])
    return EFFECT * (rates == rng.choice(np.unique(rates)))


def bowl(rng: np.random.Generator, rows: Sequence[Row]) -> np.ndarray:
    """The loss is lowest at some learning rate inside, and half as high again at the far end."""
    lowest = rng.uniform(0.2, 0.5)
    return math.log(1.5) * ((_scale(rows) - lowest) / (1 - lowest)) ** 2


def drawn(rng: np.random.Generator, rows: Sequence[Row]) -> np.ndarray:
    """Every configuration has a loss of its own; their standard deviation is 10 percent."""
    cells = cells_of(rows)
    return rng.normal(0, 0.1, cells.max() + 1)[cells]


def one_best(rng: np.random.Generator, rows: Sequence[Row]) -> np.ndarray:
    """One configuration is 20 percent better than all the others."""
    return EFFECT * (cells_of(rows) != rng.integers(cells_of(rows).max() + 1))


def two_bests(rng: np.random.Generator, rows: Sequence[Row]) -> np.ndarray:
    """Two configurations are equal, all others 30 percent worse."""
    cells = cells_of(rows)
    return math.log(1.3) * ~np.isin(cells, rng.choice(cells.max() + 1, 2, replace=False))


def by_rate(rng: np.random.Generator, rows: Sequence[Row]) -> np.ndarray:
    """Spread 3 percent at the lowest learning rate, 40 at the highest."""
    return 0.03 * (0.4 / 0.03) ** _scale(rows)


def by_decay(rng: np.random.Generator, rows: Sequence[Row]) -> np.ndarray:
    """Spread 5 percent, and 40 where weight decay is large."""
    return np.where([row["weight_decay"] > 0.02 for row in rows], 0.4, 0.05)


def one_wild(rng: np.random.Generator, rows: Sequence[Row]) -> np.ndarray:
    """Spread 5 percent, and 40 of one configuration."""
    cells = cells_of(rows)
    return np.where(cells == rng.integers(cells.max() + 1), 0.4, 0.05)


def by_configuration(rng: np.random.Generator, rows: Sequence[Row]) -> np.ndarray:
    """Each configuration has a spread of its own, from 3 to 40 percent."""
    cells = cells_of(rows)
    return np.exp(rng.uniform(math.log(0.03), math.log(0.4), cells.max() + 1))[cells]
