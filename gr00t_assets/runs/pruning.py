"""Successive halving: a run that is among the worst of its sweep at a rung is not trained on.

Which ones go on is decided by optuna's ``SuccessiveHalvingPruner``, on a study in memory of the
losses that the store has at the rung. Noise, rates of learning and seeds are accounted for here.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.experiments.experiment import Pruning
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.runs.final_loss import error_of_mean, final_window
from gr00t_assets.runs.metrics import Metric, read_metrics
from gr00t_assets.runs.spec import SPEC, TrainingSpec, load_spec

HOW_TO_CONTINUE = "take pruning out of its sweep file and materialise it again to have it go on"

ERRORS = 2.0
"""Standard errors by which a loss may be lower, and those of its competitors higher."""

LEVEL = 0.05
"""Share by which a loss must have fallen, beside its noise, to count as falling."""

_SCHEDULE = ("lr_schedul", "warmup")  # how names begin that say the course of the learning rate
_REPLICATED = {
    "seed", "save_steps", "save_total_limit", "logging_steps", "dataloader_num_workers",
    "batch_size", "gradient_accumulation_steps", "num_gpus", "num_nodes",
}  # fmt: skip
"""Hyperparameters that may differ within a configuration whose samples per step are equal."""


class LogLoss(NamedTuple):
    """Logarithm of a loss, with its standard error."""

    mean: float
    error: float


class RungLoss(NamedTuple):
    """The loss of a run at a rung, and at its end: at the lowest, and as it is to be expected."""

    reached: LogLoss
    lowest: LogLoss
    expected: LogLoss


class Decision(NamedTuple):
    """Whether a run is hopeless at a rung, and its place, from 1, among the configurations."""

    hopeless: bool
    rank: int
    configurations: int


@dataclass
class PruningWatch:
    """Decides about a run at each rung that it passes, and calls ``prune`` with the reason.

    What was decided before the run was interrupted is not decided again. Where the other runs
    cannot be read it goes on, and says so.
    """

    spec: TrainingSpec
    pruning: Pruning
    say: Callable[[str], object]
    is_stopping: Callable[[], bool]
    prune: Callable[[str], object]

    def __post_init__(self) -> None:
        last = read_metrics(self.spec.run_directory).last
        self._decided = last.step if last else 0

    def __call__(self, metric: Metric) -> None:
        """Decide about every rung that this logged line has passed."""
        settings = self.spec.experiment.hyperparameters
        rungs = self.pruning.rungs(settings)
        passed = [rung for rung in rungs if self._decided < rung <= metric.step]
        if not passed or self.is_stopping():
            return
        self._decided = metric.step
        rung = passed[-1]
        try:
            own = stored_loss(self.spec.run_directory, rung, settings.max_steps)
            decision = decide(own, competitors(self.spec, rung), self.pruning.reduction_factor)
        except (Gr00tAssetsError, OSError, ValueError) as error:
            self.say(f"pruning: step {rung} is not decided about: {error}")
            return
        text = (
            f"at step {rung} ({rung * settings.samples_per_step:,} samples) its loss "
            f"{math.exp(own.reached.mean):.4g} is number {decision.rank} of "
            f"{decision.configurations}: {'hopeless' if decision.hopeless else 'it goes on'}"
        )
        self.say(f"pruning: {text}")
        if decision.hopeless:
            self.prune(f"{text}; {HOW_TO_CONTINUE}")


def decide(own: RungLoss, others: Sequence[RungLoss], reduction_factor: int) -> Decision:
    """Compare a run's loss at a rung with those of other configurations that have been there.

    A run goes on while it may be among the best ``1 / reduction_factor``: by the losses reached, or
    by its lowest loss at the end beside the expected ones of the others; its own as low as noise
    allows and the others as high. With fewer than ``reduction_factor`` configurations at the rung
    nothing is decided, since the second of two would end for being second.
    """
    rank = 1 + sum(other.reached.mean < own.reached.mean for other in others)
    pairs = (
        (own.reached, [other.reached for other in others]),
        (own.lowest, [other.expected for other in others]),
    )
    hopeless = len(others) + 1 >= reduction_factor and all(
        _is_stopped(
            loss.mean - ERRORS * loss.error,
            [other.mean + ERRORS * other.error for other in competing],
            reduction_factor,
        )
        for loss, competing in pairs
    )
    return Decision(hopeless, rank, len(others) + 1)


def rung_loss(losses: np.ndarray, max_steps: int) -> RungLoss:
    """The loss of a run at a rung, and what it may be at its end.

    At the rung it is the mean over the window that a run of so many steps would end with. From half
    of the rung through the rung it is continued to the end: to the expected loss as a power law
    (Hestness et al., "Deep Learning Scaling is Predictable, Empirically", 2017), and to the lowest
    as an exponential decay, both without a floor. Where a window is too short for a standard error,
    the deviation of a single loss stands in.

    A loss that is still level, so that it may be about to fall, may end anywhere: up to half of the
    steps its lowest loss is ``-inf``, and the run is decided about at the next rung.

    Args:
        losses: Of each step up to the rung, shape ``(rung,)``.
        max_steps: Steps of the whole run.

    Raises:
        ValueError: There are fewer than four steps, or a loss is not above 0.
    """
    rung, half = len(losses), len(losses) // 2
    if half < 2:
        raise ValueError(f"{rung} steps are too few to tell how its loss falls")
    before, reached = _log_loss(losses[:half]), _log_loss(losses)

    def continued(times: float) -> LogLoss:
        mean = reached.mean + times * (reached.mean - before.mean)
        error = math.hypot((1 + times) * reached.error, times * before.error)
        return LogLoss(mean, error)

    if not math.isfinite(reached.mean - before.mean):
        return RungLoss(reached, reached, reached)
    lowest = continued((max_steps - rung) / (rung - half))
    if 2 * rung < max_steps and _is_level(losses[: max(2, rung // 10)], reached):
        lowest = LogLoss(-math.inf, 0.0)
    expected = continued(math.log(max_steps / rung) / math.log(rung / half))
    return RungLoss(reached, lowest, expected)


def stored_loss(run_directory: Path, rung: int, max_steps: int) -> RungLoss:
    """The loss of a stored run at a rung; raises as ``rung_loss``, also where a loss is missing."""
    metrics = read_metrics(run_directory)
    if metrics.complete_steps < rung:
        raise ValueError("not every loss before it was logged")
    return rung_loss(metrics.losses[:rung], max_steps)


def competitors(spec: TrainingSpec, rung: int) -> list[RungLoss]:
    """Losses at a rung of every other configuration of the sweep that may be compared with a run.

    Those are of runs on the same data, with the same trainer, base model, trainable parts, samples
    per step, schedule and length, whether they train, have finished, failed or were pruned. The
    seeds of a configuration count as one, by the mean of their log losses.

    Raises:
        ValueError: The run's configuration has several seeds, or most others have, so that seeds
            are what is compared.
    """
    settings, wanted = spec.experiment.hyperparameters, _compared_by(spec)
    seeds: dict[str, dict[int, Path]] = defaultdict(dict)
    for path in sorted(Path(spec.store, "runs").glob(f"[!.]*/[!.]*/{SPEC}")):
        with suppress(Gr00tAssetsError, OSError):
            other = load_spec(path)
            if _compared_by(other) == wanted:
                own = other.experiment.hyperparameters
                seeds[_configuration(own)].setdefault(own.seed, path.parent)
    siblings = seeds.pop(_configuration(settings), {})
    replicated = sum(len(runs) > 1 for runs in seeds.values())
    if siblings.keys() - {settings.seed} or replicated > len(seeds) / 2:
        raise ValueError("its sweep compares seeds, of which none is given up")
    means = []
    for runs in seeds.values():
        losses = []
        for directory in runs.values():
            with suppress(Gr00tAssetsError, OSError, ValueError):
                losses.append(stored_loss(directory, rung, settings.max_steps))
        if losses:
            means.append(RungLoss(*map(_mean, zip(*losses, strict=True))))
    return means


def _log_loss(losses: np.ndarray) -> LogLoss:
    window = final_window(losses, samples_per_step=1)
    if window is None:
        return LogLoss(math.inf, 0.0)
    if not window.mean > 0:
        raise ValueError(f"its loss {window.mean:.4g} is not above 0")
    error = error_of_mean(losses[-window.steps :])
    return LogLoss(math.log(window.mean), error / window.mean)


def _is_level(first: np.ndarray, reached: LogLoss) -> bool:
    """Whether a loss has neither fallen nor risen since its first steps."""
    mean, error = float(first.mean()), float(first.std(ddof=1)) / len(first) ** 0.5
    if not mean > 0:
        return False
    noise = ERRORS * math.hypot(error / mean, reached.error)
    return abs(math.log(mean) - reached.mean) < LEVEL + noise


def _mean(losses: Sequence[LogLoss]) -> LogLoss:
    error = math.hypot(*(loss.error for loss in losses)) / len(losses)
    return LogLoss(sum(loss.mean for loss in losses) / len(losses), error)


def _is_stopped(own: float, others: Sequence[float], reduction_factor: int) -> bool:
    """Whether asynchronous successive halving stops at a rung that these others have reached."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.RandomSampler(),
        pruner=optuna.pruners.SuccessiveHalvingPruner(1, reduction_factor),
    )
    stopped = False
    for loss in (*others, own):
        trial = study.ask()
        trial.report(loss, step=1)
        stopped = trial.should_prune()
    return stopped


def _compared_by(spec: TrainingSpec) -> tuple[object, ...]:
    experiment, settings = spec.experiment, spec.experiment.hyperparameters
    model = experiment.trainer, experiment.base_model, experiment.base_model_revision
    data = spec.data.version, spec.data.modality_hash
    length = settings.samples_per_step, settings.max_steps, experiment.continued_steps
    schedule = {
        name: value for name, value in settings.model_dump().items() if name.startswith(_SCHEDULE)
    }
    parts = {name: getattr(settings, name) for name in settings.trained_parts}
    return experiment.sweep, model, data, length, schedule, parts


def _configuration(settings: Hyperparameters) -> str:
    """Equal for those that differ at most in their seed, or in what changes nothing learned."""
    return str(sorted(settings.model_dump(exclude=_REPLICATED).items()))
