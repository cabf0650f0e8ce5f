"""Environments in processes of their own, several at a time, each episode under a time limit.

A simulator may hang, or end its process. Whoever asks one gets an answer in any case: what the
environment shows, or how it failed; the other environments are not disturbed, and the next episode
gets a new process.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import connection
from typing import Any, Literal, NamedTuple, Self, TypeAlias

import numpy as np

from gr00t_assets.core.errors import Gr00tAssetsError, SimulationError
from gr00t_assets.environments.declared_env import Observed, open_environment
from gr00t_assets.environments.environment_file import Environment

OPEN_SECONDS = 180.0
"""Wall time that an environment has to open in, with its imports."""


class Reset(NamedTuple):
    """Begin the episode of a seed."""

    seed: int
    images: bool = True


class Step(NamedTuple):
    """Do a flat action; None: what the environment's expert says, or anything if it has none."""

    action: np.ndarray | None
    images: bool = True


class Shown(NamedTuple):
    """What an environment shows after a reset or a step.

    Attributes:
        observed: In the data config's keys.
        seconds: Wall time that it took.
        render_seconds: Those of them that it drew for, as far as it tells.
        offers: After a reset what its observation and its action are, a line each.
    """

    observed: Observed
    seconds: float
    render_seconds: float
    offers: tuple[str, ...] = ()


class Failure(NamedTuple):
    """How an environment failed; its process is ended.

    Attributes:
        end: It did not answer in time, or else.
        text: What happened, in a sentence.
        explained: Subject, problem and details of what was raised, where it is for people.
    """

    end: Literal["time limit", "error"]
    text: str
    explained: tuple[str, str, tuple[str, ...]] | None = None

    def error(self, name: str) -> SimulationError:
        """The same as an error, of the environment ``name``."""
        return SimulationError(*(self.explained or (name, "it failed.", (self.text,))))


Request: TypeAlias = Reset | Step
Answer: TypeAlias = Shown | Failure


class EnvironmentProcesses:
    """Up to ``count`` processes with one environment each, by their place from 0 on.

    A context manager, which ends them all. A process is started when its place is first asked.

    Args:
        environment: What each of them opens.
        count: How many there are at most.
        preload: Modules of the caller that are imported once for them all, as each of them
            imports what the main program's file imports.

    Attributes:
        names: Of the numbers of the flat action, as the environment has them; empty before one is
            open, and where it has none.
        has_expert: Whether the environment has one; False before one is open.
    """

    def __init__(self, environment: Environment, count: int, preload: Sequence[str] = ()) -> None:
        self.environment = environment
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__, "gymnasium", *preload])
        self._processes: list[_Process | None] = [None] * count
        self._used = [0.0] * count
        self.names: tuple[str, ...] = ()
        self.has_expert = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for place in range(len(self._processes)):
            self._end(place)

    def ask(self, requests: Mapping[int, Request]) -> dict[int, Answer]:
        """Ask the environments of some places at the same time, and wait for them all.

        Only a ``Reset`` starts a process where there is none. The seconds of an episode's answers
        are counted together; one that needs more than ``episode_seconds`` of the declaration is
        ended.
        """
        answers = self._open([place for place in requests if self._processes[place] is None])
        for place, request in requests.items():
            if place not in answers:
                if isinstance(request, Reset):
                    self._used[place] = 0.0
                self._send(place, request)
        limit = self.environment.episode_seconds
        left = {place: limit - self._used[place] for place in requests if place not in answers}
        return answers | self._gather(left, f"it took more than {limit:g} seconds")

    def _open(self, places: Sequence[int]) -> dict[int, Answer]:
        """Start the processes of some places; the answers of those that could not be opened."""
        for place in places:
            self._processes[place] = _start(self._context, self.environment)
        late = f"it was not open after {OPEN_SECONDS:g} seconds"
        opened = self._gather(dict.fromkeys(places, OPEN_SECONDS), late)
        for answer in opened.values():
            if not isinstance(answer, Failure):
                self.names, self.has_expert = answer
        return {place: item for place, item in opened.items() if isinstance(item, Failure)}

    def _send(self, place: int, request: Request) -> None:
        process = self._processes[place]
        assert process is not None
        with suppress(OSError):  # of one that has died, which is told where it is waited for
            process.connection.send(request)

    def _gather(self, left: Mapping[int, float], late: str) -> dict[int, Any]:
        """The answers of some places, each of which has some seconds left from now on."""
        began, answers = time.monotonic(), {}
        waiting = {
            process.connection: place
            for place in left
            if (process := self._processes[place]) is not None
        }
        while waiting:
            now = time.monotonic() - began
            soonest = min(left[place] for place in waiting.values())
            ready = connection.wait(list(waiting), max(0.0, soonest - now))
            now = time.monotonic() - began
            for pipe, place in list(waiting.items()):
                if pipe in ready:
                    answers[place] = self._received(place)
                elif now >= left[place]:
                    answers[place] = Failure("time limit", late)
                else:
                    continue
                del waiting[pipe]
                self._used[place] += now
                if isinstance(answers[place], Failure):
                    self._end(place)
        return answers

    def _received(self, place: int) -> Any:
        process = self._processes[place]
        assert process is not None
        try:
            return process.connection.recv()
        except (EOFError, OSError):
            process.process.join(5.0)
            code = process.process.exitcode or 0
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            return Failure("error", f"its process ended with {how}")

    def _end(self, place: int) -> None:
        process, self._processes[place] = self._processes[place], None
        if process is not None:
            process.connection.close()
            process.process.kill()
            process.process.join()


class _Process(NamedTuple):
    process: Any
    connection: connection.Connection


def _start(context: Any, environment: Environment) -> _Process:
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, environment), daemon=True)
    process.start()
    theirs.close()
    return _Process(process, ours)


def _serve(pipe: connection.Connection, environment: Environment) -> None:
    """What a process does: open the environment, and answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        # An environment that hangs does not outlive the process that asks it.
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    try:
        env = open_environment(environment)
        pipe.send((env.names, env.expert() is not None))
        expert = None
        while True:
            try:
                request = pipe.recv()
            except (EOFError, OSError):
                return
            began, drawn, offers = time.perf_counter(), env.render_seconds, ()
            if isinstance(request, Reset):
                observed = env.reset(request.seed, request.images)
                expert = env.expert()
            elif request.action is not None:
                observed = env.step(request.action, request.images)
            elif expert is not None:
                observed = env.step(expert(), request.images)
            else:
                observed = env.step_anyhow(request.images)
            seconds = time.perf_counter() - began
            if isinstance(request, Reset):
                offers = (*env.offers(), env.action_text())
            pipe.send(Shown(observed, seconds, env.render_seconds - drawn, offers))
    except Gr00tAssetsError as error:
        failure = Failure("error", str(error), (error.subject, error.problem, error.details))
    except Exception as error:
        failure = Failure("error", f"{type(error).__name__}: {error}".splitlines()[0])
    with suppress(OSError):
        pipe.send(failure)
