"""Names and hashes that somebody wrote by hand never lead out of the store."""

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gr00t_assets.core.errors import (
    CatalogError,
    DatasetError,
    Gr00tAssetsError,
    StoreError,
    SweepError,
)
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets.experiments.sweeps import load_sweep
from gr00t_assets.runs.retention.removal import remove
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import TrainingSpec, load_spec
from gr00t_assets_tests.defs.specs import a_spec
from gr00t_assets_tests.runs.retention.factory import tree
from gr00t_assets_tests.trainers.conftest import ENTRY

ROOT = Path("/srv/store")
parts = st.sampled_from(["..", ".", "/", "~", "\\", "\0", "\n", "a", "B-1", "", "etc", "runs", "é"])
names = st.one_of(
    st.text(max_size=140),
    st.lists(parts, max_size=6).map("".join),
    st.lists(parts, max_size=6).map("/".join),
)


def inside(path: Path) -> bool:
    """Below the root, whatever the file system makes of its dots."""
    plain = Path(os.path.normpath(path))
    return plain == path and plain != ROOT and plain.is_relative_to(ROOT)


@settings(max_examples=400, deadline=None)
@given(first=names, second=names)
def test_every_path_of_a_store_is_inside_or_refused(first: str, second: str) -> None:
    store = Store(ROOT)
    for derive in (
        lambda: store.run_directory(first, second),
        lambda: store.dataset_directory(first, second),
        lambda: store.dataset_record(first),
        lambda: store.frame_cache(first, second),
        lambda: store.frame_check(first, second),
        lambda: store.modality_config(first),
    ):
        try:
            path = derive()
        except StoreError as refused:
            assert "no place inside the store" in str(refused)
        else:
            assert inside(path), path


FIELDS = (
    ("experiment", "name"),
    ("experiment", "dataset"),
    ("experiment", "sweep"),
    ("experiment", "continue_from"),
    ("modality_config", "dataset"),
    ("modality_config", "dataset_version"),
    ("config_hash",),
)


@settings(max_examples=300, deadline=None)
@given(field=st.sampled_from(FIELDS), value=names)
def test_a_spec_edited_by_hand_derives_no_path_outside(field: tuple[str, ...], value: str) -> None:
    content = json.loads(a_spec(ROOT).model_dump_json())
    inner = content
    for part in field[:-1]:
        inner = inner[part]
    inner[field[-1]] = value
    try:
        spec = TrainingSpec.model_validate(content)
    except ValueError:
        return
    places = [lambda: spec.run_directory]
    for dataset in spec.datasets:
        places += [
            lambda dataset=dataset: dataset.directory,
            lambda dataset=dataset: dataset.frame_cache,
            lambda dataset=dataset: dataset.frame_check,
        ]
    for place in places:
        try:
            path = place()
        except Gr00tAssetsError:
            continue
        assert inside(path), path


@pytest.mark.parametrize("name", ["../../outside", "/outside", "..", "a/b"])
def test_a_spec_with_such_a_name_is_not_placed(tmp_path: Path, name: str) -> None:
    store = tmp_path / "store"
    content = json.loads(a_spec(store).model_dump_json())
    content["experiment"]["name"] = name
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(content))
    before = tree(tmp_path)
    with pytest.raises(Gr00tAssetsError, match="no place inside the store"):
        place_spec(load_spec(file))
    assert tree(tmp_path) == before


@settings(max_examples=200, deadline=None)
@given(value=names)
def test_catalog_and_sweeps_take_no_name_that_leaves(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    folder = tmp_path_factory.mktemp("files")
    entry = {"description": "d", "source": "synthetic", "data_config": "so100_dualcam"}
    (folder / "datasets.yaml").write_text(json.dumps({value: entry}))
    sweep = {"defaults": {"dataset": "demo"}, "experiments": [{"name": value}]}
    (folder / "sweep.yaml").write_text(json.dumps(sweep))
    try:
        found = list(load_catalog(folder / "datasets.yaml"))
    except CatalogError:
        found = []
    with suppress(SweepError):
        found += [item.name for item in load_sweep(folder / "sweep.yaml", ["demo"]).experiments]
    for name in found:
        assert inside(Store(ROOT).run_directory(name, "0123456789ab"))


@pytest.mark.parametrize("name", ["..", ".", "../x", "a/../../x", "/etc/x", ""])
def test_nothing_outside_is_deleted(tmp_path: Path, name: str) -> None:
    store, outside = tmp_path / "store", tmp_path / "x"
    (store / "a").mkdir(parents=True)
    outside.write_text("kept")
    with pytest.raises(StoreError):
        remove(store, store / name)
    with pytest.raises(StoreError):
        remove(store, store / "a" / ".." / "..", ["x"])
    assert outside.read_text() == "kept"


def test_files_are_not_deleted_through_a_link(tmp_path: Path) -> None:
    store, outside = tmp_path / "store", tmp_path / "outside"
    store.mkdir()
    outside.mkdir()
    for name in ("complete.json", "optimizer.pt"):
        (outside / name).write_text("kept")
    (store / "link").symlink_to(outside)
    before = tree(outside)
    with pytest.raises(StoreError, match="link"):
        remove(store, store / "link")
    with pytest.raises(StoreError, match="link"):
        remove(store, store / "link" / "optimizer.pt")
    with pytest.raises(StoreError, match="link"):
        remove(store, store / "link", ["optimizer.pt"])
    assert tree(outside) == before


TEMPLATES = {
    "data_path": ("../../{episode_index}.parquet", "/etc/{episode_index}", "{0.__class__}/x"),
    "video_path": ("../{episode_index}/{video_key}.mp4", "{video_key.__class__}/{episode_index}"),
}


@pytest.mark.parametrize(
    ("field", "template"), [(field, text) for field, texts in TEMPLATES.items() for text in texts]
)
def test_a_dataset_reads_nothing_outside_its_folder(
    tmp_path: Path, field: str, template: str
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    generate(ENTRY.source, folder)  # pyright: ignore[reportArgumentType]
    info = json.loads((folder / "meta" / "info.json").read_text())
    (folder / "meta" / "info.json").write_text(json.dumps({**info, field: template}))
    with pytest.raises(DatasetError, match=f"meta/info.json: {field} "):
        LeRobotDataset.open(folder)


@pytest.mark.parametrize("camera", ["../../../outside", "/outside", ".hidden", "a/b"])
def test_a_camera_cannot_be_a_path(tmp_path: Path, camera: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    generate(ENTRY.source, folder)  # pyright: ignore[reportArgumentType]
    file = folder / "meta" / "info.json"
    info = json.loads(file.read_text())
    (video,) = (name for name, item in info["features"].items() if item["dtype"] == "video")
    info["features"][camera] = info["features"].pop(video)
    info["video_path"] = info["video_path"].replace("{video_key}", video)
    file.write_text(json.dumps(info))
    before = tree(tmp_path)
    with pytest.raises(DatasetError, match="cannot be the name of a feature"):
        dataset = LeRobotDataset.open(folder)
        build_frame_cache(dataset, [camera], tmp_path / "store" / "demo" / "version")
    assert tree(tmp_path) == before
