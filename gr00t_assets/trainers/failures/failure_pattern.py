"""Reading a trainer's log: its lines without progress bars and secrets, its exceptions, and the
failures that are recognised by the text they print, whose patterns are data in files of YAML.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path

import yaml

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.datasets.sources.hub_source import without_token

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_BAR = re.compile(r"^(.*\d%\|.*(?:it/s|s/it)[^\]]*\])(?=.)")
_RANK = re.compile(r"^\[rank(\d+)\]: ?")
_START = re.compile(r"^Traceback \(most recent call last\):")
_LINK = re.compile(r"^(The above exception was the direct|During handling of the above exception)")
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(?:: .*|:)?$")
_WRAPPERS = ("ChildFailedError",)
_AFTERWARDS = re.compile(
    r"^(\s*\d+%\||wandb: |[WEI]\d{4} \d\d:\d\d|\[[WEI]\d+|={5,}$|-{5,}$|terminate called)"
)

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_SECRETS = (
    re.compile(r"\b(hf_)[A-Za-z0-9]{8,}"),
    re.compile(r"\b(wandb_v\d+_)[A-Za-z0-9_]{16,}"),
    re.compile(r"(?i)(api[_-]?key\W{1,6})[0-9a-f]{40}\b"),
    re.compile(r"(?i)(\b\w*(?:api_?key|token|secret|password)[\"']?\s*[=:]\s*[\"']?)[\w+/.-]{16,}"),
    re.compile(r"(?i)(bearer\s+|basic\s+)[\w+/=.-]{16,}"),
)
_MIN_SECRET_CHARACTERS = 8

MAX_LINE_CHARACTERS, MAX_SECRET_CHARACTERS = 4_000, 200
"""Characters of a line that are read, and of a secret at most."""


def redacted(text: str) -> str:
    """A text without the secrets of this environment, and without what looks like one.

    Examples:
        >>> redacted("login with hf_abcdefghijklmnopqrst failed")
        'login with hf_*** failed'
    """
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= _MIN_SECRET_CHARACTERS:
            text = text.replace(value, "***")
    for secret in _SECRETS:
        text = secret.sub(r"\1***", text)
    return without_token(text)


def clean_lines(lines: Iterable[str]) -> list[str]:
    """Lines as a person reads them: no colours and no secrets, and none without an end.

    Of a progress bar its last state is left, and what was printed behind it gets its own line.
    """
    final_states = (_COLOUR.sub("", line.rstrip("\r").split("\r")[-1]).rstrip() for line in lines)
    # A secret that is cut in two is not recognised: what is near the cut is dropped afterwards.
    texts = (redacted(_BAR.sub(r"\1\n", line[:MAX_LINE_CHARACTERS])) for line in final_states)
    longest = MAX_LINE_CHARACTERS - MAX_SECRET_CHARACTERS
    return [
        line if len(line) < longest else f"{line[:longest]} ..."
        for text in texts
        for line in text.split("\n")
    ]


@dataclass(frozen=True)
class ExceptionChain:
    """One chain of exceptions of one process, as the log has it."""

    rank: int | None  # Process of a ``torchrun`` that printed it, where it says so
    text: str  # All of it, tracebacks too
    message: str  # Of the last exception, its type in front

    @property
    def is_wrapper(self) -> bool:
        """Whether it only says that another process failed."""
        return self.message.split(":")[0].split(".")[-1] in _WRAPPERS


def find_exceptions(lines: Sequence[str]) -> list[ExceptionChain]:
    """Every chain of exceptions in a log, in the order of their starts.

    Processes of one ``torchrun`` write into one log. Their lines are told apart by ``[rank1]:``,
    which torch puts in front of tracebacks once the processes are connected.
    """
    ranks: dict[int | None, list[str]] = {}
    for line in lines:
        match = _RANK.match(line)
        rank = int(match[1]) if match else None
        ranks.setdefault(rank, []).append(_RANK.sub("", line))
    return [chain for rank, own in ranks.items() for chain in _chains(own, rank)]


def _chains(lines: list[str], rank: int | None) -> list[ExceptionChain]:
    starts = [number for number, line in enumerate(lines) if _START.match(line)]
    chains: list[ExceptionChain] = []
    linked = False
    for start, end in pairwise([*starts, len(lines)]):
        block = lines[start:end]
        message, length = _message(block)
        text = "\n".join(block[: max(length, 1)])
        if linked and chains:
            text = chains.pop().text + "\n" + text
        chains.append(ExceptionChain(rank, text, message))
        linked = any(_LINK.match(line) for line in block[length:])
    return chains


def _message(block: list[str]) -> tuple[str, int]:
    """The exception under a traceback, and how many lines of the block belong to it."""
    for number, line in enumerate(block[1:], 1):
        if line.startswith((" ", "\t")) or not _EXCEPTION.match(line):
            continue
        end = number + 1
        while end < len(block) and not (_LINK.match(block[end]) or _AFTERWARDS.match(block[end])):
            end += 1
        return "\n".join(block[number:end]).rstrip(), end
    return "", len(block)


RESUMES = "materialise it again: it resumes from its last complete checkpoint"
"""What to do after a failure that another attempt may not meet."""

MAX_TAIL_LINES = 12  # lines of the log that stand below a message; more of them are on the page

_MAX_CHARACTERS = 400  # characters of a line that are shown in a message


@dataclass(frozen=True)
class Explanation:
    """Why a trainer ended."""

    problem: str  # One sentence that says what happened
    details: Sequence[str] = ()  # What it means and what to do
    name: str = ""  # The failure pattern; signal, exception or silent where none matched
    tail: Sequence[str] = ()  # The log's last lines, without secrets

    def error(self, subject: str, log: str | None = None) -> TrainingError:
        """The error to raise: the message, where the whole log is, and its last lines.

        The subject is the experiment's name. Without a log the last lines are left out as well.
        """
        below = []
        if log:
            last = [f"| {cut(line)}" for line in self.tail[-MAX_TAIL_LINES:]]
            below = [f"log: {log}", *(["its last lines:", *last] if last else [])]
        shown = [redacted(line) for line in self.details if line.strip()]
        return TrainingError(subject, redacted(self.problem), [*shown, *below])


def cut(line: str) -> str:
    """A line as long as a message shows it."""
    return line if len(line) <= _MAX_CHARACTERS else f"{line[:_MAX_CHARACTERS]} ..."


class FailurePattern(FrozenModel):
    """A failure that is recognised by its text.

    ``problem`` and ``details`` may name the groups of the texts, and what
    ``gr00t_assets.trainers.failures.explain.names_of`` gives of the spec.
    """

    name: str  # In kebab case, unique
    texts: tuple[str, ...]  # Regular expressions; it is recognised where any of them matches
    problem: str = ""  # What happened; empty where code explains it
    details: tuple[str, ...] = ()  # What it means and what to do
    anywhere: bool = False  # Whether the text is printed outside of an exception
    consequence: bool = False  # Whether it follows another failure, which is then reported

    @cached_property
    def _compiled(self) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(text, re.MULTILINE) for text in self.texts)

    def match(self, text: str) -> dict[str, str] | None:
        """Text by name of the groups, empty for one not in it; ``None`` where nothing matches."""
        names = [name for pattern in self._compiled for name in pattern.groupindex]
        for pattern in self._compiled:
            if match := pattern.search(text):
                groups = {name: value or "" for name, value in match.groupdict().items()}
                return dict.fromkeys(names, "") | groups
        return None

    def explanation(self, names: Mapping[str, str]) -> Explanation:
        """Problem and details with the names filled in; a detail of several lines is as many."""
        text = "\n".join(detail.format(**names) for detail in self.details)
        lines = (line.removeprefix("  ") for line in text.split("\n"))
        return Explanation(self.problem.format(**names), tuple(filter(None, lines)), self.name)


@cache
def load_patterns(file: Path) -> tuple[FailurePattern, ...]:
    """The patterns of a file, in the order in which they are tried."""
    return tuple(map(FailurePattern.model_validate, yaml.safe_load(file.read_bytes())))
