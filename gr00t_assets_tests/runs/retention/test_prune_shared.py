"""What pruning leaves to other clones of the project and to other machines that share a store."""

from pathlib import Path

import pytest

from gr00t_assets_tests.runs.retention.factory import CURRENT, KB, OLD, FilledProject, fill
from gr00t_assets_tests.runs.retention.pruning import planned, prune, run_of


def test_what_another_clone_asked_for_goes_with_all_alone(project: FilledProject) -> None:
    changed, cache = run_of(project, "changed"), project.store.frame_cache("demo", CURRENT)
    assert changed / "checkpoints" in {removal.path for removal in planned(project).removals}
    (changed / "asked_by.jsonl").write_text('{"host": "lab", "project": "/home/b/gr00t"}\n')
    project.store.dataset_record("demo").write_text(f'{{"version": "{OLD}"}}')
    project.store.modality_config("demo").unlink()
    plan = planned(project)
    assert not any(removal.path.is_relative_to(changed) for removal in plan.removals)
    assert (cache, "a run of another clone is trained on it") in plan.in_use
    paths = {removal.path for removal in planned(project, others=True).removals}
    assert cache in paths and changed / "checkpoints" not in paths  # Without data nothing is stale.


def test_a_run_that_does_not_say_who_asked_is_of_the_clone_with_the_store(
    project: FilledProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    changed = run_of(project, "changed")
    (changed / "asked_by.jsonl").unlink()
    assert changed / "checkpoints" in {removal.path for removal in planned(project).removals}
    (tmp_path / "b").mkdir()
    (project.root / "data" / "sweeps").rename(tmp_path / "b" / "sweeps")
    (tmp_path / "b" / "data").mkdir()
    (tmp_path / "b" / "sweeps").rename(tmp_path / "b" / "data" / "sweeps")
    catalog = (project.root / "data" / "datasets.yaml").read_text()
    (tmp_path / "b" / "data" / "datasets.yaml").write_text(catalog)
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path / "b"))
    said = prune("--dry-run").stdout
    assert "changed" not in said and "done" not in said
    assert f"runs/changed/{changed.name}/checkpoints" in prune("--dry-run", "--all").stdout


def test_half_made_files_of_another_machine_go_with_all_alone(project: FilledProject) -> None:
    name = ".report.partial-4194303-0123456701234567"
    foreign = fill(project.store.reports / name, KB)
    assert foreign not in {removal.path for removal in planned(project).removals}
    assert foreign in {removal.path for removal in planned(project, others=True).removals}
