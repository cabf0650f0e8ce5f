"""``data/datasets.yaml``: the datasets that can be trained on, and where they come from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gr00t_assets.core.errors import CatalogError
from gr00t_assets.core.names import did_you_mean, name_problem
from gr00t_assets.core.project import project_root
from gr00t_assets.core.yaml_files import (
    Location,
    Problem,
    load_yaml,
    raise_problems,
    validation_problems,
)
from gr00t_assets.datasets.frames.held_out import HeldOut
from gr00t_assets.datasets.sources.source_kinds import SOURCE_KINDS, FolderSource, Source

FramePixels = Annotated[int, Field(ge=32, le=4096)]
"""A side of a cached frame."""


class CatalogEntry(BaseModel):
    """One dataset of the catalog; its name is its partition key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str = Field(min_length=1, description="What the demonstrations show")
    source: Source
    data_config: str = Field(description="One of GR00T's data configs: so100_dualcam")
    embodiment_tag: str = Field(default="new_embodiment", description="gr1, new_embodiment, ...")
    held_out: HeldOut = Field(
        default=None,
        description="Episodes that are kept from training: a list, or a share of the last ones",
    )
    frame_size: tuple[FramePixels, FramePixels] | None = Field(
        default=None, description="Width and height to cache frames at, to save disk"
    )
    frames: int | None = Field(
        default=None, ge=1, description="Frames of all episodes, for epochs before it is here"
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
    problems: list[Problem] = []
    entries: dict[str, CatalogEntry] = {}
    if not isinstance(content, dict):
        problems.append(Problem((), "expected datasets by name"))
        content = {}
    for key, value in content.items():
        name = str(key)
        entry, found = _entry(name, key, value)
        problems += found
        if entry is not None:
            entries[name] = entry
    raise_problems(located, _without_dumps(problems), CatalogError)
    return entries


def find_entry(name: str, catalog: Mapping[str, CatalogEntry]) -> CatalogEntry:
    """The entry of a name.

    Raises:
        CatalogError: There is none; the nearest name is suggested.
    """
    if name not in catalog:
        hint = did_you_mean(name, catalog)
        raise CatalogError(name, "there is no dataset of this name in data/datasets.yaml.", [hint])
    return catalog[name]


def _entry(name: str, key: Any, value: Any) -> tuple[CatalogEntry | None, list[Problem]]:
    at: Location = (name,)
    if not isinstance(key, str):
        return None, [Problem(at, "a dataset's name is text; put it in quotes")]
    problems = [Problem(at, problem)] if (problem := name_problem(name)) else []
    if not isinstance(value, dict):
        return None, [*problems, Problem(at, "expected the fields of a dataset")]
    fields = {str(field): content for field, content in value.items()}
    if fields.pop("name", None) is not None:
        problems.append(Problem((*at, "name"), "the name is the key above; remove this line"))
    if "source" in fields:
        source, found = _source(fields["source"], (*at, "source"))
        problems += found
        fields["source"] = source or FolderSource(path=".")
    try:
        entry = CatalogEntry.model_validate({**fields, "name": name})
    except ValidationError as failure:
        entry, found = None, validation_problems(failure, CatalogEntry, at)
        problems += found
    return entry, [*problems, *_unknown_names(fields, at)]


def _source(value: Any, at: Location) -> tuple[BaseModel | None, list[Problem]]:
    """A source; ``synthetic`` alone stands for the generator's defaults."""
    fields = {"kind": value} if value == "synthetic" else value
    if not isinstance(fields, dict):
        return None, [Problem(at, f"expected fields, among them kind: {', '.join(SOURCE_KINDS)}")]
    kind = fields.get("kind")
    if kind is None:
        return None, [Problem(at, f"has no kind; known: {', '.join(SOURCE_KINDS)}")]
    if kind not in SOURCE_KINDS:
        hint = did_you_mean(str(kind), SOURCE_KINDS)
        return None, [Problem((*at, "kind"), f"unknown kind {kind!r}; {hint}")]
    try:
        return SOURCE_KINDS[kind].model_validate(fields), []
    except ValidationError as failure:
        return None, validation_problems(failure, SOURCE_KINDS[kind], at)


def _unknown_names(fields: Mapping[str, Any], at: Location) -> list[Problem]:
    """Problems with names that other modules define."""
    from gr00t_assets.modality.data_configs import DATA_CONFIGS, EMBODIMENT_IDS

    problems = []
    for field, known in (("data_config", DATA_CONFIGS), ("embodiment_tag", EMBODIMENT_IDS)):
        value = fields.get(field)
        if isinstance(value, str) and value not in known:
            hint = did_you_mean(value, known)
            problems.append(Problem((*at, field), f"unknown {field} '{value}'; {hint}"))
    return problems


def _without_dumps(problems: list[Problem]) -> list[Problem]:
    """A check of a whole model ends in a dump of all its fields, which no one needs."""
    return [
        Problem(problem.location, problem.message.split(", found {", 1)[0]) for problem in problems
    ]
