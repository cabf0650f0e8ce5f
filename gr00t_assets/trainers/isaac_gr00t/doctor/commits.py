"""Commits of Isaac-GR00T: the one that is installed, and what is known of others.

Three faults of the N1.5 release were mended later. Whether a checkout has a mend is read from the
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

from gr00t_assets.datasets.frames.truth import faults
from gr00t_assets.trainers.isaac_gr00t.doctor.commit_table import MENDS_BY_COMMIT

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
_SHORTEST = 7


@dataclass(frozen=True)
class Mend:
    """A fault of the release, and where it ends.

    Attributes:
        code: Name of the fault, as findings call it.
        commit: Full hash of the commit that mended it.
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


FUTURE_TOKENS = Mend(
    "future-tokens",
    "46b558542cbb9c61ce956fd9b5384a4590438d2b",
    "2025-07-08",
    "the released weights' action_head.future_tokens are dropped: a checkpoint trained so is not "
    "the same model as one trained later",
    "gr00t/model/action_head/flow_matching_action_head.py",
    "future_tokens",
)
RESUME = Mend(
    "resume",
    "ae7d46f02cdca5d9c80efc446fe41fe2b58e94c7",
    "2025-08-07",
    "resuming fails on rng_state.pth (Weights only load failed); this platform's launcher allows "
    "the types, a run by hand does not",
    "gr00t/experiment/trainer.py",
    "add_safe_globals",
)
TORCHVISION_AV = Mend(
    "torchvision-av",
    faults.MEND,
    "2025-09-18",
    "torchvision_av returns the key frame before the asked time; training with it is refused "
    "unless frames come from the frame cache",
    "gr00t/utils/video.py",
    "selected_frames",
)
MENDS = (FUTURE_TOKENS, RESUME, TORCHVISION_AV)
"""In the order in which they were made, each commit after the one before."""


@dataclass(frozen=True)
class Revision:
    """What is known of a checkout.

    Attributes:
        commit: Full hash; ``None`` where git does not say.
        line: Which model's line it is on.
        mended: By code of each of ``MENDS`` whether it is in; ``None`` where nothing says.
        changed: Files that differ from the commit, as ``git status`` names them.
    """

    commit: str | None
    line: Line
    mended: Mapping[str, bool | None]
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
    known = table_entry(commit)
    mended = {
        mend.code: _first_known(
            _in_source(checkout, mend),
            _contains(checkout, mend.commit, commit),
            None if known is None else known[position],
        )
        for position, mend in enumerate(MENDS)
    }
    changed = tuple((_git(checkout, "status", "--porcelain", "-uno") or "").splitlines())
    return Revision(commit, _line(checkout, commit), mended, changed)


def head(checkout: Path) -> str | None:
    """Full hash of the commit that is checked out, where the folder is a work tree's own root."""
    top = _git(checkout, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != checkout.resolve():
        return None
    return _git(checkout, "rev-parse", "HEAD")


def table_entry(commit: str | None) -> tuple[bool, bool, bool] | None:
    """Which of ``MENDS`` a commit of the N1.5 line has, by full or abbreviated hash.

    Example:
        >>> table_entry("5e3ef5e"), table_entry("a86e915")
        ((False, False, False), (True, True, True))
        >>> table_entry("0000000") is None
        True
    """
    if commit is None or not re.fullmatch(rf"[0-9a-f]{{{_SHORTEST},40}}", commit.lower()):
        return None
    begin = commit.lower()[:12]
    found = {mends for known, mends in MENDS_BY_COMMIT.items() if known.startswith(begin)}
    return found.pop() if len(found) == 1 else None


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


def _in_source(checkout: Path, mend: Mend) -> bool | None:
    try:
        source = (checkout / mend.file).read_text(errors="replace")
    except OSError:
        return None
    return mend.text in source


def _contains(checkout: Path, ancestor: str, commit: str | None) -> bool | None:
    """Whether a commit is an ancestor of another; ``None`` where the clone does not have both."""
    if commit is None:
        return None
    command = ["git", "-C", str(checkout), "merge-base", "--is-ancestor", ancestor, commit]
    try:
        done = subprocess.run(command, capture_output=True, timeout=60, env=_offline())
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode == 1 and _git(checkout, "rev-parse", "--is-shallow-repository") == "true":
        return None
    return {0: True, 1: False}.get(done.returncode)


def _git(checkout: Path, *arguments: str) -> str | None:
    """What git prints; ``None`` where it fails."""
    command = ["git", "-C", str(checkout), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=_offline())
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _offline() -> dict[str, str]:
    """A clone without blobs does not fetch what is asked for, and git asks for no password."""
    return {**os.environ, "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}


def _first_known(*answers: bool | None) -> bool | None:
    return next((answer for answer in answers if answer is not None), None)


def has_commit(checkout: Path, commit: str) -> bool:
    """Whether a clone has a commit, by any name of it."""
    return _git(checkout, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}") is not None
