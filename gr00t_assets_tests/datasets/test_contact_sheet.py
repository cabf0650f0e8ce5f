import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gr00t_assets.datasets.contact_sheet import MAX_BYTES, contact_sheet
from gr00t_assets.datasets.frames import decode
from gr00t_assets.datasets.lerobot import LeRobotDataset
from gr00t_assets.datasets.synthetic import generate
from gr00t_assets.datasets.synthetic_spec import SyntheticSpec
from gr00t_assets.errors import DatasetError


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> LeRobotDataset:
    directory = tmp_path_factory.mktemp("sheet")
    spec = SyntheticSpec(
        robot="so101", episodes=2, min_frames=40, max_frames=40, width=160, height=120
    )
    generate(spec, directory)
    return LeRobotDataset.open(directory)


def _read(sheet: bytes) -> Image.Image:
    assert len(sheet) < MAX_BYTES
    image = Image.open(io.BytesIO(sheet))
    assert image.format == "PNG"
    return image.convert("RGB")


def test_a_row_for_each_camera_of_each_episode(dataset: LeRobotDataset) -> None:
    four, two = _read(contact_sheet(dataset)), _read(contact_sheet(dataset, max_episodes=1))
    assert four.width == 900
    assert four.height == 2 * two.height


def test_tiles_are_the_first_and_the_last_frame(dataset: LeRobotDataset) -> None:
    sheet = np.asarray(_read(contact_sheet(dataset, columns=3, max_episodes=1))).astype(int)
    frames = [np.asarray(frame) for _, frame in decode(dataset.video_path(0, dataset.cameras[0]))]
    tile, height = (900 - 4 * 4) // 3, round((900 - 4 * 4) // 3 * 120 / 160)
    for left, frame in ((4, frames[0]), (4 + 2 * (tile + 4), frames[-1])):
        wanted = np.asarray(Image.fromarray(frame).resize((tile, height))).astype(int)
        shown = sheet[20 : 20 + height, left : left + tile]
        assert np.abs(shown - wanted).mean() < 6
        assert np.abs(shown - wanted).mean() < np.abs(shown - np.roll(wanted, 40, 1)).mean() / 2


def test_caption_is_written_above_a_row(dataset: LeRobotDataset) -> None:
    sheet = np.asarray(_read(contact_sheet(dataset, max_episodes=1)))
    assert sheet[:20].min() < 90 and sheet[:20, 700:].min() > 250


def test_demo_dataset_fits_the_limit(demo_dataset: Path) -> None:
    sheet = _read(contact_sheet(LeRobotDataset.open(demo_dataset), max_episodes=2))
    assert sheet.width >= 700


def test_truncated_video_is_named(dataset: LeRobotDataset, tmp_path: Path) -> None:
    shutil.copytree(dataset.directory, tmp_path / "cut")
    cut = LeRobotDataset.open(tmp_path / "cut")
    path = cut.video_path(1, cut.cameras[0])
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DatasetError, match=r"episode_000001\.mp4"):
        contact_sheet(cut)
