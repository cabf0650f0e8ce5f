"""Recorded trials become versions of a dataset that know which weights drove them."""

import json
from pathlib import Path

import dagster as dg
import pytest

from gr00t_assets.core.errors import CatalogError, DatasetError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.adding.adding import look_at_source, write_project_files
from gr00t_assets.datasets.source_kinds import SyntheticSource
from gr00t_assets.datasets.sources.fetch import named_source, no_log
from gr00t_assets.datasets.sources.versions import load_record
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets.defs.assets.data import lineage_metadata
from gr00t_assets.evaluation.trials.outcomes import TrialOutcome, import_trials, load_lineage
from gr00t_assets.evaluation.trials.plan import TrialPlan
from gr00t_assets_tests.evaluation.trials.conftest import PlanMaker

SPEC = SyntheticSource(episodes=6, min_frames=40, max_frames=44, width=64, height=64)


def record(folder: Path, episodes: int) -> Path:
    """A recording so far, of the first of six episodes."""
    folder.mkdir()
    generate(SPEC, folder)
    for path in [*folder.rglob("episode_*.parquet"), *folder.rglob("episode_*.mp4")]:
        if int(path.stem[-6:]) >= episodes:
            path.unlink()
    meta, length = folder / "meta", 0
    (meta / "stats.json").unlink()
    for path in meta.glob("episodes*.jsonl"):
        lines = path.read_text().splitlines(keepends=True)[:episodes]
        path.write_text("".join(lines))
        length = sum(json.loads(line).get("length", 0) for line in lines) or length
    info = json.loads((meta / "info.json").read_text())
    info |= {"total_episodes": episodes, "total_frames": length, "total_videos": episodes}
    info["splits"] = {"train": f"0:{episodes}"}
    (meta / "info.json").write_text(json.dumps(info))
    return folder


def added(folder: Path, store: Store) -> Path:
    """The folder, once it is in the catalog under its own name."""
    source = named_source(str(folder))
    addition = look_at_source(source, store, folder.name, None, None, "Trials", None, no_log)
    write_project_files(addition.files, addition.entry)
    return folder


def outcomes(plan: TrialPlan, count: int) -> list[TrialOutcome]:
    return [
        TrialOutcome(**item.model_dump(), success=item.order % 2 == 0)
        for item in plan.trials[:count]
    ]


@pytest.fixture
def project(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    monkeypatch.delenv("GR00T_ASSETS_DATASETS", raising=False)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "datasets.yaml").write_text("# none yet\n")
    return tmp_path


def test_rounds_of_corrections_are_told_apart(
    project: Path, store: Store, planned: PlanMaker
) -> None:
    first = planned(2, 2)
    folder = added(record(project / "corrections", 4), store)
    lineage = import_trials(first, outcomes(first, 4), "corrections", store)
    (part,) = lineage.rounds
    assert (part.first_episode, part.episodes) == (0, 4)
    assert [item.letter for item in part.outcomes] == [item.letter for item in first.trials]
    assert part.policies == first.policies and part.plan_hash == first.content_hash()
    assert import_trials(first, (), "corrections", store) == lineage

    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    record(folder, 6)
    second = planned(1, 3, name="later")
    grown = import_trials(second, outcomes(second, 3), "corrections", store)
    assert grown.version != lineage.version
    assert load_record("corrections", store).version == grown.version
    assert grown.rounds[0] == part
    assert (grown.rounds[1].first_episode, grown.rounds[1].episodes) == (4, 2)
    assert grown.rounds[1].outcomes == (), "three outcomes of two episodes"
    assert load_lineage("corrections", lineage.version, store) == lineage

    shown = lineage_metadata(load_record("corrections", store), store)["driven_by"]
    assert isinstance(shown, dg.MarkdownMetadataValue)
    told = shown.value or ""
    assert "episodes 0 to 3, 2 of 4 a success: trials arm" in told
    assert "episodes 4 to 5: trials later" in told
    assert f"model {second.policies[0].model_hash}" in told


def test_a_dataset_that_is_not_in_the_catalog_is_named(
    project: Path, store: Store, planned: PlanMaker
) -> None:
    record(project / "recorded", 2)
    with pytest.raises(CatalogError, match="recorded"):
        import_trials(planned(), (), "recorded", store)
    assert not store.dataset_record("recorded").exists()


def test_a_lineage_that_was_edited_is_refused(
    project: Path, store: Store, planned: PlanMaker
) -> None:
    plan = planned()
    added(record(project / "recorded", 2), store)
    lineage = import_trials(plan, (), "recorded", store)
    path = store.dataset_record("recorded").with_name(f"{lineage.version}.lineage.json")
    path.write_text(path.read_text().replace("policy-0", "policy-9"))
    with pytest.raises(DatasetError, match="edited by hand"):
        load_lineage("recorded", lineage.version, store)
