"""Columns of Parquet files as arrays, each held against its declaration."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.lerobot.features import Feature

LONGEST_EPISODE = 1_000_000
"""Rows; more than nine hours at 30 rows a second."""

MOST_NUMBERS = 64_000_000
"""Of one episode; 512 MB as float64, a hundred times what an hour of a humanoid has."""

EPISODE_INDEX = "episode_index"
"""The column that says which episode a row of a shared file is of."""


@dataclass(frozen=True)
class FlatColumn:
    """A column's numbers without the lists around them.

    Attributes:
        values: All numbers of all rows, one after another.
        lengths: Different lengths of the lists of each level, ascending, the outermost first.
        nulls: Empty cells.
    """

    values: pa.Array
    lengths: tuple[tuple[int, ...], ...]
    nulls: int


def flatten_column(column: pa.ChunkedArray | pa.Array) -> FlatColumn:
    """Take the lists off a column."""
    values = column
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else values.chunk(0)
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
    """The compressed images of a column of them, null where a row has none.

    LeRobot writes a struct of bytes and path; the path is that of a file which it has removed.

    Returns:
        ``None`` where the column is of another type.
    """
    if pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0:
        column = pc.struct_field(column, "bytes")  # pyright: ignore[reportAttributeAccessIssue]
    kind = column.type
    return column if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else None


def is_list(kind: pa.DataType) -> bool:
    """Whether the cells of a type are lists."""
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


class Columns:
    """The columns of one file, each held against its declaration.

    Attributes:
        broken: Those that are missing or cannot be used.
    """

    def __init__(self, collector: Collector, file: str, features: Mapping[str, Feature]) -> None:
        self._collector, self._file, self._features = collector, file, features
        self._reported: set[tuple[str, str]] = set()
        self.broken: set[str] = set()

    def numeric(self, schema: pa.Schema, only: Collection[str]) -> list[str]:
        """Columns of numbers that are there as they are declared, as far as the schema says."""
        kinds = dict(zip(schema.names, schema.types, strict=True))
        for name, feature in self._features.items():
            if name not in kinds and feature.is_column and (not only or name in only):
                self.report_missing(name)
        for name in kinds if not only else ():
            if name not in self._features:
                self._report("column-undeclared", name, f"column {name}")
        names = []
        for name, feature in self._features.items():
            if name not in kinds or (only and name not in only):
                continue
            if feature.kind == "number" and not _is_numeric(kinds[name]):
                self._report_dtype(feature, str(kinds[name]))
                self.broken.add(name)
            elif feature.kind == "number":
                names.append(name)
        return names

    def too_large(self, rows: int, numbers: int) -> bool:
        """Whether an episode has more than can be looked at, which is a finding."""
        if rows <= LONGEST_EPISODE and numbers <= MOST_NUMBERS:
            return False
        limits = {"rows": LONGEST_EPISODE, "numbers": MOST_NUMBERS}
        found = f"{rows:,} rows, {numbers:,} values"
        self._collector.report("parquet-too-large", self._file, found, **limits)
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
        self._report("column-missing", name, f"no column {name}")

    def _declared(self, feature: Feature, column: pa.ChunkedArray | pa.Array) -> np.ndarray | None:
        flat, count = flatten_column(column), len(column)
        if flat.nulls:
            self._report("column-null", feature.name, f"{flat.nulls} empty cells in {feature.name}")
            return None
        ragged = any(len(lengths) != 1 for lengths in flat.lengths)
        if count and (ragged or len(flat.values) != count * feature.width):
            spans = [sorted({sizes[0], sizes[-1]}) if sizes else [0] for sizes in flat.lengths]
            shown = " x ".join(" to ".join(map(str, span)) for span in spans) or "1"
            found = f"{feature.name} has {shown} numbers in a row"
            self._report("column-shape", feature.name, found, width=feature.width)
            return None
        array = flat.values.to_numpy(zero_copy_only=False)
        if str(array.dtype) != feature.dtype:
            self._report_dtype(feature, str(array.dtype))
            if _kind(str(array.dtype)) != _kind(feature.dtype):
                return None
        return array.reshape(count, feature.width)

    def _report_dtype(self, feature: Feature, dtype: str) -> None:
        fault = "column-dtype-alike" if _kind(dtype) == _kind(feature.dtype) else "column-dtype"
        self._report(fault, feature.name, f"{feature.name} is {dtype}", dtype=feature.dtype)

    def _report(self, fault: str, column: str, found: str, **texts: object) -> None:
        """Report a fault of a column once a file."""
        if (fault, column) not in self._reported:
            self._reported.add((fault, column))
            self._collector.report(fault, self._file, found, **texts)


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
