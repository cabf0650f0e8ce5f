"""Columns of Parquet files as arrays, each held against its declaration."""

import errno
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.lerobot.features import INFO, Feature
from gr00t_assets.datasets.lerobot.folder import first_line

LONGEST_EPISODE, MOST_NUMBERS = 1_000_000, 64_000_000
"""Of one episode: rows, more than nine hours at 30 a second; numbers, 512 MB as float64, a hundred
times what an hour of a humanoid has."""

_OF_ALL = {
    "column-missing": "columns-missing",
    "column-undeclared": "columns-undeclared",
    "column-shape": "columns-shape",
    "column-dtype": "columns-dtype",
    "column-dtype-alike": "columns-dtype-alike",
}
"""What a fault of a file is where all files have it."""

EPISODE_INDEX = "episode_index"
"""The column that says which episode a row of a shared file is of."""


class FlatColumn(NamedTuple):
    """A column's numbers, of all rows one after another, without the lists around them.

    ``lengths`` are the different lengths of the lists of each level, ascending, the outermost
    first; ``nulls`` are empty cells.
    """

    values: pa.Array
    lengths: tuple[tuple[int, ...], ...]
    nulls: int


def flatten_column(column: pa.ChunkedArray | pa.Array) -> FlatColumn:
    """Take the lists off a column."""
    values: Any = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    lengths, nulls = [], 0
    while is_list(values.type):
        nulls += values.null_count
        if pa.types.is_fixed_size_list(values.type):
            lengths.append((values.type.list_size,))
        else:
            sizes = np.diff(values.offsets.to_numpy())
            same = len(sizes) and (sizes == sizes[0]).all()
            lengths.append(tuple((sizes[:1] if same else np.unique(sizes)).tolist()))
        values = values.flatten()
    return FlatColumn(values, tuple(lengths), nulls + values.null_count)


def image_bytes(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray | None:
    """The compressed images of a column, null where a row has none; ``None`` where it holds none.

    LeRobot writes a struct of bytes and path; the path is that of a file which it has removed.
    """
    if pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0:
        column = pc.struct_field(column, "bytes")  # pyright: ignore[reportAttributeAccessIssue]
    kind = column.type
    return column if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else None


def stored_images(column: pa.Array, directory: Path) -> Iterator[bytes | None] | None:
    """An image for each row, None where it has none; ``None`` where the column is of another type.

    A row without bytes may name a file below the folder.
    """
    images = image_bytes(column)
    if images is None:
        return None
    paths = [None] * len(column)
    is_struct = images is not column
    if is_struct and images.null_count and column.type.get_field_index("path") >= 0:
        paths = column.field("path").to_pylist()
    return (
        image.as_py() if image.is_valid else _file_content(directory, path)
        for image, path in zip(images, paths, strict=True)
    )


def _file_content(directory: Path, path: str | None) -> bytes | None:
    """What a file of a dataset holds; nothing outside its folder is read."""
    if not path:
        return None
    root = directory.resolve()
    with suppress(OSError, ValueError):
        file = (root / path).resolve()
        if file.is_relative_to(root) and file.is_file():
            return file.read_bytes()
    return None


def is_list(kind: pa.DataType) -> bool:
    """Whether the cells of a type are lists."""
    kinds = pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list
    return any(is_kind(kind) for is_kind in kinds)


@contextmanager
def report_unreadable(collector: Collector, file: str) -> Iterator[None]:
    """Turn a Parquet file that cannot be read to its end into a finding; a full disk is none."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        if is_disk_full(error):
            raise
        collector.report("parquet-unreadable", file, f"cannot be read: {first_line(error)}")


def is_disk_full(error: Exception) -> bool:
    """Whether an error says that nothing more can be written."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)


class FileFaults:
    """Faults of the columns of many files; what all of them have alike is the declaration's."""

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self._files: dict[tuple[Any, ...], dict[str, None]] = defaultdict(dict)

    def report(self, fault: str, file: str, found: str, /, **texts: object) -> None:
        """Keep a fault until all files were read; the same of a file counts once."""
        self._files[fault, found, *texts.items()][file] = None

    def report_all(self, count: int) -> None:
        """Hand on what was kept of so many files that were read."""
        for (fault, found, *texts), files in self._files.items():
            if len(files) == count and fault in _OF_ALL:
                self.collector.report(_OF_ALL[fault], INFO, f"{found} in its files", **dict(texts))
                continue
            for file in files:
                self.collector.report(fault, file, found, **dict(texts))


class Columns:
    """The columns of one file, each held against its declaration; ``broken`` cannot be used."""

    def __init__(self, faults: FileFaults, file: str, features: Mapping[str, Feature]) -> None:
        self._faults, self.file, self._features = faults, file, features
        self.broken: set[str] = set()

    def numeric(self, schema: pa.Schema, undeclared: bool) -> list[str]:
        """Columns of numbers that are there as they are declared, as far as the schema says.

        ``undeclared``: whether others are reported.
        """
        kinds, names = dict(zip(schema.names, schema.types, strict=True)), []
        for name, feature in self._features.items():
            if name not in kinds:
                if feature.dtype not in ("video", "audio"):
                    self.report_missing(name)
            elif feature.kind == "number" and _is_numeric(kinds[name]):
                names.append(name)
            elif feature.kind == "number":
                self._report_dtype(feature, str(kinds[name]))
                self.broken.add(name)
        for name in kinds if undeclared else ():
            if name not in self._features:
                self._report("column-undeclared", f"column {name}")
        return names

    def too_large(self, rows: int, numbers: int) -> bool:
        """Whether an episode has more than can be looked at, which is a finding."""
        if rows <= LONGEST_EPISODE and numbers <= MOST_NUMBERS:
            return False
        limits = {"rows": LONGEST_EPISODE, "numbers": MOST_NUMBERS}
        self._report("parquet-too-large", f"{rows:,} rows, {numbers:,} values", **limits)
        return True

    def values(self, table: pa.Table | pa.RecordBatch) -> dict[str, np.ndarray]:
        """``(rows, numbers)`` of each column that is as it is declared."""
        values = {}
        for name in table.schema.names:
            if name in self.broken:
                continue
            array = self._declared(self._features[name], table.column(name))
            if array is None:
                self.broken.add(name)
            else:
                values[name] = array
        return values

    def report_missing(self, name: str) -> None:
        """Report a column that is not there."""
        self.broken.add(name)
        fault = "column-needed" if name in (EPISODE_INDEX, "timestamp") else "column-missing"
        self._report(fault, f"no column {name}")

    def _declared(self, feature: Feature, column: pa.ChunkedArray | pa.Array) -> np.ndarray | None:
        flat, count = flatten_column(column), len(column)
        if flat.nulls:
            self._report("column-null", f"{flat.nulls} empty cells in {feature.name}")
            return None
        ragged = any(len(lengths) != 1 for lengths in flat.lengths)
        if count and (ragged or len(flat.values) != count * feature.width):
            spans = [sorted({sizes[0], sizes[-1]}) if sizes else [0] for sizes in flat.lengths]
            shown = " x ".join(" to ".join(map(str, span)) for span in spans) or "1"
            found = f"{feature.name} has {shown} numbers in a row"
            fault = "column-ragged" if ragged else "column-shape"
            self._report(fault, found, width=feature.width)
            return None
        array = flat.values.to_numpy(zero_copy_only=False)
        if str(array.dtype) != feature.dtype:
            self._report_dtype(feature, str(array.dtype))
            if _kind(str(array.dtype)) != _kind(feature.dtype):
                return None
        return array.reshape(count, feature.width)

    def _report_dtype(self, feature: Feature, dtype: str) -> None:
        fault = "column-dtype-alike" if _kind(dtype) == _kind(feature.dtype) else "column-dtype"
        texts = {"dtype": feature.dtype, "right": dtype}
        self._report(fault, f"{feature.name} is {dtype}", **texts)

    def _report(self, fault: str, found: str, **texts: object) -> None:
        self._faults.report(fault, self.file, found, **texts)


def _is_numeric(kind: pa.DataType) -> bool:
    while is_list(kind):
        kind = kind.value_type
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _kind(dtype: str) -> str:
    try:
        kind = np.dtype(dtype).kind
    except TypeError:
        return dtype
    return "i" if kind == "u" else kind
