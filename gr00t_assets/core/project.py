"""Where a project's checked-in files are, where its artifacts go, and its settings.

These are ``data/project.yaml`` and ``data/notifications.yaml``; both may be left out.
"""

import os
import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, model_validator

from gr00t_assets.core.errors import NotificationError, ProjectError, StoreError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.text import did_you_mean, name_problem, time_zone_problem
from gr00t_assets.core.yaml_files import explained_error, load_settings, without

_PACKAGE_PARENT = Path(__file__).resolve().parents[2]


def project_root() -> Path:
    """The folder that holds ``data/datasets.yaml``.

    ``GR00T_ASSETS_ROOT`` where it is set; else the current folder where it has a catalog; else the
    checkout that this package was installed from.
    """
    if named := os.environ.get("GR00T_ASSETS_ROOT"):
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

    Nothing below ``root``, an absolute path, refers to it, so it can be moved as a whole.
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
        """A path below the root, whatever somebody wrote into a file as a name or a hash."""
        if problems := list(filter(None, map(name_problem, names))):
            place = "/".join((kind, *names))
            raise StoreError(place, "this is no place inside the store.", problems)
        return self.root.joinpath(kind, *names)


def _owner_problem(value: str) -> str | None:
    """Dagster takes no other owners."""
    owner = r"team:\S.*|[\w.%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}"
    known = re.fullmatch(owner, value, re.ASCII)
    return None if known else f"expected team:NAME or an email address, found {value!r}"


Owner = Annotated[str, without(_owner_problem)]


class ProjectSettings(FrozenModel):
    """What the whole project has in common."""

    owners: tuple[Owner, ...] = Field(
        default=(), description="Of every asset, on the page: team:NAME, or an email address"
    )
    wandb_tags: tuple[str, ...] = Field(
        default=(), description="On every run at Weights & Biases, before the experiment's own"
    )


def load_project_settings() -> ProjectSettings:
    """The file's settings, or defaults; a ``ProjectError`` has every problem with its line."""
    file = project_root() / "data" / "project.yaml"
    return load_settings(file, ProjectSettings, ProjectError) or ProjectSettings()


def project_settings() -> ProjectSettings:
    """The same; defaults also where the file is wrong, which keeps nothing from running."""
    with suppress(ProjectError):
        return load_project_settings()
    return ProjectSettings()


Kind = Literal["failed", "stalled", "finished", "summary"]

_WITHOUT_SECRET = (
    "expected the name of a variable: url: {env: LAB_URL}. A URL holds a secret and does not stand "
    "in this file: put it into the environment that the page and the daemon are started with"
)


def _variable(value: Any) -> str:
    name = value.get("env") if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise explained_error(_WITHOUT_SECRET)
    return name


def _clock(value: Any) -> Any:
    """YAML 1.1 reads 17:30 as a number of minutes, and 07:30 as a text."""
    return f"{value // 60:02}:{value % 60:02}" if type(value) is int and value >= 0 else value


class Channel(FrozenModel):
    """Where messages go, and which."""

    url: Annotated[str, BeforeValidator(_variable)] = Field(
        description="{env: NAME}: the variable that holds the Apprise URL of Slack, mail, a webhook"
    )
    on: tuple[Kind, ...] = Field(
        default=("failed", "stalled", "finished", "summary"), description="What is told"
    )
    sweeps: tuple[str, ...] = Field(default=(), description="Only of these; of all where left out")

    @model_validator(mode="before")
    @classmethod
    def _with_on(cls, value: Any) -> Any:
        """YAML 1.1 reads the key ``on`` as true."""
        if isinstance(value, dict):
            return {"on" if key is True else key: content for key, content in value.items()}
        return value

    def takes(self, kind: Kind, sweep: str) -> bool:
        """Whether the channel is told of a kind of event of a sweep."""
        return kind in self.on and (not self.sweeps or sweep in self.sweeps)


class Notifications(FrozenModel):
    """The file's content."""

    channels: dict[str, Channel] = Field(min_length=1, description="By a name of your own")
    summary_at: Annotated[time, BeforeValidator(_clock)] = Field(
        default=time(7, 30), description="When the morning's summary is sent, HH:MM"
    )
    time_zone: Annotated[str, without(time_zone_problem)] = Field(
        default="UTC", description="Of summary_at: Europe/Berlin"
    )
    page: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s@]+$",
        description="Address of Dagster's page as readers reach it, for links",
    )

    def summary_due(self, now: float) -> float:
        """The last moment up to ``now`` at which a summary was due; seconds since 1970, both."""
        zone = ZoneInfo(self.time_zone)
        day = datetime.fromtimestamp(now, zone).date()
        if (due := datetime.combine(day, self.summary_at, zone).timestamp()) <= now:
            return due
        return datetime.combine(day - timedelta(days=1), self.summary_at, zone).timestamp()

    def unknown_sweeps(self, names: Collection[str]) -> list[str]:
        """A line for each sweep that a channel names and nobody has."""
        return [
            f"channel {channel}: there is no sweep '{sweep}'; {did_you_mean(sweep, names)}"
            for channel, settings in self.channels.items()
            for sweep in sorted(set(settings.sweeps) - set(names))
        ]


def load_notifications(file: Path | None = None) -> Notifications | None:
    """The settings of a file, ``data/notifications.yaml`` if left out; ``None`` without one.

    A ``NotificationError`` has every problem with its line, and quotes no value.
    """
    path = file or project_root() / "data" / "notifications.yaml"
    return load_settings(path, Notifications, NotificationError, values=False)
