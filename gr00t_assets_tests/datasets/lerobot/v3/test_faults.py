import re
import shutil
from pathlib import Path

import pyarrow.compute as pc
import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.fit.dataset_check import check_dataset
from gr00t_assets.datasets.lerobot.v3.convert import convert_to_v21
from gr00t_assets_tests.datasets.lerobot.v3.faults import (
    FAULTS,
    FRONT_0,
    content,
    frames_damaged,
    rows,
)

CONVERTED = (
    "rows in another order",
    "rows of an unknown episode",
    "columns that differ",
    "range of rows that is not the length",
)
"""Faults that the converter does not look at: they are found before it is asked."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_where_it_lies(spoilt: Path, fault: str) -> None:
    spoil, expected = FAULTS[fault]
    spoil(spoilt)
    texts = [f"{item.subject}: {item.text}" for item in check_dataset(spoilt)]
    assert any(expected in text for text in texts), texts


@pytest.mark.parametrize("fault", FAULTS)
def test_the_remedy_is_followed_and_the_finding_is_gone(
    good: Path, spoilt: Path, fault: str
) -> None:
    """The file that is named is put back, and meta/episodes where the remedy says so; or rows are
    removed.
    """
    spoil, expected = FAULTS[fault]
    spoil(spoilt)
    finding = next(f for f in check_dataset(spoilt) if expected in f"{f.subject}: {f.text}")
    if finding.remedy.startswith("nothing"):
        assert finding.severity == "warning"
        return
    if finding.remedy.startswith("remove the rows of the episode from the file"):
        index = int(re.findall(r"of episode (\d+)", finding.found)[0])
        others = pc.field("episode_index") != index
        rows(str(finding.subject), lambda table: table.filter(others))(spoilt)
        assert not [item for item in check_dataset(spoilt) if item.code == finding.code]
        return
    also = ["meta/episodes"] if "meta/episodes" in finding.remedy else []
    for name in (str(finding.subject), *also):
        if (good / name).is_dir():
            shutil.copytree(good / name, spoilt / name, dirs_exist_ok=True)
        else:
            shutil.copyfile(good / name, spoilt / name)
    texts = [f"{item.subject}: {item.text}" for item in check_dataset(spoilt)]
    assert not any(expected in text for text in texts), (finding.remedy, texts)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in CONVERTED])
def test_what_has_a_fault_is_not_converted_and_nothing_is_written(spoilt: Path, fault: str) -> None:
    FAULTS[fault][0](spoilt)
    with pytest.raises(DatasetError) as caught:
        convert_to_v21(spoilt, spoilt.parent / "out")
    assert str(spoilt) not in str(caught.value)
    assert sorted(path.name for path in spoilt.parent.iterdir()) == ["spoilt"]


def test_frames_that_cannot_be_decoded_are_not_converted(spoilt: Path) -> None:
    content(FRONT_0, frames_damaged)(spoilt)
    with pytest.raises(DatasetError, match=f"{FRONT_0}: "):
        convert_to_v21(spoilt, spoilt.parent / "out")
    assert sorted(path.name for path in spoilt.parent.iterdir()) == ["spoilt"]


def test_two_faults_are_named_at_once(spoilt: Path) -> None:
    for fault in ("rows missing", "begins after the end of the video"):
        FAULTS[fault][0](spoilt)
    texts = "\n".join(f"{item.subject}: {item.text}" for item in check_dataset(spoilt))
    for fault in ("rows missing", "begins after the end of the video"):
        assert FAULTS[fault][1] in texts
