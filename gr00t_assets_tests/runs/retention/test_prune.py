"""What is pruned and what never is, on a store that the command line is run on."""

import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gr00t_assets.runs.retention.prune import execute_plan
from gr00t_assets.runs.retention.removal import disk_usage, freed_bytes
from gr00t_assets.runs.run_directory import run_lock
from gr00t_assets_tests.runs.retention.factory import (
    CURRENT,
    DEFAULTS,
    KB,
    OLD,
    FilledProject,
    fill,
    tree,
)
from gr00t_assets_tests.runs.retention.pruning import planned, prune, run_of

RECORDS = ("spec.json", "manifest.json", "metrics.jsonl", "log.txt")


def unlocked(root: Path) -> int:
    """Bytes of everything but the lock files, in which a process leaves its id."""
    return disk_usage([root]) - disk_usage(root.rglob("*.lock"))


def test_a_dry_run_names_every_path_and_changes_nothing(project: FilledProject) -> None:
    before = tree(project.root)
    said = prune("--dry-run").stdout
    assert tree(project.root) == before
    for path in (
        f"frame_caches/demo/{OLD}",
        f"{run_of(project, 'changed').relative_to(project.store.root)}/checkpoints",
        "datasets/demo/.fetch.partial-ab_c1d2e",
    ):
        assert re.search(rf"\d kB  [a-z ]+  {re.escape(path)}  \(", said), said
    assert "would be free afterwards" in said
    assert "gone" not in said and CURRENT not in said and "stopped" not in said


def test_only_what_was_named_goes(project: FilledProject) -> None:
    before = tree(project.store.root)
    plan = planned(project)
    expected = freed_bytes([path for removal in plan.removals for path in removal.paths])
    size = unlocked(project.store.root)
    prune("--yes")
    left = tree(project.store.root)
    gone = before.keys() - left.keys()
    inside = [str(path.relative_to(project.store.root)) for r in plan.removals for path in r.paths]
    renamed = left.keys() - before.keys()
    assert all(name.endswith("/weights.json") for name in renamed)
    assert {n for n in gone if not n.endswith("complete.json")} == {
        name
        for name in before
        if any(name == path or name.startswith(f"{path}/") for path in inside)
        and not name.endswith("complete.json")
    }
    assert {name: left[name] for name in left.keys() - renamed} == {
        name: before[name] for name in left.keys() - renamed
    }
    assert size - unlocked(project.store.root) == expected
    assert planned(project).removals == ()
    for name in ("done", "changed", "gone", "stopped"):
        for record in RECORDS:
            assert (run_of(project, name) / record).is_file()
        assert (run_of(project, name) / "model").is_dir() == (name != "stopped")
    assert not (project.store.root / "frame_caches" / "demo" / OLD).exists()
    assert len(list((run_of(project, "stopped") / "checkpoints").iterdir())) == 2
    assert (project.store.reports / f".report.partial-{os.getpid()}-0a1b2c3d").exists()


def test_it_asks_and_no_means_no(project: FilledProject) -> None:
    before = tree(project.root)
    assert "nothing was deleted" in prune(answer="n\n", code=1).stdout
    prune(code=1)
    assert tree(project.root) == before
    assert "deleted" in prune(answer="y\n").stdout


def test_stale_runs_models_and_unlisted_runs_by_choice(project: FilledProject) -> None:
    changed, gone = run_of(project, "changed"), run_of(project, "gone")
    paths = {removal.path for removal in planned(project, stale=False).removals}
    assert changed / "checkpoints" not in paths
    paths = {removal.path for removal in planned(project, models=True).removals}
    assert {changed / "checkpoints", changed / "model"} <= paths
    assert run_of(project, "done") / "model" not in paths
    paths = {removal.path for removal in planned(project, others=True).removals}
    assert gone / "checkpoints" in paths and gone / "model" not in paths


def test_where_the_data_is_not_known_nothing_is_stale(project: FilledProject) -> None:
    project.store.modality_config("demo").unlink()
    project.store.dataset_record("demo").write_text("{")
    kinds = {removal.kind for removal in planned(project).removals}
    assert kinds == {"leftover", "checkpoint", "optimizer state"}
    runs = {removal.path.parents[1] for removal in planned(project).removals if removal.of_finished}
    assert runs == {run_of(project, "done"), run_of(project, "changed")}


def test_what_a_wrong_sweep_file_may_ask_for_is_left_alone(project: FilledProject) -> None:
    (project.root / "data" / "sweeps" / "s.yaml").write_text("experiments: 3\n")
    runs = project.store.root / "runs"
    before = tree(runs)
    assert "s.yaml:1: experiments: Input should be" in prune("--yes", "--all").stderr
    assert tree(runs) == before
    assert not planned(project).removals


def test_a_run_that_trains_and_its_frames_are_left_alone(project: FilledProject) -> None:
    run = run_of(project, "changed")
    spec = (run / "spec.json").read_text()
    cache = project.store.frame_cache("demo", CURRENT)
    project.store.dataset_record("demo").write_text(f'{{"version": "{OLD}"}}')
    project.store.modality_config("demo").unlink()
    assert cache in {removal.path for removal in planned(project).removals}
    with run_lock(run):
        plan = planned(project)
        assert {path for path, _ in plan.in_use} == {run, cache}
        assert not any(removal.path.is_relative_to(run) for removal in plan.removals)
    assert (run / "spec.json").read_text() == spec


def test_what_is_begun_between_plan_and_deletion_is_left_alone(project: FilledProject) -> None:
    plan, run = planned(project), run_of(project, "changed")
    with run_lock(run):
        done = list(execute_plan(plan, project.store))
    kept = {pruned.removal.path: pruned.refusal for pruned in done if pruned.refusal}
    assert kept == {run / "checkpoints": "a process uses it"}
    assert (run / "checkpoints").is_dir()


@contextmanager
def another(code: str, *arguments: str) -> Iterator[None]:
    """A process that has done what ``code`` says, until the block ends."""
    program = f"import sys\n{code}\nprint('ready', flush=True)\nsys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield
    finally:
        process.kill()
        process.communicate()


MAPS = "import mmap; f = open(sys.argv[1], 'rb'); m = mmap.mmap(f.fileno(), 0, prot=1); f.close()"
OPENS = "f = open(sys.argv[1], 'rb')"


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    ("code", "file"), [(MAPS, "ego/frames.npy"), (OPENS, ".prepared-0123456789abcdef/ego.npy")]
)
def test_a_cache_that_a_process_maps_or_reads_is_left_alone(
    project: FilledProject, code: str, file: str
) -> None:
    cache, plan = project.store.frame_cache("demo", OLD), planned(project)
    with another(code, str(cache / file)):
        assert cache in {path for path, _ in planned(project).in_use}
        done = {pruned.removal.path: pruned.refusal for pruned in execute_plan(plan, project.store)}
        assert done[cache] == "a process has it open"
        assert (cache / file).exists()
    assert cache in {removal.path for removal in planned(project).removals}


def test_a_cache_that_is_being_built_is_left_alone(project: FilledProject) -> None:
    cache = project.store.frame_cache("demo", OLD)
    with (cache.parent / f".{OLD}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert (cache, "a process builds it") in planned(project).in_use


def test_symbolic_links_are_never_followed(project: FilledProject, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    fill(outside / OLD / "ego" / "frames.npy", KB)
    fill(outside / "checkpoints" / "step-000010" / "model.safetensors", KB)
    fill(outside / ".x.partial-1-0a1b2c3d", KB)
    before = tree(outside)
    caches = project.store.root / "frame_caches"
    (caches / "linked").symlink_to(outside)
    record = project.store.dataset_record("linked")
    record.parent.mkdir()
    record.write_text(f'{{"version": "{CURRENT}"}}')
    old = caches / "demo" / OLD
    (old / "ego" / "more").symlink_to(outside)
    run = run_of(project, "changed")
    (run / "checkpoints").rename(tmp_path / "moved")
    (run / "checkpoints").symlink_to(outside / "checkpoints")
    (project.store.root / "runs" / "done" / "0123456789ab").symlink_to(outside)
    prune("--yes", "--models", "--unlisted")
    assert tree(outside) == before
    assert not old.exists()
    assert (run / "checkpoints").is_symlink()


def test_a_folder_replaced_by_a_link_after_the_plan_is_not_followed(
    project: FilledProject, tmp_path: Path
) -> None:
    plan, caches = planned(project), project.store.root / "frame_caches"
    caches.rename(tmp_path / "elsewhere")
    caches.symlink_to(tmp_path / "elsewhere")
    done = {pruned.removal.path: pruned.refusal for pruned in execute_plan(plan, project.store)}
    assert "link" in (done[caches / "demo" / OLD] or "")
    assert (tmp_path / "elsewhere" / "demo" / OLD / "ego" / "frames.npy").is_file()


def test_a_file_with_a_second_name_frees_nothing(filled: FilledProject) -> None:
    filled.sweep(defaults=DEFAULTS, experiments=[{"name": "a"}])
    spec = filled.run(filled.experiment("a"), {10: 1.0, 20: 2.0}, status=None)
    checkpoint = spec.run_directory / "checkpoints" / "step-000020"
    before = freed_bytes([checkpoint])
    (spec.run_directory / "model").mkdir()
    model = spec.run_directory / "model" / "model.safetensors"
    model.hardlink_to(checkpoint / "model.safetensors")
    assert before - freed_bytes([checkpoint]) == KB
    assert disk_usage([spec.run_directory]) == disk_usage([checkpoint.parent]) + sum(
        disk_usage([path]) for path in spec.run_directory.iterdir() if path.is_file()
    )


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
