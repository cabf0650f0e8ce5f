"""What is known of a checkout's commit: by its source, its history, the table."""

from dataclasses import replace
from pathlib import Path

import pytest

from gr00t_assets.datasets.frames.video_backends import FIX_COMMIT
from gr00t_assets.trainers.isaac_gr00t import commits
from gr00t_assets.trainers.isaac_gr00t.commits import (
    FIXES,
    FIXES_BY_COMMIT,
    FUTURE_TOKENS,
    PINNED,
    RELEASE,
    RESUME,
    SUCCESSOR,
    head,
    revision_of,
)
from gr00t_assets_tests.trainers.isaac_gr00t.environments import (
    MENDED_SOURCES,
    commit_all,
    git,
    make_checkout,
)

ALL = {"future-tokens": True, "resume": True, "torchvision-av": True}
NONE = dict.fromkeys(ALL, False)
UNKNOWN = dict.fromkeys(ALL)


def test_every_mend_is_the_first_of_its_kind_in_the_table():
    assert len(FIXES_BY_COMMIT) == 46
    assert FIXES[-1].commit == FIX_COMMIT
    counts = [FIXES_BY_COMMIT[commit[:12]] for commit in (RELEASE, *(fix.commit for fix in FIXES))]
    assert counts == [0, 1, 2, 3] == [*range(len(FIXES) + 1)]
    assert FIXES_BY_COMMIT[PINNED[:12]] == 3
    assert SUCCESSOR[:12] not in FIXES_BY_COMMIT


def test_source_says_what_a_folder_without_history_has(tmp_path: Path):
    checkout = make_checkout(tmp_path / "mended")
    assert revision_of(checkout).fixed == ALL
    assert revision_of(checkout).commit is None and revision_of(checkout).line == "unknown"
    release = make_checkout(tmp_path / "release", dict.fromkeys(MENDED_SOURCES, "pass\n"))
    assert revision_of(release).fixed == NONE
    other = make_checkout(tmp_path / "other", {})
    assert revision_of(other).fixed == UNKNOWN


def test_a_folder_inside_another_work_tree_has_no_commit_of_its_own(tmp_path: Path):
    checkout = make_checkout(tmp_path / "data" / "Isaac-GR00T", {})
    commit_all(tmp_path, "the project around it")
    assert head(checkout) is None
    assert revision_of(checkout).commit is None


def test_a_changed_file_is_named_and_an_untracked_one_is_not(tmp_path: Path):
    checkout = make_checkout(tmp_path / "checkout")
    commit = commit_all(checkout, "as it is")
    (checkout / "untracked.txt").write_text("")
    assert revision_of(checkout).changed == ()
    (checkout / "scripts" / "gr00t_finetune.py").write_text("changed")
    revision = revision_of(checkout)
    assert revision.commit == commit
    assert revision.changed == ("M scripts/gr00t_finetune.py",)


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with a release, two mends and a successor, whose hashes stand in for NVIDIA's."""
    origin = make_checkout(tmp_path / "origin", {})
    names = ["before", "release", "mend 1", "mend 2", "after", "successor"]
    commit_of = {name: commit_all(origin, name) for name in names}
    for name, commit in commit_of.items():
        git(origin, "tag", name.replace(" ", "-"), commit)
    monkeypatch.setattr(commits, "RELEASE", commit_of["release"])
    monkeypatch.setattr(commits, "SUCCESSOR", commit_of["successor"])
    first = replace(FUTURE_TOKENS, commit=commit_of["mend 1"])
    second = replace(RESUME, commit=commit_of["mend 2"])
    monkeypatch.setattr(commits, "FIXES", (first, second))
    return origin


@pytest.mark.parametrize(
    ("tag", "line", "mended"),
    [
        ("before", "N1", (False, False)),
        ("release", "N1.5", (False, False)),
        ("mend-1", "N1.5", (True, False)),
        ("after", "N1.5", (True, True)),
        ("successor", "N1.6", (True, True)),
    ],
)
def test_history_says_what_the_source_does_not(
    history: Path, tag: str, line: str, mended: tuple[bool, bool]
):
    git(history, "checkout", "-q", "--detach", tag)
    revision = revision_of(history)
    assert revision.line == line
    assert tuple(revision.fixed.values()) == mended


def test_a_shallow_clone_does_not_say_what_it_cannot_know(history: Path, tmp_path: Path):
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", "-b", "after", history.as_uri(), str(shallow))
    revision = revision_of(shallow)
    assert revision.commit == git(history, "rev-parse", "after")
    assert revision.line == "unknown"
    assert set(revision.fixed.values()) == {None}
