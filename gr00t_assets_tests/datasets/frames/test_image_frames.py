"""Images in the rows, cached like the frames of a video."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.contact_sheet import contact_sheet
from gr00t_assets.datasets.fit.dataset_check import check_dataset
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.frames.frame_check import check_frames
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.recorded_frames import ImageDecoder
from gr00t_assets.datasets.videos import VideoError
from gr00t_assets.modality.images import resized

DATA = Path(__file__).parents[2] / "data"
CASE = DATA / "cases" / "image-feature" / "v21"
SHARED = DATA / "lerobot-0.6.1-so101-images"
FRONT = "observation.images.front"
BACKENDS = ("torchvision_av", "decord", "torchcodec")


@pytest.fixture
def case(tmp_path: Path) -> LeRobotDataset:
    return LeRobotDataset.open(Path(shutil.copytree(CASE, tmp_path / "case")))


def stored_frames(dataset: LeRobotDataset, episode: int) -> list[np.ndarray]:
    """What the rows hold, read by Pillow alone."""
    images = dataset.read_episode(episode, [FRONT]).column(FRONT).to_pylist()
    return [np.array(Image.open(io.BytesIO(image["bytes"])).convert("RGB")) for image in images]


def change_images(dataset: LeRobotDataset, episode: int, change: Callable[[list], object]) -> None:
    path = dataset.parquet_path(episode)
    table = pq.read_table(path)
    images = table.column(FRONT).to_pylist()
    change(images)
    values = pa.array(images, table.schema.field(FRONT).type)
    pq.write_table(table.set_column(table.column_names.index(FRONT), FRONT, values), path)


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    output = io.BytesIO()
    image.save(output, form)
    return output.getvalue()


@pytest.mark.parametrize("folder", [CASE, SHARED])
def test_every_frame_is_the_image_of_its_row(folder: Path, tmp_path: Path) -> None:
    dataset = LeRobotDataset.open(folder)
    info = build_frame_cache(dataset, dataset.cameras, tmp_path / "version")
    assert info.decoded == len(dataset.episodes) * len(dataset.cameras)
    cache = FrameCache.open(tmp_path / "version")
    for episode in dataset.episodes:
        times = dataset.timestamps(episode.index)
        frames = cache.frames(FRONT, cache.rows(episode.index, FRONT, times))
        np.testing.assert_array_equal(frames, stored_frames(dataset, episode.index))
    assert check_frames(dataset, cache, dataset.cameras, all_rows=True).verified
    sheet = Image.open(io.BytesIO(contact_sheet(dataset)))
    assert len(np.unique(np.asarray(sheet.convert("L")))) > 8


def test_resized_frames_are_the_images_resized(case: LeRobotDataset, tmp_path: Path) -> None:
    build_frame_cache(case, [FRONT], tmp_path / "version", size=(24, 18))
    cache = FrameCache.open(tmp_path / "version", (24, 18))
    expected = resized(stored_frames(case, 1)[3], (24, 18))
    frame = cache.frame(1, FRONT, case.timestamps(1)[3])
    np.testing.assert_array_equal(frame, expected)


def test_images_of_the_same_content_are_copied(case: LeRobotDataset, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    build_frame_cache(case, [FRONT], old)
    change_images(case, 1, lambda rows: rows[3].update(bytes=rows[4]["bytes"]))
    info = build_frame_cache(case, [FRONT], new, previous=[old])
    assert (info.decoded, info.reused) == (1, len(case.episodes) - 1)
    frames = stored_frames(case, 1)
    cache = FrameCache.open(new)
    np.testing.assert_array_equal(cache.frame(1, FRONT, case.timestamps(1)[3]), frames[4])


def test_a_file_beside_the_rows_is_read_inside_the_dataset_only(
    case: LeRobotDataset, tmp_path: Path
) -> None:
    content = case.read_episode(0, [FRONT]).column(FRONT)[2]["bytes"].as_py()
    (case.directory / "images").mkdir()
    (case.directory / "images" / "frame.png").write_bytes(content)
    (tmp_path / "outside.png").write_bytes(content)
    change_images(case, 0, lambda rows: rows[2].update(bytes=None, path="images/frame.png"))
    assert list(case.images(0, FRONT))[2] == content
    assert check_dataset(case.directory).ok
    change_images(case, 0, lambda rows: rows[2].update(bytes=None, path="../outside.png"))
    assert list(case.images(0, FRONT))[2] is None
    assert [item.code for item in check_dataset(case.directory).errors] == ["image-missing"]
    with pytest.raises(DatasetError) as caught:
        build_frame_cache(case, [FRONT], tmp_path / "version")
    assert f"{FRONT} at row 2 has no image" in str(caught.value)
    assert not any((tmp_path / "version").glob("*"))


def test_modes_are_shown_as_rgb_and_depth_is_refused() -> None:
    random = np.random.default_rng(0)
    rgb = Image.fromarray(random.integers(0, 255, (18, 24, 3), np.uint8))
    decoder = ImageDecoder()
    for image in (rgb, rgb.convert("L"), rgb.convert("P"), rgb.convert("RGBA"), rgb):
        expected = np.asarray(image.convert("RGB"))
        np.testing.assert_array_equal(decoder.decode(encoded(image)), expected)
    jpeg = encoded(rgb, "JPEG")
    expected = np.asarray(Image.open(io.BytesIO(jpeg)))
    np.testing.assert_array_equal(decoder.decode(jpeg), expected)
    deep = Image.fromarray(random.integers(0, 60_000, (18, 24)).astype(np.uint16))
    with pytest.raises(VideoError, match="8 bits of grey"):
        decoder.decode(encoded(deep))
    for content in (encoded(rgb)[:300], jpeg[:200], b"png"):
        with pytest.raises(VideoError, match="is no whole PNG"):
            decoder.decode(content)


def test_deep_grey_is_a_depth_camera_and_the_remedy_works(case: LeRobotDataset) -> None:
    deep = encoded(Image.fromarray(np.full((64, 64), 60_000, np.uint16)))
    for episode in case.episodes:
        change_images(case, episode.index, lambda rows: [row.update(bytes=deep) for row in rows])
    errors = check_dataset(case.directory).errors
    assert {item.code for item in errors} == {"image-depth"}
    assert errors[0].remedy.endswith(f'"info": {{"is_depth_map": true}} in {FRONT}')
    path = case.directory / "meta/info.json"
    info = json.loads(path.read_text())
    info["features"][FRONT]["info"] = {"is_depth_map": True}
    path.write_text(json.dumps(info))
    codes = {item.code for item in check_dataset(case.directory)}
    assert "image-depth" not in codes and "feature-left-out" in codes


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_video_backend_is_needed(case: LeRobotDataset, backend: str) -> None:
    result = check_frames(case, None, case.cameras, backend)
    assert result.verified and result.rows
    assert result.sentence().startswith(f"each image of {FRONT} is in its own row")
    change_images(case, 0, lambda rows: [row.update(bytes=b"png") for row in rows])
    result = check_frames(case, None, case.cameras, backend)
    assert result.verdict == "unreadable"
    assert result.remedy == "write the episode again from the recording"


def test_videos_of_a_shared_file_are_looked_at_in_place() -> None:
    dataset = LeRobotDataset.open(DATA / "lerobot-0.6.1-so101")
    result = check_frames(
        dataset,
        None,
        dataset.cameras,
        "torchvision_av",
        all_rows=True,
        isaac_commit="a86e9159a7e6acf771479007a79d4aeaa408c4c0",
    )
    assert result.rows == dataset.frame_count * len(dataset.cameras)
    assert result.verdict in ("exact", "shifted")


def test_timestamps_that_stand_still_are_refused(case: LeRobotDataset, tmp_path: Path) -> None:
    path = case.parquet_path(0)
    table = pq.read_table(path)
    place = table.column_names.index("timestamp")
    still = pa.array(np.zeros(len(table), np.float32))
    pq.write_table(table.set_column(place, "timestamp", still), path)
    with pytest.raises(DatasetError, match="cannot be cached") as caught:
        build_frame_cache(case, [FRONT], tmp_path / "version")
    assert "timestamps do not increase" in str(caught.value)
