"""Good datasets, long lists, the command line, and what a wrong call is answered with."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gr00t_assets.cli.main import app
from gr00t_assets.core.finding import MAX_PER_CODE, Collector, Finding, Severity
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.fit.dataset_check import check_dataset
from gr00t_assets.datasets.lerobot.folder import FAULTS
from gr00t_assets.datasets.source_kinds import SyntheticSource
from gr00t_assets.datasets.sources.versions import DatasetRecord, save_record
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets_tests.datasets.checks.edits import data_file

CONFIG = "fourier_gr1_arms_only"


@pytest.mark.parametrize("config", [None, CONFIG])
def test_a_good_dataset_has_no_error_and_only_its_still_joints_as_warning(
    good: Path, config: str | None
) -> None:
    findings = check_dataset(good, config)
    assert [item.code for item in findings] == ["constant-action"]
    assert "left_leg (13:19)" in findings[0].found


def test_a_good_dataset_of_two_cameras_has_no_finding(tmp_path: Path) -> None:
    spec = SyntheticSource(
        robot="so101", episodes=2, min_frames=40, max_frames=42, width=96, height=96
    )
    generate(spec, tmp_path / "so101")
    assert list(check_dataset(tmp_path / "so101", "so100_dualcam")) == []


def test_the_demo_datasets_inconsistencies_are_warnings(demo_dataset: Path) -> None:
    findings = check_dataset(demo_dataset, CONFIG, "gr1")
    assert findings.errors == []
    assert {item.code for item in findings} == {
        "camera-without-files",
        "constant-action",
        "constant-action-used",
        "info-splits",
        "info-total",
        "task-not-instruction",
        "timestamp-start",
    }
    assert sum(item.code == "timestamp-start" for item in findings) == 5


def row_count(severity: Severity, subject: str | None) -> Finding:
    return Finding(
        severity=severity,
        code="row-count",
        subject=subject,
        found="1",
        expected="2",
        remedy="mend it",
    )


def test_a_thousand_faults_of_a_kind_give_a_list_that_can_be_read() -> None:
    collector = Collector(FAULTS)
    for number in range(1000):
        collector.add(row_count("error", f"{number:04d}"))
    collector.add(row_count("warning", None))
    findings = collector.findings()
    assert (findings.error_count, findings.warning_count) == (1000, 1)
    assert len(findings.errors) == MAX_PER_CODE + 1
    assert findings.errors[-1].found == f"and {1000 - MAX_PER_CODE} more like these"
    assert findings.to_json()["errors"] == 1000


def test_findings_hold_no_control_characters_and_can_be_written() -> None:
    collector = Collector(FAULTS)
    collector.report("line-not-json", "a\x1b[2J\ud800", "\udcff" * 9000)
    item = collector.findings()[0]
    assert item.subject == "a\\x1b[2J\\ud800"
    assert len(item.found) < 4000
    item.model_dump_json().encode()


def test_what_no_check_foresaw_becomes_a_finding_of_its_file() -> None:
    collector = Collector(FAULTS)
    with collector.guard("meta/info.json"):
        raise RecursionError("too deep")
    item = collector.findings()[0]
    assert (item.code, item.subject, item.severity) == ("check-failed", "meta/info.json", "error")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"embodiment_tag": "gr2"}, "embodiment-tag-unknown"),
        ({"video_backend": "ffmpeg"}, "video-backend-unknown"),
    ],
)
def test_names_that_do_not_exist_are_findings(good: Path, options: dict, code: str) -> None:
    assert [item.code for item in check_dataset(good, **options).errors] == [code]


def test_a_folder_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    assert [item.code for item in check_dataset(tmp_path / "none")] == ["no-folder"]


def test_a_dataset_of_v30_called_v2_is_found(spoilt: Path) -> None:
    (spoilt / "meta/episodes.jsonl").unlink()
    (spoilt / "meta/episodes/chunk-000").mkdir(parents=True)
    assert [item.code for item in check_dataset(spoilt)] == ["format-mislabelled"]


def test_progress_is_told_by_episode(good: Path) -> None:
    seen: list[tuple[int, int]] = []
    check_dataset(good, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_command_prints_the_findings_and_exits_with_1_on_errors(spoilt: Path) -> None:
    (spoilt / data_file(1)).write_bytes(b"")
    shown = CliRunner().invoke(app, ["dataset", "check", str(spoilt)])
    assert shown.exit_code == 1
    assert f"{data_file(1)}: 0 bytes" in shown.stdout
    assert "copy or download it again" in shown.stdout
    assert any(line.endswith(": 1 error, 1 warning") for line in shown.stdout.splitlines())


def test_the_command_exits_with_0_where_there_are_only_warnings(good: Path) -> None:
    shown = CliRunner().invoke(app, ["dataset", "check", str(good), "--data-config", CONFIG])
    assert shown.exit_code == 0
    assert "no errors, 1 warning" in shown.stdout


def test_the_command_gives_json(spoilt: Path) -> None:
    (spoilt / data_file(1)).unlink()
    shown = CliRunner().invoke(app, ["dataset", "check", str(spoilt), "--json"])
    found = json.loads(shown.stdout)
    assert (shown.exit_code, found["ok"], found["errors"]) == (1, False, 1)
    assert found["findings"][0]["code"] == "parquet-missing"
    assert set(found["findings"][0]) == {
        "severity", "code", "subject", "found", "expected", "remedy"
    }  # fmt: skip


def test_a_dataset_of_the_store_is_checked_by_its_name(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(tmp_path / "store"))
    store = Store.from_environment()
    record = DatasetRecord(
        name="stored", version="0" * 16, source="a test", revision=None, codebase_version="v2.0",
        robot_type="gr1", episodes=3, frames=120, fps=20, cameras=(), tasks=(), size_bytes=1,
    )  # fmt: skip
    shutil.copytree(good, record.directory(store))
    save_record(record, store)
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(app, ["dataset", "check", "stored"])
    assert (shown.exit_code, "stored: no errors" in shown.stdout) == (0, True), shown.output
