"""The models of a class as its factors are asked about, each told apart from the others."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import combinations

import numpy as np

from gr00t_assets.comparison.run import grouped
from gr00t_assets.comparison.statistics.factors import (
    Configuration,
    Spread,
    factors_of,
    observations,
    repeated_spread,
    samples_are_equal,
)
from gr00t_assets.comparison.statistics.linear_model import (
    ALIASED,
    MOST_LEVELS,
    FactorColumns,
    LinearModel,
    Term,
    factor_columns,
    interaction,
    seed_columns,
    share_left,
)

SEED_DEGREES = 4  # Residual degrees of freedom that must be left beside common seeds
FOLLOWS = 1e-9  # Share of a factor's variance below which it follows from others


class ClassModel:
    """Configurations of one data and frames, the factors that vary among them, and their spread.

    Where nothing here tells the spread it is that of similar classes, ``outside``.
    """

    def __init__(self, members: Sequence[Configuration], outside: Spread | None = None) -> None:
        self.members, self.rows = tuple(members), observations(members)
        factors = factors_of([run for item in members for run in item.runs])
        self.factors = tuple(name for name in factors if name != "seed")
        self.own_spread = own = repeated_spread(members)
        self.spread = outside if outside and own.deviation is None else own

    def others(self, factor: str) -> list[str]:
        """The factors that must be equal for a fair comparison of this one.

        The batch size is compared at equal samples seen, the number of steps at equal batch size:
        of the three two settle the third.
        """
        left_out = {factor, "samples_seen"}
        if factor in ("batch_size", "samples_seen"):
            left_out.add("max_steps")
        names = [name for name in self.factors if name not in left_out]
        first, *rest = self.members
        if factor == "batch_size" and not all(samples_are_equal(first, other) for other in rest):
            names.append("samples_seen")
        return names


class QuestionModel:
    """A class's model as one factor is asked about: what it is told apart from, and the fits.

    Observations whose value of the factor is not known take no part; nor does the only run of a
    value where other configurations were repeated, for its luck is in it and in nothing else.
    """

    def __init__(self, of_class: ClassModel, factor: str) -> None:
        self.of_class, self.factor = of_class, factor
        values = [of_class.members[row.cell].value(factor) for row in of_class.rows]
        counts = Counter(values)
        few = len(counts) <= MOST_LEVELS or not all(isinstance(x, int | float) for x in counts)
        repeated = of_class.own_spread.degrees > 0 and few
        self.single = {value for value, count in counts.items() if count == 1 and repeated}
        self._keep(value not in (None, *self.single) for value in values)
        self.varies = len(set(self.values)) > 1
        if self.varies and not self.columns.curve and self.other_columns:
            together = self._connected()
            if 1 < len(together) < len(set(self.values)):
                self._keep(value in together for value in values)

    def _keep(self, kept: Iterable[bool]) -> None:
        rows = zip(self.of_class.rows, kept, strict=True)
        self.rows = [row for row, keep in rows if keep]
        self.cells = [row.cell for row in self.rows]
        self.values = self._values_of(self.factor)
        for name in ("columns", "other_columns"):
            self.__dict__.pop(name, None)

    def _values_of(self, factor: str) -> list[object]:
        return [self.of_class.members[cell].value(factor) for cell in self.cells]

    def _connected(self) -> set[object]:
        """Levels with the most observations among those that the other factors leave comparable.

        The difference of two levels can be estimated where the null space of the design has as
        much of the one as of the other.
        """
        levels = self.columns.levels
        dummies = np.array([[value == level for level in levels] for value in self.values], float)
        design = np.hstack([dummies, *self._quadratic])
        null = np.eye(design.shape[1]) - np.linalg.pinv(design) @ design
        rows = dict(zip(levels, map(tuple, (null.round(6) + 0.0).tolist()), strict=False))
        counts = Counter(self.values)
        groups = grouped(levels, rows.__getitem__).values()
        return set(max(groups, key=lambda x: (len(x) > 1, sum(counts[level] for level in x))))

    @cached_property
    def columns(self) -> FactorColumns:
        """Those of the factor; of a curve the linear one where the others leave no more."""
        columns = factor_columns(self.factor, self.values)
        if not columns.curve or not self._quadratic:
            return columns
        left = share_left(columns.columns, np.hstack(self._quadratic))
        return columns if left[0] > ALIASED else columns.linear

    @cached_property
    def other_columns(self) -> dict[str, FactorColumns]:
        """Those of the other factors that vary and do not follow from those before them."""
        others: dict[str, FactorColumns] = {}
        for name in self.of_class.others(self.factor):
            values = self._values_of(name)
            if len(set(values)) > 1:
                item = factor_columns(name, values)
                before = [other.columns for other in others.values()]
                if not before or share_left(item.columns, np.hstack(before))[-1] > FOLLOWS:
                    others[name] = item
        return others

    @cached_property
    def seeds(self) -> np.ndarray:
        """Columns of common seeds; none where too few degrees of freedom would be left."""
        columns = seed_columns([row.seed for row in self.rows], self.cells)
        used = np.hstack([self.columns.columns, *self._quadratic, columns])
        left = len(self.rows) - 1 - np.linalg.matrix_rank(used)
        return columns if left >= SEED_DEGREES else columns[:, :0]

    @property
    def _quadratic(self) -> list[np.ndarray]:
        return [item.columns for item in self.other_columns.values()]

    @cached_property
    def _nuisance(self) -> list[np.ndarray]:
        """Columns of the others, linear where quadratics would leave no degree of freedom."""
        used = np.hstack([self.columns.columns, *self._quadratic])
        if np.linalg.matrix_rank(used) + 1 < len(self.rows):
            return self._quadratic
        return [item.linear.columns for item in self.other_columns.values()]

    @cached_property
    def confounders(self) -> tuple[str, ...]:
        """Factors that moved with this one, so that it cannot be told apart; none where it can."""
        own, others = self.columns.columns, self._nuisance
        if not others or share_left(own, np.hstack(others))[0] > ALIASED:
            return ()
        by_name = dict(zip(self.other_columns, others, strict=True))
        alone = [name for name, item in by_name.items() if share_left(own, item)[0] <= ALIASED]
        return tuple(alone or by_name)

    @cached_property
    def clean(self) -> bool:
        """Whether every two levels meet at some equal setting of all the other factors."""
        settings = zip(*map(self._values_of, self.other_columns), self.values, strict=True)
        groups = grouped(set(settings), lambda values: values[:-1]).values()
        met = {frozenset((a[-1], b[-1])) for group in groups for a, b in combinations(group, 2)}
        return len(met) == math.comb(len(set(self.values)), 2)

    @cached_property
    def additive(self) -> LinearModel:
        """The model without interactions, the factor in it."""
        nuisance = np.hstack([self.seeds, *self._nuisance])
        return self._model({(self.factor,): self.columns.columns}, nuisance)

    @cached_property
    def with_interactions(self) -> LinearModel | None:
        """The model with every two-way interaction; None where too few degrees would be left."""
        every = {self.factor: self.columns, **self.other_columns}
        terms: dict[Term, np.ndarray] = {(name,): item.columns for name, item in every.items()}
        for one, other in combinations(every, 2):
            terms[one, other] = interaction(every[one], every[other])
        design = np.hstack([np.ones((len(self.rows), 1)), self.seeds, *terms.values()])
        left, fewest = len(self.rows) - design.shape[1], len(self.rows) / (2 if self._curved else 4)
        if left < max(4, fewest) or np.linalg.matrix_rank(design) < design.shape[1]:
            return None
        return self._model(terms, self.seeds)

    @cached_property
    def interactions(self) -> dict[str, float]:
        """p-values of the interactions by other factor; none where there is no room for them."""
        if (fitted := self.with_interactions) is None:
            return {}
        tests = {other: fitted.test_term((self.factor, other)) for other in self.other_columns}
        return {other: test.p for other, test in tests.items() if test is not None}

    @property
    def _curved(self) -> bool:
        return any(item.curve for item in (self.columns, *self.other_columns.values()))

    def _model(self, terms: dict[Term, np.ndarray], nuisance: np.ndarray) -> LinearModel:
        losses = np.array([row.log_loss for row in self.rows])
        spread = self.of_class.spread
        return LinearModel(losses, nuisance, terms, self.cells, self._curved, spread)

    def difference(self, low: object, high: object) -> np.ndarray:
        """Weights of the log loss at one level less that at another, in the additive model."""
        codes = self.columns.code(high) - self.columns.code(low)
        return self.additive.vector({(self.factor,): codes})


def additive_question(members: Sequence[Configuration]) -> QuestionModel | None:
    """The first factor's question, whose additive model has all; None where nothing varies."""
    of_class = ClassModel(members)
    question = QuestionModel(of_class, of_class.factors[0]) if of_class.factors else None
    return question if question and question.varies else None
