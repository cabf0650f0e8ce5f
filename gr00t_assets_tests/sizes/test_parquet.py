"""Parquet files of a few kilobytes that say they hold a billion rows, of one value or a few.

A column of equal values is a dictionary of one and a run length; row groups may share their bytes.
"""

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gr00t_assets.comparison.tables.wandb_import import WandbRun, save_wandb_runs
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets_tests.datasets.lerobot.v3.v30 import convert_to_v30
from gr00t_assets_tests.harness.limited import Result, run_limited
from gr00t_assets_tests.sizes.test_datasets import CHECK, MODULES, SMALL

RUN = WandbRun(
    run_id="a", name="a", entity="e", project="p", state="finished",
    created_at="2025-06-01T00:00:00Z", steps=(1, 2), losses=(1.0, 0.5),
)  # fmt: skip
ROWS = 1_000_000_000
GROUP = 250_000
LOAD = """
from gr00t_assets.comparison.tables.wandb_import import load_wandb_runs
from pathlib import Path; print(len(load_wandb_runs(Path({path!r}))))
"""


def multiplied(path: Path, table: pa.Table, groups: int = ROWS // GROUP) -> None:
    """Write a table so that its one row group counts many times; the file stays as small."""
    pq.write_table(table, path, row_group_size=len(table), compression="zstd")
    whole = path.read_bytes()
    (footer,) = struct.unpack("<I", whole[-8:-4])
    total, one = pq.read_metadata(path), pq.read_metadata(path)
    for _ in range(groups - 1):
        total.append_row_groups(one)
    only = path.with_suffix(".footer")
    total.write_metadata_file(only)
    path.write_bytes(whole[: -8 - footer] + only.read_bytes()[4:])
    only.unlink()
    assert pq.read_metadata(path).num_rows == len(table) * groups and path.stat().st_size < 10e6


def same(row: pa.Table, count: int = GROUP) -> pa.Table:
    """The first row of a table so many times."""
    return row.slice(0, 1).take(np.zeros(count, np.int64))


def bomb(folder: Path, pattern: str) -> None:
    path = next(iter(sorted(folder.glob(pattern))))
    multiplied(path, same(pq.read_table(path)))


def many_episodes(folder: Path) -> None:
    """A thousand episodes of 250 rows, again and again."""
    path = next(iter(sorted(folder.glob("data/*/*.parquet"))))
    table = same(pq.read_table(path))
    place = table.schema.get_field_index("episode_index")
    numbers = pa.array(np.arange(GROUP) // 250, table.schema.field(place).type)
    multiplied(path, table.set_column(place, "episode_index", numbers))


def long_list(folder: Path) -> None:
    """A hundred million instructions of one episode."""
    path = next(iter(sorted(folder.glob("meta/episodes/*/*.parquet"))))
    table = pq.read_table(path).slice(0, 1)
    texts = pa.DictionaryArray.from_arrays(np.zeros(10**8, np.int32), pa.array(["x" * 99]))
    cell = pa.ListArray.from_arrays(pa.array([0, 10**8], pa.int32()), texts)
    place = table.schema.get_field_index("tasks")
    pq.write_table(table.set_column(place, "tasks", cell), path)


def long_texts(folder: Path) -> None:
    """A million instructions of a megabyte, stored once."""
    path = folder / "meta" / "tasks.parquet"
    table = pa.table({"task": pa.array(["x" * 10**6]), "task_index": pa.array([0])})
    multiplied(path, same(table, 100), 10_000)


DATASETS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "rows of an episode": ("v2.1", lambda f: bomb(f, "data/*/*.parquet"), "episode_000000.parquet"),
    "rows of many episodes": ("v3.0", lambda f: bomb(f, "data/*/*.parquet"), "file-000.parquet"),
    "rows of four million episodes": ("v3.0", many_episodes, "file-000.parquet"),
    "instructions": ("v3.0", lambda f: bomb(f, "meta/tasks.parquet"), "tasks.parquet"),
    "instructions of a megabyte": ("v3.0", long_texts, "tasks.parquet"),
    "episodes": ("v3.0", lambda f: bomb(f, "meta/episodes/*/*.parquet"), "meta/episodes"),
    "instructions of an episode": ("v3.0", long_list, "meta/episodes"),
}


def changed(**cells: Any) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        for name, cell in cells.items():
            kind = table.schema.field(name).type
            array = cell if isinstance(cell, pa.Array) else pa.array([cell], kind)
            table = table.set_column(table.schema.get_field_index(name), name, array)
        return table

    return change


def steps(count: int, value: float = 1) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, count], pa.int32()), pa.repeat(value, count))


IMPORTS: dict[str, tuple[Callable[[pa.Table], pa.Table], int, int]] = {
    "runs": (changed(), GROUP, ROWS // GROUP),
    "runs with a note of a megabyte": (changed(notes="x" * 10**6), 100, 100),
    "runs with a config of a megabyte": (changed(config=f'{{"a": "{"x" * 10**6}"}}'), 100, 100),
    "steps of a run": (changed(steps=steps(10**8), losses=steps(10**8, 0.5)), 1, 1),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    root, pieces = tmp_path_factory.mktemp("bombs"), {}
    generate(SMALL, root / "v2.1")
    convert_to_v30(root / "v2.1", root / "v3.0")
    for number, (name, (version, spoil, _)) in enumerate(DATASETS.items()):
        folder = shutil.copytree(root / version, root / str(number))
        spoil(folder)
        pieces[name] = CHECK.format(folder=str(folder))
    save_wandb_runs([RUN], root / "sound.parquet")
    for number, (name, (change, rows, groups)) in enumerate(IMPORTS.items()):
        path = root / f"{number}.parquet"
        multiplied(path, same(change(pq.read_table(root / "sound.parquet")), rows), groups)
        pieces[name] = LOAD.format(path=str(path))
    return run_limited(pieces, MODULES)


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_of_a_billion_rows_is_refused(name: str, results: dict[str, Result]) -> None:
    assert DATASETS[name][2] in results[name].refused()


@pytest.mark.parametrize("name", IMPORTS)
def test_an_import_of_a_billion_runs_is_refused(name: str, results: dict[str, Result]) -> None:
    assert "these imported runs cannot be read" in results[name].refused()
