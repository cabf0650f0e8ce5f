"""Errors for people: what was found, what was expected, and the one thing to do about it."""

import re
from collections.abc import Sequence

from gr00t_assets.core.text import printable

_PLACED = re.compile(r"line (\d+): (.*)", re.DOTALL)
_LINE = re.compile(r":(\d+)$")
"""One of several problems of a file; the line behind a file's name."""


class Gr00tAssetsError(Exception):
    """Base of every error that a person caused and a person can mend.

    Its texts may quote a file: control characters in them are shown escaped.

    Args:
        subject: What the error is about, such as a dataset name or ``data/sweeps/demo.yaml:12``.
        problem: One sentence that says what is wrong.
        details: Further lines: each problem found, what was expected, what exists, what to do.

    Examples:
        >>> print(DatasetError("demo", "camera 'front' is not in this dataset.", ["it has: wrist"]))
        demo: camera 'front' is not in this dataset.
          it has: wrist
    """

    def __init__(self, subject: str, problem: str, details: Sequence[str] = ()) -> None:
        self.subject = printable(subject, lines=False)
        self.problem = printable(problem)
        self.details = tuple(map(printable, details))
        lines = [f"{self.subject}: {self.problem}", *(f"  {line}" for line in self.details)]
        super().__init__("\n".join(lines))

    def explain(self) -> str:
        """The whole message with the kind of error in front, as shown on a terminal."""
        return f"{type(self).__name__}: {self}"

    @property
    def problems(self) -> list[tuple[int | None, str]]:
        """What it finds wrong, each with its line of the file that the error is about.

        Examples:
            >>> SweepError("a.yaml", "2 problems.", ["line 3: unknown", "line 9: twice"]).problems
            [(3, 'unknown'), (9, 'twice')]
            >>> SweepError("a.yaml:3", "this is not YAML.", ["found a tab"]).problems
            [(3, 'this is not YAML: found a tab')]
        """
        placed = [match for line in self.details if (match := _PLACED.fullmatch(line))]
        if placed:
            return [(int(match[1]), match[2]) for match in placed]
        details = "; ".join(self.details)
        text = f"{self.problem.rstrip('.')}: {details}" if details else self.problem
        line = _LINE.search(self.subject)
        return [(int(line[1]) if line else None, text)]

    @property
    def headline(self) -> str:
        """The first of its problems in one line, behind the file and its line.

        Examples:
            >>> SweepError("a.yaml", "2 problems.", ["line 3: unknown", "line 9: x"]).headline
            'a.yaml:3: unknown'
        """
        line, text = self.problems[0]
        where = _LINE.sub("", self.subject) + (f":{line}" if line else "")
        return " ".join(f"{where}: {text}".split())


class DatasetError(Gr00tAssetsError):
    """A dataset cannot be had, cannot be read, or does not fit its data config."""


class DataConfigError(Gr00tAssetsError):
    """A data config's file is wrong, or there is no data config of a name."""


class ProjectError(Gr00tAssetsError):
    """``data/project.yaml`` is wrong."""


class CatalogError(Gr00tAssetsError):
    """``data/datasets.yaml`` is wrong, or a name is not in it."""


class SweepError(Gr00tAssetsError):
    """A sweep file is wrong, or an experiment is not in any of them."""


class SpecError(Gr00tAssetsError):
    """A training spec cannot be read or does not describe a run that can be done."""


class BaseModelError(Gr00tAssetsError):
    """A base model cannot be found or is not in GR00T's layout."""


class CheckpointError(Gr00tAssetsError):
    """A checkpoint or run directory is corrupt, partial or belongs to another run."""


class TrainingError(Gr00tAssetsError):
    """Training could not go on, such as a loss that is no longer a finite number."""


class EngineError(Gr00tAssetsError):
    """``data/engines.yaml`` is wrong, or an engine or one of its nodes does not take a job."""


class StoreError(Gr00tAssetsError):
    """The store cannot be written, such as a full disk."""


class ComparisonError(Gr00tAssetsError):
    """Runs cannot be compared as asked: a table is wrong, or a factor or a run is not known."""


class EvaluationError(Gr00tAssetsError):
    """A run cannot be evaluated, or its evaluation cannot be read."""


class TrialsError(Gr00tAssetsError):
    """Trials on a robot cannot be planned or served, or their outcomes cannot be read."""


class ObservationError(Gr00tAssetsError):
    """An observation is not what a policy takes: missing, in another shape, units or order."""


class ActionError(Gr00tAssetsError):
    """A policy answers with what is no action, such as NaN, or an action is not safe to send."""


class ServingError(Gr00tAssetsError):
    """A policy cannot be served as asked, or a server cannot be reached or refuses."""


class SimulationError(Gr00tAssetsError):
    """An environment is declared wrong, is not installed, or does not fit a policy."""


class PromotionError(Gr00tAssetsError):
    """A model cannot be promoted: its run is not good enough, or the Hub does not take it."""


class PageError(Gr00tAssetsError):
    """The page cannot be served as asked."""


class NotificationError(Gr00tAssetsError):
    """``data/notifications.yaml`` is wrong, or a channel of it does not take a message."""
