"""The services of ``deploy/``: their commands, as the units have them, with a real PostgreSQL."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml

from gr00t_assets_tests.defs.dagster_dev import Page, free_port, in_session, session
from gr00t_assets_tests.defs.noop_project import MODULE, gate, noop_events, noop_project, noop_sweep
from gr00t_assets_tests.defs.postgres import postgres, postgres_lacks
from gr00t_assets_tests.defs.project import CHECKOUT, Project
from gr00t_assets_tests.gpu.test_guard import wait_until

DEPLOY = CHECKOUT / "deploy"
SERVICES = ("code", "daemon", "page", "reload")
CLONE = "/srv/gr00t-assets"
LOCATIONS = """
query { workspaceOrError { ... on Workspace { locationEntries {
  name loadStatus locationOrLoadError { __typename } } } } }
"""
PARTITIONS = """
query { assetNodeOrError(assetKey: {path: ["checkpoint"]}) { ... on AssetNode { partitionKeys } } }
"""


def unit(service: str) -> Path:
    return DEPLOY / "systemd" / f"gr00t-assets-{service}.service"


def command(service: str) -> list[str]:
    """What the unit of a service starts."""
    (line,) = re.findall(r"^ExecStart=(.+)$", unit(service).read_text(), re.MULTILINE)
    return shlex.split(line)


def test_compose_starts_what_the_units_start() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert set(services) == {"postgres", *SERVICES}
    for service in SERVICES:
        program, *arguments = command(service)
        assert program.startswith(f"{CLONE}/.venv/bin/")
        host = "page" if service == "reload" else "0.0.0.0"
        inside = [argument.replace("127.0.0.1", host) for argument in arguments]
        assert shlex.split(services[service]["command"]) == [Path(program).name, *inside]
    assert services["page"]["ports"] == ["127.0.0.1:${PORT:-3000}:3000"], "never for others"


def test_the_instance_is_that_of_a_clone_but_for_its_storage() -> None:
    ours, own = (
        yaml.safe_load((folder / "dagster.yaml").read_text()) for folder in (DEPLOY, CHECKOUT)
    )
    assert ours.pop("storage") == {"postgres": {"postgres_url": {"env": "DAGSTER_POSTGRES_URL"}}}
    del own["storage"]
    assert ours == own


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    programs, units = str(Path(sys.executable).parent), []
    for service in SERVICES:
        text = unit(service).read_text().replace(f"{CLONE}/.venv/bin", programs)
        text = text.replace(f"WorkingDirectory={CLONE}", "WorkingDirectory=/").replace(
            "User=gr00t\n", ""
        )
        units.append(tmp_path / unit(service).name)
        units[-1].write_text(text)
    verify = ["systemd-analyze", "verify", "--man=no", *map(str, units)]
    result = subprocess.run(verify, capture_output=True, text=True)
    ours = [line for line in result.stderr.splitlines() if "gr00t-assets" in line]
    assert result.returncode == 0 and not ours, result.stderr


class Services:
    """The services of a project, each a session of its own."""

    def __init__(self, project: Project, url: str) -> None:
        self.project, self.port, self._code = project, free_port(), free_port()
        shutil.copytree(DEPLOY, project.root / "deploy")
        workspace = project.root / "deploy" / "workspace.yaml"
        workspace.write_text(workspace.read_text().replace("4000", str(self._code)))
        self._variables = {
            "DAGSTER_HOME": str(project.root / "deploy"),
            "DAGSTER_POSTGRES_URL": url,
            "GR00T_ASSETS_CODE_HOST": "127.0.0.1",
        }

    @contextmanager
    def started(self, service: str) -> Iterator[subprocess.Popen[bytes]]:
        """One of them, by the command of its unit on other ports, with the no-op trainer."""
        program, *arguments = command(service)
        changed = {
            "4000": str(self._code), "3000": str(self.port), "gr00t_assets.definitions": MODULE,
        }  # fmt: skip
        own = [str(Path(sys.executable).parent / Path(program).name)]
        own += [changed.get(argument, argument) for argument in arguments]
        own[-1] = own[-1].replace(":3000", f":{self.port}")
        with in_session(self.project, own, 120, **self._variables) as process:
            yield process

    def page(self, process: subprocess.Popen[bytes]) -> Page:
        """The page, once it has the code location."""
        page = Page(f"http://127.0.0.1:{self.port}", process, "gr00t_assets", self.project)
        assert wait_until(lambda: self._is_loaded(page), 120), page.log()
        return page

    def _is_loaded(self, page: Page) -> bool:
        try:
            (entry,) = page.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
        except OSError:
            return False
        return entry["locationOrLoadError"]["__typename"] == "RepositoryLocation"


@pytest.mark.cluster
def test_a_run_is_carried_out_and_survives_a_restart_of_the_code_server(tmp_path: Path) -> None:
    if lacks := postgres_lacks():
        pytest.skip(lacks)
    sweep, later = noop_sweep("first", "held", steps=3), noop_sweep("later")
    project = noop_project(tmp_path / "clone", {"s": sweep}, {"GR00T_ASSETS_CPU_SLOTS": "1"})
    with ExitStack() as stack:
        # As root the server runs as another user, who may not enter the folders of pytest.
        folder = Path(stack.enter_context(TemporaryDirectory(dir="/var/tmp")))
        folder.chmod(0o755)
        services = Services(project, stack.enter_context(postgres(folder / "postgres")))
        code = stack.enter_context(services.started("code"))
        stack.enter_context(services.started("daemon"))
        page = services.page(stack.enter_context(services.started("page")))
        assert page.ends(page.launch("first")) == "SUCCESS"
        stack.enter_context(services.started("reload"))
        (project.root / "data" / "sweeps" / "new.yaml").write_text(yaml.safe_dump(later))
        assert wait_until(lambda: "later" in partitions(page), 60), page.log()
        gate(project, "held").touch()
        run = page.launch("held")
        assert wait_until(lambda: _began(project, "held") == 1, 120), page.log()
        # As systemd stops a unit: SIGTERM for everything in it.
        for process in session(code.pid):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
        assert wait_until(lambda: not session(code.pid), 120), page.log()
        gate(project, "held").unlink()
        stack.enter_context(services.started("code"))
        assert wait_until(lambda: _began(project, "held") == 2, 240), page.log()
        assert wait_until(lambda: len(page.trainings("SUCCESS")) == 2, 120), page.log()
        assert page.status(run) in ("FAILURE", "CANCELED"), "it was stopped, and another went on"


def partitions(page: Page) -> list[str]:
    """Of ``checkpoint``, as the page has them."""
    return page.ask(PARTITIONS)["assetNodeOrError"]["partitionKeys"]


def _began(project: Project, experiment: str) -> int:
    """How many trainings of an experiment have begun."""
    events = noop_events(project)
    return sum(item["event"] == "start" and item["experiment"] == experiment for item in events)
