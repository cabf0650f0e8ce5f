"""The page behind its guard, the daemon, and the code server that they share: ``make dev``.

What ``dagster dev`` starts, except that ``gr00t_assets.defs.page_guard`` stands before the page.
The daemon is a child of this process, and Linux ends it when this process is gone, however it went;
when the daemon ends, so does the page. The code server ends with them, or by itself once nobody has
asked it for 45 s.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import uvicorn
import yaml
from dagster._cli.proxy_server_manager import ProxyServerManager
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_shared.serdes import serialize_value
from dagster_webserver.app import create_app_from_workspace_process_context
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from gr00t_assets.core.errors import PageError
from gr00t_assets.core.files import FileStamp
from gr00t_assets.core.processes import ends_within
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.defs.metadata import REPORTS
from gr00t_assets.defs.page_guard import PageGuard, page_hosts
from gr00t_assets.defs.queue import project_instance
from gr00t_assets.defs.reload import watch
from gr00t_assets.experiments.project_files import project_stamp

HOST = "127.0.0.1"
WORKSPACE = "workspace.yaml"

_LOG_LEVEL = "warning"

_REQUESTS_END, _DAEMON_ENDS = 10, 60.0
"""Seconds that requests have to be answered in, and the daemon to end, when the page is stopped."""

_RELOAD_SECONDS = 180

_DAEMON_PROGRAM = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG
if os.getppid() == {parent}:
    from dagster._daemon.cli import main
    main()
"""
"""``dagster-daemon`` that gets SIGTERM when its parent is gone, see prctl(2)."""

_STATEMENT_MILLISECONDS, _RECYCLE_SECONDS, _CONNECTIONS = 15_000, 3600, 20
"""For PostgreSQL, the defaults of ``dagster-webserver``."""

_SANDBOX = "sandbox allow-scripts allow-popups allow-downloads"
"""A report's scripts draw its plots. With an origin of their own they can ask nothing of the page,
which takes what they send for another site's: were one ever to be smuggled in by a name."""


class Reports(StaticFiles):
    """The store's folder of reports, to be read, and nothing else of the store.

    It may not be there yet. Starlette keeps paths inside it, and follows no link out of it.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(directory=store.reports, check_dir=False)

    async def check_config(self) -> None:
        """Nothing: what is not there is answered with 404."""

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        """The file, in a sandbox."""
        response = super().file_response(*arguments, **named)
        response.headers["Content-Security-Policy"] = _SANDBOX
        return response


def serve(port: int, host: str = HOST, workspace: str | None = None) -> None:
    """Serve the page until SIGINT, SIGTERM, or the end of the daemon.

    Where others start daemon and code servers ``workspace`` says where the code servers listen.

    Raises:
        PageError: The port is taken, there is no project here, a setting is wrong, or the daemon
            ended by itself.
    """
    hosts, daemon = page_hosts(), None
    file = project_root() / (workspace or WORKSPACE)
    if workspace and Path(workspace).is_file():
        file = Path(workspace).absolute()
    with ExitStack() as stack:
        stack.enter_context(_interrupted_by_sigterm())
        listener = stack.enter_context(_listener(host, port))
        instance = stack.enter_context(project_instance())
        if not file.is_file():
            remedy = "start in a clone of gr00t-assets, or set GR00T_ASSETS_ROOT to one"
            raise PageError(file.name, f"is not in {file.parent}.", [remedy])
        loaded, served = project_stamp(), str(file)
        if workspace is None:
            # As `dagster dev` says to its code servers: faults of definitions are logged once.
            os.environ["DAGSTER_IS_DEV_CLI"] = "1"
            served = stack.enter_context(_shared_code_servers(instance, file, port))
            daemon = stack.enter_context(_daemon(instance, served))
        server = stack.enter_context(_page(instance, served, hosts))
        stack.enter_context(_loaded_again(served, loaded))
        if daemon is not None:
            threading.Thread(target=_stop_with, args=(daemon, server), daemon=True).start()
            sys.stdout.write(f"the page is on http://{host}:{port}\n")
            sys.stdout.flush()
        server.run(sockets=[listener])
        if daemon is not None and daemon.poll() is not None:
            problem = f"it ended by itself, with exit code {daemon.returncode}."
            remedy = "what it printed above says why; start `make dev` again"
            raise PageError("dagster-daemon", problem, [remedy])


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """SIGTERM and SIGINT both end the block, and are no errors."""
    # A shell has what runs in the background ignore SIGINT; SIGTERM ends that.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGTERM, before)


def _listener(host: str, port: int) -> socket.socket:
    """Taken before anything is started, which takes a while."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        problem = f"cannot be listened on: {os.strerror(error.errno or 0)}."
        remedy = f"end what listens there, or choose another port: --port {port + 1}"
        raise PageError(f"{host}:{port}", problem, [remedy]) from None


@contextmanager
def _shared_code_servers(instance: dg.DagsterInstance, named: Path, port: int) -> Iterator[str]:
    """Start what a ``workspace.yaml`` names; the path of a file that says where it listens."""
    # Not in a temporary folder: it would be left there by whoever kills this process.
    file = Path(instance.root_directory, f"page-{port}.yaml").resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    with ProxyServerManager(instance, WorkspaceFileTarget([str(named)]), _LOG_LEVEL) as servers:
        specs = servers.get_code_server_specs()
        file.write_text(yaml.safe_dump({"load_from": specs}), encoding="utf-8")
        try:
            yield str(file)
        finally:
            file.unlink(missing_ok=True)


@contextmanager
def _loaded_again(workspace: str, loaded: FileStamp) -> Iterator[None]:
    """Have the code servers load the project's files again whenever one of them has changed."""

    def reload() -> None:
        for origin in WorkspaceFileTarget([workspace]).create_origins():
            if isinstance(origin, GrpcServerCodeLocationOrigin):
                origin.create_client().reload_code(timeout=_RELOAD_SECONDS)

    stop = threading.Event()
    threading.Thread(target=watch, args=(reload, stop, loaded), daemon=True).start()
    try:
        yield
    finally:
        stop.set()


@contextmanager
def _daemon(instance: dg.DagsterInstance, workspace: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", _DAEMON_PROGRAM.format(parent=os.getpid()), "run"]
    command += ["--instance-ref", serialize_value(instance.get_ref()), "--workspace", workspace]
    process = subprocess.Popen([*command, "--code-server-log-level", _LOG_LEVEL])
    try:
        yield process
    finally:
        process.terminate()
        if not ends_within(process, _DAEMON_ENDS):
            process.kill()


@contextmanager
def _page(
    instance: dg.DagsterInstance, workspace: str, hosts: frozenset[str]
) -> Iterator[uvicorn.Server]:
    instance.optimize_for_webserver(_STATEMENT_MILLISECONDS, _RECYCLE_SECONDS, _CONNECTIONS)
    target = WorkspaceFileTarget([workspace])
    with WorkspaceProcessContext(instance, target, code_server_log_level=_LOG_LEVEL) as context:
        app = create_app_from_workspace_process_context(context, live_data_poll_rate=2000)  # ms
        # Before Dagster's own, the last of which takes every address.
        app.router.routes.insert(0, Mount(REPORTS, Reports(Store.from_environment())))
        guarded = PageGuard(app, hosts)
        yield uvicorn.Server(
            uvicorn.Config(guarded, log_level=_LOG_LEVEL, timeout_graceful_shutdown=_REQUESTS_END)
        )


def _stop_with(daemon: subprocess.Popen[bytes], server: uvicorn.Server) -> None:
    daemon.wait()
    server.should_exit = True
