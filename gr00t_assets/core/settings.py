"""``data/project.yaml`` and ``data/notifications.yaml``, which may be left out.

The first says who a project belongs to and what marks its runs, the second whom the daemon tells of
failed, stalled and finished trainings. The address of a channel is an Apprise URL, which holds a
secret: the file has the name of the environment's variable that it is in.
"""

import re
from collections.abc import Collection
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gr00t_assets.core.errors import NotificationError, ProjectError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.project import project_root
from gr00t_assets.core.text import did_you_mean, time_zone_problem
from gr00t_assets.core.yaml_files import explained_error, load_settings

_OWNER = re.compile(r"team:\S.*|[\w.%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}", re.ASCII)
"""As Dagster takes them."""


def _checked_owner(value: str) -> str:
    if not _OWNER.fullmatch(value):
        raise explained_error(f"expected team:NAME or an email address, found {value!r}")
    return value


Owner = Annotated[str, AfterValidator(_checked_owner)]


class ProjectSettings(FrozenModel):
    """What the whole project has in common."""

    owners: tuple[Owner, ...] = Field(
        default=(), description="Of every asset, on the page: team:NAME, or an email address"
    )
    wandb_tags: tuple[str, ...] = Field(
        default=(), description="On every run at Weights & Biases, before the experiment's own"
    )


def load_project_settings() -> ProjectSettings:
    """The settings of the file; defaults where there is none.

    Raises:
        ProjectError: Every problem of the file with its line and field.
    """
    file = project_root() / "data" / "project.yaml"
    return load_settings(file, ProjectSettings, ProjectError) or ProjectSettings()


def project_settings() -> ProjectSettings:
    """The same; defaults also where the file is wrong, which keeps nothing from running."""
    try:
        return load_project_settings()
    except ProjectError:
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


def _zone(value: str) -> str:
    if problem := time_zone_problem(value):
        raise explained_error(problem)
    return value


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
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(
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
        dues = (
            datetime.combine(day - timedelta(days=days), self.summary_at, zone).timestamp()
            for days in (0, 1)
        )
        return next(due for due in dues if due <= now)

    def unknown_sweeps(self, names: Collection[str]) -> list[str]:
        """A line for each sweep that a channel names and nobody has."""
        return [
            f"channel {channel}: there is no sweep '{sweep}'; {did_you_mean(sweep, names)}"
            for channel, settings in self.channels.items()
            for sweep in sorted(set(settings.sweeps) - set(names))
        ]


def load_notifications(file: Path | None = None) -> Notifications | None:
    """The settings of a file, ``data/notifications.yaml`` if left out; ``None`` without one.

    Raises:
        NotificationError: Every problem of the file with its line; no value of it is quoted.
    """
    path = file or project_root() / "data" / "notifications.yaml"
    return load_settings(path, Notifications, NotificationError, values=False)
