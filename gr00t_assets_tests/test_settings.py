"""``data/project.yaml`` and ``data/notifications.yaml``: what they say, and every problem."""

from datetime import datetime
from pathlib import Path

import pytest
from dagster._core.definitions.utils import is_valid_owner

from gr00t_assets.core.errors import NotificationError, ProjectError
from gr00t_assets.core.project import (
    Notifications,
    ProjectSettings,
    load_notifications,
    load_project_settings,
    project_settings,
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "project.yaml"


def test_without_a_file_nobody_owns_it(file: Path) -> None:
    assert load_project_settings() == ProjectSettings()
    file.write_text("# nothing yet\n")
    assert load_project_settings() == ProjectSettings()


def test_what_it_says(file: Path) -> None:
    file.write_text("owners: [team:arms, a.person@example.org]\nwandb_tags: [night]\n")
    settings = load_project_settings()
    assert settings.owners == ("team:arms", "a.person@example.org")
    assert settings.wandb_tags == ("night",)
    assert all(map(is_valid_owner, settings.owners)), "Dagster takes them"


def test_every_problem_has_its_line_and_nothing_stops(file: Path) -> None:
    file.write_text("owners:\n  - arms\n  - team:\n  - a@b\nwandb_tag: [x]\n")
    with pytest.raises(ProjectError) as refused:
        load_project_settings()
    text = str(refused.value)
    assert "4 problems" in text
    for line in ("line 2: owners[0]: expected team:NAME", "line 3: owners[1]", "line 4: owners[2]"):
        assert line in text
    assert "line 5: wandb_tag: unknown field; did you mean 'wandb_tags'?" in text
    assert project_settings() == ProjectSettings()


@pytest.mark.parametrize("text", ["- a list\n", "owners: [\n", "owners: team:arms\n"])
def test_another_shape_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ProjectError, match=r"project\.yaml"):
        load_project_settings()


SECRET = "https://hooks.example.org/T0/CANARY"


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "notifications.yaml"
    file.write_text(text)
    return file


def loaded(tmp_path: Path, text: str) -> Notifications:
    settings = load_notifications(written(tmp_path, text))
    assert settings is not None
    return settings


def test_no_file_is_nobody_to_tell(tmp_path: Path):
    assert load_notifications(tmp_path / "none.yaml") is None


def test_a_channel_is_told_everything_unless_it_says_otherwise(tmp_path: Path):
    text = (
        "channels:\n  lab: {url: {env: LAB}}\n  ann: {url: {env: A}, on: [failed], sweeps: [x]}\n"
    )
    channels = loaded(tmp_path, text).channels
    assert all(channels["lab"].takes(kind, "x") for kind in ("failed", "stalled", "summary"))
    assert channels["ann"].takes("failed", "x")
    assert not channels["ann"].takes("failed", "y") and not channels["ann"].takes("finished", "x")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"channels:\n  lab: {{url: {SECRET}}}\n", 2),
        (f"channels:\n  lab:\n    url:\n      env: {SECRET}\n", 3),
        (f"channels:\n  lab: {SECRET}\n", 2),
        (f"channels: {SECRET}\n", 1),
        (f"channels:\n  lab: {{url: {{env: LAB}}, on: ['{SECRET}']}}\n", 2),
        (f"{SECRET}\n", 1),
        ("channels: {}\n", 1),
        (f"channels:\n  lab: {{url: {{env: LAB}}}}\npage: http://a:{SECRET}@b\n", 3),
    ],
)
def test_an_address_in_the_file_is_refused_and_never_quoted(tmp_path: Path, text: str, line: int):
    with pytest.raises(NotificationError) as caught:
        load_notifications(written(tmp_path, text))
    assert "CANARY" not in str(caught.value) + repr(caught.value)
    assert f"notifications.yaml:{line}: " in str(caught.value)


def test_the_refusal_says_what_to_write(tmp_path: Path):
    with pytest.raises(NotificationError, match=r"url: \{env: LAB_URL\}"):
        load_notifications(written(tmp_path, f"channels:\n  lab: {{url: {SECRET}}}\n"))


def test_all_problems_are_told_at_once_with_the_nearest_name(tmp_path: Path):
    text = "channels:\n  lab: {url: {env: LAB}, onn: [failed]}\ntime_zone: Europe/Berlln\n"
    with pytest.raises(NotificationError) as caught:
        load_notifications(written(tmp_path, text))
    assert "line 2: channels.lab.onn: unknown field; did you mean 'on'" in str(caught.value)
    assert "line 3: time_zone: there is no time zone" in str(caught.value)
    assert "did you mean 'Europe/Berlin'" in str(caught.value)


@pytest.mark.parametrize("clock", ["07:30", "'07:30'", "17:30", "'17:30'"])
def test_a_time_of_day_is_read_with_and_without_quotes(tmp_path: Path, clock: str):
    text = f"channels: {{lab: {{url: {{env: LAB}}}}}}\nsummary_at: {clock}\n"
    assert f"{loaded(tmp_path, text).summary_at:%H:%M}" == clock.strip("'")


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-07-01T05:29:59+00:00", "2026-06-30T05:30:00+00:00"),
        ("2026-07-01T05:30:00+00:00", "2026-07-01T05:30:00+00:00"),
        ("2026-12-01T06:29:00+00:00", "2026-11-30T06:30:00+00:00"),
        ("2026-12-01T23:59:00+00:00", "2026-12-01T06:30:00+00:00"),
        # Clocks went back in this night.
        ("2026-10-25T06:29:00+00:00", "2026-10-24T05:30:00+00:00"),
        ("2026-10-25T06:31:00+00:00", "2026-10-25T06:30:00+00:00"),
    ],
)
def test_the_morning_is_that_of_the_time_zone(tmp_path: Path, now: str, due: str):
    settings = loaded(tmp_path, "channels: {a: {url: {env: A}}}\ntime_zone: Europe/Berlin\n")
    moment = datetime.fromisoformat(now).timestamp()
    assert settings.summary_due(moment) == datetime.fromisoformat(due).timestamp()


def test_a_sweep_that_nobody_has_is_named(tmp_path: Path):
    text = "channels: {a: {url: {env: A}, sweeps: [nigth]}}\n"
    (line,) = loaded(tmp_path, text).unknown_sweeps(["night"])
    assert line == "channel a: there is no sweep 'nigth'; did you mean 'night'?"
