"""Every known failure against what the real software prints when it fails so."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gr00t_assets.trainers.failures.explain import explain, failure_patterns
from gr00t_assets.trainers.failures.failure_pattern import Explanation
from gr00t_assets_tests.defs.specs import a_spec
from gr00t_assets_tests.trainers.failures.known_failures import PRODUCED, QUOTED, RECORDED

HERE = Path(__file__).parent
ISAAC_PYTHON = "GR00T_ASSETS_TEST_ISAAC_PYTHON"

TRACEBACK = (
    'Traceback (most recent call last):\n  File "train.py", line 9, in <module>\n    main()\n'
)


def explained(text: str, code: int = 1) -> Explanation:
    return explain(
        text.split("\n"), code, a_spec(Path("/store"), trainer="isaac-gr00t", base_model="nvidia/x")
    )


def folder_of(python: str, produced: Path, disk: Path | None) -> Path:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [python, str(HERE / "produce.py"), str(produced), *([str(disk)] if disk else [])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=720)
    assert done.returncode == 0, done.stderr
    return produced


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory):
    """A file system of one megabyte where it may be mounted."""
    folder = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    yield folder
    for _ in range(20):
        if not subprocess.run(["umount", str(folder)], check=False).returncode:
            return
        time.sleep(0.2)


@pytest.fixture(scope="session")
def produced(tmp_path_factory: pytest.TempPathFactory, disk: Path | None) -> Path:
    return folder_of(sys.executable, tmp_path_factory.mktemp("produced"), disk)


@pytest.fixture(scope="session")
def produced_by_isaac(tmp_path_factory: pytest.TempPathFactory, disk: Path | None) -> Path:
    python = os.environ.get(ISAAC_PYTHON)
    if not python:
        pytest.skip(f"{ISAAC_PYTHON} names no Python with Isaac-GR00T's packages")
    return folder_of(python, tmp_path_factory.mktemp("isaac"), disk)


def recognised(folder: Path, name: str) -> str:
    if not (folder / f"{name}.txt").is_file():
        pytest.skip("mounting a small file system needs root on Linux")
    code = json.loads((folder / "codes.json").read_text())[name]
    text = (folder / f"{name}.txt").read_text(errors="replace")
    return explained(text, code if code >= 0 else 128 - code).name


@pytest.mark.parametrize("name", PRODUCED)
def test_it_recognises_what_this_python_prints(produced: Path, name: str) -> None:
    assert recognised(produced, name) == PRODUCED[name]


@pytest.mark.parametrize("name", PRODUCED)
def test_it_recognises_what_isaacs_python_prints(produced_by_isaac: Path, name: str) -> None:
    assert recognised(produced_by_isaac, name) == PRODUCED[name]


@pytest.mark.parametrize("name", RECORDED)
def test_it_recognises_recorded_logs(name: str) -> None:
    text = (HERE / "logs" / f"{name}.txt").read_bytes().decode(errors="replace")
    assert explained(text).name == RECORDED[name]


def test_every_recorded_log_is_expected() -> None:
    assert {file.stem for file in (HERE / "logs").glob("*.txt")} == set(RECORDED)


@pytest.mark.parametrize(("name", "text"), QUOTED)
def test_it_recognises_what_is_quoted(name: str, text: str) -> None:
    in_traceback = (
        text if text.startswith(("[rank", "{", "ERROR:", "Refusal")) else TRACEBACK + text
    )
    failure = explained(in_traceback)
    assert failure.name == name
    assert failure.details, "a known failure has a remedy"
    assert "{" not in failure.problem + "".join(failure.details)


def test_every_known_failure_has_a_text_of_its_own() -> None:
    seen = {*PRODUCED.values(), *RECORDED.values(), *(name for name, _ in QUOTED)}
    assert {pattern.name for pattern in failure_patterns("isaac-gr00t")} <= seen


def test_names_are_unique() -> None:
    names = [pattern.name for pattern in failure_patterns("isaac-gr00t")]
    assert len(names) == len(set(names))
