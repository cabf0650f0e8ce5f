"""Design matrices: the columns of a factor, of an interaction, and of seeds that are common."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from gr00t_assets.comparison.statistics.factors import order_of

MOST_LEVELS = 4
"""A numeric factor with more values is a quadratic in its logarithm, one with fewer has levels."""

ALIASED = 0.1
"""Share of a factor's variance that the others must leave over for it to be told apart."""


@dataclass(frozen=True)
class FactorColumns:
    """The columns of one factor over ``n`` observations; those of a curve have the mean zero.

    Attributes:
        levels: The values in their order; the unknown value, None, comes first.
        curve: Whether it is a quadratic in the logarithm (of a factor with values that are not
            above zero: in the value) and not one column less than it has levels.
        codes: One row for each level, shape ``(levels, k)``.
        columns: Shape ``(n, k)``.
    """

    levels: tuple[object, ...]
    curve: bool
    codes: np.ndarray
    columns: np.ndarray

    def code(self, value: object) -> np.ndarray:
        """The columns' values at one level, shape ``(k,)``."""
        return self.codes[self.levels.index(value)]

    @cached_property
    def linear(self) -> "FactorColumns":
        """A curve without its quadratic part; anything else as it is."""
        if not self.curve:
            return self
        return FactorColumns(self.levels, True, self.codes[:, :1], self.columns[:, :1])


def factor_columns(factor: str, values: Sequence[object]) -> FactorColumns:
    """The columns of a factor from its value in each observation.

    Levels are coded so that their effects sum to zero: the effect of a factor is then its average
    over the levels of the others.
    """
    levels = tuple(sorted(set(values), key=partial(order_of, factor)))
    place = {value: index for index, value in enumerate(levels)}
    rows = np.array([place[value] for value in values])
    numbers = [value for value in levels if isinstance(value, int | float)]
    curve = len(levels) > MOST_LEVELS and len(numbers) == len(levels)
    if curve:
        scale = np.array([math.log(x) for x in numbers] if min(numbers) > 0 else numbers, float)
        scale = (scale - scale[rows].mean()) / (np.ptp(scale) / 2)
        square = scale**2
        codes = np.column_stack([scale, square - square[rows].mean()])
    else:
        codes = _sum_to_zero(len(levels))
    return FactorColumns(levels, curve, codes, codes[rows])


def interaction(one: FactorColumns, other: FactorColumns) -> np.ndarray:
    """Products of the columns of two factors, of curves the linear ones, shape ``(n, k)``."""
    products = one.linear.columns[:, :, None] * other.linear.columns[:, None, :]
    return products.reshape(len(products), -1)


def seed_columns(seeds: Sequence[Hashable], cells: Sequence[int]) -> np.ndarray:
    """Columns of the seeds that several configurations share, shape ``(n, seeds - 1)``.

    What a seed adds to every configuration is taken out of the comparison; an observation whose
    seed nobody else has is at the mean of the others. Without two common seeds there are none.
    """
    shared = Counter(seed for seed, _ in dict.fromkeys(zip(seeds, cells, strict=True)))
    common = [seed for seed, count in shared.items() if count > 1]
    if len(common) < 2:
        return np.zeros((len(seeds), 0))
    of_seed = dict(zip(common, _sum_to_zero(len(common)), strict=True))
    none = np.zeros(len(common) - 1)
    return np.array([of_seed.get(seed, none) for seed in seeds])


def _sum_to_zero(levels: int) -> np.ndarray:
    return np.vstack([np.eye(levels - 1), -np.ones(levels - 1)])


def independent(columns: np.ndarray, of: np.ndarray | None = None) -> np.ndarray:
    """As many columns as span the same space, beside those of ``of``; shape ``(n, rank)``."""
    from scipy.linalg import qr

    if not columns.shape[1]:
        return columns
    rest = columns
    if of is not None:
        basis, _ = np.linalg.qr(of)
        rest = columns - basis @ (basis.T @ columns)
    decomposed: Any = qr(rest, mode="r", pivoting=True)
    triangle, order = decomposed
    sizes = np.abs(np.diag(triangle))
    scale = max(1e-300, float(np.linalg.norm(columns, axis=0).max()))
    return columns[:, np.sort(order[: int((sizes > 1e-8 * scale).sum())])]


def share_left(columns: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Shares of a factor's variance that do not follow from others, one for each direction.

    They are the squared sines of the angles between the two spaces, in rising order: 0 where a
    direction can be written with the others, 1 where it has nothing to do with them. The shapes are
    ``(n, k)`` and ``(n, m)``; the constant is taken to be among the others.
    """
    basis, _ = np.linalg.qr(columns - columns.mean(axis=0))
    q, _ = np.linalg.qr(independent(np.hstack([np.ones((len(columns), 1)), others])))
    left = basis - q @ (q.T @ basis)
    return np.sort(np.clip(np.linalg.svd(left, compute_uv=False), 0.0, 1.0) ** 2)
