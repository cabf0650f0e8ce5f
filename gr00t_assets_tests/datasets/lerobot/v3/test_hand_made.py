import hashlib
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.v3.convert import convert_to_v21
from gr00t_assets.datasets.videos import decode
from gr00t_assets_tests.datasets.lerobot.v3.hand_made import (
    FPS,
    FRONT,
    LENGTHS,
    MODALITY,
    TASKS,
    VIDEO_FILES,
    WRIST,
    frames_of,
    gray,
    rows_of,
    write_hand_made,
)
from gr00t_assets_tests.datasets.lerobot.v3.v30 import VIDEO
from gr00t_assets_tests.datasets.videos import codec_of

WRIST_ENCODINGS = {
    "h264 without a key frame at the borders": ("libx264", {"g": "250", "bf": "2"}),
    "h264 with key frames alone": ("libx264", {"g": "1"}),
    "hevc with open groups": ("libx265", {"x265-params": "keyint=7:open-gop=1:log-level=none"}),
    "vp9 with hidden frames": ("libvpx-vp9", {"g": "40", "auto-alt-ref": "1", "cpu-used": "5"}),
    "av1 without a key frame at the borders": ("libsvtav1", {"g": "60", "preset": "10"}),
}


def _digests(directory: Path) -> dict[str, str]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hand_made(tmp_path_factory.mktemp("v30") / "hand_made")


@pytest.fixture(scope="module")
def converted(source: Path) -> tuple[LeRobotDataset, tuple[str, ...]]:
    before = _digests(source)
    target = source.parent / "v21"
    warnings = convert_to_v21(source, target).warnings
    assert _digests(source) == before
    return LeRobotDataset.open(target), warnings


def test_rows_are_equal_with_their_types(converted: tuple[LeRobotDataset, tuple[str, ...]]) -> None:
    dataset, _ = converted
    for episode, length in LENGTHS.items():
        table = pq.read_table(dataset.parquet_path(episode))
        assert table.num_rows == length
        assert table.equals(rows_of(episode), check_metadata=False)
        assert table.schema.equals(rows_of(episode).schema)


def test_meta_is_that_of_v21(converted: tuple[LeRobotDataset, tuple[str, ...]]) -> None:
    dataset, _ = converted
    assert (dataset.codebase_version, dataset.fps, dataset.tasks) == ("v2.1", FPS, TASKS)
    assert [(item.index, item.length) for item in dataset.episodes] == list(LENGTHS.items())
    assert [item.tasks for item in dataset.episodes] == [(TASKS[i % 2],) for i in range(4)]
    assert dataset.cameras == (FRONT, WRIST)
    info = dataset.info.raw
    totals = ("total_episodes", "total_frames", "total_tasks", "total_videos", "total_chunks")
    assert [info[key] for key in totals] == [4, 33, 2, 8, 1]
    assert "video_files_size_in_mb" not in info and "fps" not in info["features"]["action"]
    assert info["features"][FRONT]["info"]["video.codec"] == "av1"
    meta = dataset.directory / "meta"
    assert (meta / "modality.json").read_text() == MODALITY
    assert not (meta / "stats.json").exists()
    lines = [json.loads(line) for line in (meta / "episodes_stats.jsonl").read_text().splitlines()]
    statistics = {line["episode_index"]: line["stats"] for line in lines}
    assert statistics[2] == {
        "action": {"mean": [0.5, 2.0, -1.0], "count": [9]},
        FRONT: {"max": [[[1.0]], [[0.5]], [[0.25]]]},
    }


@pytest.mark.parametrize("camera", [FRONT, WRIST])
def test_frames_are_those_of_the_rows(
    converted: tuple[LeRobotDataset, tuple[str, ...]], camera: str
) -> None:
    """Held against what was drawn, so that nothing of the conversion is trusted."""
    dataset, _ = converted
    for episode, length in LENGTHS.items():
        shown = list(decode(dataset.video_path(episode, camera)))
        assert [round(time * FPS, 6) for time, _ in shown] == list(range(length))
        levels = [float(image[16:, 16:].mean()) for _, image in shown if image is not None]
        assert np.abs(np.array(levels) - [gray(episode, i) for i in range(length)]).max() < 2.5


def test_packets_are_kept_where_they_can_be(
    converted: tuple[LeRobotDataset, tuple[str, ...]],
) -> None:
    dataset, warnings = converted
    assert {codec_of(dataset.video_path(item, FRONT)) for item in LENGTHS} == {"av1"}
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{WRIST}: episodes 0, 2 of 4 cannot be cut out as they are")


@pytest.mark.parametrize("kind", WRIST_ENCODINGS)
def test_every_frame_equals_the_source(tmp_path: Path, kind: str) -> None:
    source = write_hand_made(tmp_path / "v30", WRIST_ENCODINGS[kind])
    convert_to_v21(source, tmp_path / "v21")
    dataset = LeRobotDataset.open(tmp_path / "v21")
    for camera, files in VIDEO_FILES.items():
        for (chunk, file), episodes in files.items():
            name = VIDEO.format(video_key=camera, chunk_index=chunk, file_index=file)
            expected, start = frames_of(source / name), Fraction(0)
            for episode in episodes:
                end = start + Fraction(LENGTHS[episode], FPS)
                wanted = [(time - start, rgb) for time, rgb in expected if start <= time < end]
                assert len(wanted) == LENGTHS[episode]
                assert frames_of(dataset.video_path(episode, camera)) == wanted
                start = end


def test_a_copy_that_shows_other_frames_is_encoded_anew(tmp_path: Path) -> None:
    """Intra refresh marks as key frames what takes four frames more to be whole."""
    options = {"x264-params": "intra-refresh=1:keyint=5:bframes=0:scenecut=0"}
    source = write_hand_made(tmp_path / "v30", ("libx264", options))
    warnings = convert_to_v21(source, tmp_path / "v21").warnings
    assert warnings[0].startswith(f"{WRIST}: episodes 0, 2 of 4 cannot be cut out as they are")
    name = VIDEO.format(video_key=WRIST, chunk_index=0, file_index=0)
    expected = [rgb for _, rgb in frames_of(source / name)]
    cut = tmp_path / "v21" / "videos" / "chunk-000" / WRIST / "episode_000000.mp4"
    assert [rgb for _, rgb in frames_of(cut)] == expected[5:12]


def test_the_same_source_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        convert_to_v21(source, tmp_path / name)
        found.append({k.replace(f"/{name}/", "/"): v for k, v in _digests(tmp_path / name).items()})
    assert found[0] == found[1]


def test_the_source_is_only_read(source: Path, tmp_path: Path) -> None:
    before = _digests(source)
    convert_to_v21(source, tmp_path / "v21")
    assert _digests(source) == before
    assert [path.name for path in tmp_path.iterdir()] == ["v21"]


def test_a_dataset_without_modality_stays_without(tmp_path: Path) -> None:
    convert_to_v21(write_hand_made(tmp_path / "v30", modality=False), tmp_path / "v21")
    assert LeRobotDataset.open(tmp_path / "v21").modality is None
