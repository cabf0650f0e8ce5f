"""However the meta files are damaged, the check ends in a list of findings."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gr00t_assets.core.finding import Findings
from gr00t_assets.datasets.fit.dataset_check import check_dataset
from gr00t_assets_tests.datasets.checks.edits import data_file, video_file

META = tuple(
    f"meta/{name}"
    for name in ("info.json", "episodes.jsonl", "tasks.jsonl", "modality.json", "stats.json")
)
FEW = settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

_STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, float("nan"), float("inf"), 10**400, "", "..", "/", "\ud800", "{",
    "{}", "{0}", "{episode_index!r:>99999999}", [], [[]], {}, {"": None}, [1] * 50, "a\0b",
)  # fmt: skip
strange = st.sampled_from(_STRANGE) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)


@pytest.fixture(scope="session")
def small(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The meta files alone, with one episode's rows, so that each example is quick."""
    target = tmp_path_factory.mktemp("fuzz") / "small"
    shutil.copytree(good / "meta", target / "meta")
    for path in (*good.glob("data/*/*_000000.parquet"), *good.glob("videos/*/*/*_000000.mp4")):
        copy = target / path.relative_to(good)
        copy.parent.mkdir(parents=True)
        shutil.copyfile(path, copy)
    return target


def checked(small: Path, file: str, content: bytes) -> Findings:
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(shutil.copytree(small, Path(scratch) / "copy"))
        (copy / file).write_bytes(content)
        findings = check_dataset(copy, "fourier_gr1_arms_only")
    assert isinstance(findings, Findings)
    json.dumps(findings.to_json(), ensure_ascii=False, allow_nan=False).encode()
    assert "check-failed" not in {item.code for item in findings}, list(findings)
    return findings


@FEW
@given(st.data(), st.sampled_from(META))
def test_flipped_bytes_and_cuts(small: Path, data: st.DataObject, name: str) -> None:
    content = bytearray((small / name).read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    checked(small, name, bytes(content[:cut]))


@FEW
@given(st.data(), st.sampled_from([data_file(0), video_file(0)]), st.booleans())
def test_damaged_rows_and_videos(small: Path, data: st.DataObject, name: str, end: bool) -> None:
    content = bytearray((small / name).read_bytes())
    first = max(len(content) - 3000, 0) if end else 0
    for place in data.draw(st.lists(st.integers(first, len(content) - 1), max_size=6)):
        content[place] = data.draw(st.integers(0, 255))
    checked(small, name, bytes(content))


@FEW
@given(st.data(), st.sampled_from(META), strange)
def test_replaced_values(small: Path, data: st.DataObject, name: str, value: Any) -> None:
    text = (small / name).read_text()
    lines = name.endswith(".jsonl")
    content = [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)
    places = list(_places(content))
    holder, key = places[data.draw(st.integers(0, len(places) - 1))]
    holder[key] = value
    items = content if lines else [content]
    checked(small, name, "\n".join(map(json.dumps, items)).encode("utf-8", "surrogatepass"))


@FEW
@given(st.sampled_from(META), strange)
def test_a_file_that_is_something_else(small: Path, name: str, value: Any) -> None:
    checked(small, name, json.dumps(value).encode())


@pytest.mark.parametrize("name", META)
@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"\xff" * 9])
def test_contents_that_stop_a_parser(small: Path, name: str, content: bytes) -> None:
    assert not checked(small, name, content).ok


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)
