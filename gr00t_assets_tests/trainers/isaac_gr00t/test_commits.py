"""What is known of a checkout's commit: by its source, its history, the list of the N1.5 line."""

from pathlib import Path

import pytest

from gr00t_assets.datasets.frames.video_backends import FIX_COMMIT
from gr00t_assets.trainers.isaac_gr00t import commits
from gr00t_assets.trainers.isaac_gr00t.commits import (
    FIXES,
    N15_LINE,
    PINNED,
    RELEASE,
    SUCCESSOR,
    TORCHVISION_AV,
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


def test_every_mend_is_on_the_line_from_the_release_to_the_pinned_commit():
    assert len(N15_LINE) == 46
    assert TORCHVISION_AV.commit == FIX_COMMIT
    mends = (fix.commit for fix in FIXES)
    assert {commit[:12] for commit in (RELEASE, *mends, PINNED)} < N15_LINE
    assert SUCCESSOR[:12] not in N15_LINE


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
    project = tmp_path / "project.txt"
    project.write_text("as committed")
    commit_all(tmp_path, "the project around it")
    project.write_text("changed")
    assert head(checkout) is None
    revision = revision_of(checkout)
    assert (revision.commit, revision.changed) == (None, ())


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
    """A clone with a release and a successor, whose hashes stand in for NVIDIA's."""
    origin = make_checkout(tmp_path / "origin", {})
    commit_of = {
        name: commit_all(origin, name) for name in ("before", "release", "after", "successor")
    }
    for name, commit in commit_of.items():
        git(origin, "tag", name, commit)
    monkeypatch.setattr(commits, "RELEASE", commit_of["release"])
    monkeypatch.setattr(commits, "SUCCESSOR", commit_of["successor"])
    return origin


@pytest.mark.parametrize(
    ("tag", "line"),
    [("before", "N1"), ("release", "N1.5"), ("after", "N1.5"), ("successor", "N1.6")],
)
def test_history_says_which_line_a_commit_is_on(history: Path, tag: str, line: str):
    git(history, "checkout", "-q", "--detach", tag)
    assert revision_of(history).line == line


def test_a_shallow_clone_does_not_say_what_it_cannot_know(history: Path, tmp_path: Path):
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", "-b", "after", history.as_uri(), str(shallow))
    revision = revision_of(shallow)
    assert revision.commit == git(history, "rev-parse", "after")
    assert revision.line == "unknown"
