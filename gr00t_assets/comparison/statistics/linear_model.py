"""One linear model a class, on the log loss: factors, interactions, seeds that are common.

A factor of few values has a level for each, one of many is a quadratic in its logarithm. A test is
taken twice where four degrees of freedom are left, with one variance for all runs and with robust
errors, HC2, from eight degrees on HC3 (J. G. MacKinnon and H. White, Journal of Econometrics 29,
1985); the larger p counts. For a curve, which single runs hold at its ends, it is taken twice only
where variances clearly differ.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from gr00t_assets.comparison.statistics.factors import SMALLEST_SPREAD, Spread, order_of
from gr00t_assets.evaluation.intervals import student_t

MOST_LEVELS = 4  # A numeric factor with more values is a quadratic in its logarithm
ALIASED = 0.1  # Share of a factor's variance that others must leave for it to be told apart


@dataclass(frozen=True)
class FactorColumns:
    """The columns of one factor over ``n`` observations; those of a curve have the mean zero."""

    levels: tuple[object, ...]  # In their order; the unknown value, None, comes first
    curve: bool  # A quadratic in the logarithm; in the value where one is not above zero
    codes: np.ndarray  # One row for each level, shape ``(levels, k)``
    columns: np.ndarray  # Shape ``(n, k)``

    def code(self, value: object) -> np.ndarray:
        """The columns' values at one level, shape ``(k,)``."""
        return self.codes[self.levels.index(value)]

    @property
    def linear(self) -> "FactorColumns":
        """A curve without its quadratic part; anything else as it is."""
        if not self.curve:
            return self
        return replace(self, codes=self.codes[:, :1], columns=self.columns[:, :1])


def factor_columns(factor: str, values: Sequence[object]) -> FactorColumns:
    """The columns of a factor from its value in each observation.

    The effects of levels sum to zero: that of a factor is its average over levels of the others.
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

    One whose seed nobody else has is at their mean. Without two common seeds there are none.
    """
    shared = Counter(seed for seed, _ in dict.fromkeys(zip(seeds, cells, strict=True)))
    common = [seed for seed, count in shared.items() if count > 1]
    if len(common) < 2:
        return np.zeros((len(seeds), 0))
    of_seed = dict(zip(common, _sum_to_zero(len(common)), strict=True))
    return np.array([of_seed.get(seed, np.zeros(len(common) - 1)) for seed in seeds])


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

    The squared sines of the angles between the two spaces, rising: 0 where a direction can be
    written with the others. Shapes ``(n, k)`` and ``(n, m)``; a constant is among the others.
    """
    basis, _ = np.linalg.qr(columns - columns.mean(axis=0))
    q, _ = np.linalg.qr(independent(np.hstack([np.ones((len(columns), 1)), others])))
    left = basis - q @ (q.T @ basis)
    return np.sort(np.clip(np.linalg.svd(left, compute_uv=False), 0.0, 1.0) ** 2)


ROBUST_DEGREES = 4  # Residual degrees from which on the variance may differ from run to run
HC3_DEGREES = 8  # With fewer HC3, which errs on the large side, would show next to nothing
UNEQUAL = 0.25  # Level of the test whether variances differ
LEVEL = 0.95  # Of every interval

Term = tuple[str, ...]  # A factor, or two of an interaction


class Test(NamedTuple):
    """A contrast of the model: one number, or several that are tested together."""

    p: float
    estimate: float  # Of the first one
    error: float  # Of it; the robust one where variances clearly differ
    degrees: int

    @property
    def ratio_interval(self) -> tuple[float, float]:
        """Of the ratio whose logarithm is the estimate, at ``LEVEL``, by Student's t."""
        half = student_t(self.degrees) * self.error
        low, high = (min(700.0, self.estimate + end) for end in (-half, half))
        return math.exp(low), math.exp(high)


class LinearModel:
    """Least squares of the log loss on a constant, seeds, factors and interactions."""

    def __init__(
        self,
        log_losses: np.ndarray,  # Shape ``(n,)``
        nuisance: np.ndarray,  # Columns that are allowed for, without the constant, ``(n, m)``
        terms: dict[Term, np.ndarray],  # Columns that are tested; some of each follow from no other
        cells: Sequence[int],  # The configuration of each observation
        curved: bool,  # Whether a term is a curve
        outside: Spread,  # Taken where the runs themselves have none to tell
    ) -> None:
        from statsmodels.regression.linear_model import OLS

        tested = np.hstack([np.ones((len(log_losses), 1)), *terms.values()])
        nuisance = independent(nuisance, tested)
        design = np.hstack([tested, nuisance])
        self._fit: Any = OLS(log_losses, design).fit()
        self.residuals = np.asarray(self._fit.resid)
        self.fitted = np.asarray(self._fit.fittedvalues)
        self._parameters = np.asarray(self._fit.params)
        self._unscaled = np.asarray(self._fit.normalized_cov_params)
        self._tested = tested.shape[1]
        ends = np.cumsum([1, *(columns.shape[1] for columns in terms.values())]).tolist()
        self._places = dict(zip(terms, map(slice, ends, ends[1:]), strict=True))
        self.residual_degrees = len(log_losses) - int(np.linalg.matrix_rank(design))
        self._cells, self._curved, self._outside = cells, curved, outside

    @cached_property
    def spread(self) -> Spread:
        """The spread that the tests go by."""
        if self.residual_degrees <= 0:
            return self._outside
        squares = float(self.residuals @ self.residuals)
        repeated = len(self._cells) - len(set(self._cells))
        source = "repeated seeds" if 2 * repeated >= self.residual_degrees else "residual"
        return Spread.of_squares(squares, self.residual_degrees, source, len(self._cells))

    @cached_property
    def _robust(self) -> np.ndarray | None:
        """Robust covariance; None where too few degrees of freedom are left, or one run decides."""
        if self.residual_degrees < ROBUST_DEGREES:
            return None
        leverage = np.einsum("ij,ji->i", self._fit.model.exog, self._fit.model.pinv_wexog)
        if leverage.max() > 1 - 1e-6:
            return None
        few = self.residual_degrees < HC3_DEGREES
        robust = self._fit.cov_HC2 if few else self._fit.cov_HC3
        return np.asarray(robust) + SMALLEST_SPREAD**2 * self._unscaled

    @cached_property
    def _unequal(self) -> bool:
        """Whether the variance clearly depends on the settings (Breusch and Pagan's test)."""
        from statsmodels.stats.diagnostic import het_breuschpagan

        noise = float(self._fit.scale)
        if self._robust is None or self._tested < 2 or noise < SMALLEST_SPREAD**2:
            return False
        design = self._fit.model.exog[:, : self._tested]
        return bool(het_breuschpagan(self.residuals, design)[1] < UNEQUAL)

    def vector(self, codes: dict[Term, np.ndarray], constant: float = 0.0) -> np.ndarray:
        """Weights of a contrast, ``(parameters,)``; of a log loss with a constant of 1."""
        weights = np.zeros(len(self._parameters))
        weights[0] = constant
        for name, code in codes.items():
            weights[self._places[name]] = code
        return weights

    def test(self, weights: np.ndarray) -> Test | None:
        """Wald's F test that contrasts, ``(k, parameters)``, are zero; None: no spread known."""
        weights = np.atleast_2d(weights)
        if self.spread.deviation is None:
            return None
        estimates = weights @ self._parameters
        plain = self.spread.variance * self._unscaled
        p, error = _wald(weights, estimates, plain, self.spread.degrees)
        if self._robust is not None and (self._unequal or not self._curved):
            other, robust_error = _wald(weights, estimates, self._robust, self.residual_degrees)
            p = max(p, other)
            error = max(error, robust_error) if self._unequal else error
        return Test(p, float(estimates[0]), error, self.spread.degrees)

    def estimate(self, weights: np.ndarray) -> float:
        """A contrast without its error."""
        return float(weights @ self._parameters)

    def test_term(self, name: Term) -> Test | None:
        """Whether a factor, or an interaction, does anything."""
        return self.test(np.eye(len(self._parameters))[self._places[name]])


def _wald(
    weights: np.ndarray, estimates: np.ndarray, covariance: np.ndarray, degrees: int
) -> tuple[float, float]:
    """p of an F test, and the standard error of the first contrast."""
    from scipy.special import fdtrc

    cover = weights @ covariance @ weights.T
    statistic = float(estimates @ np.linalg.pinv(cover, hermitian=True) @ estimates)
    return float(fdtrc(len(estimates), degrees, statistic / len(estimates))), math.sqrt(cover[0, 0])
