"""What the store has in one form, however the source has it: numbers in axes, images in files."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets_tests.datasets.checks.edits import data_file, edit_json
from gr00t_assets_tests.datasets.curated import catalog_entry, write_resting
from gr00t_assets_tests.datasets.lerobot.v3.hand_made import frames_of

DATA = Path(__file__).parents[2] / "data"


def test_numbers_in_several_axes_are_written_in_one(store: Store, tmp_path: Path) -> None:
    v21, source = write_resting(tmp_path / "v21"), tmp_path / "source"
    shutil.copytree(v21, source)
    width = LeRobotDataset.open(v21).features["observation.state"].width

    def nest(info: dict[str, Any]) -> None:
        info["features"]["observation.state"] |= {"shape": [width // 2, 2], "names": None}

    edit_json(source, "info.json", nest)
    rows = LeRobotDataset.open(v21).vector(1, "observation.state")
    for index in range(5):
        path = source / data_file(index)
        table = pq.read_table(path)
        place = table.column_names.index("observation.state")
        nested = np.array(table.column(place).to_pylist()).reshape(table.num_rows, width // 2, 2)
        column = pa.array(nested.tolist(), pa.list_(pa.list_(pa.float64())))
        pq.write_table(table.set_column(place, "observation.state", column), path)
    record = ingest_dataset(catalog_entry(source, tmp_path), store)
    dataset = LeRobotDataset.open(record.directory(store))
    assert dataset.features["observation.state"].shape == (width,)
    column = dataset.read_episode(1, ["observation.state"]).column(0)
    assert pa.types.is_floating(column.type.value_type)
    np.testing.assert_array_equal(dataset.vector(1, "observation.state"), rows)
    assert record.curated is None


def test_images_in_files_go_into_the_rows(store: Store, tmp_path: Path) -> None:
    source = Path(shutil.copytree(DATA / "lerobot-0.6.1-so101-images", tmp_path / "source"))
    original = LeRobotDataset.open(source)
    camera = original.cameras[0]
    (file,) = source.glob("data/*/*.parquet")
    table = pq.read_table(file)
    place = table.column_names.index(camera)
    images = []
    for number, cell in enumerate(table.column(place).to_pylist()):
        path = f"images/frame-{number:06d}.png"
        (source / "images").mkdir(exist_ok=True)
        (source / path).write_bytes(cell["bytes"])
        images.append({"bytes": None, "path": path})
    column = pa.array(images, table.schema.field(camera).type)
    expected = [cell["bytes"] for cell in table.column(place).to_pylist()]
    pq.write_table(table.set_column(place, table.schema.field(camera), column), file)
    record = ingest_dataset(catalog_entry(source, tmp_path), store)
    dataset = LeRobotDataset.open(record.directory(store))
    stored = [
        cell["bytes"]
        for episode in dataset.episodes
        for cell in dataset.read_episode(episode.index, [camera]).column(0).to_pylist()
    ]
    assert stored == expected


@pytest.mark.parametrize("name", ["lerobot-0.6.1-so101", "lerobot-0.6.1-so101-images"])
def test_what_lerobot_wrote_is_trimmed_without_encoding(
    store: Store, tmp_path: Path, name: str
) -> None:
    source = Path(shutil.copytree(DATA / name, tmp_path / "source"))
    original = LeRobotDataset.open(source)
    trim = {"start": 0.5, "end": 0.5, "threshold": 0.2}
    numbers = [episode.index for episode in original.episodes]
    entry = catalog_entry(source, tmp_path, episodes={"exclude": [0]}, trim_idle=trim)
    record = ingest_dataset(entry, store)
    assert not [line for line in record.warnings if "encoded" in line]
    assert record.curated is not None
    assert record.curated.episodes == tuple(numbers[1:])
    dataset = LeRobotDataset.open(record.directory(store))
    whole = LeRobotDataset.open(
        ingest_dataset(catalog_entry(source, tmp_path), store).directory(store)
    )
    assert record.curated.trimmed
    for index, number in enumerate(record.curated.episodes):
        start, end = record.curated.trimmed.get(number, (0, 0))
        first, length = round(start * original.fps), dataset.episode(index).length
        assert length == original.episode(number).length - first - round(end * original.fps)
        for column in ("observation.state", "action"):
            rows = original.vector(number, column)[first : first + length]
            np.testing.assert_array_equal(dataset.vector(index, column), rows)
        for camera in dataset.video_cameras:
            before = frames_of(whole.video_path(number, camera))[first : first + length]
            after = frames_of(dataset.video_path(index, camera))
            assert [image for _, image in after] == [image for _, image in before]
