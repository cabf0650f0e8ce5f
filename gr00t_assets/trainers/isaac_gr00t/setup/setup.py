"""Make an environment for Isaac-GR00T, step by step; an interrupted one goes on where it stopped.

``<folder>/setup.json`` records the steps that are done and the commands that did them. A step is
done again where its commands have changed, or a step that it builds on is done again.
``<folder>/setup.log`` has what the commands print.
"""

import fcntl
import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gr00t_assets.core.files import write_json
from gr00t_assets.gpu.guard import guarded
from gr00t_assets.trainers.isaac_gr00t.doctor.commits import has_commit, head
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.setup.find_python import environment_command
from gr00t_assets.trainers.isaac_gr00t.setup.setup_failures import SetupError, explain
from gr00t_assets.trainers.isaac_gr00t.setup.setup_steps import (
    Command,
    Options,
    Step,
    fetch_command,
    plan,
)

RECORD = "setup.json"
LOG = "setup.log"

_GRACE = 5.0
_SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY")
_WITHOUT = tuple(
    word
    for name in ("PIP_USER", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
    for word in ("-u", name)
)
"""Taken from the command and not from its guard, which may need them to find this package."""

_OUTPUT = 200_000
"""Bytes of a command's output that a failure is looked for in, from its end."""

Say = Callable[[str], object]
Watch = Callable[[Path], object]


class DoneStep(BaseModel):
    """A step that was done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commands: list[str] = Field(description="As a person types them")
    seconds: float


class SetupRecord(BaseModel):
    """What has been done in a folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    steps: dict[str, DoneStep] = {}


def pending(directory: Path, options: Options) -> list[Step]:
    """The steps that are still to be done, in order.

    Raises:
        SetupError: The folder holds something else, or another repository's clone.
    """
    record = load_record(directory)
    steps = plan(directory, options, _environment_command(directory, options, record))
    checkout = IsaacEnvironment.in_directory(directory).checkout
    cloned = record.steps.get("clone") if record else None
    if cloned is not None and checkout.exists() and cloned.commands != steps[0].lines():
        raise SetupError(
            str(checkout),
            "it was made by another command, or for another folder.",
            [f"made by: {cloned.commands[1]}", "give another folder, or remove this one first"],
        )
    again: set[str] = set()
    for step in steps:
        done = record.steps.get(step.name) if record else None
        there = step.makes is not None and step.makes.exists()
        current = there or (done is not None and done.commands == step.lines())
        if not current or again.intersection(step.after):
            again.add(step.name)
    return [step for step in steps if step.name in again]


def commands_of(step: Step, directory: Path, options: Options) -> list[Command]:
    """What a step runs now: an older clone first gets the commits that it does not have."""
    checkout = IsaacEnvironment.in_directory(directory).checkout
    if step.name == "commit" and checkout.exists() and not has_commit(checkout, options.commit):
        return [fetch_command(directory), *step.commands]
    return list(step.commands)


def set_up(
    directory: Path, options: Options, say: Say, watch: Watch | None = None
) -> IsaacEnvironment:
    """Do every step that is not done yet.

    Args:
        directory: Made where it is not there.
        options: What is asked for.
        say: Takes a line of progress.
        watch: Called a few times a second with the log while a command runs.

    Raises:
        SetupError: A step failed, with the reason as far as it is known and what to do.
    """
    directory = directory.expanduser().absolute()
    steps = plan(
        directory, options, _environment_command(directory, options, load_record(directory))
    )
    todo = {step.name for step in pending(directory, options)}
    directory.mkdir(parents=True, exist_ok=True)
    with _only_one(directory) as log:
        done = dict((load_record(directory) or SetupRecord()).steps)
        for number, step in enumerate(steps, start=1):
            label = f"step {number} of {len(steps)}: {step.title}"
            if step.name not in todo:
                say(f"{label} (done before)")
                done.setdefault(step.name, DoneStep(commands=step.lines(), seconds=0.0))
                continue
            say(label)
            for name in _depending(step.name, steps):
                done.pop(name, None)
            _write(directory, done)
            started = time.monotonic()
            for command in commands_of(step, directory, options):
                _run(command, directory, log, label, watch)
            seconds = round(time.monotonic() - started, 1)
            done[step.name] = DoneStep(commands=step.lines(), seconds=seconds)
            _write(directory, done)
            say(f"  {seconds:.0f} s")
    return IsaacEnvironment.in_directory(directory)


def load_record(directory: Path) -> SetupRecord | None:
    """What was done in a folder; ``None`` for a folder that is new or empty.

    Raises:
        SetupError: The folder has something that this command did not make, or cannot be read.
    """
    path = directory / RECORD
    if not path.exists():
        environment = IsaacEnvironment.in_directory(directory)
        for there in (environment.checkout, environment.python.parents[1]):
            if there.exists():
                raise SetupError(
                    str(there),
                    "it is there already, and not by this command.",
                    [
                        "give another folder",
                        "or use it as it is: GR00T_ASSETS_ISAAC_CHECKOUT and "
                        "GR00T_ASSETS_ISAAC_PYTHON name it",
                    ],
                )
        return None
    try:
        return SetupRecord.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise SetupError(
            str(path), "this is not the record of a set-up.", [reason, "give another folder"]
        ) from error


def describe(environment: IsaacEnvironment) -> list[str]:
    """What to say at the end: the commit, and what comes next."""
    folder = environment.checkout.parent
    return [
        f"Isaac-GR00T {head(environment.checkout) or ''} at {environment.checkout}",
        f"next: gr00t-assets isaac doctor {folder}",
        f"to train with it: export GR00T_ASSETS_ISAAC={folder}",
    ]


def _environment_command(
    directory: Path, options: Options, record: SetupRecord | None
) -> Sequence[str]:
    """How the virtual environment is made; where it is made already, as it was."""
    made = record.steps.get("environment") if record else None
    if options.python is None and made is not None:
        return shlex.split(made.commands[-1])[:-1]
    return environment_command(options.python)


def _depending(name: str, steps: Sequence[Step]) -> set[str]:
    """A step and all that build on it."""
    found = {name}
    for step in steps:
        if found.intersection(step.after):
            found.add(step.name)
    return found


def _write(directory: Path, done: dict[str, DoneStep]) -> None:
    write_json(directory / RECORD, SetupRecord(steps=done).model_dump(mode="json"))


@contextmanager
def _only_one(directory: Path) -> Iterator[BinaryIO]:
    """The log, open for appending, and locked against another set-up of the folder."""
    with (directory / LOG).open("ab") as log:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SetupError(
                str(directory), "it is being set up already.", ["wait for it, or stop it"]
            ) from error
        yield log


def _run(command: Command, directory: Path, log: BinaryIO, label: str, watch: Watch | None) -> None:
    """Run a command to its end under a guard, so that it does not outlive this process."""
    log.write(f"$ {command.shell()}\n".encode())
    log.flush()
    begin = log.tell()
    inherited = {key: value for key, value in os.environ.items() if key not in _SECRETS}
    guard = subprocess.Popen(
        guarded(["env", *_WITHOUT, *command.arguments], _GRACE),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={
            **inherited,
            **dict(command.variables),
            "GIT_TERMINAL_PROMPT": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
        },
    )
    path = directory / LOG
    try:
        while True:
            try:
                code = guard.wait(0.2)
                break
            except subprocess.TimeoutExpired:
                if watch is not None:
                    watch(path)
    except BaseException:
        guard.terminate()
        guard.wait()
        raise
    if code != 0:
        with path.open("rb") as file:
            file.seek(max(begin, file.seek(0, os.SEEK_END) - _OUTPUT))
            output = file.read().decode(errors="replace")
        raise explain(label, code, output, str(path))
