"""What a known failure is: the text that gives it away, and what is said about it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gr00t_assets.runs.spec import TrainingSpec

Words = dict[str, str]
"""The named groups of the text that was found."""


@dataclass(frozen=True)
class Told:
    """One failure in words: what happened, and what it means and asks for."""

    problem: str
    details: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """A failure that is recognised by its text.

    Attributes:
        name: One word for it, unique.
        texts: Regular expressions; any of them in the log gives it away.
        tell: What to say, from the named groups that matched and the spec.
        anywhere: Whether the text is printed outside of an exception.
        consequence: Whether it commonly follows another failure, which is then the one to tell.
    """

    name: str
    texts: tuple[str, ...]
    tell: Callable[[Words, TrainingSpec], Told]
    anywhere: bool = False
    consequence: bool = False
    compiled: tuple[re.Pattern[str], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        compiled = tuple(re.compile(text, re.MULTILINE) for text in self.texts)
        object.__setattr__(self, "compiled", compiled)

    def found(self, text: str) -> Words | None:
        """The named groups where the text has it, empty ones too; ``None`` where it has not."""
        names = [name for pattern in self.compiled for name in pattern.groupindex]
        for pattern in self.compiled:
            if match := pattern.search(text):
                groups = {name: value or "" for name, value in match.groupdict().items()}
                return dict.fromkeys(names, "") | groups
        return None


def told(problem: str, *details: str) -> Callable[[Words, TrainingSpec], Told]:
    """The same words each time, with the named groups and ``{experiment}`` filled in."""

    def tell(words: Words, spec: TrainingSpec) -> Told:
        known = {**words, **_names(spec)}
        return Told(problem.format(**known), tuple(line.format(**known) for line in details))

    return tell


def _names(spec: TrainingSpec) -> Words:
    experiment, modality = spec.experiment, spec.modality_config
    check = f"gr00t-assets dataset check {modality.dataset} --data-config {modality.data_config}"
    check += f" --embodiment-tag {modality.embodiment_tag}"
    if experiment.trainer == "isaac-gr00t" and experiment.hyperparameters.frame_source == "video":
        check += f" --video-backend {experiment.hyperparameters.video_backend}"
    return {
        "experiment": experiment.name,
        "dataset": modality.dataset,
        "data_config": modality.data_config,
        "base_model": experiment.base_model,
        "batch_size": str(experiment.hyperparameters.batch_size),
        "workers": str(experiment.hyperparameters.dataloader_num_workers),
        "check": check,
        "run_directory": str(Path(spec.run_directory).name),
    }
