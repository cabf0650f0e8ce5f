"""A new dataset looked at, checked and drafted for, and its files written to the project."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import shorten

import yaml

from gr00t_assets.core.errors import CatalogError, DatasetError
from gr00t_assets.core.files import write_bytes
from gr00t_assets.core.finding import Findings
from gr00t_assets.core.locks import LockWait
from gr00t_assets.core.processes import lock_file, try_lock
from gr00t_assets.core.project import Store, own_modality_file, project_root
from gr00t_assets.core.text import counted, name_problem
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.datasets.adding.config_choice import ConfigChoice, choose_data_config
from gr00t_assets.datasets.adding.modality_draft import modality_draft
from gr00t_assets.datasets.catalog import CatalogEntry, load_catalog, project_catalog, read_catalog
from gr00t_assets.datasets.checks.episode_scan import Progress
from gr00t_assets.datasets.curation import TaskNames
from gr00t_assets.datasets.fit.dataset_check import check_dataset, of_own_file
from gr00t_assets.datasets.lerobot.dataset import MODALITY, LeRobotDataset
from gr00t_assets.datasets.lerobot.folder import Folder
from gr00t_assets.datasets.lerobot.metadata import read_metadata
from gr00t_assets.datasets.source_kinds import FolderSource, Source
from gr00t_assets.datasets.sources.fetch import drop_download, name_of_source, no_log, taken_source
from gr00t_assets.datasets.sources.versions import load_record
from gr00t_assets.modality.observation import special_tokens

HELD_OUT_FROM = 10  # episodes from which on the last tenth is kept from training


class UnsoundDatasetError(DatasetError):
    """A dataset has errors, among the ``findings`` of its check, and was not added."""

    def __init__(self, name: str, findings: Findings) -> None:
        lines = [f"{item.subject or 'the folder'}: {item.text}" for item in findings.errors]
        super().__init__(name, "this dataset cannot be trained on; nothing was written.", lines)
        self.findings = findings


@dataclass(frozen=True)
class Addition:
    """What was understood of a dataset, and what is to be written.

    Attributes:
        is_new: Whether the entry is to be written.
        dataset: Its meta files; a download is no longer where it says.
        findings: Of the check; none is an error.
    """

    entry: CatalogEntry
    is_new: bool
    dataset: LeRobotDataset
    choice: ConfigChoice
    findings: Findings

    @property
    def files(self) -> dict[Path, str]:
        """The content of new files by path, but for the catalog."""
        files = {}
        if self.dataset.modality is None:
            content = json.dumps(self.choice.draft.content, indent=2, ensure_ascii=False)
            files[own_modality_file(self.entry.name)] = content + "\n"
        if self.choice.text is not None:
            folder = project_root() / "data" / "data_configs"
            files[folder / f"{self.choice.config.name}.yaml"] = self.choice.text
        return files


def look_at_source(
    source: Source,
    store: Store,
    name: str | None = None,
    data_config: str | None = None,
    embodiment_tag: str | None = None,
    description: str | None = None,
    progress: Progress | None = None,
    log: Callable[[str], None] = no_log,
) -> Addition:
    """Take a new dataset from its source, check it, and draft what the project needs for it.

    A download is kept below the store for the materialisation that follows; nothing else is
    written, and the source never. The name is that of the folder or repository where left out.

    Raises:
        CatalogError: The name is taken, or cannot be a dataset's.
        UnsoundDatasetError: The check has errors.
        DatasetError: It cannot be had, or nothing can be drafted.
        DataConfigError: There is no such data config.
    """
    name = name or name_of_source(source)
    another = "choose another with --name"
    if problem := name_problem(name):
        raise CatalogError(name, f"{problem}.", [another])
    if name in project_catalog():
        remedy = f"{another}; gr00t-assets dataset show {name} shows the one"
        raise CatalogError(name, "data/datasets.yaml has a dataset of this name.", [remedy])
    entry = CatalogEntry(name=name, description="new", source=source, data_config="none")
    with taken_source(entry, store, log) as (directory, pinned):
        tasks = read_metadata(Folder(directory, confined=False)).tasks or {}
        if any(map(special_tokens, tasks.values())):
            entry = entry.model_copy(update={"tasks": TaskNames(special_tokens="escape")})
        examined = _examine(directory, entry, data_config, embodiment_tag, progress)
    dataset, choice, _ = examined
    entry = CatalogEntry(
        name=name,
        description=description or _description(dataset),
        source=pinned,
        data_config=choice.config.name,
        embodiment_tag=embodiment_tag or choice.embodiment_tag,
        held_out=0.1 if len(dataset.episodes) >= HELD_OUT_FROM else None,
        tasks=entry.tasks,
    )
    return Addition(entry, True, *examined)


def look_at_entry(entry: CatalogEntry, store: Store, progress: Progress | None = None) -> Addition:
    """Draft ``modality.json`` for a dataset of the catalog that has none, and fits its data config.

    A DatasetError where it has one, cannot be had, or does not fit.
    """
    try:
        place = nullcontext((load_record(entry.name, store).directory(store), None))
    except DatasetError:
        place = taken_source(entry, store, no_log)
    config, tag = entry.data_config, entry.embodiment_tag
    try:
        with place as (directory, _):
            addition = Addition(entry, False, *_examine(directory, entry, config, tag, progress))
    except UnsoundDatasetError as error:
        unfit = [item.found for item in error.findings.errors if item.code == "config-key"]
        if not unfit:
            raise
        problem = f"its columns cannot be named as data config {config} names them."
        command = f"gr00t-assets dataset add SOURCE --name {entry.name}"
        remedy = f"remove it from data/datasets.yaml and add its source with {command}, "
        remedy += "which drafts a data config too"
        raise DatasetError(entry.name, problem, [*unfit, remedy]) from error
    if not addition.files:
        shown = shown_path(own_modality_file(entry.name))
        lines = [f"to change its keys, copy it to {shown} and edit that"]
        raise DatasetError(entry.name, "it has a modality.json; there is nothing to draft.", lines)
    return addition


def discard(addition: Addition, store: Store) -> None:
    """Drop the download of a dataset that is not added after all, unless another has use of it."""
    folder = store.dataset_record(addition.entry.name).parent
    with ExitStack() as locks:
        if addition.is_new and folder.is_dir() and lock_file(folder / ".lock", locks) is not None:
            drop_download(folder)


def stand_ins(directory: Path) -> dict[Path, Path]:
    """The project's ``modality.json`` of a folder that the catalog has as a source."""
    with suppress(CatalogError):
        for name, entry in project_catalog().items():
            own, source = own_modality_file(name), entry.source
            folder = project_root() / source.path if isinstance(source, FolderSource) else None
            if folder and folder.resolve() == directory.resolve() and own.is_file():
                return {Path(MODALITY): own}
    return {}


def _examine(
    directory: Path,
    entry: CatalogEntry,
    data_config: str | None,
    embodiment_tag: str | None,
    progress: Progress | None,
) -> tuple[LeRobotDataset, ConfigChoice, Findings]:
    """Read, draft and check a dataset, with the project's ``modality.json`` where there is one."""
    name, own = entry.name, own_modality_file(entry.name)
    replaced = {Path(MODALITY): own} if own.is_file() else {}
    check = partial(check_dataset, directory, progress=progress, trained_task=entry.curation.task)
    try:
        dataset = LeRobotDataset.read(Folder(directory, confined=False, replaced=replaced), name)
    except DatasetError as error:
        if (findings := check(replaced=replaced)).ok:
            raise
        raise UnsoundDatasetError(name, of_own_file(findings, name)) from error
    choice = choose_data_config(dataset, modality_draft(dataset), data_config)
    with tempfile.TemporaryDirectory() as folder:
        if dataset.modality is None:
            file = Path(folder, "modality.json")
            file.write_text(json.dumps(choice.draft.content), encoding="utf-8")
            replaced = {Path(MODALITY): file}
        tag = embodiment_tag or choice.embodiment_tag
        findings = of_own_file(check(choice.config, tag, replaced=replaced), name)
    if not findings.ok:
        raise UnsoundDatasetError(name, findings)
    return dataset, choice, findings


def _description(dataset: LeRobotDataset) -> str:
    tasks = list(dataset.tasks.values())
    more = f" and {len(tasks) - 1} more" if len(tasks) > 1 else ""
    first = shorten(tasks[0], 80, placeholder="...") if tasks else "no instruction"
    return f"{counted(len(dataset.episodes), 'episode')} of {dataset.robot_type}: {first}{more}"


def write_project_files(files: Mapping[Path, str], entry: CatalogEntry | None) -> list[Path]:
    """Write new files, and last an entry at the end of ``data/datasets.yaml``; the paths.

    The catalog's comments and order stay; it is read with the entry before it is replaced. A file
    that is there is kept. Where anything fails, nothing is left that was not there.

    Raises:
        CatalogError: The catalog cannot be appended to, or has the name by now.
        StoreError: The disk is full.
    """
    catalog = project_root() / "data" / "datasets.yaml"
    catalog.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(catalog.parent):
        new = [file for file in files if not file.exists()]
        folders = {folder for file in new for folder in file.parents if not folder.exists()}
        try:
            for file in new:
                write_bytes(file, files[file].encode())
            if entry is not None:
                write_bytes(catalog, _with_entry(catalog, entry).encode())
        except BaseException:
            for file in new:
                file.unlink(missing_ok=True)
            for folder in sorted(folders, reverse=True):
                with suppress(OSError):
                    folder.rmdir()
            raise
    return [*files, *([catalog] if entry else [])]


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep two commands from appending to the same text, by a lock on the folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        waiting = LockWait(folder, str(folder), lambda line: sys.stderr.write(line + "\n"))
        while not try_lock(descriptor):
            waiting.look()
            time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def _with_entry(catalog: Path, entry: CatalogEntry) -> str:
    """The text of the catalog with an entry after all others, once it has been read."""
    before = load_catalog(catalog) if catalog.is_file() else {}
    if entry.name in before:
        raise CatalogError(entry.name, "data/datasets.yaml has a dataset of this name by now.")
    text = catalog.read_text(encoding="utf-8").rstrip("\n") if catalog.is_file() else ""
    if not before:
        # An empty mapping in braces takes no lines after it.
        text = "\n".join(line for line in text.splitlines() if line.strip() not in ("{}", "---"))
    fields = entry.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
    fields["source"] = {"kind": entry.source.kind, **fields["source"]}
    text += "\n\n" if text else ""
    text += yaml.safe_dump({entry.name: fields}, sort_keys=False, allow_unicode=True, width=96)
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder, catalog.name)
        trial.write_text(text, encoding="utf-8")
        after = read_catalog(trial)
    if after != {**before, entry.name: entry}:
        faults = after.faults.values()
        lines = [line for error in faults for line in (error.problem, *error.details)]
        problem = "an entry cannot be put at its end; nothing was written."
        remedy = "write each dataset on lines of its own, from the first column on"
        raise CatalogError("data/datasets.yaml", problem, [*lines, remedy])
    return text
