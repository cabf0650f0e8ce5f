"""The journal of a store with runs of every kind, and of the imported runs."""

import shutil
from pathlib import Path

import pytest

from gr00t_assets.comparison.tables.runs_table import read_table
from gr00t_assets.reporting.research_journal import read_notes, write_journal
from gr00t_assets_tests.comparison.run_factory import (
    experiment,
    losses,
    store_with_data,
    sweep,
    write_run,
)

TABLE = Path(__file__).resolve().parents[2] / "data" / "examples" / "journal" / "runs.csv"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Two sweeps: replicates at two batch sizes; a failed, an unfinished and a missing run."""
    store = store_with_data(tmp_path_factory.mktemp("project") / "store", "demo")
    items = [
        experiment(f"b{batch}-s{seed}", "The larger batch wins", batch_size=batch, seed=seed)
        for batch in (1, 8)
        for seed in (1, 2)
    ]
    for item in items:
        batch = item.hyperparameters.batch_size
        write_run(item, store, losses(300, 0.3 / batch, seed=item.hyperparameters.seed))
    others = [experiment("broken", learning_rate=1e-2), experiment("begun"), experiment("never")]
    failure = "TrainingError: broken: the loss is <b>nan</b>"
    write_run(others[0], store, losses(40, 0.9), "failed", failure=failure, final_loss=None)
    write_run(others[1], store, losses(120, 0.3), None)
    return [sweep(*items), sweep(*others, name="other")], store


@pytest.fixture
def notes(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "b.md").write_text("---\nexperiment: b8-s1\n---\n# Seen\nThe arm *trembles* | <i>.\n")
    (folder / "a.md").write_text("---\nquestion: batch\n---\nAsk the lab.\n")
    (folder / "c.md").write_text("General: buy a second GPU.\n")
    (folder / "d.md").write_text("---\nexperiment: b8-s9\n---\nOf a run that is gone.\n")
    (folder / "e.md").write_text("---\n[broken\n---\nKept all the same.\n")
    (folder / "f.md").write_text("---\nquestion: weather\n---\nIt rained.\n")
    return folder


def test_it_has_the_parts_of_the_hand_kept_one(project):
    text = write_journal(*project, imported=[]).text
    heads = [line for line in text.splitlines() if line.startswith("## ")]
    assert heads == [
        "## Overview", "## Key findings", "## Best configurations, by class",
        "## Recommended configurations", "## Experiments", "## Next experiments",
        "## Open questions", "## Memory and time", "## Experiments that have not run",
    ]  # fmt: skip
    for part in ("**Hypothesis**: The larger batch wins", "**Config**", "**Result**: loss 0.0",
                 "**Conclusion**: Lowest loss of 2 configurations"):  # fmt: skip
        assert part in text, part
    assert "--select checkpoint --partition b8-s1" in text
    assert "never" in text.split("## Experiments that have not run")[1]


def test_a_conclusion_is_never_stronger_than_its_verdict(project):
    text = write_journal(*project, imported=[]).text
    entry = text.split("### b8-s1")[1].split("### ")[0]
    assert "confounded" in entry and "samples" in entry
    assert "controlled" not in entry
    broken = text.split("### broken")[1].split("### ")[0]
    assert "**Conclusion**: none: it is failed, so it is neither ranked nor compared." in broken
    assert "<b>" not in broken


def test_the_same_runs_give_the_same_bytes_in_any_order(project, notes):
    sweeps, store = project
    first = write_journal(sweeps, store, notes, imported=[])
    before = first.path.stat().st_mtime_ns
    again = write_journal(sweeps[::-1], store, notes, imported=[])
    assert (again.text, again.changed) == (first.text, False)
    assert again.path.stat().st_mtime_ns == before
    assert first.path.read_text() == first.text


def test_runs_found_in_another_order_give_the_same_bytes(project, tmp_path):
    """A copy of the store has other times and another order of folders."""
    sweeps, store = project
    copy = store_with_data(tmp_path / "copy", "demo")
    for folder in sorted((store.root / "runs").iterdir(), reverse=True):
        shutil.copytree(folder, copy.root / "runs" / folder.name)
    assert write_journal(sweeps, copy, imported=[]).text == (
        write_journal(sweeps, store, imported=[]).text
    )


def test_notes_are_placed_and_survive_ten_regenerations(project, notes):
    sweeps, store = project
    before = {file.name: file.read_bytes() for file in notes.iterdir()}
    for seed in range(10):
        item = experiment(f"later-{seed}", learning_rate=2e-4, seed=seed)
        journal = write_journal(
            [*sweeps, sweep(item, name=f"later-{seed}")], store, notes, imported=[]
        )
    assert {file.name: file.read_bytes() for file in notes.iterdir()} == before
    text = journal.path.read_text()
    entry = text.split("### b8-s1")[1].split("\n### ")[0]
    assert "> # Seen\n> The arm *trembles* | <i>." in entry
    assert "> Ask the lab." in text.split("### Does batch size help?")[1].split("\n### ")[0]
    assert "> General: buy a second GPU." in text.split("## Key findings")[0]
    end = text.split("## Notes without a place")[1]
    for words in ("> Of a run that is gone.", "did you mean 'b8-s", "> Kept all the same.",
                  "is no YAML", "> It rained.", "there is no question 'weather'"):  # fmt: skip
        assert words in end, words
    for words in ("trembles", "Ask the lab", "buy a second", "that is gone", "It rained"):
        assert text.count(words) == 1, words


@pytest.mark.parametrize("name", ["007", "1e3", "2026-02-30", "null", "yes"])
def test_a_note_names_an_experiment_whatever_yaml_makes_of_the_name(tmp_path, name):
    (tmp_path / "a.md").write_text(f"---\nexperiment: {name}\n---\nSeen.\n")
    (note,) = read_notes(tmp_path, [name])
    assert (note.kind, note.subject, note.problem) == ("experiment", name, "")


def test_a_new_run_changes_it(project, tmp_path):
    sweeps, store = project
    copy = store_with_data(tmp_path / "copy", "demo")
    shutil.copytree(store.root / "runs", copy.root / "runs", dirs_exist_ok=True)
    first = write_journal(sweeps, copy, imported=[])
    write_run(experiment("never"), copy, losses(300, 0.01))
    second = write_journal(sweeps, copy, imported=[])
    assert second.changed and "### never" in second.text and "### never" not in first.text


def test_the_imported_runs_have_their_commands_and_their_frames_are_marked(tmp_path):
    journal = write_journal([], store_with_data(tmp_path), tmp_path, read_table(TABLE))
    text = journal.text
    assert "(trained on wrong frames)" in text
    assert "--learning-rate 1e-4" in text and "--no-tune-llm" in text
    failed = text.split("### batch_size_8_failed")[1].split("\n### ")[0]
    assert "it is failed, so it is neither ranked nor compared" in failed
    assert "| 1 | ch7f65x3 |" in text and "d9pawzt8 |" not in text


def test_a_journal_of_nothing_says_so(tmp_path):
    store = store_with_data(tmp_path)
    assert "No experiment has a run yet." in write_journal([], store, tmp_path, []).text


def test_a_folder_without_notes_has_none(tmp_path):
    assert read_notes(tmp_path / "nowhere", ()) == []
