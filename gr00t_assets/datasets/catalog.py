"""``data/datasets.yaml``: the datasets that can be trained on, and where they come from."""

import functools
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from gr00t_assets.core.errors import CatalogError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.finding import Finding
from gr00t_assets.core.project import Store, data_files, project_root
from gr00t_assets.core.text import did_you_mean, name_problem
from gr00t_assets.core.yaml_files import (
    Location,
    load_yaml,
    problems_error,
    raise_problems,
    validation_problems,
    yaml_problem,
)
from gr00t_assets.datasets.curation import Curation, EpisodeChoice, HeldOut, IdleTrim, TaskNames
from gr00t_assets.datasets.lerobot.folder import episode_names
from gr00t_assets.datasets.source_kinds import SOURCE_KINDS, FolderSource, Source
from gr00t_assets.environments.environment_file import load_environments
from gr00t_assets.modality.data_config import data_configs
from gr00t_assets.modality.generations import EMBODIMENT_TAGS

FramePixels = Annotated[int, Field(ge=32, le=4096)]  # a side of a cached frame


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


class Catalog(dict[str, CatalogEntry]):
    """Datasets that can be used, by name, in the order of their files.

    Attributes:
        errors: Why an entry cannot be used, by its name.
        faults: Of each file that has some: all of its problems in one error.
        unreadable: The error of a file that is no catalog at all, whose datasets nobody knows.
    """

    def __init__(
        self,
        entries: Mapping[str, CatalogEntry] | None = None,
        errors: Mapping[str, CatalogError] | None = None,
        faults: Mapping[Path, CatalogError] | None = None,
        unreadable: CatalogError | None = None,
    ) -> None:
        super().__init__(entries or {})
        self.errors, self.faults = dict(errors or {}), dict(faults or {})
        self.unreadable = unreadable

    def __missing__(self, name: str) -> CatalogEntry:
        """Raise ``CatalogError``: why there is no such entry, with the nearest name."""
        if name in self.errors:
            raise self.errors[name].with_traceback(None)  # It may be raised often.
        hints = [did_you_mean(name, self)]
        hints += [f"{self.unreadable.headline}; it may have it"] if self.unreadable else []
        raise CatalogError(name, "there is no dataset of this name in data/datasets.yaml.", hints)

    def __or__(self, other: "Catalog") -> "Catalog":  # pyright: ignore[reportIncompatibleMethodOverride]
        """Both, of two entries of one name that of this one, whether it can be used or not."""
        own = {*self, *self.errors}
        entries = {name: entry for name, entry in other.items() if name not in own}
        errors = {name: error for name, error in other.errors.items() if name not in own}
        return Catalog(
            {**self, **entries},
            self.errors | errors,
            self.faults | other.faults,
            self.unreadable or other.unreadable,
        )


def read_catalog(path: Path | None = None) -> Catalog:
    """Read what can be used of the catalog; a fault of an entry disables that entry.

    Without a path it is ``data/datasets.yaml`` of the project, and with the examples theirs, where
    an own entry takes the place of one of the same name.
    """
    if path is None:
        own = project_root() / "data" / "datasets.yaml"
        files = [own, *(file for file in data_files("datasets.yaml") if file != own)]
        return functools.reduce(Catalog.__or__, map(read_catalog, files))
    problems: list[Finding] = []
    try:
        located = load_yaml(path, CatalogError, problems)
        content = {} if located.data is None else located.data
        if not isinstance(content, dict):
            raise_problems(located, [yaml_problem((), "expected datasets by name")], CatalogError)
    except CatalogError as error:
        return Catalog(faults={path: error}, unreadable=error)
    entries = [_entry(key, value, problems) for key, value in content.items()]
    faulty = defaultdict(list)
    for item in problems:
        faulty[str(item.location[0])].append(item)
    found = {name: problems_error(located, items, CatalogError) for name, items in faulty.items()}
    errors = {name: error for name, error in found.items() if error}
    sound = {entry.name: entry for entry in entries if entry and entry.name not in errors}
    whole = problems_error(located, problems, CatalogError)
    return Catalog(sound, errors, {path: whole} if whole else {})


def load_catalog(path: Path | None = None) -> Catalog:
    """The whole catalog, as ``read_catalog``; a CatalogError with every problem of a file."""
    catalog = read_catalog(path)
    for error in catalog.faults.values():
        raise error
    return catalog


def project_catalog() -> Catalog:
    """What can be used of the project's catalog; empty where it has none yet."""
    own = project_root() / "data" / "datasets.yaml"
    return read_catalog() if own.is_file() else Catalog()


def project_entries(names: Iterable[str]) -> list[CatalogEntry | None]:
    """The entries of the project's catalog, None for a name that it does not have.

    Raises:
        CatalogError: A fault of the catalog may be why it does not.
    """
    catalog = project_catalog()
    return [
        catalog[name] if name in catalog.errors or catalog.unreadable else catalog.get(name)
        for name in names
    ]


def dataset_problem(name: str, datasets: Collection[str]) -> tuple[str, str] | None:
    """Why experiments cannot use a dataset of a name, and what to do; None where they can.

    Of a catalog that is unreadable nobody knows what it has: what the store has checked is taken
    to be in it, so that a file that is half saved takes no training out of the queue.
    """
    if name in datasets:
        return None
    if isinstance(datasets, Catalog):
        if error := datasets.errors.get(name):
            return f"dataset '{name}' cannot be used: {error.headline}", ""
        if datasets.unreadable:
            is_name = name_problem(name) is None
            if is_name and Store.from_environment().modality_config(name).is_file():
                return None
            return f"dataset '{name}' is not known: {datasets.unreadable.headline}", ""
    return f"unknown dataset '{name}'", did_you_mean(name, datasets)


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
        fields["source"] = _source(fields["source"], (name, "source"), problems)
    config, tag = fields.get("data_config"), fields.get("embodiment_tag")
    if isinstance(config, str) and (problem := data_configs().problem(config)):
        add(problem, "data_config")
    if isinstance(tag, str) and tag not in EMBODIMENT_TAGS:
        hint = did_you_mean(tag, EMBODIMENT_TAGS)
        add(f"unknown embodiment_tag '{tag}'; {hint}", "embodiment_tag")
    environment = fields.get("environment")
    if isinstance(environment, str) and (problem := load_environments().problem_of(environment)):
        add(problem, "environment")
    try:
        entry = CatalogEntry.model_validate({**fields, "name": name})
    except ValidationError as failure:
        problems += validation_problems(failure, CatalogEntry, (name,))
        return None
    held_out = entry.held_out if isinstance(entry.held_out, tuple) else ()
    if absent := [index for index in held_out if entry.curation.episodes.leaves_out(index)]:
        found = f"names {episode_names(absent)}, left out by episodes"
        add(f"{found}; take them out of one of the two", "held_out")
    return entry


def _source(value: Any, at: Location, problems: list[Finding]) -> BaseModel:
    """A source; ``synthetic`` alone stands for the generator's defaults.

    One that is wrong is added to the problems, and any other stands in for it.
    """
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
    return FolderSource(path=".")
