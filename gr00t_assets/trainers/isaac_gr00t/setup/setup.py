"""Make an environment for Isaac-GR00T step by step; an interrupted one continues where it stopped.

``<folder>/setup.json`` records the steps that are done and the commands that did them. A step is
done again where its commands have changed, or a step that it builds on is done again.
``<folder>/setup.log`` has what the commands print.
"""

import os
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from pydantic import Field

from gr00t_assets.core.files import FrozenModel, write_json
from gr00t_assets.core.processes import ends_within, try_lock
from gr00t_assets.gpu.guard import guarded
from gr00t_assets.trainers.failures.failure_pattern import load_patterns
from gr00t_assets.trainers.isaac_gr00t.commits import has_commit
from gr00t_assets.trainers.isaac_gr00t.environment import N15, IsaacEnvironment, IsaacGeneration
from gr00t_assets.trainers.isaac_gr00t.setup.setup_steps import (
    Command,
    SetupError,
    SetupOptions,
    Step,
    all_steps,
    choose_installer,
)

RECORD = "setup.json"
LOG = "setup.log"

_FAILURES = Path(__file__).with_name("setup_failures.yaml")
_LAST_LINES = 15
"""Last lines of output that a message shows."""

_GRACE = 5.0
_POLL = 0.2
_SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY")
_UNSET_OPTIONS = tuple(
    option
    for name in ("PIP_USER", "PYTHONHOME", "PYTHONPATH", "UV_SYSTEM_PYTHON", "VIRTUAL_ENV")
    for option in ("-u", name)
)
"""Variables that the command does not get; its guard may need them to find this package."""

_NO_QUESTIONS = {
    "GIT_TERMINAL_PROMPT": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1",
}  # fmt: skip

_OUTPUT_BYTES = 200_000
"""From the end of a command's output, in which the reason of a failure is looked for."""

ShowLog = Callable[[Path], object]


class DoneStep(FrozenModel):
    """A step that was done, with its commands."""

    commands: list[str]  # As a person types them
    seconds: float


class SetupRecord(FrozenModel):
    """What has been done in a folder."""

    format: int = 1
    steps: dict[str, DoneStep] = Field(default_factory=dict)


class Setup:
    """A folder that is to be set up for a generation of GR00T, made where it is not there.

    ``environment`` is what is there in the end, ``pending`` those of all ``steps`` that are left.

    Raises:
        SetupError: The folder holds something that this did not make, or another repository's
            clone, or its record cannot be read.
    """

    def __init__(
        self, directory: Path, options: SetupOptions, generation: IsaacGeneration = N15
    ) -> None:
        self.directory = directory.expanduser().absolute()
        self.environment = IsaacEnvironment.in_directory(self.directory, generation)
        self._commit = options.commit
        environment = self._recorded().get("environment")
        recorded = shlex.split(environment.commands[-1]) if environment else ()
        installer = choose_installer(options.python, recorded, generation is not N15)
        self.steps = all_steps(self.environment, options, installer)
        self.pending = self._pending()

    def _recorded(self) -> dict[str, DoneStep]:
        path, environment = self.directory / RECORD, self.environment
        if not path.exists():
            for folder in (environment.checkout, environment.python.parents[1]):
                if folder.exists():
                    problem = "it is there already, and not by this command."
                    named = environment.generation.variable
                    keep = f"or use it as it is: {named}_CHECKOUT and {named}_PYTHON name it"
                    raise SetupError(str(folder), problem, ["give another folder", keep])
            return {}
        try:
            return SetupRecord.model_validate_json(path.read_text(encoding="utf-8")).steps
        except (OSError, ValueError) as error:
            problem, reason = "this is not the record of a set-up.", str(error).splitlines()[0]
            raise SetupError(str(path), problem, [reason, "give another folder"]) from error

    def _pending(self) -> list[Step]:
        self._done = self._recorded()
        checkout, cloned = self.environment.checkout, self._done.get("clone")
        if cloned is not None and checkout.exists() and cloned.commands != self.steps[0].lines():
            problem = "it was made by another command, or for another folder."
            remedy = "give another folder, or remove this one first"
            raise SetupError(str(checkout), problem, [f"made by: {cloned.commands[1]}", remedy])
        outdated: set[str] = set()
        for step in self.steps:
            done = self._done.get(step.name)
            exists = step.makes is not None and step.makes.exists()
            current = exists or (done is not None and done.commands == step.lines())
            if not current or outdated.intersection(step.after):
                outdated.add(step.name)
        return [step for step in self.steps if step.name in outdated]

    def commands(self, step: Step) -> list[Command]:
        """What a step runs now: an older clone first gets the commits that it does not have."""
        checkout = self.environment.checkout
        if step.name == "commit" and checkout.exists() and not has_commit(checkout, self._commit):
            fetch = ["git", "-C", str(checkout), "fetch", "--filter=blob:none", "--tags", "origin"]
            return [fetch, *step.commands]
        return list(step.commands)

    def run(self, print_line: Callable[[str], object], show_log: ShowLog | None = None) -> None:
        """Do every step that is not done yet, with a line of progress for each.

        ``show_log`` is called a few times a second with the log while a command runs.

        Raises:
            SetupError: A step failed, with the reason as far as it is known and what to do.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / LOG).open("ab") as log:
            if not try_lock(log.fileno()):
                problem = "it is being set up already."
                raise SetupError(str(self.directory), problem, ["wait for it, or stop it"])
            # Another process may have done some since this one looked.
            self.pending = self._pending()
            for step in self.pending:
                self._done.pop(step.name, None)
            self._write_record()
            for number, step in enumerate(self.steps, start=1):
                label = f"step {number} of {len(self.steps)}: {step.title}"
                if step not in self.pending:
                    print_line(f"{label} (done before)")
                    self._done.setdefault(step.name, DoneStep(commands=step.lines(), seconds=0.0))
                    continue
                print_line(label)
                started = time.monotonic()
                for command in self.commands(step):
                    _run(command, self.directory, log, label, show_log)
                os.sync()  # What the commands wrote, so that a power cut leaves no half of it.
                seconds = round(time.monotonic() - started, 1)
                self._done[step.name] = DoneStep(commands=step.lines(), seconds=seconds)
                self._write_record()
                print_line(f"  {seconds:.0f} s")

    def _write_record(self) -> None:
        record = SetupRecord(steps=self._done)
        write_json(self.directory / RECORD, record.model_dump(mode="json"))


def explain_failure(step: str, code: int, output: str, log: str) -> SetupError:
    """Turn the exit code and the output of a step's failed command into a message."""
    problem, remedy = f"its command ended with code {code}.", "see the last lines"
    if code == 137:
        problem = "its command was killed, as the kernel does where memory runs out."
        remedy = "give it more memory; MAX_JOBS=2 lets flash-attn compile with less"
    for pattern in load_patterns(_FAILURES):
        if pattern.match(output) is not None:
            problem, (remedy,) = pattern.problem, pattern.details
            break
    last = [f"  {line}" for line in output.strip().splitlines()[-_LAST_LINES:]]
    again = "then run the same command again: finished steps are not repeated"
    return SetupError(step, problem, [f"do: {remedy}", again, f"the last lines of {log}:", *last])


def _run(
    command: Command, directory: Path, log: BinaryIO, label: str, show_log: ShowLog | None
) -> None:
    """Run a command to its end under a guard, so that it does not outlive this process."""
    log.write(f"$ {shlex.join(command)}\n".encode())
    log.flush()
    begin = log.tell()
    inherited = {key: value for key, value in os.environ.items() if key not in _SECRETS}
    guard = subprocess.Popen(
        guarded(["env", *_UNSET_OPTIONS, *command], _GRACE),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**inherited, **_NO_QUESTIONS},
    )
    path = directory / LOG
    try:
        while not ends_within(guard, _POLL):
            if show_log is not None:
                show_log(path)
    except BaseException:
        guard.terminate()
        guard.wait()
        raise
    if guard.returncode != 0:
        with path.open("rb") as file:
            file.seek(max(begin, file.seek(0, os.SEEK_END) - _OUTPUT_BYTES))
            output = file.read().decode(errors="replace")
        raise explain_failure(label, guard.returncode, output, str(path))
