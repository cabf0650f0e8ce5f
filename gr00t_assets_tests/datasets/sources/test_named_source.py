"""What a person types for a source: folders, the Hub, git."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.processes import is_locked
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.source_kinds import FolderSource, GitSource, HubSource
from gr00t_assets.datasets.sources.fetch import (
    drop_download,
    exclusive,
    name_of_source,
    named_source,
    no_log,
)
from gr00t_assets_tests.trainers.isaac_gr00t.environments import commit_all, git


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(root))
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a folder at two commits, the first of them tagged."""
    folder = tmp_path / "recordings"
    (folder / "demo").mkdir(parents=True)
    for text in ("1", "2"):
        (folder / "demo" / "file").write_text(text)
        commit_all(folder, text)
        if text == "1":
            git(folder, "tag", "-a", "v1", "-m", "v1")
    return folder


def test_folders(project: Path, tmp_path: Path) -> None:
    for folder in (project / "data" / "mine", tmp_path / "shared" / "two words!"):
        folder.mkdir(parents=True)
    assert named_source("data/mine") == FolderSource(path="data/mine")
    assert named_source(f"{project}/data/mine/") == FolderSource(path="data/mine")
    assert named_source("../shared/two words!") == FolderSource(path="../shared/two words!")
    outside = named_source(str(tmp_path / "shared" / "two words!"))
    assert outside == FolderSource(path=str(tmp_path / "shared" / "two words!"))
    assert name_of_source(outside) == "two-words"


@pytest.mark.parametrize(
    ("text", "repository", "revision"),
    [
        ("lerobot/droid_1.0.1", "lerobot/droid_1.0.1", "main"),
        ("https://huggingface.co/datasets/lerobot/pusht", "lerobot/pusht", "main"),
        ("https://huggingface.co/datasets/lerobot/pusht/tree/v2.0/data", "lerobot/pusht", "v2.0"),
        ("hf://datasets/lerobot/pusht@v3.0", "lerobot/pusht", "v3.0"),
    ],
)
def test_hub(text: str, repository: str, revision: str) -> None:
    source = named_source(text)
    assert source == HubSource(repo_id=repository, revision=revision)
    assert name_of_source(source) == repository.split("/")[1]
    assert named_source(text, "abc") == HubSource(repo_id=repository, revision="abc")


def test_git_revisions_become_commits(repository: Path) -> None:
    address = f"file://{repository}"
    source = named_source(address, path="demo")
    commit = git(repository, "rev-parse", "main^{commit}")
    assert source == GitSource(repository=address, revision=commit, path="demo")
    assert name_of_source(source) == "demo"
    tagged = named_source(address, "v1")
    assert isinstance(tagged, GitSource) and tagged.revision == git(
        repository, "rev-parse", "v1^{commit}"
    )
    assert name_of_source(tagged) == "recordings"
    with pytest.raises(DatasetError, match="has no branch or tag v9"):
        named_source(address, "v9")


def test_a_branch_is_not_one_whose_name_ends_alike(repository: Path, tmp_path: Path) -> None:
    git(repository, "branch", "work/main", "v1")
    source = named_source(f"file://{repository}", "main")
    assert isinstance(source, GitSource)
    assert source.revision == git(repository, "rev-parse", "main")
    git(tmp_path, "clone", "--quiet", str(repository), "clone")
    git(tmp_path / "clone", "checkout", "--quiet", "-b", "mine", "v1")
    clone = named_source(f"file://{tmp_path}/clone")
    assert isinstance(clone, GitSource)
    assert clone.revision == git(repository, "rev-parse", "v1^{commit}")


def test_a_page_of_a_folder_on_a_web_server(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "5e3ef5ef9a89b647f11490d749b0049ae2796b94"
    page = f"https://github.com/NVIDIA/Isaac-GR00T/tree/{commit}/demo_data/robot_sim.PickNPlace"
    source = named_source(page)
    assert source == GitSource(
        repository="https://github.com/NVIDIA/Isaac-GR00T",
        revision=commit,
        path="demo_data/robot_sim.PickNPlace",
    )


def test_a_password_is_refused_and_not_shown() -> None:
    with pytest.raises(DatasetError) as caught:
        named_source("https://anna:s3cret@host/x.git", revision="0" * 40)
    assert "s3cret" not in str(caught.value) and "credential helper" in str(caught.value)


@pytest.mark.parametrize("text", ["nowhere", "/not/there", "../not/there", "a/b/c", "x y"])
def test_what_is_nothing_says_what_can_be_given(text: str) -> None:
    with pytest.raises(DatasetError, match="there is no folder") as caught:
        named_source(text)
    assert "owner/name" in str(caught.value)


def test_who_waited_for_a_dataset_that_is_dropped_gets_a_folder_of_its_own(store: Store) -> None:
    waits, held = threading.Event(), list[bool]()

    def second() -> None:
        with exclusive("mine", store, lambda line: waits.set()) as folder:
            (folder / "download").mkdir()
            held.append(is_locked(folder / ".lock"))

    with ThreadPoolExecutor() as pool:
        with exclusive("mine", store, no_log) as folder:
            waiting = pool.submit(second)
            assert waits.wait(60)
            drop_download(folder)
            assert not folder.exists()
        waiting.result()
    assert held == [True]
