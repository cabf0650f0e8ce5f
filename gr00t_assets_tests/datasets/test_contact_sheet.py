import io
from pathlib import Path

from PIL import Image

from gr00t_assets.datasets.contact_sheet import LIMIT, contact_sheet
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset


def test_a_sheet_has_a_row_for_each_episode_and_stays_small(demo_dataset: Path) -> None:
    dataset = LeRobotDataset.open(demo_dataset)
    sheet = contact_sheet(dataset)
    image = Image.open(io.BytesIO(sheet))
    assert image.format == "PNG" and image.width == 960
    assert 5 * 150 < image.height < 5 * 200
    assert 20_000 < len(sheet) < LIMIT
    assert Image.open(io.BytesIO(contact_sheet(dataset, max_episodes=2))).height < 400


def test_frames_go_from_the_first_to_the_last(small_dataset: Path) -> None:
    dataset = LeRobotDataset.open(small_dataset)
    sheet = contact_sheet(dataset, columns=2, max_episodes=1, width=208)
    image = Image.open(io.BytesIO(sheet)).convert("RGB")
    first, last = image.crop((4, 24, 102, 122)), image.crop((106, 24, 204, 122))
    assert first.size == last.size
    assert first.tobytes() != last.tobytes()
