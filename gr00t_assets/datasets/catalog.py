"""``data/datasets.yaml``: the datasets that can be trained on, and where they come from."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from gr00t_assets.core.errors import CatalogError, DatasetError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.finding import Finding
from gr00t_assets.core.names import did_you_mean, name_problem
from gr00t_assets.core.project import project_root
from gr00t_assets.core.yaml_files import (
    Location,
    load_yaml,
    raise_problems,
    validation_problems,
    yaml_problem,
)
from gr00t_assets.datasets.curation import Curation, EpisodeChoice, IdleTrim, TaskNames
from gr00t_assets.datasets.lerobot.folder import episode_names
from gr00t_assets.datasets.source_kinds import SOURCE_KINDS, FolderSource, Source
from gr00t_assets.environments.environment_file import load_environments
from gr00t_assets.modality.data_config import EMBODIMENT_IDS, data_configs

if TYPE_CHECKING:
    from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset

_HELD_OUT_FORM = "expected episode indices like [3, 7], or a share of the last episodes like 0.1"


def _checked_held_out(value: Any) -> tuple[int, ...] | float | None:
    if isinstance(value, float) and not 0 < value < 1:
        raise ValueError(f"a share lies between 0 and 1; {_HELD_OUT_FORM}")
    if value is None or isinstance(value, float):
        return value
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(_HELD_OUT_FORM)
    if not all(type(index) is int and index >= 0 for index in value):
        raise ValueError(f"an episode index is a whole number from 0 on; {_HELD_OUT_FORM}")
    repeated = sorted({index for index in value if value.count(index) > 1})
    if repeated:
        raise ValueError(f"named twice: {', '.join(map(str, repeated))}")
    return tuple(sorted(value))


HeldOut = Annotated[tuple[int, ...] | float | None, BeforeValidator(_checked_held_out)]
"""Indices of episodes, in order; or the share of the dataset's last episodes; or none."""


FramePixels = Annotated[int, Field(ge=32, le=4096)]
"""A side of a cached frame."""


class CatalogEntry(FrozenModel):
    """One dataset of the catalog; its name is its partition key."""

    name: str
    description: str = Field(min_length=1, description="What the demonstrations show")
    source: Source
    data_config: str = Field(description="Built in, or of data/data_configs: so100_dualcam")
    embodiment_tag: str = Field(default="new_embodiment", description="gr1, new_embodiment, ...")
    held_out: HeldOut = Field(
        default=None,
        description="Episodes kept from training, by their numbers in the source: a list, or a "
        "share of the last ones",
    )
    frame_size: tuple[FramePixels, FramePixels] | None = Field(
        default=None, description="Width and height to cache frames at, to save disk"
    )
    frames: int | None = Field(
        default=None, ge=1, description="Frames of all episodes, for epochs before it is here"
    )
    environment: str | None = Field(
        default=None, description="That policies trained on it are rolled out in"
    )
    episodes: EpisodeChoice | None = Field(
        default=None, description="Episodes that are taken; all by default"
    )
    trim_idle: IdleTrim | None = Field(
        default=None, description="Cut off rows at the ends of episodes in which nothing moves"
    )
    tasks: TaskNames | None = Field(default=None, description="Instructions written otherwise")

    @property
    def curation(self) -> Curation:
        """What is left out, cut off or renamed."""
        return Curation(
            episodes=self.episodes or EpisodeChoice(),
            trim_idle=self.trim_idle,
            rename=self.tasks.rename if self.tasks else {},
            escape_tokens=self.tasks is not None and self.tasks.special_tokens == "escape",
        )


def load_catalog(path: Path | None = None) -> dict[str, CatalogEntry]:
    """Read the catalog.

    Args:
        path: The file; ``data/datasets.yaml`` of the project by default.

    Returns:
        Entries by name, in the order of the file.

    Raises:
        CatalogError: Every problem of the file with its line and field, and the nearest valid
            name.
    """
    located = load_yaml(path or project_root() / "data" / "datasets.yaml", CatalogError)
    content = {} if located.data is None else located.data
    problems: list[Finding] = []
    entries: dict[str, CatalogEntry] = {}
    if not isinstance(content, dict):
        problems.append(yaml_problem((), "expected datasets by name"))
        content = {}
    for key, value in content.items():
        if entry := _entry(key, value, problems):
            entries[entry.name] = entry
    raise_problems(located, problems, CatalogError)
    return entries


def project_catalog() -> dict[str, CatalogEntry]:
    """The project's catalog; empty where it has none yet."""
    return load_catalog() if (project_root() / "data" / "datasets.yaml").is_file() else {}


def find_entry(name: str, catalog: Mapping[str, CatalogEntry]) -> CatalogEntry:
    """The entry of a name.

    Raises:
        CatalogError: There is none; the nearest name is suggested.
    """
    if name not in catalog:
        hint = did_you_mean(name, catalog)
        raise CatalogError(name, "there is no dataset of this name in data/datasets.yaml.", [hint])
    return catalog[name]


def _entry(key: Any, value: Any, problems: list[Finding]) -> CatalogEntry | None:
    """The entry of a dataset, where it is one; what is wrong with it is added to the problems."""
    name = str(key)

    def add(text: str, *field: str) -> None:
        problems.append(yaml_problem((name, *field), text))

    if not isinstance(key, str):
        return add("a dataset's name is text; put it in quotes")
    if problem := name_problem(name):
        add(problem)
    if not isinstance(value, dict):
        return add("expected the fields of a dataset")
    fields = {str(field): content for field, content in value.items()}
    if fields.pop("name", None) is not None:
        add("the name is the key above; remove this line", "name")
    if "source" in fields:
        source = _source(fields["source"], (name, "source"), problems)
        fields["source"] = source or FolderSource(path=".")
    config, tag = fields.get("data_config"), fields.get("embodiment_tag")
    if isinstance(config, str) and (problem := data_configs().problem(config)):
        add(problem, "data_config")
    if isinstance(tag, str) and tag not in EMBODIMENT_IDS:
        hint = did_you_mean(tag, EMBODIMENT_IDS)
        add(f"unknown embodiment_tag '{tag}'; {hint}", "embodiment_tag")
    environment = fields.get("environment")
    if isinstance(environment, str) and (problem := load_environments().problem_of(environment)):
        add(problem, "environment")
    try:
        entry = CatalogEntry.model_validate({**fields, "name": name})
    except ValidationError as failure:
        problems += validation_problems(failure, CatalogEntry, (name,))
        return None
    if entry.episodes and isinstance(entry.held_out, tuple):
        absent = [index for index in entry.held_out if entry.episodes.leaves_out(index)]
        if absent:
            found = f"names {episode_names(absent)}, left out by episodes"
            add(f"{found}; take them out of one of the two", "held_out")
    return entry


def _source(value: Any, at: Location, problems: list[Finding]) -> BaseModel | None:
    """A source; ``synthetic`` alone stands for the generator's defaults."""
    fields = {"kind": value} if value == "synthetic" else value
    kind = fields.get("kind") if isinstance(fields, dict) else None
    if kind is None:
        text = f"expected fields, among them kind: {', '.join(SOURCE_KINDS)}"
        problems.append(yaml_problem(at, text))
    elif (model := SOURCE_KINDS.get(str(kind))) is None:
        text = f"unknown kind {kind!r}; {did_you_mean(str(kind), SOURCE_KINDS)}"
        problems.append(yaml_problem((*at, "kind"), text))
    else:
        try:
            return model.model_validate(fields)
        except ValidationError as failure:
            problems += validation_problems(failure, model, at)
    return None


def held_out_episodes(
    held_out: tuple[int, ...] | float | None,
    dataset: "LeRobotDataset",
    numbers: tuple[int, ...] = (),
) -> tuple[int, ...]:
    """The indices of the episodes that are kept from training.

    Args:
        held_out: Their numbers in the source, or a share of the dataset's last episodes, which is
            rounded and is at least one episode; None where all are trained on.
        numbers: Number in the source of each episode, where it is another than its index.

    Raises:
        DatasetError: The dataset lacks one of them, or none is left to train on.
    """
    if held_out is None:
        return ()
    indices = [episode.index for episode in dataset.episodes]
    index_of = dict(zip(numbers or indices, indices, strict=True))
    episodes = list(index_of)
    if not isinstance(held_out, tuple):
        held_out = tuple(episodes[-max(1, round(held_out * len(episodes))) :])
    problems = []
    if unknown := sorted(set(held_out) - index_of.keys()):
        has = f"{len(episodes)} episodes, {episodes[0]} to {episodes[-1]}" if episodes else "none"
        problems.append(
            f"held_out names {episode_names(unknown)}, which it does not have; it has {has}"
        )
    if index_of.keys() <= set(held_out):
        problems.append(f"held_out takes all {len(episodes)}; none is left to train on")
    if problems:
        problem = "its held-out episodes cannot be kept from training."
        remedy = "change held_out of this dataset in data/datasets.yaml"
        raise DatasetError(dataset.name, problem, [*problems, remedy])
    return tuple(index_of[number] for number in held_out)
