"""One episode's Parquet file as arrays, each column held against its declaration."""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.lerobot.features import Feature
from gr00t_assets.datasets.lerobot.folder import first_line

LONGEST_EPISODE = 1_000_000
"""Rows; more than nine hours at 30 rows a second."""

MOST_NUMBERS = 64_000_000
"""Of one episode; 512 MB as float64, a hundred times what an hour of a humanoid has."""


@dataclass
class Rows:
    """What could be read of an episode.

    Attributes:
        count: Rows.
        values: ``(rows, numbers)`` of each column that has the declared shape, without null.
        broken: Columns that are there and cannot be used.
    """

    count: int
    values: dict[str, np.ndarray] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)


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


def flatten_column(column: pa.ChunkedArray) -> FlatColumn:
    """Take the lists off a column."""
    values = column.combine_chunks()
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


def read_rows(
    collector: Collector, path: Path, file: str, features: Mapping[str, Feature]
) -> Rows | None:
    """Read an episode's file once; whatever is wrong with it is a finding.

    Args:
        features: Declared columns by name, without cameras.

    Returns:
        ``None`` where the file cannot be read at all.
    """
    with report_unreadable(collector, file), pq.ParquetFile(path) as parquet:
        return _read(collector, parquet, file, features)
    return None


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


def is_list(kind: pa.DataType) -> bool:
    """Whether the cells of a type are lists."""
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _read(
    collector: Collector, parquet: pq.ParquetFile, file: str, features: Mapping[str, Feature]
) -> Rows | None:
    metadata = parquet.metadata
    stored = sum(
        metadata.row_group(group).column(column).num_values
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    )
    if metadata.num_rows > LONGEST_EPISODE or stored > MOST_NUMBERS:
        limits = {"rows": LONGEST_EPISODE, "numbers": MOST_NUMBERS}
        found = f"{metadata.num_rows:,} rows, {stored:,} values"
        collector.report("parquet-too-large", file, found, **limits)
        return None
    schema = parquet.schema_arrow
    missing = [name for name in features if name not in schema.names]
    for name in missing:
        collector.report("column-missing", file, f"no column {name}")
    for name in schema.names:
        if name not in features:
            collector.report("column-undeclared", file, f"column {name}")
    rows = Rows(metadata.num_rows, broken=set(missing))
    numeric = [name for name in features if name in schema.names and _is_numeric(schema, name)]
    table = parquet.read(columns=numeric)
    for name, feature in features.items():
        if name in missing or feature.dtype in ("image", "string"):
            continue
        if name not in numeric:
            _report_dtype(collector, file, feature, str(schema.field(name).type))
            rows.broken.add(name)
        elif (values := _declared_values(collector, file, feature, table.column(name))) is not None:
            rows.values[name] = values
        else:
            rows.broken.add(name)
    return rows


def _is_numeric(schema: pa.Schema, name: str) -> bool:
    kind = schema.field(name).type
    while is_list(kind):
        kind = kind.value_type
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _declared_values(
    collector: Collector, file: str, feature: Feature, column: pa.ChunkedArray
) -> np.ndarray | None:
    """``(rows, numbers)`` of a column that is as it is declared."""
    flat, count = flatten_column(column), len(column)
    if flat.nulls:
        collector.report("column-null", file, f"{flat.nulls} empty cells in {feature.name}")
        return None
    ragged = any(len(lengths) != 1 for lengths in flat.lengths)
    if count and (ragged or len(flat.values) != count * feature.width):
        spans = [sorted({sizes[0], sizes[-1]}) if sizes else [0] for sizes in flat.lengths]
        shown = " x ".join(" to ".join(map(str, span)) for span in spans) or "1"
        found = f"{feature.name} has {shown} numbers in a row"
        collector.report("column-shape", file, found, width=feature.width)
        return None
    array = flat.values.to_numpy(zero_copy_only=False)
    if str(array.dtype) != feature.dtype:
        _report_dtype(collector, file, feature, str(array.dtype))
        if _kind(str(array.dtype)) != _kind(feature.dtype):
            return None
    return array.reshape(count, feature.width)


def _kind(dtype: str) -> str:
    try:
        kind = np.dtype(dtype).kind
    except TypeError:
        return dtype
    return "i" if kind == "u" else kind


def _report_dtype(collector: Collector, file: str, feature: Feature, dtype: str) -> None:
    fault = "column-dtype-alike" if _kind(dtype) == _kind(feature.dtype) else "column-dtype"
    collector.report(fault, file, f"{feature.name} is {dtype}", dtype=feature.dtype)
