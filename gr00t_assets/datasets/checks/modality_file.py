"""``meta/modality.json`` held against the features: fields, slices, cameras, annotations."""

import shlex
from collections import defaultdict
from itertools import islice, pairwise

from pydantic import ValidationError

from gr00t_assets.core.finding import Collector
from gr00t_assets.core.text import did_you_mean
from gr00t_assets.datasets.lerobot.dataset import MODALITY
from gr00t_assets.datasets.lerobot.features import Feature, Kind
from gr00t_assets.datasets.lerobot.folder import Folder, first_few, read_object
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
    return first_few(names)


def _check_columns(collector: Collector, modality: ModalityFile, info: Info) -> None:
    remedy = f"write the texts to {info.tasks_file} and their indices into the column"
    if "task_index" in info.features:
        remedy = "set its original_key: task_index"

    def check(what: str, name: str, unknown: str, other: str) -> Feature | None:
        """The feature that a key is of; none where it is not declared, or of another kind."""
        feature, is_camera = info.features.get(name), unknown == "modality-camera"
        right = {
            item.name: item
            for item in info.features.values()
            if (item.is_camera if is_camera else item.kind == "number")
        }
        if name in right or (feature is None and name in info.raw["features"]):
            return right.get(name)  # a broken declaration is reported for itself
        which = "meta/info.json does not declare" if feature is None else _KINDS[feature.kind]
        texts = {"hint": did_you_mean(name, right), "file": info.tasks_file, "remedy": remedy}
        fault = unknown if feature is None else other
        collector.report(fault, MODALITY, f"{what} is {name}, which {which}", **texts)
        return None

    for kind in MODALITIES:
        for key, part in modality.slices(kind).items():
            what, column = f"{kind} key '{key}'", modality.vector_column(kind, key)
            feature = check(what, column, "modality-column", "modality-no-numbers")
            if feature is not None and part.end > feature.width:
                found = f"{what} is {part.start}:{part.end} of {column}"
                collector.report("slice-range", MODALITY, found, width=feature.width)
    for key in modality.video:
        feature = modality.video_feature(key)
        check(f"camera '{key}'", feature, "modality-camera", "modality-no-camera")
    for key in modality.annotation_keys():
        # An annotation without original_key is the column of its own name.
        column = modality.annotation_column(key) or key
        check(f"annotation '{key}'", column, "modality-annotation", "annotation-text")


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
