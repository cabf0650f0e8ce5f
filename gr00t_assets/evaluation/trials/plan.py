"""Plans of blind trials: which policy acts when, under a letter, from which initial condition.

Every policy is tried once from each condition in each repeat, one after the other, so that outcomes
are paired and a drift of the robot or the light meets all alike. The orders inside these blocks are
Latin squares after Williams (1949): each policy is first, second and so on equally often, and
follows each other one as often where their number is even.
"""

import csv
import io
import random
import string
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from gr00t_assets.core.checksums import load_sealed, sealed
from gr00t_assets.core.errors import Gr00tAssetsError, TrialsError
from gr00t_assets.core.files import (
    FrozenModel,
    json_hash,
    make_directory,
    published_directory,
    read_limited,
    write_json,
)
from gr00t_assets.core.locks import exclusive_lock
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import did_you_mean, name_problem, spreadsheet_cell
from gr00t_assets.runs.model_reference import ModelReference, find_model

PLAN, SHEET = "plan.json", "outcomes.csv"
"""The sealed key from letters to policies, and the sheet to fill in, which has letters only."""

COLUMNS = ["order", "condition", "scene", "policy", "success", "score", "seconds", "note"]
"""Of the sheet."""

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
    """One attempt of one policy; numbers count from 1."""

    order: int
    condition: int
    repeat: int
    letter: str


class TrialPlan(FrozenModel):
    """``plan.json``: everything that was settled before the first trial."""

    format: Literal[1] = 1
    name: str
    seed: int
    conditions: tuple[str, ...] = Field(description="How the scene is set up, in words or empty")
    policies: tuple[TrialPolicy, ...] = Field(description="By letter")
    trials: tuple[Trial, ...] = Field(description="In order")
    planned_at: str = Field(description="ISO 8601, UTC")

    def words(self, condition: int) -> str:
        """How the scene is set up for a condition."""
        return f"condition {condition}: {self.conditions[condition - 1]}".removesuffix(": ")

    def sheet_path(self, store: Store) -> Path:
        """Where the outcomes are."""
        return trials_folder(self.name, store) / SHEET

    def content_hash(self) -> str:
        """First 16 hex digits of a SHA-256 over the plan."""
        return json_hash(self.model_dump(mode="json"), 16)


def trials_folder(name: str, store: Store) -> Path:
    """The folder of a plan in the store; ``TrialsError`` where it cannot be a plan's name."""
    if problem := name_problem(name):
        raise TrialsError(name, f"{problem}.", ["choose another with --name"])
    return store.root / "trials" / name


def read_conditions(text: str) -> tuple[str, ...]:
    """Initial conditions: so many, or the lines of a file but ``#`` comments; else TrialsError."""
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


def make_plan(
    name: str,
    models: Sequence[ModelReference],
    conditions: Sequence[str],
    repeats: int,
    seed: int,
    store: Store,
) -> TrialPlan:
    """A plan in which every policy is tried ``repeats`` times from each condition.

    ``TrialsError`` where two models are the same, or there are too many of them or of trials.
    """
    from gr00t_assets.evaluation.open_loop import weights_hash

    problems = []
    if not 0 < len(models) <= len(LETTERS):
        problems.append(f"{len(models)} policies; expected 1 to {len(LETTERS)}")
    if (count := len(models) * len(conditions) * repeats) > MOST_TRIALS:
        problems.append(f"{count:,} trials; at most {MOST_TRIALS:,} are planned at once")
    draw, letters = random.Random(seed), list(LETTERS[: len(models)])
    draw.shuffle(letters)
    policies, first = [], {}
    for letter, model in zip(letters, models, strict=False):
        folder = model.directory.resolve()
        inside = folder.is_relative_to(store.root)
        policy = TrialPolicy(
            letter=letter,
            name=model.name,
            folder=str(folder.relative_to(store.root) if inside else folder),
            trainer=model.trainer,
            config_hash=(model.run_directory or model.directory).resolve().name,
            step=model.step,
            model_hash=weights_hash(folder),
        )
        policies.append(policy)
        if (other := first.setdefault(policy.model_hash, policy)) is not policy:
            problems.append(f"{policy.name} has the same weights as {other.name}")
    if problems:
        raise TrialsError(name, "these trials cannot be planned.", problems)
    trials, blocks = [], _blocks(sorted(letters), draw)
    for repeat in range(1, repeats + 1):
        for condition in draw.sample(range(1, len(conditions) + 1), len(conditions)):
            for letter in next(blocks):
                scene = {"condition": condition, "repeat": repeat, "letter": letter}
                trials.append(Trial(order=len(trials) + 1, **scene))
    return TrialPlan(
        name=name,
        seed=seed,
        conditions=tuple(conditions),
        policies=tuple(sorted(policies, key=lambda policy: policy.letter)),
        trials=tuple(trials),
        planned_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


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


def publish_plan(plan: TrialPlan, store: Store) -> Path:
    """Write the plan and its empty sheet into their folder; both appear, or none.

    ``TrialsError`` where the name is taken, ``StoreError`` where the disk is full.
    """
    folder, text = trials_folder(plan.name, store), io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for trial in plan.trials:
        row = {"order": trial.order, "condition": trial.condition, "policy": trial.letter}
        writer.writerow(row | {"scene": spreadsheet_cell(plan.conditions[trial.condition - 1])})
    make_directory(folder.parent)
    with exclusive_lock(folder.parent / ".lock", "another plan to be written", lambda line: None):
        if folder.exists():
            problem = f"there is {folder} already."
            raise TrialsError(plan.name, problem, ["choose another name with --name"])
        with published_directory(folder) as partial:
            (partial / SHEET).write_text(text.getvalue(), encoding="utf-8")
            write_json(partial / PLAN, sealed(plan.model_dump(mode="json")))
    return folder


def load_plan(name: str, store: Store) -> TrialPlan:
    """A plan of the store; ``TrialsError`` where there is none, or it is not as it was written."""
    names = sorted(file.parent.name for file in (store.root / "trials").glob(f"[!.]*/{PLAN}"))
    if name not in names:
        raise TrialsError(name, "there are no trials of this name.", [did_you_mean(name, names)])
    path = trials_folder(name, store) / PLAN
    remedy = "put it back from a copy; without it nobody knows what the letters stand for"
    return load_sealed(
        path, TrialPlan, lambda why: TrialsError(str(path), "it cannot be read.", [why, remedy])
    )


def model_to_serve(reference: str, store: Store) -> ModelReference:
    """What ``find_model`` finds; of ``trial:PLAN:LETTER`` the weights of that letter, unnamed.

    Raises:
        Gr00tAssetsError: There is no such model, plan or letter, or the weights are gone, or other
            ones than when the plan was made; the policy's name is not told.
    """
    from gr00t_assets.evaluation.open_loop import weights_hash

    kind, _, rest = reference.partition(":")
    if kind != "trial" or Path(reference).exists():
        return find_model(reference)
    name, _, letter = rest.partition(":")
    policies = {policy.letter: policy for policy in load_plan(name, store).policies}
    if (policy := policies.get(letter.strip().upper())) is None:
        hint = did_you_mean(letter, policies)
        raise TrialsError(name, f"no policy of this plan has the letter {letter!r}.", [hint])
    try:
        model = find_model(str(store.root / policy.folder))
        reason = "" if weights_hash(model.directory) == policy.model_hash else "they have changed"
    except Gr00tAssetsError:
        reason = "they cannot be opened where they were"
    if reason:
        problem = f"the weights of policy {policy.letter} are not those of the plan: {reason}."
        remedy = f"trials with other weights need a plan of their own; {PLAN} says which they were"
        raise TrialsError(name, problem, [remedy])
    return model._replace(name=f"trial:{name}:{policy.letter}")
