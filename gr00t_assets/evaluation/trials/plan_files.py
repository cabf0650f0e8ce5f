"""Making a plan and its files: the key, the sheet to fill in, instructions; weights of a letter."""

import csv
import io
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from gr00t_assets.core.checksums import load_sealed, sealed
from gr00t_assets.core.errors import Gr00tAssetsError, TrialsError
from gr00t_assets.core.files import make_directory, published_directory, write_bytes, write_json
from gr00t_assets.core.locks import exclusive_lock
from gr00t_assets.core.names import did_you_mean
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import markdown
from gr00t_assets.evaluation.open_loop import weights_hash
from gr00t_assets.evaluation.trials.plan import (
    LETTERS,
    MOST_TRIALS,
    SHEET,
    TrialPlan,
    TrialPolicy,
    drawn_trials,
    trials_folder,
)
from gr00t_assets.runs.model_reference import ModelReference, find_model

PLAN = "plan.json"
"""The sealed plan with the key from letters to policies; for whoever runs the policies."""

INSTRUCTIONS = "instructions.md"
"""For whoever watches the robot; like the sheet it does not say what a letter stands for."""

COLUMNS = ("order", "condition", "policy", "success", "score", "seconds", "note")
"""Of the sheet."""


def make_plan(
    name: str,
    models: Sequence[ModelReference],
    conditions: Sequence[str],
    repeats: int,
    seed: int,
    store: Store,
    sheet: Path | None = None,
) -> TrialPlan:
    """A plan in which every policy is tried ``repeats`` times from each condition.

    Args:
        models: Of the policies; each once.
        conditions: See ``TrialPlan.conditions``.
        sheet: Absolute path of the outcomes where they are not to be beside the plan.

    Raises:
        TrialsError: Two models are the same, or there are too many of them or of trials.
    """
    problems = []
    if not 0 < len(models) <= len(LETTERS):
        problems.append(f"{len(models)} policies; expected 1 to {len(LETTERS)}")
    if (count := len(models) * len(conditions) * repeats) > MOST_TRIALS:
        problems.append(f"{count:,} trials; at most {MOST_TRIALS:,} are planned at once")
    draw = random.Random(seed)
    letters = draw.sample(LETTERS[: len(models)], min(len(models), len(LETTERS)))
    policies = [_policy(*pair, store) for pair in zip(letters, models, strict=False)]
    first: dict[str, str] = {}
    for policy in policies:
        if (other := first.setdefault(policy.model_hash, policy.letter)) != policy.letter:
            same = next(item.name for item in policies if item.letter == other)
            problems.append(f"{policy.name} has the same weights as {same}")
    if problems:
        raise TrialsError(name, "these trials cannot be planned.", problems)
    return TrialPlan(
        name=name,
        seed=seed,
        conditions=tuple(conditions),
        policies=tuple(sorted(policies, key=lambda policy: policy.letter)),
        trials=drawn_trials(letters, len(conditions), repeats, draw),
        sheet=str(sheet) if sheet else SHEET,
        planned_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _policy(letter: str, model: ModelReference, store: Store) -> TrialPolicy:
    folder = model.directory.resolve()
    inside = folder.is_relative_to(store.root)
    return TrialPolicy(
        letter=letter,
        name=model.name,
        folder=str(folder.relative_to(store.root) if inside else folder),
        trainer=model.trainer,
        config_hash=(model.run_directory or model.directory).resolve().name,
        step=model.step,
        model_hash=weights_hash(folder),
    )


def publish_plan(plan: TrialPlan, store: Store) -> Path:
    """Write the plan, its empty sheet and its instructions; all of them appear, or none.

    Returns:
        The folder of sheet and instructions: that of the plan, or that of ``plan.sheet``.

    Raises:
        TrialsError: The name is taken, or a file is there already; nothing is overwritten.
        StoreError: The disk is full.
    """
    folder, sheet = trials_folder(plan.name, store), plan.sheet_path(store)
    beside = sheet.parent == folder
    instructions = sheet.with_name(INSTRUCTIONS if beside else f"{plan.name}-{INSTRUCTIONS}")
    files = {sheet: _sheet(plan), instructions: _instructions(plan, sheet.name).encode()}
    make_directory(folder.parent)
    with exclusive_lock(folder.parent / ".lock", "another plan to be written", lambda line: None):
        if taken := [path for path in {folder, *files} if path.exists()]:
            problem = f"there is {', '.join(sorted(map(str, taken)))} already."
            raise TrialsError(plan.name, problem, ["choose another name with --name"])
        try:
            with published_directory(folder) as partial:
                for path, content in files.items():
                    write_bytes(partial / path.name if beside else path, content)
                write_json(partial / PLAN, sealed(plan.model_dump(mode="json")))
        except BaseException:
            for path in () if beside else files:
                path.unlink(missing_ok=True)
            raise
    return sheet.parent


def load_plan(name: str, store: Store) -> TrialPlan:
    """A plan of the store.

    Raises:
        TrialsError: There is none of this name, or it is not as it was written.
    """
    path = trials_folder(name, store) / PLAN
    if not path.is_file():
        names = sorted(file.parent.name for file in path.parents[1].glob(f"*/{PLAN}"))
        hint = did_you_mean(name, names)
        raise TrialsError(name, "there are no trials of this name.", [hint])
    remedy = "put it back from a copy; without it nobody knows what the letters stand for"
    return load_sealed(
        path, TrialPlan, lambda why: TrialsError(str(path), "it cannot be read.", [why, remedy])
    )


def model_of_letter(plan: TrialPlan, letter: str, store: Store) -> ModelReference:
    """The very weights that a letter stands for, called ``trial:PLAN:LETTER`` and nothing else.

    Raises:
        TrialsError: They are gone, or other ones than when the plan was made; no name is told.
    """
    policy = plan.policy(letter)
    try:
        model = find_model(str(store.root / policy.folder))
        reason = "" if weights_hash(model.directory) == policy.model_hash else "they have changed"
    except Gr00tAssetsError:
        reason = "they cannot be opened where they were"
    if reason:
        problem = f"the weights of policy {policy.letter} are not those of the plan: {reason}."
        remedy = f"trials with other weights need a plan of their own; {PLAN} says which they were"
        raise TrialsError(plan.name, problem, [remedy])
    return model._replace(name=f"trial:{plan.name}:{policy.letter}")


def model_to_serve(reference: str, store: Store) -> ModelReference:
    """What ``find_model`` finds, or of ``trial:PLAN:LETTER`` the weights of that letter.

    Raises:
        Gr00tAssetsError: As ``find_model``, ``load_plan`` and ``model_of_letter``.
    """
    kind, _, rest = reference.partition(":")
    if kind != "trial" or Path(reference).exists():
        return find_model(reference)
    name, _, letter = rest.rpartition(":")
    return model_of_letter(load_plan(name, store), letter, store)


def _sheet(plan: TrialPlan) -> bytes:
    """The CSV file with a row for each trial, to be filled in."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    empty = [""] * (len(COLUMNS) - 3)
    writer.writerows([item.order, item.condition, item.letter, *empty] for item in plan.trials)
    return text.getvalue().encode()


def _instructions(plan: TrialPlan, sheet: str) -> str:
    """What whoever watches the robot is to do, in Markdown."""
    steps = (
        f"Go through the rows of `{sheet}` from top to bottom; leave none out and swap none.",
        "Set the scene up as its condition says, each time in the same way.",
        "Have the policy of its letter started. Do not ask which policy that is.",
        "Write `yes` or `no` under success, before the next trial, by a rule that was settled "
        "before the first. A trial that could not be judged stays empty, with a note.",
        "Score (0 to 1, how far it came), seconds and note may stay empty.",
    )
    lines = [f"# {plan.name}: {len(plan.trials)} trials of {len(plan.policies)} policies", ""]
    lines += [f"{place}. {step}" for place, step in enumerate(steps, 1)]
    lines += ["", "| condition | the scene |", "|---|---|"]
    lines += [
        f"| {place} | {markdown(text) or 'of this number, as you have laid it down'} |"
        for place, text in enumerate(plan.conditions, 1)
    ]
    return "\n".join(lines) + "\n"
