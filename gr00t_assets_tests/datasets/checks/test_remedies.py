"""Each remedy is followed to the letter, and the finding is gone."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from gr00t_assets.core.finding import Finding, Findings
from gr00t_assets.datasets.fit.dataset_check import check_dataset
from gr00t_assets.modality.data_config import data_configs
from gr00t_assets_tests.datasets.checks.config_faults import (
    HAND,
    MINE,
    ROTATION,
    edit_mine,
    write_wrist,
)
from gr00t_assets_tests.datasets.checks.edits import (
    CAMERA,
    data_file,
    edit_json,
    edit_lines,
    edit_rows,
    set_column,
    set_values,
    video_file,
    write_video,
)
from gr00t_assets_tests.datasets.checks.meta_faults import (
    appended,
    feature,
    info,
    modality,
    without_episode,
)
from gr00t_assets_tests.datasets.checks.test_faults import FAULTS, Fault, named

_ARMS = data_configs()["fourier_gr1_arms_only"]
ARM_ALONE = _ARMS.model_copy(update={"action": {"right_hand": _ARMS.action["right_hand"]}})
"""Without the number that stands still."""

Follow = Callable[[Path, Path, Finding, re.Match[str]], object]


def _restore(spoilt: Path, good: Path, finding: Finding, _: re.Match[str]) -> None:
    """Put the file or the folder that the finding names back in place."""
    assert finding.subject is not None
    source, target = good / finding.subject, spoilt / finding.subject
    if target.is_dir():
        shutil.rmtree(target)
    if target.parent.is_file():
        target.parent.unlink()
        source, target = source.parent, target.parent
    target.unlink(missing_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def _bring_videos(spoilt: Path, good: Path, finding: Finding, match: re.Match[str]) -> None:
    shutil.copytree(good / "videos", spoilt / "videos", dirs_exist_ok=True)


def _both_files(spoilt: Path, good: Path, finding: Finding, match: re.Match[str]) -> None:
    """The right files, with the lengths that they have."""
    for folder in ("data", "videos", "meta"):
        shutil.copytree(good / folder, spoilt / folder, dirs_exist_ok=True)


def _name_column(spoilt: Path, good: Path, finding: Finding, match: re.Match[str]) -> None:
    kind, key = re.findall(r"(state|action|camera|annotation)(?: key)? '(.*?)'", finding.found)[0]
    section = "video" if kind == "camera" else kind
    right = {"camera": CAMERA, "annotation": "task_index"}.get(kind, f"observation.{kind}")
    assert right in match[0]
    modality(section, key.removeprefix("annotation."), original_key=right)(spoilt)


def _add_task(spoilt: Path, good: Path, finding: Finding, match: re.Match[str]) -> None:
    index = int(re.findall(r"is (\d+)", finding.found)[0])
    line = json.dumps({"task_index": index, "task": "put it down"})
    appended("meta/tasks.jsonl", f"{line}\n")(spoilt)


def _add_text(spoilt: Path, good: Path, finding: Finding, match: re.Match[str]) -> None:
    text = re.findall(r": '(.*)'", finding.found)[0]
    appended("meta/tasks.jsonl", json.dumps({"task_index": 99, "task": text}) + "\n")(spoilt)


def _list_task(spoilt: Path, good: Path, finding: Finding, match: re.Match[str]) -> None:
    task = re.findall(r"'(.*)'", finding.expected)[0]
    edit_lines(spoilt, "episodes.jsonl", lambda all: all[1]["tasks"].append(task))


def _count_from_zero(spoilt: Path, good: Path, finding: Finding, match: re.Match[str]) -> None:
    edit_rows(spoilt, 1, set_column("timestamp", lambda values: values - values[0]))


def _resolve_links(spoilt: Path, good: Path, finding: Finding, match: re.Match[str]) -> None:
    shutil.copytree(spoilt, spoilt.with_name("resolved"))
    shutil.rmtree(spoilt)
    spoilt.with_name("resolved").rename(spoilt)


def _without_camera(spoilt: Path, good: Path, finding: Finding, match: re.Match[str]) -> None:
    name = finding.found.split()[1]
    edit_json(spoilt, "info.json", lambda value: value["features"].pop(name))


def _total(spoilt: Path, good: Path, finding: Finding, match: re.Match[str]) -> None:
    info(**{match[1]: int(re.findall(r"\d+", f"{match[0]} {finding.expected}")[0])})(spoilt)


def _correct_shape(spoilt: Path, good: Path, finding: Finding, match: re.Match[str]) -> None:
    """As the finding says the files are."""
    name = finding.found.split()[0]
    if name == CAMERA:
        height, width = finding.expected.split(" (")[0].split(" x ")
        feature(name, shape=[int(height), int(width), 3])(spoilt)
    else:
        feature(name, shape=[int(finding.found.split()[2])])(spoilt)


def _declare(spoilt: Path, good: Path, finding: Finding, match: re.Match[str]) -> None:
    feature(CAMERA, info={match[1]: finding.expected.split(",")[0]})(spoilt)


def _split(spoilt: Path, good: Path, finding: Finding, match: re.Match[str]) -> None:
    """Episode 1 as itself and as episode 3."""
    table = pq.read_table(spoilt / data_file(1))
    half = len(table) // 2
    for index, part in ((3, table.slice(half)), (1, table.slice(0, half))):
        pq.write_table(part, spoilt / data_file(index))
        edit_rows(spoilt, index, set_values("episode_index", slice(None), index))
        edit_rows(spoilt, index, set_column("frame_index", lambda values: values - values[0]))
        edit_rows(spoilt, index, set_column("timestamp", lambda values: values - values[0]))
        write_video(spoilt / video_file(index), half)
    both = [{"length": half, "episode_index": 1}, {"length": half, "episode_index": 3}]
    edit_lines(
        spoilt, "episodes.jsonl", lambda all: (all.append(all[1] | both[1]), all[1].update(both[0]))
    )
    info(total_episodes=4, total_videos=4)(spoilt)


def _take_out(spoilt: Path, good: Path, finding: Finding, match: re.Match[str]) -> None:
    fields = dict.fromkeys(re.split(", | and ", match[1]))
    if match[2] == MINE:
        edit_mine(spoilt, "action", HAND, **fields)
    else:
        edit_json(spoilt, "modality.json", lambda value: value["action"][HAND].pop(*fields))


def _set_field(spoilt: Path, good: Path, finding: Finding, match: re.Match[str]) -> None:
    edit_mine(spoilt, "action", HAND, **{match[1]: match[2]})


def _set_rotation(spoilt: Path, good: Path, finding: Finding, match: re.Match[str]) -> None:
    """Its 6 numbers are a rotation_6d."""
    if finding.remedy.endswith(MINE):
        edit_mine(spoilt, "action", HAND, rotation_type="rotation_6d")
    else:
        ROTATION(spoilt)


REMEDIES: dict[str, Follow] = {
    r"remove meta/stats\.json": lambda spoilt, *_: (spoilt / "meta/stats.json").unlink(),
    r"write (\w+) as the files are named, such as (.*)": lambda spoilt, _, __, match: info(
        **{match[1]: match[2]}
    )(spoilt),
    r"set (codebase_version) to (.*)": lambda spoilt, _, __, match: info(**{match[1]: match[2]})(
        spoilt
    ),
    r"(?:correct|set) (total_\w+)": _total,
    r"split the dataset": lambda spoilt, *_: without_episode(spoilt, 2),
    r"split the episode": _split,
    r"take (.*) of the key out of (.*)": _take_out,
    r"set (normalization) of the key to (\w+) in": _set_field,
    r"(correct|add) rotation_type": _set_rotation,
    r"encode the videos in one size": lambda spoilt, *_: write_wrist(spoilt, 96),
    r"set its original_key: .*": _name_column,
    r"subtract the first timestamp": _count_from_zero,
    r"sort the lines": lambda spoilt, *_: edit_lines(
        spoilt, "episodes.jsonl", lambda all: all.sort(key=lambda item: item["episode_index"])
    ),
    r"^remove the file; it is not trained on": lambda spoilt, _, finding, __: (
        spoilt / str(finding.subject)
    ).unlink(),
    r"declare it": lambda spoilt, *_: feature("index", dtype="int64", shape=[1])(spoilt),
    r"remove it from the features": lambda spoilt, *_: edit_json(
        spoilt, "info.json", lambda value: value["features"].pop("extra")
    ),
    r"set its dtype to (\w+)": lambda spoilt, _, finding, match: feature(
        finding.found.split()[0], dtype=match[1]
    )(spoilt),
    r"correct its shape$": _correct_shape,
    r"cp -rL": _resolve_links,
    r"add the task to": _add_task,
    r"add it to": _add_text,
    r"list it among": _list_task,
    r"correct its (video\.codec)$": _declare,
    r"take the camera out of meta/info\.json$": _without_camera,
    r"bring its videos$": _bring_videos,
    r"^put the right file in place$": _both_files,
    r"": _restore,
}
"""What is done, by the first pattern that a remedy has."""

CHOICES: dict[str, dict[str, Any]] = {
    "data-config-unknown": {"data_config": "so100_dualcam"},
    "codec-unsupported": {"video_backend": "torchcodec"},
    "constant-action-used": {"data_config": ARM_ALONE},
}
"""Remedies that are another choice, and no change of a file."""


def check(spoilt: Path, fault: Fault, **choice: Any) -> Findings:
    options = {"data_config": fault.config, "video_backend": fault.backend, **choice}
    return check_dataset(spoilt, **options)


@pytest.mark.parametrize("name", FAULTS)
def test_the_remedy_is_followed_and_the_finding_is_gone(
    name: str, good: Path, spoilt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = FAULTS[name]
    fault.make(spoilt)
    for limit, value in fault.limits.items():
        monkeypatch.setattr(limit, value)
    finding = named(fault, list(check(spoilt, fault)))[0]
    if finding.remedy.startswith("nothing"):
        assert finding.severity == "warning"
        return
    choice = CHOICES.get(fault.code, {})
    if match := re.search(r"a data config that fits: (\w+)", finding.remedy):
        choice = {"data_config": match[1]}
    if not choice:
        patterns = (pattern for pattern in REMEDIES if re.search(pattern, finding.remedy))
        pattern = next(patterns)
        match = re.search(pattern, finding.remedy)
        assert match is not None
        REMEDIES[pattern](spoilt, good, finding, match)
    after = check(spoilt, fault, **choice)
    assert not named(fault, list(after)), (finding.remedy, [item.text for item in after])


@pytest.mark.parametrize(
    ("wrong", "right", "code", "remedy"),
    [
        (
            {"embodiment_tag": "gr2"},
            {"embodiment_tag": "new_embodiment"},
            "embodiment-tag-unknown",
            "takes new_embodiment",
        ),
        (
            {"video_backend": "torchcodek"},
            {"video_backend": "torchcodec"},
            "video-backend-unknown",
            "did you mean 'torchcodec'?",
        ),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_one_that_does(
    wrong: dict[str, Any], right: dict[str, Any], code: str, remedy: str, good: Path
) -> None:
    (finding,) = check_dataset(good, **wrong).errors
    assert finding.code == code and finding.remedy.endswith(remedy)
    assert not check_dataset(good, **right).errors
