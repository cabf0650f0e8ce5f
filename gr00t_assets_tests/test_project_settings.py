"""``data/project.yaml``: owners and tags, or every problem with its line."""

from pathlib import Path

import pytest
from dagster._core.definitions.utils import is_valid_owner

from gr00t_assets.core.errors import ProjectError
from gr00t_assets.core.settings import ProjectSettings, load_project_settings, project_settings


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
