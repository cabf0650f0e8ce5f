"""Images in the rows, good and spoilt; see ``data/cases/image-feature``."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gr00t_assets.datasets.fit.dataset_check import check_dataset
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets_tests.datasets.checks.edits import data_file, edit_json
from gr00t_assets_tests.datasets.checks.test_cases import CASES, FRONT


def test_images_in_the_rows_are_a_camera() -> None:
    folder = CASES / "image-feature" / "v21"
    findings = check_dataset(folder)
    assert findings.ok
    assert LeRobotDataset.open(folder).cameras == (FRONT,)


def image_rows(folder: Path, change: Callable[[list], None]) -> None:
    path = folder / data_file(1)
    table = pq.read_table(path)
    images = table.column(FRONT).to_pylist()
    change(images)
    values = pa.array(images, table.schema.field(FRONT).type)
    pq.write_table(table.set_column(table.column_names.index(FRONT), FRONT, values), path)


def declared(folder: Path, **fields: object) -> None:
    edit_json(folder, "info.json", lambda info: info["features"][FRONT].update(fields))


def test_images_that_are_declared_as_videos_are_named_and_the_remedy_works(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(CASES / "image-feature" / "v21", tmp_path / "v21"))
    declared(folder, dtype="video")
    (finding,) = check_dataset(folder).errors
    assert finding.found == f"images of camera {FRONT} are in the rows"
    assert finding.remedy == "set its dtype to image"
    declared(folder, dtype="image")
    assert check_dataset(folder).ok


def test_images_in_files_that_the_rows_name_are_looked_at(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(CASES / "image-feature" / "v21", tmp_path / "v21"))
    image = pq.read_table(folder / data_file(1)).column(FRONT)[3].as_py()["bytes"]
    file = folder / "images" / "three.png"
    file.parent.mkdir()
    file.write_bytes(image)
    image_rows(folder, lambda rows: rows[3].update(bytes=None, path="images/three.png"))
    assert check_dataset(folder).ok
    file.write_bytes(image[:90])
    assert [item.code for item in check_dataset(folder).errors] == ["image-unreadable"]


SCAN = """
import sys
from pathlib import Path
from gr00t_assets.datasets.checks.scan import scan_dataset
for folder in sys.argv[1:]:
    print([item.code for item in scan_dataset(Path(folder)).findings if item.severity == "error"])
"""


def test_a_pipe_in_place_of_a_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    """In a process of its own: who opens a pipe waits for the one that writes."""
    rows = Path(shutil.copytree(CASES / "image-feature" / "v21", tmp_path / "rows"))
    declared(rows, dtype="video")
    edit_json(rows, "info.json", lambda info: info.update(video_path="{episode_index}.mp4"))
    episodes = Path(shutil.copytree(CASES / "u2028-in-task" / "v30", tmp_path / "episodes"))
    for file in (rows / data_file(0), next((episodes / "meta" / "episodes").rglob("*.parquet"))):
        file.unlink()
        os.mkfifo(file)
    command = [sys.executable, "-c", SCAN, str(rows), str(episodes)]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert shown.splitlines() == ["['camera-in-rows', 'not-a-file']", "['not-a-file']"]


IMAGE_FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no image": (
        lambda folder: image_rows(folder, lambda rows: rows[3].update(bytes=None)),
        "image-missing",
    ),
    "not an image": (
        lambda folder: image_rows(folder, lambda rows: rows[3].update(bytes=b"png")),
        "image-unreadable",
    ),
    "half an image": (
        lambda folder: image_rows(folder, lambda rows: rows[3].update(bytes=rows[3]["bytes"][:90])),
        "image-unreadable",
    ),
    "numbers in place of images": (
        lambda folder: pq.write_table(
            (table := pq.read_table(folder / data_file(1))).set_column(
                table.column_names.index(FRONT), FRONT, table.column("index")
            ),
            folder / data_file(1),
        ),
        "image-column",
    ),
    "an empty cell in a column without paths": (
        lambda folder: pq.write_table(
            (table := pq.read_table(folder / data_file(1))).set_column(
                table.column_names.index(FRONT),
                FRONT,
                pa.array([None, *(cell["bytes"].as_py() for cell in table.column(FRONT)[1:])]),
            ),
            folder / data_file(1),
        ),
        "image-missing",
    ),
    "the column is not there": (
        lambda folder: pq.write_table(
            pq.read_table(folder / data_file(1)).drop_columns(FRONT), folder / data_file(1)
        ),
        "column-missing",
    ),
}


@pytest.mark.parametrize("fault", IMAGE_FAULTS)
def test_a_fault_of_images_is_named_with_its_file(fault: str, tmp_path: Path) -> None:
    good = CASES / "image-feature" / "v21"
    folder = Path(shutil.copytree(good, tmp_path / "v21"))
    make, code = IMAGE_FAULTS[fault]
    make(folder)
    assert {(item.code, item.subject) for item in check_dataset(folder).errors} == {
        (code, data_file(1))
    }
    shutil.copyfile(good / data_file(1), folder / data_file(1))
    assert check_dataset(folder).ok


def test_images_of_another_size_are_named_and_the_remedy_works(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(CASES / "image-feature" / "v21", tmp_path / "v21"))
    declared(folder, shape=[48, 64, 3])
    errors = check_dataset(folder).errors
    assert {item.code for item in errors} == {"image-size"}
    assert "is 64 x 64 (height x width)" in errors[0].found
    assert errors[0].remedy == "correct the shape in meta/info.json"
    declared(folder, shape=[64, 64, 3])
    assert check_dataset(folder).ok
