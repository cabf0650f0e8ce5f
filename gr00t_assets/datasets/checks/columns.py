"""One episode's Parquet file as arrays, each column held against its declaration."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.checks.features import Feature
from gr00t_assets.datasets.checks.lists import LONGEST_EPISODE

MOST_NUMBERS = 64_000_000
"""Of one episode; 512 MB as float64, a hundred times what an hour of a humanoid has."""

AGAIN = "write the episode again from the recording"


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


def read_rows(
    collector: Collector, path: Path, file: str, features: dict[str, Feature]
) -> Rows | None:
    """Read an episode's file once; whatever is wrong with it is a finding.

    Args:
        collector: Takes the findings.
        path: The file.
        file: Its path inside the dataset.
        features: Declared columns by name, without cameras.

    Returns:
        ``None`` where the file cannot be read at all.
    """
    try:
        with pq.ParquetFile(path) as parquet:
            return _read(collector, parquet, file, features)
    except (OSError, ValueError, pa.ArrowException) as error:
        collector.error(
            "parquet-unreadable",
            file,
            str(error).splitlines()[0] if str(error) else type(error).__name__,
            "a whole Parquet file",
            "it is truncated or damaged: copy or download it again",
        )
        return None


def _read(
    collector: Collector, parquet: pq.ParquetFile, file: str, features: dict[str, Feature]
) -> Rows | None:
    metadata = parquet.metadata
    stored = sum(
        metadata.row_group(group).column(column).num_values
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    )
    if metadata.num_rows > LONGEST_EPISODE or stored > MOST_NUMBERS:
        collector.error(
            "parquet-too-large",
            file,
            f"{metadata.num_rows:,} rows, {stored:,} values",
            f"at most {LONGEST_EPISODE:,} rows and {MOST_NUMBERS:,} values in an episode",
            "split the episode; its rows were not looked at",
        )
        return None
    schema = parquet.schema_arrow
    missing = [name for name in features if name not in schema.names]
    for name in missing:
        collector.error(
            "column-missing",
            file,
            f"no column {name}",
            "every column that meta/info.json declares, and timestamp",
            AGAIN + ", or remove the column from meta/info.json",
        )
    for name in schema.names:
        if name not in features:
            collector.warn(
                "column-undeclared",
                file,
                f"column {name}",
                "columns that meta/info.json declares",
                "declare it, or leave it out",
            )
    rows = Rows(metadata.num_rows, broken=set(missing))
    wanted = [name for name in features if name in schema.names and _numeric(schema, name)]
    table = parquet.read(columns=wanted)
    for name, feature in features.items():
        if name in missing or feature.dtype in ("image", "string"):
            continue
        if name not in wanted:
            _dtype(collector, file, feature, str(schema.field(name).type))
            rows.broken.add(name)
        elif (values := _column(collector, file, feature, table.column(name))) is not None:
            rows.values[name] = values
        else:
            rows.broken.add(name)
    return rows


def _numeric(schema: pa.Schema, name: str) -> bool:
    kind = schema.field(name).type
    while _is_list(kind):
        kind = kind.value_type
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _is_list(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _column(
    collector: Collector, file: str, feature: Feature, chunked: pa.ChunkedArray
) -> np.ndarray | None:
    values = chunked.combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else values.chunk(0)
    rows, lengths, nulls = len(values), [], 0
    while _is_list(values.type):
        nulls += values.null_count
        lengths.append(_lengths(values))
        values = values.flatten()
    nulls += values.null_count
    if nulls:
        collector.error(
            "column-null",
            file,
            f"{nulls} empty cells in {feature.name}",
            "a number in every cell",
            AGAIN,
        )
        return None
    shape = [found[0] for found in lengths if len(found) == 1]
    if rows and (len(shape) < len(lengths) or len(values) != rows * feature.width):
        found = " x ".join(_range(found) for found in lengths) or "1"
        collector.error(
            "column-shape",
            file,
            f"{feature.name} has {found} numbers in a row",
            f"{feature.width} in every row, as meta/info.json declares",
            AGAIN + ", or correct the shape in meta/info.json",
        )
        return None
    array = values.to_numpy(zero_copy_only=False)
    if str(array.dtype) != feature.dtype:
        _dtype(collector, file, feature, str(array.dtype))
        if _kind(str(array.dtype)) != _kind(feature.dtype):
            return None
    return array.reshape(rows, feature.width)


def _lengths(values: pa.Array) -> list[int]:
    if pa.types.is_fixed_size_list(values.type):
        return [values.type.list_size]
    return np.unique(np.diff(values.offsets.to_numpy())).tolist()


def _range(lengths: list[int]) -> str:
    if not lengths:
        return "0"
    return str(lengths[0]) if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"


def _kind(dtype: str) -> str:
    try:
        kind = np.dtype(dtype).kind
    except TypeError:
        return dtype
    return "i" if kind == "u" else kind


def _dtype(collector: Collector, file: str, feature: Feature, found: str) -> None:
    report = collector.warn if _kind(found) == _kind(feature.dtype) else collector.error
    report(
        "column-dtype",
        file,
        f"{feature.name} is {found}",
        f"{feature.dtype}, as meta/info.json declares",
        AGAIN + ", or correct the dtype in meta/info.json",
    )
