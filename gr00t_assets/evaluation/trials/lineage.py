"""Trials that were recorded as a dataset: which plan and which weights drove its episodes.

``VERSION.lineage.json`` stands beside the version in the store, with a round for each import, so
that corrections of several rounds of training and trying are told apart.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from gr00t_assets.core.checksums import load_sealed, sealed
from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import FrozenModel, write_json
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import find_entry, project_catalog
from gr00t_assets.datasets.sources.versions import DatasetRecord, recorded_files
from gr00t_assets.evaluation.trials.plan import TrialPlan, TrialPolicy
from gr00t_assets.evaluation.trials.sheet import TrialOutcome


class TrialRound(FrozenModel):
    """Episodes that were recorded during the trials of one plan."""

    plan: str
    plan_hash: str
    policies: tuple[TrialPolicy, ...] = Field(description="Those that drove")
    first_episode: int = Field(description="Index in the version")
    episodes: int
    outcomes: tuple[TrialOutcome, ...] = Field(
        description="Of each episode; none where there are not as many of them as trials"
    )
    imported_at: str = Field(description="ISO 8601, UTC")

    def sentence(self) -> str:
        """What drove, in words."""
        names = ", ".join(
            f"{policy.name} (config {policy.config_hash}, model {policy.model_hash})"
            for policy in self.policies
        )
        span = f"episodes {self.first_episode} to {self.first_episode + self.episodes - 1}"
        won = sum(outcome.success for outcome in self.outcomes)
        told = f", {won} of {self.episodes} a success" if self.outcomes else ""
        return f"{span}{told}: trials {self.plan} (plan {self.plan_hash}), driven by {names}"


class TrialLineage(FrozenModel):
    """What drove the robot in a version of a dataset."""

    format: Literal[1] = 1
    dataset: str
    version: str
    rounds: tuple[TrialRound, ...]


def load_lineage(dataset: str, version: str, store: Store) -> TrialLineage | None:
    """The lineage of a version, None where it was not recorded during trials.

    Raises:
        DatasetError: It is not as it was written.
    """
    path = _path(dataset, version, store)
    if not path.is_file():
        return None
    remedy = "import the trials again: gr00t-assets trials import"
    return load_sealed(
        path, TrialLineage, lambda why: DatasetError(str(path), "it cannot be read.", [why, remedy])
    )


def import_trials(
    plan: TrialPlan,
    outcomes: Sequence[TrialOutcome],
    dataset: str,
    store: Store,
    log: Callable[[str], None] = lambda line: None,
) -> TrialLineage:
    """Bring what was recorded during trials into the store as a version that knows what drove it.

    Rows that no earlier version has are of this plan.

    Args:
        outcomes: Of the trials that were done, in the order in which they were.
        dataset: Of the catalog, whose source they were recorded into.

    Raises:
        CatalogError: The catalog cannot be read, or has no such dataset.
        DatasetError: It is not sound, or the lineage of a version cannot be read.
        StoreError: The disk is full.
    """
    from gr00t_assets.datasets.sources.ingest import ingest_dataset

    record = ingest_dataset(find_entry(dataset, project_catalog()), store, log)
    known = load_lineage(record.name, record.version, store)
    if known is not None and plan.content_hash() in [item.plan_hash for item in known.rounds]:
        return known
    earlier, first = _grown_from(record, store)
    if known is None and earlier is not None:
        known = load_lineage(record.name, earlier, store)
    drove = {outcome.letter for outcome in outcomes} or {item.letter for item in plan.policies}
    part = TrialRound(
        plan=plan.name,
        plan_hash=plan.content_hash(),
        policies=tuple(item for item in plan.policies if item.letter in drove),
        first_episode=first,
        episodes=record.episodes - first,
        outcomes=tuple(outcomes) if len(outcomes) == record.episodes - first else (),
        imported_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    rounds = (*(known.rounds if known else ()), part)
    lineage = TrialLineage(dataset=record.name, version=record.version, rounds=rounds)
    write_json(_path(record.name, record.version, store), sealed(lineage.model_dump(mode="json")))
    return lineage


def _grown_from(record: DatasetRecord, store: Store) -> tuple[str | None, int]:
    """The largest other version whose episodes are all in this one, and how many it has."""

    def rows(version: str) -> set[tuple[str, str]]:
        files = recorded_files(record.name, version, store) or {}
        return {item for item in files.items() if item[0].startswith("data/")}

    own, paths = rows(record.version), store.dataset_record(record.name).parent
    versions = [path.name.removesuffix(".files.json") for path in paths.glob("[!.]*.files.json")]
    earlier = {item: len(rows(item)) for item in versions if rows(item) < own}
    return max(earlier, key=lambda item: earlier[item], default=None), max([0, *earlier.values()])


def _path(dataset: str, version: str, store: Store) -> Path:
    return store.dataset_directory(dataset, version).with_name(f"{version}.lineage.json")
