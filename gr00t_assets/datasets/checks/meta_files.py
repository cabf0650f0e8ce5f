"""The meta files held against each other, the features, and the files that there are."""

import re
import shlex
from collections import defaultdict
from collections.abc import Collection, Mapping
from itertools import pairwise
from pathlib import PurePosixPath

from pydantic import ValidationError

from gr00t_assets.core.finding import Collector, short
from gr00t_assets.core.text import did_you_mean
from gr00t_assets.datasets.lerobot.dataset import MODALITY
from gr00t_assets.datasets.lerobot.features import INFO, Feature, Kind
from gr00t_assets.datasets.lerobot.folder import Folder, first_few, read_object
from gr00t_assets.datasets.lerobot.info import V30, Info
from gr00t_assets.datasets.lerobot.metadata import Metadata
from gr00t_assets.modality.modality_json import DEFAULT_COLUMNS, Modality, ModalityFile
from gr00t_assets.modality.observation import special_tokens

_SPLIT = re.compile(r"(\d{1,9}):(\d{1,9})")

MODALITIES: tuple[Modality, ...] = ("state", "action")

_KINDS: dict[Kind, str] = {
    "video": "is a camera",
    "image": "is a camera",
    "depth": "is a depth camera",
    "audio": "is audio",
    "text": "holds text",
    "number": "holds numbers",
}


def check_features(collector: Collector, info: Info) -> None:
    """Report names that do not fit the shape, and numbers that are flattened."""
    for feature in info.features.values():
        names = info.raw["features"][feature.name].get("names")
        is_listed = isinstance(names, list) and names and isinstance(names[0], str)
        if is_listed and len(names) not in (feature.width, len(feature.shape)):
            found = f"{feature.name} has {len(names)} names for shape {list(feature.shape)}"
            collector.report("feature-names", INFO, found, count=feature.width)
        if feature.is_flattened:
            found = f"{feature.name} has the shape {list(feature.shape)}"
            collector.report("feature-flattened", INFO, found, count=feature.width)


def check_tasks(collector: Collector, tasks: Mapping[int, str], file: str) -> None:
    """Report tasks of a list, a file, that are no instruction."""
    for index, text in tasks.items():
        if not text.strip():
            collector.report("task-empty", file, f"task {index}: an empty text")
        elif len(text.split()) < 2:
            collector.report("task-not-instruction", file, f"task {index} is {short(text)}")
        if tokens := special_tokens(text):
            found = f"task {index}: {', '.join(tokens[:4])} in {short(text)}"
            collector.report("task-special-token", file, found, file=file)


def check_episodes(metadata: Metadata) -> None:
    """Report gaps, disorder and unknown instructions in the list of episodes."""
    listed, file = metadata.listed or (), metadata.info.episodes_file
    collector = metadata.folder.collector
    for before, episode in pairwise(listed):
        if episode.index < before.index:
            found = f"episode {episode.index} after episode {before.index}"
            collector.report("episode-order", file, found)
            break
    instructions, tasks = set((metadata.tasks or {}).values()), metadata.info.tasks_file
    for episode in listed if metadata.tasks is not None else ():
        for text in episode.tasks:
            if text not in instructions:
                found = f"episode {episode.index}: {short(text)}"
                collector.report("episode-task-unknown", file, found, file=tasks)
    indices = {episode.index for episode in listed}
    last = max(indices, default=-1)
    absent = last + 1 - len(indices)
    if metadata.complete and absent > 0:
        first = next(index for index in range(last + 1) if index not in indices)
        found = f"{absent} of the episodes 0 to {last} are not listed, first {first}"
        collector.report("episode-gap", file, found)


def check_unlisted_files(metadata: Metadata) -> None:
    """Report files of rows of v2.x whose episodes are not listed."""
    if metadata.info.version == V30 or metadata.folder.is_partial:
        return
    folder, listed = metadata.folder, set(metadata.data_files())
    roots = {PurePosixPath(file).parts[0] for file in listed if "/" in file}
    for root in filter(folder.holds, sorted(roots)):
        for path in sorted((folder.directory / root).rglob("*.parquet")):
            file = folder.relative(path)
            if file not in listed and not path.is_dir():
                found = "rows of an episode that is not listed"
                folder.collector.report("episode-unlisted", file, found)


def check_totals(metadata: Metadata, cameras: Collection[Feature], rows: int) -> None:
    """Report totals of ``info.json`` that are not those of the cameras with frames and the rows.

    Fewer episodes or rows than declared are errors, since a part is missing; other totals are
    read by nothing that trains. Where a declared camera has no frames, it is that which is missing,
    and no total of videos is wrong.
    """
    info, episodes, collector = metadata.info, metadata.episodes, metadata.folder.collector
    count, size = len(episodes), info.chunks_size
    lengths = sum(episode.length for episode in episodes)
    chunks = len({episode.index // size for episode in episodes}) if size else None
    tasks = None if metadata.tasks is None else len(metadata.tasks)
    videos = count * sum(feature.dtype == "video" for feature in info.features.values())
    if info.version == V30 or len(cameras) < len(info.cameras):
        videos = None
    for name, fault, *right in (
        ("total_episodes", "episode-count", count),
        ("total_frames", "frame-count", lengths, rows),
        ("total_tasks", "info-total", tasks),
        ("total_videos", "info-total", videos),
        ("total_chunks", "info-total", chunks),
    ):
        if right[0] is not None and name in info.raw and info.raw[name] not in right:
            found = f"{name} {short(info.raw[name])}"
            texts = {"name": name, "total": right[0], "file": info.episodes_file}
            collector.report(fault, INFO, found, **texts)
    splits = info.raw.get("splits")
    parts = splits if isinstance(splits, dict) else {} if splits is None else {"splits": splits}
    for name, value in parts.items():
        bounds = _SPLIT.fullmatch(value) if isinstance(value, str) else None
        if not bounds or not int(bounds[1]) <= int(bounds[2]) <= count:
            found = f"split {short(name)} is {short(value)}"
            collector.report("info-splits", INFO, found, episodes=count)


def check_modality(folder: Folder, info: Info) -> ModalityFile | None:
    """Read ``modality.json``, None where it cannot be used; what is wrong with it is a finding."""
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
    columns: dict[str, Modality] = {DEFAULT_COLUMNS[kind]: kind for kind in MODALITIES}
    if modality is not None:
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
    of_key: dict[int, str] = {}
    for key, part in modality.slices(kind).items() if modality else ():
        if modality and modality.vector_column(kind, key) == column.name:
            span = range(part.start, part.end)
            if len(span) > 1 and left.issuperset(span):
                names.append(f"{key} ({part.start}:{part.end})")
                left -= set(span)
            inside = {number: f"{key}.{number - part.start}" for number in left if number in span}
            of_key = inside | of_key
    of_key = dict(enumerate(column.names)) | of_key
    for number in sorted(left):
        names.append(f"{of_key[number]} ({number})" if of_key.get(number) else str(number))
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
    columns = map(modality.annotation_column, modality.annotation_keys()) if modality else ()
    return list(dict.fromkeys(["task_index", *filter(None, columns)]))
