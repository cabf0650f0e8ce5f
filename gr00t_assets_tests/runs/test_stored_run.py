import numpy as np
import pytest

from gr00t_assets.modality.config import save_modality_config
from gr00t_assets.runs.final_loss import LossWindow
from gr00t_assets.runs.stored_run import read_runs
from gr00t_assets_tests.comparison.run_factory import experiment, losses, modality, write_run


def test_statuses_of_finished_failed_interrupted_unfinished_and_missing_runs(store):
    names = ("finished", "failed", "interrupted", "unfinished", "missing")
    items = [experiment(name) for name in names]
    write_run(items[0], store, losses(300, 0.1))
    write_run(items[1], store, losses(40, 0.8), "failed", failure="TrainingError: loss is nan")
    write_run(items[2], store, losses(120, 0.3), "interrupted")
    write_run(items[3], store, losses(60, 0.5), None)
    runs = read_runs(items, store)
    assert [run.status for run in runs] == list(names)
    assert [run.name for run in runs] == list(names)
    assert [run.rankable for run in runs] == [True, False, False, False, False]
    assert not any(run.stale or run.problems for run in runs)
    assert [run.steps for run in runs] == [300, 40, 120, 60, None]


def test_an_unfinished_run_has_the_loss_of_its_metrics(store):
    item, values = experiment("a"), losses(60, 0.5)
    write_run(item, store, values, None)
    (run,) = read_runs([item], store)
    assert run.final_loss is not None
    assert run.final_loss.mean == pytest.approx(values[-20:].mean())
    assert run.final_loss.samples == 20 * 8


def test_a_changed_experiment_leaves_a_stale_run_that_is_not_ranked(store):
    write_run(experiment("a", learning_rate=5e-4), store, losses(300, 0.1))
    (run,) = read_runs([experiment("a", learning_rate=1e-3)], store)
    assert (run.status, run.stale, run.rankable) == ("stale", True, False)
    assert run.changes == ("learning_rate 5e-4, now 1e-3",)
    assert run.hyperparameters is not None
    assert run.hyperparameters.learning_rate == 5e-4


def test_changed_data_makes_a_run_stale(store):
    item = experiment("a")
    write_run(item, store, losses(300, 0.1))
    save_modality_config(modality(version="fedcba9876543210"), store)
    (run,) = read_runs([item], store)
    assert run.status == "stale"
    assert run.changes == ("the dataset or its modality config",)


def test_the_current_run_comes_before_the_stale_ones(store):
    for rate, day in ((3e-4, "03"), (2e-4, "02"), (1e-4, "01")):
        finished = f"2026-01-{day}T10:00:00+00:00"
        item = experiment("a", learning_rate=rate)
        write_run(item, store, losses(300, 0.1), finished_at=finished)
    runs = read_runs([experiment("a", learning_rate=1e-4)], store)
    assert [run.stale for run in runs] == [False, True, True]
    assert [run.manifest.finished_at[8:10] for run in runs if run.manifest] == ["01", "03", "02"]


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"format": 1}', b"\xff\xfe\x00", b"", b'{"format": 7}']
)
def test_a_corrupt_manifest_is_a_problem_of_one_run_only(store, content):
    good, bad = experiment("good"), experiment("bad")
    write_run(good, store, losses(300, 0.1))
    folder = write_run(bad, store, losses(300, 0.01))
    (folder / "manifest.json").write_bytes(content)
    first, second = read_runs([good, bad], store)
    assert first.rankable
    assert (second.status, second.rankable, second.manifest) == ("unreadable", False, None)
    assert "manifest.json cannot be read" in second.problems[0]


def test_a_manifest_copied_from_another_run_is_not_believed(store):
    good, copy = experiment("good"), experiment("copy", learning_rate=1e-3)
    source = write_run(good, store, losses(300, 0.1))
    target = write_run(copy, store, losses(300, 0.1))
    (target / "manifest.json").write_bytes((source / "manifest.json").read_bytes())
    _, run = read_runs([good, copy], store)
    assert run.status == "unreadable"
    assert "manifest.json is of good" in run.problems[0]


def test_unreadable_metrics_and_spec_are_problems_that_leave_the_manifest_valid(store):
    item = experiment("a")
    folder = write_run(item, store, losses(300, 0.1))
    (folder / "metrics.jsonl").write_bytes(b"\xff\xfe")
    (folder / "spec.json").write_text("{")
    (run,) = read_runs([item], store)
    assert run.rankable
    files = [str(folder / name) for name in ("spec.json", "metrics.jsonl")]
    assert [problem.split()[0].rstrip(":") for problem in run.problems] == files


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"steps": 290}, "finished at step 290 of 300"),
        ({"final_loss": None}, "no final loss"),
        (
            {"final_loss": LossWindow(mean=np.nan, standard_error=0.1, steps=20, samples=1)},
            "cannot be read",
        ),
    ],
)
def test_a_run_that_says_finished_and_is_not_has_no_rank(store, changes, reason):
    item = experiment("a")
    if "cannot" in reason:
        folder = write_run(item, store, losses(300, 0.1))
        text = (folder / "manifest.json").read_text()
        (folder / "manifest.json").write_text(text.replace('"mean": 0.', '"mean": NaN, "x": 0.'))
    else:
        write_run(item, store, losses(300, 0.1), **changes)
    (run,) = read_runs([item], store)
    assert not run.rankable
    assert any(reason in problem for problem in run.problems)


def test_without_a_modality_config_the_run_with_the_same_settings_is_current(store):
    item = experiment("a")
    write_run(experiment("a", learning_rate=5e-4), store, losses(300, 0.05))
    write_run(item, store, losses(300, 0.1))
    store.modality_config("demo").unlink()
    current, stale = read_runs([item], store)
    assert current.rankable
    assert "no validated modality config" in current.problems[0]
    assert stale.stale


def test_folders_that_are_no_runs_are_passed_over(store):
    item = experiment("a")
    parent = store.root / "runs" / "a"
    (parent / ".abc.partial-1").mkdir(parents=True)
    (parent / "empty").mkdir()
    (parent / "notes.txt").write_text("hello")
    assert [run.status for run in read_runs([item], store)] == ["missing"]


def test_a_store_without_any_run_has_only_missing_ones(store):
    assert [run.status for run in read_runs([experiment("a"), experiment("b")], store)] == [
        "missing",
        "missing",
    ]
