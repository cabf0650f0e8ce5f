"""The plan of blind trials: which policy acts when, under a letter, from which condition.

Every policy is tried once from each initial condition in each repeat, one after the other, so that
outcomes are paired and a drift of the robot or the light meets all alike. The orders inside these
blocks are Latin squares after Williams (1949): among as many blocks as there are policies each is
first, second and so on equally often, and follows each other one as often where their number is
even. Letters, squares and the order of the conditions are drawn from a seed.
"""

import random
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from gr00t_assets.core.errors import TrialsError
from gr00t_assets.core.files import FrozenModel, json_hash, read_limited
from gr00t_assets.core.names import did_you_mean, name_problem
from gr00t_assets.core.project import Store

SHEET = "outcomes.csv"
"""Name of the file to fill in, beside the plan."""

MOST_TRIALS = 5000
LETTERS = string.ascii_uppercase


class TrialPolicy(FrozenModel):
    """What a letter stands for."""

    letter: str
    name: str = Field(description="EXPERIMENT, or EXPERIMENT@STEP of a checkpoint")
    folder: str = Field(description="Of the weights; relative to the store where it is in it")
    trainer: str
    config_hash: str = Field(description="Of the experiment's configuration")
    step: int | None = Field(description="Of a checkpoint; none for the final weights")
    model_hash: str = Field(description="First 16 hex digits of a SHA-256 over the weights")


class Trial(FrozenModel):
    """One attempt of one policy."""

    order: int = Field(description="From 1")
    condition: int = Field(description="From 1")
    repeat: int = Field(description="From 1")
    letter: str


class TrialPlan(FrozenModel):
    """``plan.json``: everything that was settled before the first trial."""

    format: Literal[1] = 1
    name: str
    seed: int
    conditions: tuple[str, ...] = Field(description="How the scene is set up, in words or empty")
    policies: tuple[TrialPolicy, ...] = Field(description="By letter")
    trials: tuple[Trial, ...] = Field(description="In order")
    sheet: str = Field(description="The CSV file; relative to the plan where it is beside it")
    planned_at: str = Field(description="ISO 8601, UTC")

    def policy(self, letter: str) -> TrialPolicy:
        """The policy of a letter, of either case.

        Raises:
            TrialsError: The plan has none.
        """
        for policy in self.policies:
            if policy.letter == letter.strip().upper():
                return policy
        hint = did_you_mean(letter, [policy.letter for policy in self.policies])
        raise TrialsError(self.name, f"no policy of this plan has the letter {letter!r}.", [hint])

    def words(self, condition: int) -> str:
        """How the scene is set up for a condition."""
        text = self.conditions[condition - 1]
        return f"condition {condition}" + (f": {text}" if text else "")

    def sheet_path(self, store: Store) -> Path:
        """Where the outcomes are."""
        return trials_folder(self.name, store) / self.sheet

    def content_hash(self) -> str:
        """First 16 hex digits of a SHA-256 over the plan."""
        return json_hash(self.model_dump(mode="json"), 16)


def trials_folder(name: str, store: Store) -> Path:
    """The folder of a plan in the store.

    Raises:
        TrialsError: It cannot be a plan's name.
    """
    if problem := name_problem(name):
        raise TrialsError(name, f"{problem}.", ["choose another with --name"])
    return store.root / "trials" / name


def read_conditions(text: str) -> tuple[str, ...]:
    """Initial conditions: so many, or those of a file that describes one a line.

    Empty lines and lines that begin with ``#`` are passed over.

    Raises:
        TrialsError: It is neither, or there are none.
    """
    if text.isdecimal() and 0 < int(text) <= MOST_TRIALS:
        return ("",) * int(text)
    try:
        lines = map(str.strip, read_limited(Path(text), 1 << 20).decode("utf-8-sig").splitlines())
        conditions = tuple(line for line in lines if line and not line.startswith("#"))
    except (OSError, ValueError) as error:
        reasons = [str(error), f"expected a number up to {MOST_TRIALS}, or a text file, one a line"]
        raise TrialsError(text, "these conditions cannot be read.", reasons) from error
    if not conditions:
        raise TrialsError(text, "this file has no line.", ["write one initial condition a line"])
    return conditions


def drawn_trials(
    letters: Sequence[str], conditions: int, repeats: int, draw: random.Random
) -> tuple[Trial, ...]:
    """Trials in order: in each repeat the conditions as drawn, in each all letters, balanced."""
    trials, blocks = [], _blocks(sorted(letters), draw)
    for repeat in range(1, repeats + 1):
        for condition in draw.sample(range(1, conditions + 1), conditions):
            for letter in next(blocks):
                order = len(trials) + 1
                trial = Trial(order=order, condition=condition, repeat=repeat, letter=letter)
                trials.append(trial)
    return tuple(trials)


def _blocks(letters: Sequence[str], draw: random.Random) -> Iterator[list[str]]:
    """Orders of the letters without end: Williams' squares, their rows and letters shuffled."""
    count = len(letters)
    zigzag = [(place + 1) // 2 if place % 2 else -(place // 2) for place in range(count)]
    while True:
        named = draw.sample(letters, count)
        # Of an odd number, two mirrored squares together are balanced by predecessor.
        for step in (1, -1):
            for shift in draw.sample(range(count), count):
                yield [named[(place + shift) % count] for place in zigzag][::step]
