import io
from dataclasses import replace
from pathlib import Path

from PIL import Image

from gr00t_assets.datasets.contact_sheet import LIMIT, contact_sheet
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets_tests.datasets.videos import encoded_dataset


def test_a_sheet_has_a_row_for_each_episode_and_stays_small(demo_dataset: Path) -> None:
    dataset = LeRobotDataset.open(demo_dataset)
    sheet = contact_sheet(dataset)
    image = Image.open(io.BytesIO(sheet))
    assert image.format == "PNG" and image.width == 960
    assert 5 * 150 < image.height < 5 * 200
    assert 20_000 < len(sheet) < LIMIT
    fewer = replace(dataset, episodes=dataset.episodes[:2])
    assert Image.open(io.BytesIO(contact_sheet(fewer))).height < 400


def test_a_camera_of_a_few_lines_has_a_row(tmp_path: Path) -> None:
    dataset = encoded_dataset(tmp_path, [3], {"lidar": (8192, 16)})
    assert Image.open(io.BytesIO(contact_sheet(dataset))).height == 4 + 20 + 1 + 4


def test_frames_go_from_the_first_to_the_last(small_dataset: Path) -> None:
    dataset = LeRobotDataset.open(small_dataset)
    image = Image.open(io.BytesIO(contact_sheet(dataset))).convert("RGB")
    first, last = image.crop((4, 24, 159, 179)), image.crop((799, 24, 954, 179))
    assert first.size == last.size
    assert first.tobytes() != last.tobytes()
