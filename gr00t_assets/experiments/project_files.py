"""What can be used of a project's files: a fault of one disables what it defines and nothing else.

The files are read again when one has changed, so that a sensor can ask at every tick. What a file
with a fault defined before is remembered in the store, by name: its experiments stay partitions,
so that runs and backfills of them end with the error of the file and go on once it is mended.
"""

import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from gr00t_assets.core.errors import Gr00tAssetsError, StoreError
from gr00t_assets.core.files import (
    FileStamp,
    FrozenModel,
    file_stamp,
    json_hash,
    read_json,
    write_json,
)
from gr00t_assets.core.project import (
    Store,
    data_files,
    load_notifications,
    load_project_settings,
    project_root,
)
from gr00t_assets.core.text import printable
from gr00t_assets.core.yaml_files import VISIBLE_YAML
from gr00t_assets.datasets.catalog import Catalog, read_catalog
from gr00t_assets.environments.environment_file import environments_file, load_environments
from gr00t_assets.experiments.engine_file import engines_file, usable_engines
from gr00t_assets.experiments.sweeps import Experiments, Sweeps, read_sweeps, rounds_file
from gr00t_assets.modality.data_config import data_configs

LOG = logging.getLogger("gr00t_assets.project_files")
"""Where faults are told, each once in a process; nobody hears it but after ``tell_on_stderr``."""

LOG.addHandler(logging.NullHandler())

_told: set[str] = set()


class _StandardError(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(printable(record.getMessage()) + "\n")


def tell_on_stderr() -> None:
    """Have faults told on standard error: that of a command, or the log of a code location."""
    if not any(isinstance(handler, _StandardError) for handler in LOG.handlers):
        LOG.addHandler(_StandardError())


class FileFault(NamedTuple):
    """A file with a fault, and all of its problems in one error."""

    file: Path
    error: Gr00tAssetsError

    @property
    def line(self) -> str:
        """The first problem with its file and line, and where the others are told."""
        return f"{self.error.headline} (gr00t-assets check tells all)"


@dataclass(frozen=True)
class ProjectFiles:
    """What can be used, and every file with a fault, in the order in which they are read.

    ``lost_datasets`` are those that the catalog had before its fault.
    """

    datasets: Catalog
    sweeps: Sweeps
    faults: tuple[FileFault, ...] = ()
    lost_datasets: tuple[str, ...] = ()

    @property
    def experiments(self) -> Experiments:
        """Every experiment that can be used, those of later rounds too."""
        return self.sweeps.experiments

    @property
    def experiment_names(self) -> list[str]:
        """Their names, and those that files with a fault had before."""
        return [*self.experiments, *self.sweeps.lost]

    @property
    def dataset_names(self) -> list[str]:
        """Names of datasets that can be used, and of those that the catalog had before."""
        return [*self.datasets, *self.lost_datasets]


def project_stamp() -> FileStamp:
    """What changes when one of the files does that define datasets, engines and sweeps."""
    patterns = (VISIBLE_YAML, f"data_configs/{VISIBLE_YAML}", f"sweeps/{VISIBLE_YAML}")
    return file_stamp(file for pattern in patterns for file in data_files(pattern))


def read_project() -> ProjectFiles:
    """The project's files as they are now; faults that are new are told in the log."""
    store = Store.from_environment()
    rounds = file_stamp(rounds_file("x", store).parent.glob("[!.]*.json"))
    return _read(project_root(), project_stamp(), rounds, store)


@lru_cache(maxsize=2)
def _read(root: Path, stamp: FileStamp, rounds: FileStamp, store: Store) -> ProjectFiles:
    catalog, engines, environments = read_catalog(), usable_engines(), load_environments()
    sweeps = read_sweeps(data_files(f"sweeps/{VISIBLE_YAML}"), catalog)
    errors: dict[Path, Gr00tAssetsError] = dict(catalog.faults)
    folder = root / "data"
    problems = {environments_file(): environments.problem, engines_file(): engines.problem}
    errors |= {file: problem for file, problem in problems.items() if problem is not None}
    for name, load in (("project", load_project_settings), ("notifications", load_notifications)):
        try:
            load()
        except Gr00tAssetsError as error:
            errors[folder / f"{name}.yaml"] = error
    configs = data_configs().errors.items()
    errors |= {folder / "data_configs" / f"{name}.yaml": error for name, error in configs}
    faults = [FileFault(*item) for item in (errors | sweeps.faults).items()]
    _tell(faults)
    known = _known_names(store) if faults else KnownNames()
    sweeps.lost = {
        name: file
        for file in sweeps.faults
        for name in known.sweeps.get(_key(file), ())
        if name not in sweeps.experiments
    }
    return ProjectFiles(
        datasets=catalog,
        sweeps=sweeps,
        faults=tuple(faults),
        lost_datasets=tuple(
            name
            for name in known.datasets
            if name not in catalog and (name in catalog.errors or catalog.unreadable)
        ),
    )


def _tell(faults: list[FileFault]) -> None:
    lines = [fault.line for fault in faults]
    for line in lines:
        if line not in _told:
            LOG.warning("warning: %s", line)
    _told.clear()
    _told.update(lines)


class KnownNames(FrozenModel):
    """What files had when they were last read without a fault."""

    datasets: tuple[str, ...] = ()
    sweeps: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Experiments by the sweep file's path in the project"
    )


def remember_names(project: ProjectFiles) -> None:
    """Keep the names of what can be used, and of files with a fault those that are kept already.

    Before there is a store no run needs them, and where it cannot be written they are not kept.
    """
    store = Store.from_environment()
    before = _known_names(store)
    sweeps = {
        _key(sweep.file): tuple(item.name for item in sweep.every)
        for sweep in project.sweeps.values()
    }
    keys = map(_key, project.sweeps.faults)
    sweeps |= {key: before.sweeps[key] for key in keys if key in before.sweeps}
    known = KnownNames(datasets=tuple(project.dataset_names), sweeps=sweeps)
    if known != before and store.root.is_dir():
        with suppress(StoreError, OSError):
            write_json(_names_file(store), known.model_dump(mode="json"))


def _known_names(store: Store) -> KnownNames:
    try:
        return KnownNames.model_validate(read_json(_names_file(store)))
    except (OSError, ValueError):
        return KnownNames()


def _names_file(store: Store) -> Path:
    """Of this clone of the project; others may share the store."""
    return store.root / "projects" / f"{json_hash(str(project_root()), 12)}.json"


def _key(file: Path) -> str:
    root = project_root()
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)
