"""Each fault made out of a good dataset is named, with its file and its remedy, and no other."""

from pathlib import Path

import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.finding import Finding
from gr00t_assets.datasets.fit.dataset_check import check_dataset
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets_tests.datasets.checks.config_faults import CONFIG_FAULTS
from gr00t_assets_tests.datasets.checks.file_faults import FILE_FAULTS
from gr00t_assets_tests.datasets.checks.meta_faults import META_FAULTS, Fault
from gr00t_assets_tests.datasets.checks.modality_faults import MODALITY_FAULTS
from gr00t_assets_tests.datasets.checks.video_faults import VIDEO_FAULTS

FAULTS = META_FAULTS | MODALITY_FAULTS | FILE_FAULTS | VIDEO_FAULTS | CONFIG_FAULTS


def named(fault: Fault, findings: list[Finding]) -> list[Finding]:
    return [
        item
        for item in findings
        if (item.code, item.subject, item.severity) == (fault.code, fault.file, fault.severity)
        and fault.remedy in item.remedy
    ]


def content(directory: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.stat().st_size < 2**20
    }


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_with_its_file_and_remedy_and_no_other(
    name: str, spoilt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = FAULTS[name]
    fault.make(spoilt)
    for limit, value in fault.limits.items():
        monkeypatch.setattr(limit, value)
    before = content(spoilt)
    findings = check_dataset(spoilt, fault.config, video_backend=fault.backend)
    assert named(fault, list(findings)), [*findings]
    others = {item.code for item in findings.errors} - {fault.code, *fault.also}
    assert others == set(), [*findings.errors]
    assert findings.ok == (fault.severity == "warning")
    assert content(spoilt) == before


READ = {
    "meta-missing", "not-json", "not-an-object", "not-text", "empty-file", "lfs-pointer",
    "file-too-large", "format-unsupported", "info-field", "path-template", "path-escape",
    "feature-declaration", "format-mislabelled", "line-not-json", "no-episodes",
    "episode-duplicate", "field", "task-duplicate", "parquet-missing", "chunk-missing",
    "not-a-file", "video-missing", "camera-in-videos",
}  # fmt: skip
"""Faults that keep a dataset from being read at all."""


@pytest.mark.parametrize("name", [name for name in FAULTS if FAULTS[name].code in READ])
def test_what_cannot_be_read_is_refused_with_the_same_finding(name: str, spoilt: Path) -> None:
    fault = FAULTS[name]
    fault.make(spoilt)
    (finding, *_) = named(fault, list(check_dataset(spoilt, fault.config)))
    with pytest.raises(DatasetError) as refused:
        LeRobotDataset.open(spoilt)
    assert f"{finding.subject}: {finding.text}" in str(refused.value).replace("\n  ", "\n")


PAIRS = [
    ("length of an episode", "NaN"),
    ("video truncated", "slices overlap"),
    ("rows truncated", "video missing"),
    ("task unknown", "timestamp late"),
    ("stats not finite", "video too short"),
    ("stats missing", "task empty"),
    ("tasks are a pointer", "video of another size"),
    ("fps of info", "video is a pointer"),
    ("line not JSON", "column missing"),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_two_faults_at_once_are_both_named(one: str, other: str, spoilt: Path) -> None:
    for name in (one, other):
        FAULTS[name].make(spoilt)
    findings = list(check_dataset(spoilt, "fourier_gr1_arms_only"))
    for name in (one, other):
        assert named(FAULTS[name], findings), (name, findings)
