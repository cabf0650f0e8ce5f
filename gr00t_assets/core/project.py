"""Where a project's checked-in files are, and where its artifacts go."""

import os
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.core.errors import StoreError
from gr00t_assets.core.text import name_problem

_PACKAGE_PARENT = Path(__file__).resolve().parents[2]


def project_root() -> Path:
    """The folder that holds ``data/datasets.yaml``.

    ``GR00T_ASSETS_ROOT`` where it is set; else the current folder where it has a catalog; else the
    checkout that this package was installed from.
    """
    named = os.environ.get("GR00T_ASSETS_ROOT")
    if named:
        return Path(named).resolve()
    here = Path.cwd()
    return here if (here / "data" / "datasets.yaml").is_file() else _PACKAGE_PARENT


def data_files(pattern: str) -> list[Path]:
    """Files of the folder ``data`` by a pattern such as ``sweeps/*.yaml``, in order of their names.

    After them come those of ``data/examples``, where ``GR00T_ASSETS_EXAMPLES`` is 1.
    """
    folders = [project_root() / "data"]
    if os.environ.get("GR00T_ASSETS_EXAMPLES", "0") not in ("", "0"):
        folders.append(folders[0] / "examples")
    return [file for folder in folders for file in sorted(folder.glob(pattern))]


def own_modality_file(dataset: str) -> Path:
    """Where a project has a dataset's ``modality.json``, in place of the source's own."""
    return project_root() / "data" / "datasets" / dataset / "modality.json"


def materialize_command(asset: str, partition: str) -> str:
    """What a person types to have one partition of an asset made.

    Examples:
        >>> materialize_command("dataset", "demo")
        'dagster asset materialize -m gr00t_assets.definitions --select dataset --partition demo'
    """
    return (
        "dagster asset materialize -m gr00t_assets.definitions "
        f"--select {asset} --partition {partition}"
    )


@dataclass(frozen=True)
class Store:
    """The folder of everything that is made: datasets, frames, runs and reports.

    Attributes:
        root: Absolute path. Nothing below it refers to it, so it can be moved as a whole.
    """

    root: Path

    @classmethod
    def from_environment(cls) -> "Store":
        """``GR00T_ASSETS_STORE`` where it is set, else ``data/store`` in the project."""
        named = os.environ.get("GR00T_ASSETS_STORE")
        root = Path(named) if named else project_root() / "data" / "store"
        return cls(root.resolve())

    def dataset_record(self, name: str) -> Path:
        """The JSON file that says which version of a dataset is current."""
        return self._inside("datasets", name) / "dataset.json"

    def dataset_directory(self, name: str, version: str) -> Path:
        """One version of a dataset, in LeRobot's layout; never changed once it is there."""
        return self._inside("datasets", name, version)

    def dataset_scan(self, name: str, version: str) -> Path:
        """The JSON file that keeps what the checks found in a dataset version's files."""
        return self.dataset_directory(name, version).with_name(f"{version}.scan.json")

    def dataset_files(self, name: str, version: str) -> Path:
        """The JSON file with the SHA-256 of every file of a dataset version."""
        return self.dataset_directory(name, version).with_name(f"{version}.files.json")

    def modality_config(self, name: str) -> Path:
        """The JSON file of a dataset's validated modality config."""
        return self._inside("modality_configs", name).with_name(f"{name}.json")

    def frame_cache(self, name: str, version: str) -> Path:
        """The folder of a dataset version's decoded frames."""
        return self._inside("frame_caches", name, version)

    def frame_check(self, name: str, version: str) -> Path:
        """The JSON file that says whether a frame cache gives the right frames."""
        return self.frame_cache(name, version).with_name(f"{version}.frames.json")

    def run_directory(self, experiment: str, config_hash: str) -> Path:
        """Everything that one experiment with one configuration leaves on disk."""
        return self._inside("runs", experiment, config_hash)

    def promoted_model(self, experiment: str, config_hash: str) -> Path:
        """The folder of a promoted model: weights, model card and the record of the promotion."""
        return self._inside("models", experiment, config_hash)

    @property
    def reports(self) -> Path:
        """The folder of reports for people."""
        return self.root / "reports"

    def _inside(self, kind: str, *names: str) -> Path:
        """A path below the root, whatever somebody wrote into a file as a name or a hash.

        Raises:
            StoreError: A name is not one that can be a folder's.
        """
        problems = [problem for name in names if (problem := name_problem(name))]
        if problems:
            raise StoreError(
                "/".join((kind, *names)), "this is no place inside the store.", problems
            )
        return self.root.joinpath(kind, *names)
