"""Meta files of v3.0 that are damaged at random."""

import json
import shutil
from pathlib import Path

from hypothesis import HealthCheck, given, settings, strategies

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.fit.dataset_check import check_dataset
from gr00t_assets.datasets.lerobot.v3.convert import convert_to_v21
from gr00t_assets_tests.datasets.lerobot.v3.v30 import EPISODES

META = ("meta/info.json", "meta/tasks.parquet", EPISODES)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=strategies.data())
def test_damaged_meta_files_end_in_a_list_of_problems(
    good: Path, tmp_path: Path, data: strategies.DataObject
) -> None:
    base = tmp_path / "fuzz"
    shutil.rmtree(base, ignore_errors=True)
    spoilt = Path(shutil.copytree(good, base / "spoilt"))
    path = spoilt / data.draw(strategies.sampled_from(META))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(strategies.integers(1, 4))):
        at = data.draw(strategies.integers(0, len(content) - 1))
        content[at] = data.draw(strategies.integers(0, 255))
    path.write_bytes(content[: data.draw(strategies.integers(0, 2 * len(content)))])
    assert "check-failed" not in {item.code for item in check_dataset(spoilt)}
    try:
        convert_to_v21(spoilt, base / "out")
    except DatasetError:
        assert [path.name for path in base.iterdir()] == ["spoilt"]


JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(),
    lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text(), inner),
    max_leaves=4,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=strategies.data())
def test_odd_values_in_info_end_in_a_list_of_problems(
    good: Path, tmp_path: Path, data: strategies.DataObject
) -> None:
    base = tmp_path / "fuzz"
    shutil.rmtree(base, ignore_errors=True)
    spoilt = Path(shutil.copytree(good, base / "spoilt"))
    path = spoilt / "meta" / "info.json"
    found = json.loads(path.read_text())
    inside = data.draw(
        strategies.sampled_from([found, found["features"], *found["features"].values()])
    )
    inside[data.draw(strategies.sampled_from(sorted(inside)))] = data.draw(JSON)
    path.write_text(json.dumps(found))
    assert "check-failed" not in {item.code for item in check_dataset(spoilt)}
    try:
        convert_to_v21(spoilt, base / "out")
    except DatasetError:
        assert [path.name for path in base.iterdir()] == ["spoilt"]
