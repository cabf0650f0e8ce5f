"""Who is told what, and how often: a real instance and store, real HTTP and SMTP servers."""

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from gr00t_assets.cli.main import send_test
from gr00t_assets.core.errors import NotificationError, TrainingError
from gr00t_assets.core.project import Notifications, Store
from gr00t_assets.defs.failures import ExplainedFailureError
from gr00t_assets.defs.notifications import NotificationsCursor, tell
from gr00t_assets.defs.notified_events import Lab
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.runs.manifest import save_manifest
from gr00t_assets.runs.metrics import Metric, append_metric
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets_tests.defs.dagster_dev import Page
from gr00t_assets_tests.defs.died import died, failed, made
from gr00t_assets_tests.defs.noop_project import gate, noop_project, noop_sweep
from gr00t_assets_tests.defs.recovery_project import powered, quick_monitoring
from gr00t_assets_tests.defs.specs import a_manifest, a_spec
from gr00t_assets_tests.gpu.test_guard import wait_until
from gr00t_assets_tests.harness.message_servers import SECRET, Webhook, mail_server, webhook
from gr00t_assets_tests.test_security_secrets import process_list

PAGE = "http://lab.example.org:3000"
BAD_DATA = TrainingError("first", "no camera 'front'.", ["it has: wrist", "name one of them"])


class Team:
    """Channels over real servers; the cursor goes through JSON between ticks as Dagster's does."""

    def __init__(self, store: Store, instance: dg.DagsterInstance, **channels: object) -> None:
        rates = {"first": 1e-4, "second": 2e-4}
        specs = [
            a_spec(store.root, name=name, hyperparameters={"max_steps": 4, "learning_rate": rate})
            for name, rate in rates.items()
        ]
        own = tuple(spec.experiment for spec in specs)
        sweep = Sweep("demo", Path("demo.yaml"), "", None, own)
        self.lab = Lab({"demo": sweep}, store, instance, PAGE)
        self.specs = {spec.experiment.name: spec for spec in specs}
        self.settings = Notifications.model_validate({"channels": channels})
        self.cursor, self.now, self.lines = "{}", time.time(), [""]

    def tick(self, after: float = 30.0, *, kept: bool = True) -> list[str]:
        """One tick some seconds after the last; it is killed before its cursor is ``kept``."""
        self.now += after
        cursor = NotificationsCursor.model_validate_json(self.cursor)
        self.lines = tell(self.settings, replace(self.lab), cursor, self.now)
        self.cursor = cursor.model_dump_json() if kept else self.cursor
        assert SECRET not in self.cursor + "".join(self.lines)
        return self.lines

    def trained(self, name: str, ended: float | None = None, **manifest: object) -> None:
        finished_at = datetime.fromtimestamp(ended or time.time(), UTC).isoformat()
        spec = self.specs[name]
        save_manifest(a_manifest(spec, finished_at=finished_at, **manifest), spec.run_directory)


@contextmanager
def servers(monkeypatch: pytest.MonkeyPatch, *names: str) -> Iterator[list[Webhook]]:
    with ExitStack() as stack:
        made_servers = [stack.enter_context(webhook()) for _ in names]
        for name, server in zip(names, made_servers, strict=True):
            monkeypatch.setenv(name, server.url)
        yield made_servers


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with servers(monkeypatch, "LAB_URL") as (server,):
        yield server


@pytest.fixture
def team(store: Store, instance: dg.DagsterInstance, hook: Webhook) -> Team:
    return Team(store, instance, lab={"url": {"env": "LAB_URL"}})


def test_a_failure_is_told_once_with_reason_remedy_and_link(team: Team, hook: Webhook):
    assert team.tick() == []
    run = failed(team.lab.instance, ExplainedFailureError(BAD_DATA))
    assert team.tick() == ["lab: gr00t-assets: first failed"]
    for _ in range(3):
        assert team.tick() == []
    for _ in range(3):
        assert team.tick(200) == []
    (message,) = hook.taken
    assert message["title"] == "gr00t-assets: first failed"
    assert message["message"].splitlines() == [
        "TrainingError: first: no camera 'front'.",
        "- it has: wrist",
        "- name one of them",
        f"{PAGE}/runs/{run.run_id}",
    ]


def test_what_is_asked_for_again_says_so_and_what_died_too_often_as_well(team: Team, hook: Webhook):
    died(team.lab.instance, "first")
    died(team.lab.instance, "second", tags={"gr00t/retry_number": "3"})
    team.tick()
    (message,) = hook.taken
    assert message["title"] == "gr00t-assets: first failed, and 1 more"
    assert "- nothing to do, it is asked for again: retry 1 of 3" in message["message"]
    assert "- it died 4 times; mend that" in message["message"]


def test_a_tick_that_is_killed_before_its_cursor_is_kept_is_told_twice_and_not_more(
    team: Team, hook: Webhook
):
    failed(team.lab.instance, ExplainedFailureError(BAD_DATA))
    team.tick(kept=False)
    for _ in range(3):
        team.tick()
    assert hook.titles == ["gr00t-assets: first failed"] * 2


def test_a_dead_and_a_hanging_channel_hold_nobody_back_and_are_told_once_they_are_back(
    store: Store, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    with servers(monkeypatch, "GOOD", "FAILS", "HANGS") as (good, fails, hangs):
        fails.status, hangs.hangs = 500, True
        names = ("good", "fails", "hangs", "gone", "unset")
        monkeypatch.setenv("GONE", f"json://127.0.0.1:9/{SECRET}")
        team = Team(store, instance, **{x: {"url": {"env": x.upper()}} for x in names})
        failed(instance, ExplainedFailureError(BAD_DATA))
        began = time.monotonic()
        assert team.tick() == [
            "good: gr00t-assets: first failed",
            "channel fails is tried again: its server answers with HTTP status 500",
            "channel hangs is tried again: its server did not answer within 10 s",
            "channel gone is tried again: its server cannot be reached, or breaks off",
            "channel unset is tried again: UNSET is not set in the environment of this command or "
            "of the daemon",
        ]
        assert time.monotonic() - began < 25
        team.settings = Notifications.model_validate(
            {"channels": {x: {"url": {"env": x.upper()}} for x in names[:3]}}
        )
        fails.status, hangs.hangs = 200, False
        failed(instance, ExplainedFailureError(BAD_DATA), "second")
        for _ in range(3):
            team.tick()
        first, second = good.taken
        assert first["title"] == "gr00t-assets: first failed"
        assert second["title"] == "gr00t-assets: second failed, and 1 more"
        assert "sweep demo is over, 2 failed" in second["message"]
        assert fails.titles == hangs.titles == ["gr00t-assets: first failed, and 2 more"]


def test_a_channel_is_tried_more_rarely_and_for_a_day(team: Team, hook: Webhook):
    hook.status = 503
    failed(team.lab.instance, ExplainedFailureError(BAD_DATA))
    asked = [len(hook.asked) for _ in range(10) if team.tick() or True]
    assert asked == [1, 2, 3, 3, 4, 4, 4, 4, 5, 5], "after 30 s, then twice as long each time"
    assert team.lines == ["channel lab is tried again in 210 s"]
    hook.status = 200
    team.tick(24 * 3600)
    assert hook.titles == [], "what happened a day ago is no news"


def test_only_what_a_channel_asks_for(
    store: Store, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    with servers(monkeypatch, "A", "B", "C") as (other, finished, failures):
        team = Team(
            store,
            instance,
            a={"url": {"env": "A"}, "sweeps": ["another"]},
            b={"url": {"env": "B"}, "on": ["finished", "summary"]},
            c={"url": {"env": "C"}, "on": ["failed"], "sweeps": ["demo"]},
        )
        failed(instance, ExplainedFailureError(BAD_DATA))
        team.tick()
        assert (other.asked, finished.asked) == ([], [])
        assert failures.titles == ["gr00t-assets: first failed"]


def test_a_sweep_is_told_once_when_its_last_run_ends(team: Team, hook: Webhook):
    team.trained("first")
    team.tick()
    assert hook.taken == []
    team.trained(
        "second", final_loss={"mean": 0.2, "standard_error": 0.01, "steps": 2, "samples": 9}
    )
    team.tick()
    (message,) = hook.taken
    assert message["title"] == "gr00t-assets: sweep demo is over, 2 finished"
    lines = message["message"].splitlines()
    assert "second" in lines[0], "the headline of the comparison"
    assert lines[1].startswith("1 second: loss 0.2")
    assert lines[2].startswith("2") and "first: loss 0.5" in lines[2]
    assert lines[-1] == f"{PAGE}/assets/loss_comparison"
    for _ in range(3):
        team.tick(400)
        # Its checks are written into the manifest later.
        touched(team.specs["first"].run_directory / "manifest.json", team.now + 60)
    assert len(hook.taken) == 1


def test_a_sweep_with_a_run_that_failed_for_good_is_over(team: Team, hook: Webhook):
    team.trained("first")
    died(team.lab.instance, "second")
    team.tick()
    assert hook.titles == ["gr00t-assets: second failed"], "it is asked for again"
    failed(team.lab.instance, ExplainedFailureError(BAD_DATA), "second")
    team.tick()
    assert hook.titles[1:] == ["gr00t-assets: second failed, and 1 more"]
    assert "sweep demo is over, 1 finished, 1 failed\n" in hook.taken[1]["message"]


@contextmanager
def training(team: Team, silent_for: float) -> Iterator[TrainingSpec]:
    """A run that holds its directory and has logged nothing for some seconds."""
    spec = team.specs["first"]
    made(team.lab.instance, "first")
    spec.run_directory.mkdir(parents=True, exist_ok=True)
    place_spec(spec)
    for step in (1, 2, 3):
        logged(spec, step, silent_for)
    with (spec.run_directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield spec


def logged(spec: TrainingSpec, step: int, silent_for: float) -> None:
    more = {"epoch": 0.0, "loss": 1.0, "losses": (1.0,), "grad_norm": 1.0, "learning_rate": 1e-4}
    metric = Metric(step=step, samples_seen=step, wall_seconds=2.0 * step, **more)
    append_metric(metric, spec.run_directory)
    touched(spec.run_directory / "metrics.jsonl", time.time() - silent_for)


def touched(file: Path, when: float) -> None:
    os.utime(file, (when, when))


def test_a_training_that_stands_still_is_told_once_until_it_moved_on(team: Team, hook: Webhook):
    with training(team, silent_for=60) as spec:
        team.tick()
        assert hook.taken == []
        logged(spec, 4, silent_for=1800)
        for _ in range(3):
            team.tick(400)
        (message,) = hook.taken
        assert message["title"] == "gr00t-assets: first stands still at step 4 of 4"
        assert message["message"].startswith("no step for 30 min, usual are 2 s")
        assert f"{PAGE}/runs/" in message["message"]
        logged(spec, 5, silent_for=0)
        team.tick()
        (spec.run_directory / "attempts.jsonl").write_text('{"started_at": "now"}\n')
        logged(spec, 6, silent_for=3600)
        team.tick()
        assert len(hook.taken) == 1, "it was resumed just now"
        touched(spec.run_directory / "attempts.jsonl", time.time() - 3000)
        team.tick()
        assert hook.titles[1:] == ["gr00t-assets: first stands still at step 6 of 4"]


def test_the_morning_brings_one_summary_and_none_after_a_quiet_night(team: Team, hook: Webhook):
    team.settings = Notifications.model_validate(
        {"channels": {"lab": {"url": {"env": "LAB_URL"}, "on": ["summary"]}}, "summary_at": "07:30"}
    )
    due = team.settings.summary_due(time.time())
    team.now = due - 3600
    team.tick(0)
    team.trained("first", ended=due - 1800)
    failed(team.lab.instance, ExplainedFailureError(BAD_DATA), "second")
    team.tick(3000)
    assert hook.taken == []
    team.tick(700)
    team.tick()
    (message,) = hook.taken
    assert message["title"] == "gr00t-assets: 1 finished, 1 failed, 0 run, 0 wait"
    lines = message["message"].splitlines()
    assert lines[0].startswith("Sweep demo, 1 finished, 1 failed: ") and "first" in lines[0]
    assert lines[2:4] == ["1 finished:", "first"]
    assert lines[5:7] == ["1 failed:", "second: TrainingError: first: no camera 'front'."]


def test_a_quiet_night_and_a_machine_that_was_off_in_the_morning(team: Team, hook: Webhook):
    channel = {"url": {"env": "LAB_URL"}, "on": ["summary"]}
    team.settings = Notifications.model_validate({"channels": {"lab": channel}})
    team.now = team.settings.summary_due(time.time()) - 2 * 86400 + 60
    team.tick(0)
    team.tick(86400)
    assert hook.taken == [], "nothing happened"
    with training(team, silent_for=0):
        team.tick(86400 + 7200)
    (message,) = hook.taken
    assert message["title"] == "gr00t-assets: 0 finished, 0 failed, 1 run, 0 wait"
    assert "first: step 3 of 4" in message["message"]


def test_mail(store: Store, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch):
    with mail_server() as server:
        monkeypatch.setenv("MAIL_URL", server.url)
        team = Team(store, instance, anna={"url": {"env": "MAIL_URL"}})
        failed(instance, ExplainedFailureError(BAD_DATA))
        assert team.tick() == ["anna: gr00t-assets: first failed"]
        ((subject, body),) = server.mails
        assert subject == "gr00t-assets: first failed"
        assert "no camera 'front'" in body and "- name one of them" in body


def test_the_command_says_what_came_back_and_nothing_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    project = noop_project(tmp_path, {"s": noop_sweep("a")})
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    with pytest.raises(NotificationError, match=r"not there.*\n.*docs/notifications\.md"):
        send_test()
    channels = "channels: {good: {url: {env: GOOD}}, bad: {url: {env: BAD}}, odd: {url: {env: O}}}"
    (tmp_path / "data" / "notifications.yaml").write_text(channels)
    with pytest.raises(NotificationError, match="did you mean 'good'"):
        send_test("god")
    with webhook() as good, webhook() as bad:
        bad.status = 403
        urls = {"GOOD": good.url, "BAD": bad.url, "O": f"nonsense://{SECRET}"}
        tested = replace(project, variables={**project.variables, **urls})
        command = [sys.executable, "-m", "gr00t_assets.cli.main", "notify", "test"]
        result = tested.run(*command)
        assert result.returncode == 1
        assert result.stdout.splitlines() == [
            "good: taken",
            "bad: not taken: its server answers with HTTP status 403",
            "odd: not taken: the variable does not have one URL that Apprise knows, see its "
            "documentation",
        ]
        result = tested.run(*command, "good")
        assert (result.returncode, result.stdout) == (0, "good: taken\n")
        assert good.titles == ["gr00t-assets: a test"] * 2


@pytest.mark.cluster
def test_a_daemon_tells_each_once_over_power_cuts_and_the_address_is_nowhere(tmp_path: Path):
    module, commands = "gr00t_assets_tests.defs.noop_definitions", set[bytes]()
    with webhook() as server, process_list(commands):
        variables = {"LAB_URL": server.url, "GR00T_ASSETS_CPU_SLOTS": "2"}
        project = noop_project(tmp_path, {"s": noop_sweep("good", "slow")}, variables)
        file = tmp_path / "data" / "notifications.yaml"
        file.write_text("channels: {lab: {url: {env: LAB_URL}}}\n")
        quick_monitoring(project)
        gate(project, "slow").touch()

        def told(what: str) -> int:
            return sum(what in item["title"] + item["message"] for item in server.taken)

        with powered(project, module) as page:
            page.launch("slow")
            assert page.ends(page.launch("good")) == "SUCCESS"
            assert wait_until(
                lambda: list(project.store.root.glob("runs/slow/*/attempts.jsonl")), 120
            )
        gate(project, "slow").unlink()
        with powered(project, module) as page:
            assert wait_until(lambda: told("sweep s is over"), 300), server.titles
            # The cursor of that tick is kept: a kill before that is another test's.
            ticked(page)
        with powered(project, module) as page:
            ticked(page, 2)
    assert [told("slow failed"), told("sweep s is over, 2 finished")] == [1, 1], server.titles
    left = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert [file for file in left if SECRET.encode() in file.read_bytes()] == []
    assert [command for command in commands if SECRET.encode() in command] == []


def ticked(page: Page, more: int = 1) -> None:
    """Wait until the sensor has ticked."""

    def ticks() -> int:
        return len(page.ask(TICKS)["sensorOrError"]["sensorState"]["ticks"])

    before = ticks()
    assert wait_until(lambda: ticks() >= before + more, 240), page.log()


TICKS = """
{ sensorOrError(sensorSelector: {repositoryLocationName: "gr00t_assets_tests.defs.noop_definitions",
    repositoryName: "__repository__", sensorName: "notifications"}) {
  ... on Sensor { sensorState { ticks { id status } } } } }
"""
