"""A new dataset looked at, checked and drafted for."""

import json
import tempfile
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import shorten

from gr00t_assets.core.errors import CatalogError, DatasetError
from gr00t_assets.core.finding import Findings
from gr00t_assets.core.project import Store, own_modality_file, project_root
from gr00t_assets.core.text import counted, name_problem
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.datasets.adding.config_choice import ConfigChoice, choose_data_config
from gr00t_assets.datasets.adding.modality_draft import modality_draft
from gr00t_assets.datasets.adding.source import drop_download, name_of_source, taken_source
from gr00t_assets.datasets.catalog import CatalogEntry, project_catalog
from gr00t_assets.datasets.checks.episode_scan import Progress
from gr00t_assets.datasets.curation import TaskNames
from gr00t_assets.datasets.fit.dataset_check import check_dataset, of_own_file
from gr00t_assets.datasets.lerobot.dataset import MODALITY, LeRobotDataset
from gr00t_assets.datasets.lerobot.folder import Folder
from gr00t_assets.datasets.lerobot.metadata import read_metadata
from gr00t_assets.datasets.record import load_record
from gr00t_assets.datasets.source_kinds import FolderSource, Source
from gr00t_assets.datasets.sources.fetch import no_log
from gr00t_assets.modality.special_tokens import special_tokens

HELD_OUT_FROM = 10
"""Episodes from which on the last tenth is kept from training."""


class UnsoundDatasetError(DatasetError):
    """A dataset has errors and was not added.

    Attributes:
        findings: All of the check.
    """

    def __init__(self, name: str, findings: Findings) -> None:
        lines = [f"{item.subject or 'the folder'}: {item.text}" for item in findings.errors]
        super().__init__(name, "this dataset cannot be trained on; nothing was written.", lines)
        self.findings = findings


@dataclass(frozen=True)
class Addition:
    """What was understood of a dataset, and what is to be written.

    Attributes:
        entry: Its entry in the catalog.
        is_new: Whether the entry is to be written.
        dataset: Its meta files; a download is no longer where it says.
        choice: Its data config, and the keys of ``modality.json``.
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
    written, and the source never.

    Args:
        name: Its name in the catalog; that of the folder or repository where left out.
        data_config: Name of the data config that it is to fit.

    Raises:
        CatalogError: The name is taken, or cannot be a dataset's.
        UnsoundDatasetError: The check has errors.
        DatasetError: It cannot be had, or nothing can be drafted.
        DataConfigError: There is no such data config.
    """
    name = name or name_of_source(source)
    if problem := name_problem(name):
        raise CatalogError(name, f"{problem}.", ["choose another with --name"])
    if name in project_catalog():
        remedy = f"choose another with --name; gr00t-assets dataset show {name} shows the one"
        raise CatalogError(name, "data/datasets.yaml has a dataset of this name.", [remedy])
    entry = CatalogEntry(name=name, description="new", source=source, data_config="none")
    with taken_source(entry, store, log) as (directory, pinned):
        entry = entry.model_copy(update={"tasks": _tasks(directory)})
        dataset, choice, findings = _examine(
            directory, entry, data_config, embodiment_tag, progress
        )
    entry = CatalogEntry(
        name=name,
        description=description or _description(dataset),
        source=pinned,
        data_config=choice.config.name,
        embodiment_tag=embodiment_tag or choice.embodiment_tag,
        held_out=0.1 if len(dataset.episodes) >= HELD_OUT_FROM else None,
        tasks=entry.tasks,
    )
    return Addition(entry, True, dataset, choice, findings)


def look_at_entry(entry: CatalogEntry, store: Store, progress: Progress | None = None) -> Addition:
    """Draft ``modality.json`` for a dataset of the catalog that has none, and fits its data config.

    Raises:
        DatasetError: It has one, it cannot be had, or it does not fit.
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
        remedy = (
            "remove it from data/datasets.yaml and add its source with "
            f"gr00t-assets dataset add SOURCE --name {entry.name}, which drafts a data config too"
        )
        raise DatasetError(entry.name, problem, [*unfit, remedy]) from error
    if not addition.files:
        shown = shown_path(own_modality_file(entry.name))
        lines = [f"to change its keys, copy it to {shown} and edit that"]
        raise DatasetError(entry.name, "it has a modality.json; there is nothing to draft.", lines)
    return addition


def discard(addition: Addition, store: Store) -> None:
    """Drop the download of a dataset that is not added after all."""
    folder = store.dataset_record(addition.entry.name).parent
    if addition.is_new and folder.is_dir():
        drop_download(folder)


def stand_ins(directory: Path) -> dict[Path, Path]:
    """The project's ``modality.json`` of a folder that the catalog has as a source."""
    with suppress(CatalogError):
        for name, entry in project_catalog().items():
            if isinstance(entry.source, FolderSource):
                folder = project_root() / entry.source.path
                if folder.resolve() == directory.resolve() and (replaced := _own_file(name)):
                    return replaced
    return {}


def _own_file(name: str) -> dict[Path, Path]:
    own = own_modality_file(name)
    return {Path(MODALITY): own} if own.is_file() else {}


def _examine(
    directory: Path,
    entry: CatalogEntry,
    data_config: str | None,
    embodiment_tag: str | None,
    progress: Progress | None,
) -> tuple[LeRobotDataset, ConfigChoice, Findings]:
    """Read, draft and check a dataset; its ``modality.json`` is the project's where there is one.

    Raises:
        UnsoundDatasetError: The check has errors.
        DatasetError: Nothing can be drafted.
    """
    name, replaced = entry.name, _own_file(entry.name)
    check = partial(check_dataset, directory, progress=progress, trained_task=entry.curation.task)
    try:
        dataset = LeRobotDataset.read(Folder(directory, confined=False, replaced=replaced), name)
    except DatasetError as error:
        findings = check(replaced=replaced)
        if findings.ok:
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


def _tasks(directory: Path) -> TaskNames | None:
    """What an entry says of its instructions: that special tokens in them are words."""
    tasks = read_metadata(Folder(directory, confined=False)).tasks or {}
    is_special = any(map(special_tokens, tasks.values()))
    return TaskNames(special_tokens="escape") if is_special else None


def _description(dataset: LeRobotDataset) -> str:
    """What a dataset shows, by its instructions, to be put better by a person."""
    tasks = list(dataset.tasks.values())
    more = f" and {len(tasks) - 1} more" if len(tasks) > 1 else ""
    first = shorten(tasks[0], 80, placeholder="...") if tasks else "no instruction"
    return f"{counted(len(dataset.episodes), 'episode')} of {dataset.robot_type}: {first}{more}"
