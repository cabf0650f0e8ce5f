"""The answer to one question: what the finished runs say of one factor."""

from dataclasses import dataclass

from gr00t_assets.comparison.contrasts.collinear import Collinear
from gr00t_assets.comparison.contrasts.contrast import Contrast, Verdict


@dataclass(frozen=True)
class Answer:
    """What may be said of one factor, and what not.

    Attributes:
        factor: What is asked about.
        question: For a reader, such as ``Does batch size help?``.
        sentence: The answer in one sentence, with the runs and the losses that it rests on.
        verdict: The best that any contrast has; ``not_comparable`` where no two finished runs of
            one class differ in the factor, which is to say, there is nothing to compare.
        evidence: The contrasts that the sentence rests on, the one that says most first.
        limits: What the answer does not cover, one sentence each.
        collinear: Factors that move together with this one over a series; None where none do.
    """

    factor: str
    question: str
    sentence: str
    verdict: Verdict
    evidence: tuple[Contrast, ...] = ()
    limits: tuple[str, ...] = ()
    collinear: Collinear | None = None
