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
from gr00t_assets.datasets.source_kinds import SOURCE_KINDS, FolderSource, Source
from gr00t_assets.modality.data_config import EMBODIMENT_IDS, data_configs

if TYPE_CHECKING:
    from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset

_HELD_OUT_FORM = "expected episode indices like [3, 7], or a share of the last episodes like 0.1"


def _checked_held_out(value: Any) -> tuple[int, ...] | float | None:
    if value is None:
        return None
    if isinstance(value, float):
        if not 0 < value < 1:
            raise ValueError(f"a share lies between 0 and 1; {_HELD_OUT_FORM}")
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
        name = str(key)
        entry, entry_problems = _entry(name, key, value)
        problems += entry_problems
        if entry is not None:
            entries[name] = entry
    raise_problems(located, problems, CatalogError)
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


def _entry(name: str, key: Any, value: Any) -> tuple[CatalogEntry | None, list[Finding]]:
    at: Location = (name,)
    if not isinstance(key, str):
        return None, [yaml_problem(at, "a dataset's name is text; put it in quotes")]
    problems = [yaml_problem(at, problem)] if (problem := name_problem(name)) else []
    if not isinstance(value, dict):
        return None, [*problems, yaml_problem(at, "expected the fields of a dataset")]
    fields = {str(field): content for field, content in value.items()}
    if fields.pop("name", None) is not None:
        problems.append(yaml_problem((*at, "name"), "the name is the key above; remove this line"))
    if "source" in fields:
        source, source_problems = _source(fields["source"], (*at, "source"))
        problems += source_problems
        fields["source"] = source or FolderSource(path=".")
    try:
        entry = CatalogEntry.model_validate({**fields, "name": name})
    except ValidationError as failure:
        entry = None
        problems += validation_problems(failure, CatalogEntry, at)
    return entry, [*problems, *_unknown_names(fields, at), *_left_out_problems(entry, at)]


def _source(value: Any, at: Location) -> tuple[BaseModel | None, list[Finding]]:
    """A source; ``synthetic`` alone stands for the generator's defaults."""
    fields = {"kind": value} if value == "synthetic" else value
    if not isinstance(fields, dict):
        return None, [
            yaml_problem(at, f"expected fields, among them kind: {', '.join(SOURCE_KINDS)}")
        ]
    kind = fields.get("kind")
    if kind is None:
        return None, [yaml_problem(at, f"has no kind; known: {', '.join(SOURCE_KINDS)}")]
    if kind not in SOURCE_KINDS:
        hint = did_you_mean(str(kind), SOURCE_KINDS)
        return None, [yaml_problem((*at, "kind"), f"unknown kind {kind!r}; {hint}")]
    try:
        return SOURCE_KINDS[kind].model_validate(fields), []
    except ValidationError as failure:
        return None, validation_problems(failure, SOURCE_KINDS[kind], at)


def _unknown_names(fields: Mapping[str, Any], at: Location) -> list[Finding]:
    """A data config that there is not or that cannot be used, and an unknown embodiment tag."""
    problems = []
    name, tag = fields.get("data_config"), fields.get("embodiment_tag")
    configs = data_configs()
    if isinstance(name, str) and name in configs.errors:
        problems.append(yaml_problem((*at, "data_config"), configs.problem(name) or ""))
    elif isinstance(name, str) and name not in configs:
        hint = did_you_mean(name, configs)
        problems.append(yaml_problem((*at, "data_config"), f"unknown data_config '{name}'; {hint}"))
    if isinstance(tag, str) and tag not in EMBODIMENT_IDS:
        text = f"unknown embodiment_tag '{tag}'; {did_you_mean(tag, EMBODIMENT_IDS)}"
        problems.append(yaml_problem((*at, "embodiment_tag"), text))
    return problems


def _left_out_problems(entry: CatalogEntry | None, at: Location) -> list[Finding]:
    """Held-out episodes that are not taken at all."""
    if entry is None or entry.episodes is None or not isinstance(entry.held_out, tuple):
        return []
    absent = [index for index in entry.held_out if entry.episodes.leaves_out(index)]
    if not absent:
        return []
    text = f"names {_shown(absent)}, left out by episodes; take them out of one of the two"
    return [yaml_problem((*at, "held_out"), text)]


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
    episodes = list(numbers) or indices
    if isinstance(held_out, tuple):
        chosen = held_out
    else:
        chosen = tuple(episodes[-max(1, round(held_out * len(episodes))) :])
    remedy = "change held_out of this dataset in data/datasets.yaml"
    problems = []
    unknown = sorted(set(chosen) - set(episodes))
    if unknown:
        problems.append(
            f"held_out names {_shown(unknown)}, which it does not have; "
            f"it has {len(episodes)} episodes, {episodes[0]} to {episodes[-1]}"
            if episodes
            else f"held_out names {_shown(unknown)}; it has no episodes"
        )
    if not set(episodes) - set(chosen):
        problems.append(f"held_out takes all {len(episodes)}; none is left to train on")
    if problems:
        problem = "its held-out episodes cannot be kept from training."
        raise DatasetError(dataset.name, problem, [*problems, remedy])
    index_of = dict(zip(episodes, indices, strict=True))
    return tuple(index_of[number] for number in chosen)


def _shown(indices: list[int]) -> str:
    return f"episodes {', '.join(map(str, indices[:8]))}{' and more' if len(indices) > 8 else ''}"
