"""Environments in processes of their own, several at a time, each episode under a time limit.

A simulator may hang, or end its process. Whoever asks one gets an answer in any case: what the
environment shows, or how it failed; the others are not disturbed, and the next episode gets a new
process.
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
from gr00t_assets.environments.declared_env import Shown, open_environment
from gr00t_assets.environments.environment_file import Environment

OPEN_SECONDS = 180.0  # Wall time that an environment has to open in, with its imports


class Reset(NamedTuple):
    """Begin the episode of a seed."""

    seed: int
    images: bool = True


class Step(NamedTuple):
    """Do a flat action; None: what the environment's expert says, or anything if it has none."""

    action: np.ndarray | None
    images: bool = True


class Failure(NamedTuple):
    """Why an episode ends at once, in a sentence; the process of a failed environment is ended.

    What was raised for people is ``explained`` by its subject, problem and details.
    """

    end: Literal["time limit", "error", "bad action"]
    text: str
    explained: tuple[str, str, tuple[str, ...]] | None = None

    def error(self, name: str) -> SimulationError:
        """The same as an error, of the environment ``name``."""
        return SimulationError(*(self.explained or (name, "it failed.", (self.text,))))


Request: TypeAlias = Reset | Step
Answer: TypeAlias = Shown | Failure


class EnvironmentProcesses:
    """Up to ``count`` processes with one environment each, by their place from 0 on.

    A context manager, which ends them all. A process is started when its place is first asked;
    modules of ``preload`` are imported once for them all, as each of them imports what the main
    program's file imports. Once one is open, ``names`` are those of the flat action, where the
    environment has them, and ``has_expert`` is known.
    """

    def __init__(self, environment: Environment, count: int, preload: Sequence[str] = ()) -> None:
        self.environment = environment
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__, "gymnasium", *preload])
        self._processes: dict[int, tuple[Any, connection.Connection]] = {}
        self._used = [0.0] * count
        self.names: tuple[str, ...] = ()
        self.has_expert = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for place in list(self._processes):
            self._end(place)

    def ask(self, requests: Mapping[int, Request]) -> dict[int, Answer]:
        """Ask the environments of some places at the same time, and wait for them all.

        The seconds of an episode's answers are counted together; one that needs more than
        ``episode_seconds`` of the declaration is ended.
        """
        answers = self._open([place for place in requests if place not in self._processes])
        asked = {place: request for place, request in requests.items() if place not in answers}
        for place, request in asked.items():
            if isinstance(request, Reset):
                self._used[place] = 0.0
            with suppress(OSError):  # of one that has died, which is told where it is waited for
                self._processes[place][1].send(request)
        limit = self.environment.episode_seconds
        left = {place: limit - self._used[place] for place in asked}
        return answers | self._gather(left, f"it took more than {limit:g} seconds")

    def _open(self, places: Sequence[int]) -> dict[int, Answer]:
        """Start the processes of some places; the answers of those that could not be opened."""
        for place in places:
            ours, theirs = self._context.Pipe()
            arguments = (theirs, self.environment)
            process = self._context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self._processes[place] = process, ours
        late = f"it was not open after {OPEN_SECONDS:g} seconds"
        opened = self._gather(dict.fromkeys(places, OPEN_SECONDS), late)
        for answer in opened.values():
            if not isinstance(answer, Failure):
                self.names, self.has_expert = answer
        return {place: item for place, item in opened.items() if isinstance(item, Failure)}

    def _gather(self, left: Mapping[int, float], late: str) -> dict[int, Any]:
        """The answers of some places, each of which has some seconds left from now on."""
        began, answers = time.monotonic(), {}
        waiting = {self._processes[place][1]: place for place in left}
        while waiting:
            soonest = began + min(left[place] for place in waiting.values())
            ready = connection.wait(list(waiting), max(0.0, soonest - time.monotonic()))
            now = time.monotonic() - began
            for pipe, place in list(waiting.items()):
                if pipe not in ready and now < left[place]:
                    continue
                in_time = pipe in ready
                answers[place] = self._received(place) if in_time else Failure("time limit", late)
                del waiting[pipe]
                self._used[place] += now
                if isinstance(answers[place], Failure):
                    self._end(place)
        return answers

    def _received(self, place: int) -> Any:
        process, pipe = self._processes[place]
        try:
            return pipe.recv()
        except (EOFError, OSError):
            process.join(5.0)
            code = process.exitcode or 0
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            return Failure("error", f"its process ended with {how}")

    def _end(self, place: int) -> None:
        process, pipe = self._processes.pop(place)
        pipe.close()
        process.kill()
        process.join()


def _serve(pipe: connection.Connection, environment: Environment) -> None:
    """What a process does: open the environment, and answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if (parent := multiprocessing.parent_process()) is not None:
        # An environment that hangs does not outlive the process that asks it.
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    try:
        env = open_environment(environment)
        expert = env.expert()
        pipe.send((env.names, expert is not None))
        while True:
            try:
                request = pipe.recv()
            except (EOFError, OSError):
                return
            began, drawn, offers = time.perf_counter(), env.render_seconds, ()
            if isinstance(request, Reset):
                shown, expert = env.reset(request.seed, request.images), env.expert()
                offers = (*env.offers(), f"action: {env.env.action_space}")
            elif request.action is None and expert is not None:
                shown = env.step(expert(), request.images)
            else:
                shown = env.step(request.action, request.images)
            seconds = time.perf_counter() - began
            drawn = env.render_seconds - drawn
            pipe.send(shown._replace(seconds=seconds, render_seconds=drawn, offers=offers))
    except Gr00tAssetsError as error:
        failure = Failure("error", str(error), (error.subject, error.problem, error.details))
    except Exception as error:
        failure = Failure("error", f"{type(error).__name__}: {error}".splitlines()[0])
    with suppress(OSError):
        pipe.send(failure)
