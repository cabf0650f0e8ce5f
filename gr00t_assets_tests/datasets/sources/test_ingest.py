import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.datasets.sources.versions import content_hash, load_record
from gr00t_assets.datasets.videos import write_video
from gr00t_assets_tests.datasets.conftest import SMALL, entry_of

SYNTHETIC = {"kind": "synthetic", **SMALL.model_dump()}


def _snapshot(directory: Path) -> dict[str, tuple[int, int]]:
    """Time and size of each file; a lock's file says who holds it."""
    files = (path for path in directory.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in files}


def _left(store: Store) -> list[Path]:
    return [path for path in store.root.rglob("*.*") if path.name != ".lock" and path.is_file()]


def _git(directory: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t")
    command = ["git", "-C", str(directory), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _repository(directory: Path, small_dataset: Path) -> str:
    """A repository with the dataset in demo_data/small and another large folder; its commit."""
    import shutil

    shutil.copytree(small_dataset, directory / "demo_data" / "small")
    (directory / "other").mkdir()
    (directory / "other" / "large.bin").write_bytes(bytes(1000))
    _git(directory, "init", "--quiet")
    _git(directory, "add", ".")
    _git(directory, "commit", "--quiet", "-m", "first")
    first = _git(directory, "rev-parse", "HEAD")
    (directory / "demo_data/small/meta/info.json").unlink()
    _git(directory, "commit", "--quiet", "-am", "second, without info.json")
    return first


def test_synthetic_demonstrations_are_made_once(store: Store) -> None:
    entry = entry_of(SYNTHETIC)
    record = ingest_dataset(entry, store)
    assert load_record("demo", store) == record
    assert record.version == content_hash(record.directory(store))
    assert (record.episodes, record.fps, record.robot_type) == (2, 20.0, "GR1ArmsOnly")
    camera = record.cameras[0]
    assert (camera.width, camera.height, camera.fps, camera.codec) == (96, 96, 20.0, "h264")
    before = _snapshot(store.root)
    assert ingest_dataset(entry, store) == record
    assert _snapshot(store.root) == before
    other = ingest_dataset(entry_of(SYNTHETIC | {"seed": 7}), store)
    assert other.version != record.version
    assert record.directory(store).is_dir()
    assert load_record("demo", store) == other


def test_a_damaged_version_is_replaced(store: Store) -> None:
    entry = entry_of(SYNTHETIC)
    record = ingest_dataset(entry, store)
    lost = next(record.directory(store).rglob("*.mp4"))
    lost.unlink()
    assert ingest_dataset(entry, store) == record
    assert lost.is_file()


def test_a_folder_is_copied_and_never_written(store: Store, spoilt: Path) -> None:
    (spoilt / ".git").mkdir()
    (spoilt / ".git" / "HEAD").write_text("x")
    before = _snapshot(spoilt)
    entry = entry_of({"kind": "folder", "path": str(spoilt)})
    record = ingest_dataset(entry, store)
    assert not (record.directory(store) / ".git").exists()
    copied = _snapshot(record.directory(store))
    assert ingest_dataset(entry, store) == record
    assert _snapshot(record.directory(store)) == copied
    assert _snapshot(spoilt) == before
    tasks = spoilt / "meta" / "tasks.jsonl"
    tasks.write_text(tasks.read_text().replace("pick", "take"))
    changed = ingest_dataset(entry, store)
    assert changed.version != record.version
    assert changed.tasks[0].startswith("take")


def test_the_folder_of_local_datasets_comes_first(
    store: Store, small_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GR00T_ASSETS_DATASETS", str(small_dataset.parent))
    hub = entry_of({"kind": "hub", "repo_id": "owner/small", "modality": "so100_dualcam"})
    record = ingest_dataset(hub, store)
    assert "GR00T_ASSETS_DATASETS/small" in record.source
    assert record.revision is None
    placed = json.loads((record.directory(store) / "meta/modality.json").read_text())
    assert set(placed["video"]) == {"front", "wrist"}
    assert record.version == content_hash(record.directory(store))
    assert record.version != content_hash(small_dataset)
    git = {"kind": "git", "repository": "/nowhere", "revision": "0" * 40, "path": "x/small"}
    assert ingest_dataset(entry_of(git, "other"), store).version == content_hash(small_dataset)


def test_a_bad_dataset_leaves_nothing_in_the_store(store: Store, spoilt: Path) -> None:
    dataset = LeRobotDataset.open(spoilt)
    video = dataset.video_path(0, dataset.cameras[0])
    video.write_bytes(video.read_bytes()[:300])
    wide = (np.zeros((96, 128, 3), np.uint8) for _ in range(5))
    write_video(dataset.video_path(1, dataset.cameras[0]), wide, 20)
    with pytest.raises(DatasetError, match=r"episode_000000\.mp4: "):
        ingest_dataset(entry_of({"kind": "folder", "path": str(spoilt)}), store)
    assert not _left(store)


def test_rows_are_held_against_the_meta_files(store: Store, spoilt: Path) -> None:
    episodes = spoilt / "meta" / "episodes.jsonl"
    first, second = [json.loads(line) for line in episodes.read_text().splitlines()]
    length = first["length"]
    episodes.write_text(json.dumps(first | {"length": length + 5}) + "\n" + json.dumps(second))
    with pytest.raises(DatasetError, match=f"has length {length + 5}; expected {length}, as its"):
        ingest_dataset(entry_of({"kind": "folder", "path": str(spoilt)}), store)


def test_one_folder_of_one_commit_comes_from_git(
    store: Store, small_dataset: Path, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    commit = _repository(repository, small_dataset)
    source = {"kind": "git", "repository": f"file://{repository}", "path": "demo_data/small"}
    record = ingest_dataset(entry_of(source | {"revision": commit}), store)
    assert record.version == content_hash(small_dataset)
    assert record.revision == commit
    repository.rename(tmp_path / "gone")
    assert ingest_dataset(entry_of(source | {"revision": commit}), store) == record


def test_git_says_what_is_wrong(store: Store, small_dataset: Path, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    commit = _repository(repository, small_dataset)
    source = {"kind": "git", "repository": f"file://{repository}", "revision": commit}
    with pytest.raises(DatasetError, match="has no folder demo_data/wrong"):
        ingest_dataset(entry_of(source | {"path": "demo_data/wrong"}), store)
    missing = source | {"path": "demo_data/small", "revision": "0" * 40}
    with pytest.raises(DatasetError, match="git fetch failed") as caught:
        ingest_dataset(entry_of(missing), store)
    assert "GR00T_ASSETS_DATASETS" in str(caught.value)
    secret = source | {"path": "x", "repository": "https://me:s3cret@localhost:1/x"}
    with pytest.raises(DatasetError) as caught:
        ingest_dataset(entry_of(secret), store)
    assert "s3cret" not in str(caught.value)
    assert not _left(store)


def test_a_folder_of_a_repository_may_have_brackets(
    store: Store, small_dataset: Path, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    _repository(repository, small_dataset)
    _git(repository, "reset", "--quiet", "--hard", "HEAD^")
    _git(repository, "mv", "demo_data/small", "demo_data/[red] small")
    _git(repository, "commit", "--quiet", "-m", "renamed")
    source = {
        "kind": "git",
        "repository": f"file://{repository}",
        "revision": _git(repository, "rev-parse", "HEAD"),
        "path": "demo_data/[red] small",
    }
    record = ingest_dataset(entry_of(source), store)
    assert record.version == content_hash(small_dataset)


def test_git_without_lfs_is_explained(
    store: Store, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repository"
    _repository(repository, small_dataset)
    video = next((repository / "demo_data/small").rglob("*.mp4"))
    video.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")
    _git(repository, "commit", "--quiet", "-am", "a pointer")
    source = {
        "kind": "git",
        "repository": f"file://{repository}",
        "revision": _git(repository, "rev-parse", "HEAD"),
        "path": "demo_data/small",
    }
    only_git = tmp_path / "bin"
    only_git.mkdir()
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True)
    (only_git / "git").symlink_to(real.stdout.strip())
    monkeypatch.setenv("PATH", str(only_git))
    with pytest.raises(DatasetError, match="git-lfs is not installed"):
        ingest_dataset(entry_of(source), store)


def test_a_link_in_a_repository_cannot_bring_in_a_file_from_outside(
    store: Store, small_dataset: Path, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    _repository(repository, small_dataset)
    (repository / "demo_data/small/meta/passwords.json").symlink_to("/etc/passwd")
    _git(repository, "add", ".")
    _git(repository, "commit", "--quiet", "-m", "a link")
    source = {
        "kind": "git",
        "repository": f"file://{repository}",
        "revision": _git(repository, "rev-parse", "HEAD"),
        "path": "demo_data/small",
    }
    with pytest.raises(DatasetError, match="leaves the dataset, to /etc/passwd"):
        ingest_dataset(entry_of(source), store)


def test_the_password_of_a_repository_is_in_no_file(
    store: Store, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``insteadOf`` stands in for a server that takes the password."""
    repository = tmp_path / "repository"
    commit = _repository(repository, small_dataset)
    address = "https://me:s3cret@example.invalid/x"
    config = tmp_path / "gitconfig"
    config.write_text(f'[url "file://{repository}"]\n\tinsteadOf = https://example.invalid/x\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    source = {"kind": "git", "repository": address, "revision": commit, "path": "other"}
    with pytest.raises(DatasetError):
        ingest_dataset(entry_of(source), store)
    record = ingest_dataset(entry_of(source | {"path": "demo_data/small"}), store)
    assert record.version == content_hash(small_dataset)
    assert "example.invalid/x" in record.source
    for path in store.root.rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes()
