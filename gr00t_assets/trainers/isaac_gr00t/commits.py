"""Commits of Isaac-GR00T: the one that is checked out, and which faults it still has.

Three faults of the N1.5 release were fixed later. Whether a checkout has a fix is read from the
source that would run; where that does not say, from git's history; last from a table of the
commits between the release and N1.6.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gr00t_assets.datasets.frames.video_backends import FIX_COMMIT

REPOSITORY = "https://github.com/NVIDIA/Isaac-GR00T"

PINNED = "a86e9159a7e6acf771479007a79d4aeaa408c4c0"
"""2025-10-08: the last commit that changed training before N1.6. The two that follow on the N1.5
line bring documents and deployment on Jetson, and raise the pins of protobuf and onnx with which
none of the facts that this project relies on were measured."""

RELEASE = "5e3ef5ef9a89b647f11490d749b0049ae2796b94"
"""2025-06-11: the release of N1.5."""

SUCCESSOR = "4e62473d5226c55784697944a5c9606a51927bfc"
"""2025-12-15: the release of N1.6, with another training script and another model."""

Line = Literal["N1", "N1.5", "N1.6 or later", "unknown"]
_MIN_HASH_DIGITS = 7

_COMMITS_BY_FIXES = {
    (False, False, False): (
        "5e3ef5ef9a89 209d70a90cf4 796ca8d87360 17a77ebf646c 7762576bbc0c aa6441feb4f0"
    ),
    (True, False, False): (
        "46b558542cbb 229aba376ca4 6f1209eb529d d5984002e24d f4e12be5458f "
        "a2ec903a8070 4ea96a16b15c b07d50e62151 b70e8dd9d977"
    ),
    (True, True, False): (
        "ae7d46f02cdc fa4f174f7ff2 ba3f9eaf5570 10de3f983eee 4ed4d45d8337 "
        "1df8273d95db 3bce5530b3af 2cc694e94aa1 542df54fa649 db107f03d165 "
        "76a042dc9b49 6b44c006608f fbc1e52508ef 6165d42446c0 7f53666c8144 "
        "029b2dfbe40d b211007ed669 6a477aa39f2f a8d90be2db87 b5f951f19fca "
        "d69b446ef337"
    ),
    (True, True, True): (
        "cdf6d6e3c48a c8647d1bfe87 267e2dc6c2b0 063773282a98 2196232d254b "
        "c8a91eafdceb 1259d624f040 a86e9159a7e6 e845e755d333 4af2b622892f"
    ),
}

FIXES_BY_COMMIT: dict[str, tuple[bool, bool, bool]] = {
    commit: fixes for fixes, commits in _COMMITS_BY_FIXES.items() for commit in commits.split()
}
"""Which of :data:`FIXES` each commit of the N1.5 line has, by the first 12 digits of its hash.

From ``git merge-base --is-ancestor`` in the whole history; for clones whose history does not say,
and for a hash without a clone."""


@dataclass(frozen=True)
class Fix:
    """A fault of the release, and where it ends.

    Attributes:
        code: Name of the fault, as findings call it.
        commit: Full hash of the commit that fixed it.
        date: Of that commit.
        fault: What happens without it.
        file: Source file, inside the checkout, that shows whether it is in.
        text: What stands there where it is in.
    """

    code: str
    commit: str
    date: str
    fault: str
    file: str
    text: str


FUTURE_TOKENS = Fix(
    "future-tokens",
    "46b558542cbb9c61ce956fd9b5384a4590438d2b",
    "2025-07-08",
    "the released weights' action_head.future_tokens are dropped: a checkpoint trained so is not "
    "the same model as one trained later",
    "gr00t/model/action_head/flow_matching_action_head.py",
    "future_tokens",
)
RESUME = Fix(
    "resume",
    "ae7d46f02cdca5d9c80efc446fe41fe2b58e94c7",
    "2025-08-07",
    "resuming fails on rng_state.pth (Weights only load failed); this platform's launcher allows "
    "the types, a run by hand does not",
    "gr00t/experiment/trainer.py",
    "add_safe_globals",
)
TORCHVISION_AV = Fix(
    "torchvision-av",
    FIX_COMMIT,
    "2025-09-18",
    "torchvision_av returns the key frame before the asked time; training with it is refused "
    "unless frames come from the frame cache",
    "gr00t/utils/video.py",
    "selected_frames",
)
FIXES = (FUTURE_TOKENS, RESUME, TORCHVISION_AV)
"""In the order in which they were made, each commit after the one before."""


@dataclass(frozen=True)
class Revision:
    """What is known of a checkout.

    Attributes:
        commit: Full hash; ``None`` where git does not say.
        line: Which model's line it is on.
        fixed: By code of each of ``FIXES`` whether it is in; ``None`` where nothing says.
        changed: Files that differ from the commit, as ``git status`` names them.
    """

    commit: str | None
    line: Line
    fixed: Mapping[str, bool | None]
    changed: tuple[str, ...] = ()

    def sentence(self) -> str:
        """The commit and its line in words.

        Example:
            >>> Revision("a86e9159a7e6", "N1.5", {}).sentence()
            'commit a86e9159a7e6, of the N1.5 line'
        """
        commit = f"commit {self.commit[:12]}" if self.commit else "no commit that git knows"
        named = {"unknown": "of no line that is known"}.get(self.line, f"of the {self.line} line")
        return f"{commit}, {named}"


def revision_of(checkout: Path) -> Revision:
    """Look at a checkout's source and history; nothing is fetched and nothing written."""
    commit = head(checkout)
    entry = table_entry(commit)
    fixed: dict[str, bool | None] = {}
    for position, fix in enumerate(FIXES):
        has_fix = _in_source(checkout, fix)
        if has_fix is None:
            has_fix = _contains(checkout, fix.commit, commit)
        if has_fix is None and entry is not None:
            has_fix = entry[position]
        fixed[fix.code] = has_fix
    return Revision(commit, _line(checkout, commit), fixed, changed_files(checkout))


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


def table_entry(commit: str | None) -> tuple[bool, bool, bool] | None:
    """Which of ``FIXES`` a commit of the N1.5 line has, by full or abbreviated hash.

    Example:
        >>> table_entry("5e3ef5e"), table_entry("a86e915")
        ((False, False, False), (True, True, True))
        >>> table_entry("0000000") is None
        True
    """
    if commit is None or not re.fullmatch(rf"[0-9a-f]{{{_MIN_HASH_DIGITS},40}}", commit.lower()):
        return None
    begin = commit.lower()[:12]
    entries = {fixes for digits, fixes in FIXES_BY_COMMIT.items() if digits.startswith(begin)}
    return entries.pop() if len(entries) == 1 else None


def _line(checkout: Path, commit: str | None) -> Line:
    if commit is None:
        return "unknown"
    if table_entry(commit) is not None:
        return "N1.5"
    if _contains(checkout, SUCCESSOR, commit):
        return "N1.6 or later"
    if _contains(checkout, RELEASE, commit):
        return "N1.5"
    if _contains(checkout, commit, RELEASE):
        return "N1"
    return "unknown"


def _in_source(checkout: Path, fix: Fix) -> bool | None:
    try:
        source = (checkout / fix.file).read_text(errors="replace")
    except OSError:
        return None
    return fix.text in source


def _contains(checkout: Path, ancestor: str, commit: str | None) -> bool | None:
    """Whether a commit is an ancestor of another; ``None`` where the clone does not have both."""
    if commit is None:
        return None
    finished = _run_git(checkout, "merge-base", "--is-ancestor", ancestor, commit)
    if finished is None:
        return None
    shallow = ("rev-parse", "--is-shallow-repository")
    if finished.returncode == 1 and _git(checkout, *shallow) == "true":
        return None
    return {0: True, 1: False}.get(finished.returncode)


def _git(checkout: Path, *arguments: str) -> str | None:
    """What git prints; ``None`` where it fails."""
    finished = _run_git(checkout, *arguments)
    return finished.stdout.strip() if finished and finished.returncode == 0 else None


def _run_git(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    """Run git; a clone without blobs does not fetch them, and git asks for no password."""
    command = ["git", "-C", str(checkout), *arguments]
    offline = {**os.environ, "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=offline)
    except (OSError, subprocess.TimeoutExpired):
        return None
