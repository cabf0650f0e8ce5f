"""Commits of Isaac-GR00T: the one that is checked out, and which faults it still has.

Three faults of the N1.5 release were fixed later. Whether a checkout has a fix is read from the
source that would run.
"""

import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

Line = Literal["N1", "N1.5", "N1.6", "N1.7 or later", "unknown"]


@dataclass(frozen=True)
class Fix:
    """A fault of the release, and where it ends; its fields are explained in ``commits.yaml``."""

    code: str
    commit: str
    date: str
    fault: str
    file: str
    text: str


_FACTS = yaml.safe_load(Path(__file__).with_name("commits.yaml").read_bytes())
REPOSITORY: str = _FACTS["repository"]
PINNED: str = _FACTS["pinned"]
RELEASE: str = _FACTS["release"]
N17_PINNED: str = _FACTS["n17_pinned"]
N17_RELEASE: str = _FACTS["n17_release"]
SUCCESSOR: str = _FACTS["successor"]
FIXES = tuple(Fix(**fix) for fix in _FACTS["fixes"])
TORCHVISION_AV = FIXES[-1]

N15_LINE = frozenset(_FACTS["n15_line"].split())
"""First 12 digits of every commit of the N1.5 line, for clones without its history."""


@dataclass(frozen=True)
class Revision:
    """What is known of a checkout."""

    commit: str | None  # Full hash; None where git does not say
    line: Line  # Which model's line it is on
    fixed: Mapping[str, bool | None]  # Of each of ``FIXES``; None where its file is not there
    changed: tuple[str, ...] = ()  # Files that differ from the commit, as ``git status`` has them


def revision_of(checkout: Path) -> Revision:
    """Look at a checkout's source and history; nothing is fetched and nothing written."""
    commit = head(checkout)
    fixed: dict[str, bool | None] = dict.fromkeys(fix.code for fix in FIXES)
    for fix in FIXES:
        with suppress(OSError):
            fixed[fix.code] = fix.text.encode() in (checkout / fix.file).read_bytes()
    # A folder that is no clone may lie in another repository, whose changes are not its own.
    changed = changed_files(checkout) if commit else ()
    return Revision(commit, _line(checkout, commit), fixed, changed)


def head(checkout: Path) -> str | None:
    """Full hash of the commit that is checked out, where the folder is a work tree's own root."""
    top = _git(checkout, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != checkout.resolve():
        return None
    return _git(checkout, "rev-parse", "HEAD")


def changed_files(checkout: Path) -> tuple[str, ...]:
    """Tracked files that differ from the commit, as ``git status`` names them."""
    return tuple((_git(checkout, "status", "--porcelain", "-uno") or "").splitlines())


def has_commit(checkout: Path, commit: str) -> bool:
    """Whether a clone has a commit, by any name of it."""
    return _git(checkout, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}") is not None


def _line(checkout: Path, commit: str | None) -> Line:
    if commit is None:
        return "unknown"
    if commit[:12] in N15_LINE:
        return "N1.5"
    if commit == N17_PINNED:
        return "N1.7 or later"
    releases: dict[Line, str] = {"N1.7 or later": N17_RELEASE, "N1.6": SUCCESSOR, "N1.5": RELEASE}
    for line, release in releases.items():
        if _contains(checkout, release, commit):
            return line
    return "N1" if _contains(checkout, commit, RELEASE) else "unknown"


def _contains(checkout: Path, ancestor: str, commit: str) -> bool:
    """Whether a clone knows that a commit is an ancestor of another, or the same."""
    return _git(checkout, "merge-base", "--is-ancestor", ancestor, commit) is not None


def _git(checkout: Path, *arguments: str) -> str | None:
    """What git prints; ``None`` where it fails.

    A clone without blobs does not fetch them, and git asks for no password.
    """
    command = ["git", "-C", str(checkout), *arguments]
    offline = {**os.environ, "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
    try:
        finished = subprocess.run(
            command,
            capture_output=True,
            timeout=60,
            env=offline,
            encoding="utf-8",
            errors="replace",
        )
        return finished.stdout.strip() if finished.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired):
        return None
