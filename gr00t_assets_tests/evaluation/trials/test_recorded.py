"""Recorded trials become versions of a dataset that know which weights drove them."""

import json
from pathlib import Path

import dagster as dg
import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.datasets.record import load_record
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets.datasets.synthetic.spec import SyntheticSpec
from gr00t_assets.defs.asset_metadata import lineage_metadata
from gr00t_assets.evaluation.trials.importing import import_trials
from gr00t_assets.evaluation.trials.lineage import lineages_of_plan, load_lineage
from gr00t_assets.evaluation.trials.plan import TrialPlan
from gr00t_assets.evaluation.trials.sheet import TrialOutcome
from gr00t_assets_tests.evaluation.trials.conftest import PlanMaker

SPEC = SyntheticSpec(episodes=6, min_frames=40, max_frames=44, width=64, height=64)


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
    folder = record(project / "corrections", 4)
    lineage = import_trials(first, outcomes(first, 4), folder, "corrections", store)
    entry = load_catalog()["corrections"]
    assert entry.source.describe() == "folder corrections"
    (part,) = lineage.rounds
    assert (part.first_episode, part.episodes) == (0, 4)
    assert [item.letter for item in part.outcomes] == [item.letter for item in first.trials]
    assert part.policies == first.policies and part.plan_hash == first.content_hash()
    assert import_trials(first, (), folder, "corrections", store) == lineage

    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    record(folder, 6)
    second = planned(1, 3, name="later")
    grown = import_trials(second, outcomes(second, 3), folder, "corrections", store)
    assert grown.version != lineage.version
    assert load_record("corrections", store).version == grown.version
    assert grown.rounds[0] == part
    assert (grown.rounds[1].first_episode, grown.rounds[1].episodes) == (4, 2)
    assert grown.rounds[1].outcomes == (), "three outcomes of two episodes"
    assert load_lineage("corrections", lineage.version, store) == lineage
    assert [item.version for item in lineages_of_plan(second, store)] == [grown.version]
    assert len(lineages_of_plan(first, store)) == 2

    shown = lineage_metadata(load_record("corrections", store), store)["driven_by"]
    assert isinstance(shown, dg.MarkdownMetadataValue)
    told = shown.value or ""
    assert "episodes 0 to 3, 2 of 4 a success: trials arm" in told
    assert "episodes 4 to 5: trials later" in told
    assert f"model {second.policies[0].model_hash}" in told


def test_a_dataset_from_elsewhere_is_not_replaced(
    project: Path, store: Store, planned: PlanMaker
) -> None:
    plan, folder = planned(), record(project / "recorded", 2)
    import_trials(plan, (), folder, "recorded", store)
    before = (project / "data" / "datasets.yaml").read_text()
    other = record(project / "other", 3)
    with pytest.raises(DatasetError, match="has it from another source") as error:
        import_trials(plan, (), other, "recorded", store)
    assert "folder recorded" in str(error.value) and str(other) in str(error.value)
    assert (project / "data" / "datasets.yaml").read_text() == before


def test_what_is_no_dataset_leaves_nothing(project: Path, store: Store, planned: PlanMaker) -> None:
    plan, folder = planned(), project / "empty"
    folder.mkdir()
    before = (project / "data" / "datasets.yaml").read_text()
    with pytest.raises(DatasetError, match="it is no dataset"):
        import_trials(plan, (), folder, "corrections", store)
    with pytest.raises(DatasetError, match="no folder"):
        import_trials(plan, (), project / "none", "corrections", store)
    assert (project / "data" / "datasets.yaml").read_text() == before
    assert not store.dataset_record("corrections").exists()


def test_a_lineage_that_was_edited_is_refused(
    project: Path, store: Store, planned: PlanMaker
) -> None:
    plan = planned()
    lineage = import_trials(plan, (), record(project / "recorded", 2), "recorded", store)
    path = store.dataset_record("recorded").with_name(f"{lineage.version}.lineage.json")
    path.write_text(path.read_text().replace("policy-0", "policy-9"))
    with pytest.raises(DatasetError, match="edited by hand"):
        load_lineage("recorded", lineage.version, store)
