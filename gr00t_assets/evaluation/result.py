"""``evaluation.json``: what an open-loop evaluation of one run found, and how it was made.

Errors are mean absolute differences between predicted and recorded actions, each denoising draw
for itself. Normalised means as the modality config normalises: under min_max the range of the data
is 2 wide. Nothing here is success on a robot: a policy that errs little on recorded states can
still drift away from them when it acts.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, model_validator

from gr00t_assets.core.checksums import load_sealed, sealed
from gr00t_assets.core.errors import EvaluationError, StoreError
from gr00t_assets.core.files import FrozenModel, write_bytes
from gr00t_assets.runs.checkpoint_choice import evaluation_file
from gr00t_assets.runs.final_loss import Answer

FORMAT = 2
"""Format 1 has no errors by episode, and intervals of a bootstrap over stretches of episodes."""

NOT_SUCCESS = (
    "This compares predicted with recorded actions on recorded states; "
    "it is not success on a robot."
)
"""What every place that shows an evaluation says beside it."""

BaselineName = Literal["hold", "mean action", "nearest chunks", "median action"]
BASELINE_NAMES: tuple[BaselineName, ...] = get_args(BaselineName)
LanguageUsed = Literal[
    "yes",
    "no",
    "cannot be told: one task",
    "cannot be told: too close",
    "cannot be told: too few episodes",
]
PartName = Literal["held out", "seen in training"]


class EvaluationSettings(FrozenModel):
    """What decides the numbers, beside the model and the data."""

    seed: int = Field(default=0, description="Of the noise")
    draws: int = Field(default=4, ge=2, description="Denoising draws of each window")
    denoising_steps: int | None = Field(default=None, ge=1, description="None: the model's own")
    stride: int | None = Field(default=None, ge=1, description="Rows between windows; none: chosen")
    max_windows: int = Field(default=64, ge=2, description="Windows of an episode, at most")
    max_episodes: int = Field(default=16, ge=1, description="Episodes of each part, at most")

    @model_validator(mode="before")
    @classmethod
    def _of_format_1(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if name != "resamples"}


class Estimate(FrozenModel):
    """A mean over episodes with its uncertainty; a mean alone with fewer than five episodes."""

    mean: float
    standard_error: float | None = None
    low: float | None = Field(default=None, description="Lower end of the 95 percent interval")
    high: float | None = Field(default=None, description="Upper end")

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 percent interval; None where it cannot be told."""
        return None if self.low is None or self.high is None else (self.low, self.high)


class Baseline(FrozenModel):
    """A rule without a model, on the same rows."""

    name: BaselineName
    words: str = Field(description="What it does, for a reader")
    error: Estimate = Field(description="Normalised")
    difference: Estimate = Field(description="Policy minus rule, paired by episode, normalised")
    beaten: Answer = Field(description="Whether the policy errs less, by that interval")
    by_step: tuple[float, ...] = Field(description="Normalised, at each step of the horizon")


class GroupError(FrozenModel):
    """Errors of one action group, such as left_arm."""

    group: str
    numbers: int = Field(description="Numbers of it in the data")
    held: Literal["state", "last action", "no motion"] = Field(description="What 'hold' repeats")
    normalised: Estimate
    in_units: Estimate = Field(description="In the data's units")
    by_step: tuple[float, ...] = Field(description="Normalised, at each step of the horizon")
    by_step_in_units: tuple[float, ...]
    baselines: dict[BaselineName, float] = Field(description="Their errors, normalised")
    baselines_in_units: dict[BaselineName, float]


class JointError(FrozenModel):
    """Errors of one number of an action group."""

    name: str = Field(description="Group and number: left_arm[3]; a group of one has its name")
    group: str
    label: str | None = Field(default=None, description="The dataset's own name of it")
    normalised: Estimate | None = Field(description="None where the model is fed another form")
    in_units: Estimate
    by_step: tuple[float, ...] | None = Field(description="Normalised")
    by_step_in_units: tuple[float, ...]
    baselines_in_units: dict[BaselineName, float]


class DatasetPart(FrozenModel):
    """A part's error on one dataset of a mixture."""

    dataset: str
    episodes: tuple[int, ...] = Field(description="Their indices in the dataset")
    episodes_in_part: int
    stride: int = Field(description="Rows between two windows")
    windows: int
    error: Estimate = Field(description="Normalised, as that of the part")
    baselines: tuple[Baseline, ...]


class PartEvaluation(FrozenModel):
    """The episodes that were kept from training, or episodes that were trained on."""

    part: PartName
    episodes: tuple[int, ...] = Field(description="Their indices in the dataset")
    episodes_in_part: int = Field(description="How many there are; some may be passed over")
    stride: int = Field(description="Rows between two windows")
    windows: int
    resampled: str = Field(description="What intervals are over; in format 1 also stretches")
    clusters: int = Field(description="How many of those there are")
    episode_errors: tuple[float, ...] = Field(
        default=(),
        exclude_if=lambda errors: not errors,
        description="Error of each of the episodes, normalised; none in format 1",
    )
    error: Estimate = Field(description="Normalised, over every step and number that changes")
    by_step: tuple[Estimate, ...] = Field(description="Normalised, at each step of the horizon")
    groups: tuple[GroupError, ...]
    joints: tuple[JointError, ...]
    baselines: tuple[Baseline, ...]
    draw_spread: Estimate = Field(description="Mean absolute difference of two draws, normalised")
    squared_error_in_units: float = Field(description="Mean, as in Isaac-GR00T's eval_policy.py")
    datasets: tuple[DatasetPart, ...] = Field(
        default=(),
        exclude_if=lambda datasets: not datasets,
        description="Of a mixture, the same on each dataset; all else is over the windows of all",
    )


class PromptSwap(FrozenModel):
    """Actions for the right prompt beside those for another one, from the same noise."""

    part: PartName
    other: Literal["another task", "an unrelated sentence"]
    tasks: int = Field(description="Different prompts in the dataset")
    example: tuple[str, str] = Field(description="A right prompt, and the one in its place")
    windows: int
    difference: Estimate = Field(description="Mean absolute, normalised")
    draw_spread: Estimate = Field(description="Between two draws for the right prompt")
    ratio: Estimate = Field(description="The difference over the spread")
    error_increase: Estimate = Field(description="For the other prompt minus for the right one")


class TrajectoryLine(FrozenModel):
    """Recorded and predicted values of one number over an episode, in the data's units."""

    joint: str
    recorded: tuple[float, ...]
    predicted: tuple[tuple[float, ...], ...] = Field(description="Mean of the draws, by chunk")
    low: tuple[tuple[float, ...], ...] = Field(description="Least of the draws")
    high: tuple[tuple[float, ...], ...] = Field(description="Greatest of the draws")


class Trajectory(FrozenModel):
    """A few numbers of one episode, to be drawn."""

    part: PartName
    dataset: str | None = Field(
        default=None, exclude_if=lambda name: name is None, description="Of a mixture"
    )
    episode: int
    seconds: tuple[float, ...] = Field(description="Of the recorded values")
    chunk_seconds: tuple[tuple[float, ...], ...] = Field(description="Of each predicted chunk")
    lines: tuple[TrajectoryLine, ...]


class Evaluation(FrozenModel):
    """The open-loop evaluation of one run."""

    format: Literal[1, 2] = FORMAT
    experiment: str
    config_hash: str
    model_hash: str = Field(description="First 16 hex digits of a SHA-256 over the weights")
    step: int | None = Field(
        default=None,
        exclude_if=lambda step: step is None,
        description="Of the checkpoint; none: the run's final weights",
    )
    trainer: str
    dataset: str
    dataset_version: str
    modality_hash: str
    settings: EvaluationSettings
    denoising_steps: int = Field(description="Euler steps that a draw took")
    horizon: int = Field(description="Actions of a chunk")
    held_out: PartEvaluation | None = Field(description="None where no episode was held out")
    seen: PartEvaluation
    prompt_swap: PromptSwap
    language_used: LanguageUsed
    trajectories: tuple[Trajectory, ...]
    limits: tuple[str, ...] = Field(description="Sentences that belong beside the numbers")
    device: str
    wall_seconds: float
    evaluated_at: str = Field(description="ISO 8601, UTC")

    @property
    def main(self) -> PartEvaluation:
        """The part to rank by: held-out episodes, or those seen in training if there are none."""
        return self.held_out or self.seen

    @property
    def parts(self) -> tuple[PartEvaluation, ...]:
        """The held-out part first."""
        return (self.held_out, self.seen) if self.held_out else (self.seen,)

    def content_hash(self) -> str:
        """First 16 hex digits of a SHA-256 over all but the time that it took, and when."""
        content = self.model_dump_json(exclude={"wall_seconds", "evaluated_at"})
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def save_evaluation(evaluation: Evaluation, run_directory: Path) -> None:
    """Write the evaluation in one step; one of another model or with other settings is kept.

    The earlier file then stands beside it as ``evaluation-<time>.json``.
    """
    path = evaluation_file(run_directory, evaluation.step)
    earlier = readable_evaluation(run_directory, evaluation.step)
    asked = {"model_hash", "dataset_version", "modality_hash", "settings"}
    same = earlier and earlier.model_dump(include=asked) == evaluation.model_dump(include=asked)
    if earlier is not None and not same:
        time = re.sub(r"\W", "", earlier.evaluated_at[:19])
        write_bytes(path.with_name(f"{path.stem}-{time}.json"), path.read_bytes())
    content = sealed(json.loads(evaluation.model_dump_json()))
    write_bytes(path, (json.dumps(content, ensure_ascii=False) + "\n").encode())


def load_evaluation(run_directory: Path, step: int | None = None) -> Evaluation | None:
    """The evaluation of a run's final weights, or of a checkpoint; ``None`` where there is none.

    ``EvaluationError`` where the file is none, or has another format, ``StoreError`` where this
    user may not read it.
    """
    path = evaluation_file(run_directory, step)

    def refuse(why: str) -> EvaluationError:
        problem = f"this is not an evaluation of format 1 or {FORMAT}, or not as it was written."
        remedy = f"move it away and run: {again(run_directory, step)}"
        return EvaluationError(str(path), problem, [why.splitlines()[0], remedy])

    return load_sealed(path, Evaluation, refuse) if path.is_file() else None


def readable_evaluation(run_directory: Path, step: int | None = None) -> Evaluation | None:
    """The same; ``None`` also where the file cannot be read."""
    try:
        return load_evaluation(run_directory, step)
    except (EvaluationError, StoreError):
        return None


def again(run_directory: Path, step: int | None = None) -> str:
    """The command that evaluates weights of a run directory."""
    return f"gr00t-assets evaluate {run_directory}{'' if step is None else f'@{step}'}"
