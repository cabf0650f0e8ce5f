"""Symbolic links in a folder."""

import os
import shutil
from pathlib import Path

import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets_tests.datasets.conftest import entry_of


def test_links_that_leave_the_folder_are_refused_by_name(
    store: Store, spoilt: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.json"
    shutil.move(spoilt / "meta" / "info.json", secret)
    (spoilt / "meta" / "info.json").symlink_to(secret)
    shutil.move(spoilt / "videos", tmp_path / "elsewhere")
    (spoilt / "videos").symlink_to(os.path.relpath(tmp_path / "elsewhere", spoilt))
    (spoilt / "meta" / "gone.json").symlink_to("nothing.json")
    (spoilt / "data" / "again").symlink_to("chunk-000")
    with pytest.raises(DatasetError, match=r"4 symbolic link\(s\)") as caught:
        ingest_dataset(entry_of({"kind": "folder", "path": str(spoilt)}), store)
    assert caught.value.details[:4] == (
        "data/again: stands for the folder chunk-000",
        "meta/gone.json: points at nothing, nothing.json",
        f"meta/info.json: leaves the dataset, to {secret}",
        "videos: leaves the dataset, to ../elsewhere",
    )
    assert "cp -rL" in caught.value.details[-1]
    assert [path.name for path in (store.root / "datasets/demo").iterdir()] == [".lock"]


def test_links_inside_the_folder_become_files(store: Store, spoilt: Path, tmp_path: Path) -> None:
    (spoilt / "meta" / "real.json").write_bytes((spoilt / "meta" / "info.json").read_bytes())
    (spoilt / "meta" / "info.json").unlink()
    (spoilt / "meta" / "info.json").symlink_to("real.json")
    (spoilt / ".git").symlink_to(tmp_path)
    around = tmp_path / "around"
    around.symlink_to(spoilt)
    record = ingest_dataset(entry_of({"kind": "folder", "path": str(around)}), store)
    copied = record.directory(store) / "meta" / "info.json"
    assert copied.is_file() and not copied.is_symlink()
