"""``meta/modality.json`` held against the features: fields, slices, cameras, annotations."""

import shlex
from collections import defaultdict
from itertools import islice, pairwise

from pydantic import ValidationError

from gr00t_assets.core.finding import Collector
from gr00t_assets.core.names import did_you_mean
from gr00t_assets.datasets.lerobot.dataset import MODALITY
from gr00t_assets.datasets.lerobot.features import Feature, Kind
from gr00t_assets.datasets.lerobot.folder import Folder, read_object
from gr00t_assets.datasets.lerobot.info import Info
from gr00t_assets.modality.modality_json import DEFAULT_COLUMNS, Modality, ModalityFile

MODALITIES: tuple[Modality, ...] = ("state", "action")

_KINDS: dict[Kind, str] = {
    "video": "is a camera",
    "image": "is a camera",
    "depth": "is a depth camera",
    "audio": "is audio",
    "text": "holds text",
    "number": "holds numbers",
}


def check_modality(folder: Folder, info: Info) -> ModalityFile | None:
    """Read ``modality.json``; whatever is wrong with it is a finding.

    Returns:
        ``None`` where it cannot be used.
    """
    raw = read_object(folder, MODALITY, missing=None)
    if raw is None:
        if not folder.exists(MODALITY):
            source = shlex.quote(str(folder.directory))
            folder.collector.report("modality-missing", MODALITY, "no such file", source=source)
        return None
    collector = folder.collector
    try:
        modality = ModalityFile.model_validate(raw)
    except ValidationError as failure:
        for error in failure.errors(include_url=False, include_context=False):
            line = f"{'.'.join(map(str, error['loc']))}: {error['msg']}"
            collector.report("modality-field", MODALITY, line)
        return None
    for line in modality.unknown_fields():
        collector.report("modality-unknown-field", MODALITY, line.removeprefix(f"{MODALITY}: "))
    if info.features:
        _check_columns(collector, modality, info)
    _check_overlaps(collector, modality)
    return modality


def sliced_columns(modality: ModalityFile | None, info: Info) -> dict[str, Modality]:
    """The columns that state and action keys are slices of, with their modality.

    LeRobot's default columns where there is no usable ``modality.json``.
    """
    if modality is None:
        columns: dict[str, Modality] = {DEFAULT_COLUMNS[kind]: kind for kind in MODALITIES}
    else:
        columns = {
            modality.vector_column(kind, key): kind
            for kind in MODALITIES
            for key in modality.slices(kind)
        }
    numeric = {name for name, feature in info.features.items() if feature.kind == "number"}
    return {column: kind for column, kind in columns.items() if column in numeric}


def number_names(
    modality: ModalityFile | None, kind: Modality, column: Feature, numbers: list[int]
) -> str:
    """Numbers of a column in words: whole keys as slices, others by key and position."""
    names, left = [], set(numbers)
    keys = [
        (key, part)
        for key, part in (modality.slices(kind).items() if modality else ())
        if modality is not None and modality.vector_column(kind, key) == column.name
    ]
    for key, part in keys:
        span = set(range(part.start, part.end))
        if len(span) > 1 and span <= left:
            names.append(f"{key} ({part.start}:{part.end})")
            left -= span
    for number in sorted(left):
        name = column.names[number] if number < len(column.names) else ""
        containing = (item for item in keys if item[1].start <= number < item[1].end)
        for key, part in islice(containing, 1):
            name = f"{key}.{number - part.start}"
        names.append(f"{name} ({number})" if name else str(number))
    shown = ", ".join(names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _check_columns(collector: Collector, modality: ModalityFile, info: Info) -> None:
    for kind in MODALITIES:
        for key, part in modality.slices(kind).items():
            column = modality.vector_column(kind, key)
            feature = info.features.get(column)
            if feature is None:
                _report_unknown(collector, "modality-column", f"{kind} key '{key}'", column, info)
            elif feature.kind != "number":
                found = f"{kind} key '{key}' is {column}, which {_KINDS[feature.kind]}"
                columns = [item.name for item in info.features.values() if item.kind == "number"]
                hint = did_you_mean(column, columns)
                collector.report("modality-no-numbers", MODALITY, found, hint=hint)
            elif part.end > feature.width:
                found = f"{kind} key '{key}' is {part.start}:{part.end} of {column}"
                collector.report("slice-range", MODALITY, found, width=feature.width)
    for key in modality.video:
        feature = info.features.get(name := modality.video_feature(key))
        if feature is None:
            _report_unknown(collector, "modality-camera", f"camera '{key}'", name, info)
        elif not feature.is_camera:
            hint = did_you_mean(name, [camera.name for camera in info.cameras])
            found = f"camera '{key}' is {name}, which {_KINDS[feature.kind]}"
            collector.report("modality-no-camera", MODALITY, found, hint=hint)
    for key in modality.annotation_keys():
        column = modality.annotation_column(key)
        feature = info.features.get(column or "")
        if column is not None and feature is None:
            # An annotation without original_key is the column of its own name.
            _report_unknown(collector, "modality-annotation", f"annotation '{key}'", column, info)
        elif feature is not None and feature.kind != "number":
            found = f"annotation '{key}' is {column}, which {_KINDS[feature.kind]}"
            remedy = f"write the texts to {info.tasks_file} and their indices into the column"
            if "task_index" in info.features:
                remedy = "set its original_key: task_index"
            texts = {"file": info.tasks_file, "remedy": remedy}
            collector.report("annotation-text", MODALITY, found, **texts)


def _report_unknown(collector: Collector, fault: str, what: str, name: str, info: Info) -> None:
    if name in info.raw["features"] and name not in info.features:
        return
    cameras = fault == "modality-camera"
    declared = [item.name for item in info.features.values() if item.is_camera == cameras]
    found = f"{what} is {name}, which meta/info.json does not declare"
    collector.report(fault, MODALITY, found, hint=did_you_mean(name, declared))


def _check_overlaps(collector: Collector, modality: ModalityFile) -> None:
    """Numbers that are in two keys of one modality would be trained on twice."""
    for kind in MODALITIES:
        columns = defaultdict(list)
        for key, part in modality.slices(kind).items():
            columns[modality.vector_column(kind, key)].append((part.start, part.end, key))
        for column, parts in columns.items():
            for (start, end, key), (start2, end2, key2) in pairwise(sorted(parts)):
                if start2 < end:
                    found = f"{kind} keys '{key}' ({start}:{end}) and '{key2}' ({start2}:{end2})"
                    found += f" share numbers of {column}"
                    collector.report("slice-overlap", MODALITY, found)


def task_columns(modality: ModalityFile | None) -> list[str]:
    """``task_index``, and the columns of the annotations."""
    keys = modality.annotation_keys() if modality else ()
    columns = [modality.annotation_column(key) for key in keys] if modality else []
    return list(dict.fromkeys(["task_index", *(name for name in columns if name)]))
