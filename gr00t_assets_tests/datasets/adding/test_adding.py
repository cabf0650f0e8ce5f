"""``gr00t-assets dataset add`` as a person or a script runs it."""

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry, load_catalog
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets_tests.datasets.sources.hub_server import COMMIT, LATER, REPOSITORY, Hub
from gr00t_assets_tests.datasets.videos import content
from gr00t_assets_tests.trainers.isaac_gr00t.environments import commit_all

CLI = [sys.executable, "-c", "from gr00t_assets.cli.main import main; main()"]
DATA = Path(__file__).parents[2] / "data"
SO101 = DATA / "lerobot-0.6.1-so101"
CATALOG = "# My datasets.\n"


class Project:
    """A project with an empty catalog, and the command in it."""

    def __init__(self, root: Path) -> None:
        self.root, self.data = root, root / "data"
        (self.data / "sweeps").mkdir(parents=True)
        (self.data / "datasets.yaml").write_text(CATALOG)
        self.store = Store(self.data / "store")

    def environment(self) -> dict[str, str]:
        own = {"GR00T_ASSETS_ROOT": str(self.root), "GR00T_ASSETS_STORE": str(self.store.root)}
        return {**os.environ, **own, "COLUMNS": "200"}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CLI, "dataset", *arguments],
            cwd=self.root,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def entry(self, name: str) -> CatalogEntry:
        return load_catalog(self.data / "datasets.yaml")[name]

    def files(self) -> Mapping[str, str]:
        """Every file of the project but for the store's."""
        paths = (path for path in self.data.rglob("*") if path.is_file())
        listed = [path for path in paths if not path.is_relative_to(self.store.root)]
        return {str(path.relative_to(self.data)): path.read_text() for path in listed}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("GR00T_ASSETS_DATASETS", raising=False)
    project = Project(tmp_path / "project")
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(project.root))
    return project


def test_a_folder_is_added_and_materialised(project: Project) -> None:
    before = content(SO101)
    added = project.run("add", str(SO101), "--name", "so101", "--yes")
    assert added.returncode == 0, added.stderr
    assert "single_arm 0:5 (shoulder_pan.pos to wrist_roll.pos)" in added.stdout
    assert "2: 'Pick the cube', 'Put the café cup on the table'" in added.stdout
    assert added.stdout.splitlines()[-1] == (
        "next: dagster asset materialize -m gr00t_assets.definitions "
        "--select dataset,modality_config,frame_cache --partition so101"
    )
    assert set(project.files()) == {"datasets.yaml", "datasets/so101/modality.json"}
    assert project.files()["datasets.yaml"].startswith(CATALOG)
    entry = project.entry("so101")
    assert (entry.data_config, entry.held_out) == ("so100_dualcam", None)
    record = ingest_dataset(entry, project.store)
    stored = record.directory(project.store) / "meta" / "modality.json"
    assert stored.read_text() == project.files()["datasets/so101/modality.json"]
    config = build_modality_config(entry, project.store)
    assert [key.key for key in config.action] == ["single_arm", "gripper"]
    assert content(SO101) == before


def test_an_edit_of_the_file_takes_effect_at_the_next_materialisation(project: Project) -> None:
    project.run("add", str(SO101), "--name", "so101", "--yes")
    entry = project.entry("so101")
    first = ingest_dataset(entry, project.store)
    assert ingest_dataset(entry, project.store) == first
    file = project.data / "datasets" / "so101" / "modality.json"
    edited = json.loads(file.read_text())
    edited["state"]["wrist"] = {"start": 3, "end": 5}
    edited["state"]["single_arm"]["end"] = 3
    file.write_text(json.dumps(edited))
    second = ingest_dataset(entry, project.store)
    assert second.version != first.version
    assert (
        json.loads((second.directory(project.store) / "meta/modality.json").read_text()) == edited
    )
    edited["state"]["single_arm"]["end"] = 9
    file.write_text(json.dumps(edited))
    ingest_dataset(entry, project.store)
    with pytest.raises(Exception, match="single_arm") as caught:
        build_modality_config(entry, project.store)
    assert "data/datasets/so101/modality.json" in str(caught.value)
    assert "meta/modality.json" not in str(caught.value).replace("so101/modality.json", "")


def test_the_remedy_of_a_missing_file_works_to_the_letter(project: Project) -> None:
    checked = project.run("check", str(SO101), "--json")
    (finding,) = [
        item for item in json.loads(checked.stdout)["findings"] if item["severity"] == "error"
    ]
    assert finding["code"] == "modality-missing"
    _, _, command = finding["remedy"].partition("gr00t-assets dataset ")
    added = project.run(*command.split(), "--yes")
    assert added.returncode == 0, added.stderr
    assert project.run("check", str(SO101)).returncode == 0


def test_a_dataset_of_the_catalog_without_a_file_gets_its_draft(project: Project) -> None:
    """An entry that a person wrote: its data config is honoured, and stays where it is."""
    entry = {
        "description": "Mine",
        "source": {"kind": "folder", "path": str(SO101)},
        "data_config": "so100_dualcam",
    }
    (project.data / "datasets.yaml").write_text(yaml.safe_dump({"mine": entry}))
    before = project.files()["datasets.yaml"]
    ingest_dataset(project.entry("mine"), project.store)
    with pytest.raises(Exception, match="no such file") as caught:
        build_modality_config(project.entry("mine"), project.store)
    (line,) = [
        line for line in str(caught.value).splitlines() if "gr00t-assets dataset add" in line
    ]
    command = line.partition("gr00t-assets dataset ")[2].split()
    drafted = project.run(*command, "--yes")
    assert drafted.returncode == 0, drafted.stderr
    assert project.files()["datasets.yaml"] == before
    ingest_dataset(project.entry("mine"), project.store)
    assert build_modality_config(project.entry("mine"), project.store).state_dim == 6
    again = project.run("add", "mine", "--yes")
    assert again.returncode == 1 and "nothing to draft" in again.stderr


def test_nothing_is_written_unless_it_is_said_so(project: Project) -> None:
    before = project.files()
    piped = project.run("add", str(SO101))
    assert piped.returncode == 1
    assert piped.stdout.splitlines()[-1].endswith(f"dataset add {SO101} --yes")
    looked = project.run("add", str(SO101), "--json")
    shown = json.loads(looked.stdout)
    assert looked.returncode == 1 and shown["written"] == [] and shown["episodes"] == 3
    assert shown["next"].endswith("--json --yes") and shown["modality"]["video"]["front"]
    assert project.files() == before and not project.store.root.exists()


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1)])
def test_a_person_at_a_terminal_is_asked(project: Project, answer: str, code: int) -> None:
    ours, theirs = pty.openpty()
    command = [*CLI, "dataset", "add", str(SO101), "--name", "asked"]
    place = {"cwd": project.root, "env": project.environment()}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, **place) as asked:
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        shown = b""
        while b"nothing was written" not in shown and b"next:" not in shown:
            shown += os.read(ours, 4096)
        while asked.poll() is None:
            pass
    os.close(ours)
    assert b"write it? [y/N]" in shown and asked.returncode == code
    assert ("datasets/asked/modality.json" in project.files()) == (code == 0)


def test_a_name_that_is_taken_is_refused_with_the_remedy(project: Project) -> None:
    project.run("add", str(SO101), "--name", "so101", "--yes")
    before = project.files()
    again = project.run("add", str(SO101), "--name", "so101", "--yes")
    assert again.returncode == 1 and "choose another with --name" in again.stderr
    wrong = project.run("add", str(SO101), "--name", "a/b", "--yes")
    assert wrong.returncode == 1 and "'/'" in wrong.stderr
    assert project.files() == before
    assert project.run("add", str(SO101), "--name", "other", "--yes").returncode == 0


def test_a_dataset_with_errors_is_not_added(project: Project, spoilt: Path) -> None:
    before = project.files()
    rows = spoilt / "data/chunk-000/episode_000001.parquet"
    rows.write_bytes(rows.read_bytes()[:200])
    (spoilt / "meta/modality.json").unlink()
    added = project.run("add", str(spoilt), "--yes")
    assert added.returncode == 1, added.stdout
    assert "data/chunk-000/episode_000001.parquet" in added.stdout
    assert "nothing was written" in added.stdout
    shown = json.loads(project.run("add", str(spoilt), "--yes", "--json").stdout)
    assert shown["errors"] > 0 and shown["written"] == []
    assert project.files() == before


def test_folders_that_are_no_dataset_say_what_is_near(project: Project, tmp_path: Path) -> None:
    nothing = project.run("add", str(tmp_path), "--yes")
    assert nothing.returncode == 1 and "it is no dataset" in nothing.stderr
    near = project.run("add", str(DATA), "--yes")
    assert str(SO101) in near.stderr


def test_a_data_config_that_is_named_is_honoured(project: Project) -> None:
    named = project.run("add", str(SO101), "--name", "a", "--yes", "--data-config", "so100")
    assert named.returncode == 1 and "config-key" in named.stdout
    unknown = project.run("add", str(SO101), "--name", "a", "--data-config", "so10")
    assert unknown.returncode == 1 and "did you mean 'so100'" in unknown.stderr
    own = project.data / "data_configs" / "arm.yaml"
    own.parent.mkdir()
    keys = {"single_arm": {"normalization": "q99"}}
    language = "annotation.human.task_description"
    text = {"video": ["wrist"], "language": language, "state": keys, "action": keys}
    own.write_text(yaml.safe_dump(text))
    added = project.run("add", str(SO101), "--name", "a", "--yes", "--data-config", "arm")
    assert added.returncode == 0, added.stdout + added.stderr
    assert project.entry("a").data_config == "arm"


def test_a_dataset_with_a_file_of_its_own_needs_no_draft(project: Project, spoilt: Path) -> None:
    added = project.run("add", str(spoilt), "--name", "own", "--yes", "--description", "Drawn")
    assert added.returncode == 0, added.stdout
    assert set(project.files()) == {"datasets.yaml"}
    entry = project.entry("own")
    assert (entry.data_config, entry.embodiment_tag) == ("fourier_gr1_arms_only", "gr1")
    assert entry.description == "Drawn"


def test_a_hub_dataset_is_pinned_and_downloaded_once(project: Project, hub: Hub) -> None:
    served = hub.commits[COMMIT]
    (served / "meta/modality.json").unlink()
    added = project.run("add", REPOSITORY, "--yes")
    assert added.returncode == 0, added.stderr
    entry = project.entry("small")
    assert entry.source.model_dump()["revision"] == COMMIT
    hub.asked.clear()
    record = ingest_dataset(entry, project.store)
    assert hub.files_asked() == [] and record.revision == COMMIT
    assert build_modality_config(entry, project.store).state_dim > 0


def test_a_hub_dataset_that_is_not_added_leaves_nothing(project: Project, hub: Hub) -> None:
    assert project.run("add", REPOSITORY).returncode == 1
    assert list((project.store.root / "datasets").iterdir()) == []
    hub.token = "hf_secret_token"
    refused = project.run("add", f"https://huggingface.co/datasets/{REPOSITORY}", "--yes")
    assert refused.returncode == 1 and "HF_TOKEN" in refused.stderr
    assert "hf_secret_token" not in refused.stdout + refused.stderr
    assert set(project.files()) == {"datasets.yaml"}


def test_a_private_hub_dataset_with_its_token(
    project: Project, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_secret_token"
    monkeypatch.setenv("HF_TOKEN", hub.token)
    added = project.run("add", REPOSITORY, "--yes", "--revision", LATER, "--name", "private")
    assert added.returncode == 0, added.stderr
    shown = added.stdout + added.stderr + "".join(project.files().values())
    assert hub.token not in shown
    assert project.entry("private").source.model_dump()["revision"] == LATER


def test_a_git_repository(project: Project, spoilt: Path, tmp_path: Path) -> None:
    repository = tmp_path / "recordings"
    shutil.copytree(spoilt, repository / "demo")
    commit_all(repository, "a")
    added = project.run("add", f"file://{repository}", "--path", "demo", "--yes")
    assert added.returncode == 0, added.stderr
    source: dict[str, Any] = project.entry("demo").source.model_dump()
    assert (source["kind"], source["path"]) == ("git", "demo") and len(source["revision"]) == 40
    assert ingest_dataset(project.entry("demo"), project.store).episodes == 2


def test_list_and_show_say_how_far_a_dataset_is(project: Project, spoilt: Path) -> None:
    project.run("add", str(spoilt), "--name", "own", "--yes")
    (before,) = json.loads(project.run("list", "--json").stdout)
    assert before["progress"] == "not in the store" and "--partition own" in before["next"]
    ingest_dataset(project.entry("own"), project.store)
    build_modality_config(project.entry("own"), project.store)
    shown = project.run("show", "own")
    assert shown.returncode == 0, shown.stderr
    assert "checked" in shown.stdout and "next: dagster" in shown.stdout
    assert "own" in project.run("list").stdout
    wrong = project.run("show", "owm")
    assert wrong.returncode == 1 and "did you mean 'own'?" in wrong.stderr
