"""Errors for people as failed steps that show the message alone, without Dagster's stack.

A command that a signal ended exits with 130 after Ctrl-C, 143 after SIGTERM. Dagster makes one
interrupt of both, and ends ``dagster asset materialize`` with code 1, as after a failure; a script
that runs one command after another cannot tell them apart.
"""

import atexit
import functools
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import dagster as dg
from dagster._core.errors import DagsterUserCodeProcessError
from dagster_shared.error import SerializableErrorInfo

from gr00t_assets.core.errors import Gr00tAssetsError, system_errors_explained
from gr00t_assets.core.project import project_settings

OWNERS = [*project_settings().owners]
"""Of every asset, as ``data/project.yaml`` says."""

INTERRUPTS = (KeyboardInterrupt, dg.DagsterExecutionInterruptedError)
"""What Ctrl-C or SIGTERM raises in an asset or check."""

P = ParamSpec("P")
R = TypeVar("R")


class ExplainedFailureError(dg.Failure, DagsterUserCodeProcessError):
    """A failure that is shown with its message alone, and ``metadata`` beside it on the page.

    Dagster prints some forty lines of its own stack twice below the message of a ``Failure``. For
    an error of another process it prints what that process said instead; this class says it is
    one.
    """

    def __init__(
        self, error: Gr00tAssetsError, metadata: Mapping[str, dg.MetadataValue] | None = None
    ) -> None:
        Exception.__init__(self, error.explain())
        self.description = error.explain()
        self.metadata = dict(metadata or {})
        self.allow_retries = False
        self.user_code_process_error_infos = [_error_info(error)]


class ExplainedInterruptError(dg.DagsterExecutionInterruptedError, DagsterUserCodeProcessError):
    """The end of a run on request, shown with a message in place of Dagster's stack."""

    def __init__(self, error: Gr00tAssetsError) -> None:
        BaseException.__init__(self, error.explain())
        self.user_code_process_error_infos = [_error_info(error)]


def _error_info(error: Gr00tAssetsError) -> SerializableErrorInfo:
    return SerializableErrorInfo(error.explain() + "\n", [], type(error).__name__)


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """Turn a ``Gr00tAssetsError`` of an asset or check into a failure that is not retried.

    Where Ctrl-C or SIGTERM ends it, the message says so, and the command ends with 130 or 143.
    Other exceptions are mistakes in this program and keep their traceback.
    """

    @functools.wraps(function)
    def wrapper(*arguments: P.args, **named: P.kwargs) -> R:
        with _signal_is_exit_code():
            try:
                with system_errors_explained():
                    return function(*arguments, **named)
            except Gr00tAssetsError as error:
                raise ExplainedFailureError(error) from None
            except ExplainedInterruptError:
                raise
            except INTERRUPTS:
                remedy = "run the same command again: it goes on from what is complete"
                error = Gr00tAssetsError(function.__name__, "it was stopped.", [remedy])
                raise ExplainedInterruptError(error) from None

    return wrapper


def explained_asset(
    group: str | None = None, kinds: Iterable[str] = (), code_version: str = "1", **options: Any
) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
    """``dagster.asset`` for a function whose errors are explained; ``options`` as it has them."""
    named = {"group_name": group, "kinds": {*kinds}, "code_version": code_version, "owners": OWNERS}
    asset = dg.asset(**named, **options)
    return lambda function: asset(explained(function))


_exit_codes: list[int] = []


@contextmanager
def _signal_is_exit_code() -> Iterator[None]:
    """Have this process end with 128 + n where signal n interrupts the block; not in a thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    read, written = os.pipe()
    os.set_blocking(written, False)
    before = signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    try:
        yield
    except INTERRUPTS:
        received = os.read(read, 4096) if select.select([read], [], [], 0)[0] else b""
        numbers = (signal.SIGINT, signal.SIGTERM)
        _exit_codes.extend(128 + number for number in received if number in numbers)
        raise
    finally:
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)
        os.close(read)
        os.close(written)


@atexit.register
def _exit() -> None:
    """After what was registered later, since the command decides on another code."""
    if _exit_codes:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_exit_codes[0])
