"""Which weights of a run are best: by success in rollouts, or by the error on held-out episodes.

Never by training loss, which goes on falling while a policy gets worse on what it has not seen.
Only numbers are read here of the files that evaluations and rollouts leave in a run directory; what
they mean is in ``gr00t_assets.evaluation``.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from gr00t_assets.core.checksums import read_sealed
from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import folders, json_hash
from gr00t_assets.runs.checkpoint_layout import stored_checkpoints
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.run_directory import MODEL

T = TypeVar("T")

EVALUATION = "evaluation.json"
"""Open-loop evaluation of a run's final weights, in the run directory."""

EVALUATIONS = "evaluations"
"""Folder of the evaluations of checkpoints, ``step-000200.json``, in the run directory."""

ROLLOUTS = "rollouts"
"""Folder of rollouts by environment, of final weights and of checkpoints, in the run directory."""

MODELS = "models"
"""Folder of the store with promoted models: ``EXPERIMENT/CONFIG_HASH``."""

OF_CHECKPOINT = "-step-"
"""Between config hash and step in the name of a promoted checkpoint's folder."""

_OF_STEP = re.compile(r"step-\d+\.json")
"""Not an earlier one, which has its time in its name."""

_NEEDED = 2
"""Weights that must have been measured alike before one of them is called the best."""


def evaluation_file(run_directory: Path, step: int | None = None) -> Path:
    """Where the evaluation of a run's final weights, or of a checkpoint, is kept."""
    if step is None:
        return run_directory / EVALUATION
    return run_directory / EVALUATIONS / f"step-{step:06d}.json"


class StoredWeights(NamedTuple):
    """Weights of a run that can be opened.

    Attributes:
        directory: The folder ``model`` of a finished run, or that of a checkpoint.
        step: Optimizer steps that they were trained for.
        final: Whether they are those of the finished run.
    """

    directory: Path
    step: int
    final: bool


class BestWeights(NamedTuple):
    """The weights that did best, and why, in a sentence."""

    weights: StoredWeights
    why: str


def stored_weights(run_directory: Path) -> list[StoredWeights]:
    """All weights of a run in order of their steps; the checkpoint of the last step is ``model``.

    Raises:
        CheckpointError: The run's manifest cannot be read.
    """
    manifest = load_manifest(run_directory)
    model, final = run_directory / MODEL, []
    if manifest is not None and manifest.status == "finished" and model.is_dir():
        final = [StoredWeights(model, manifest.steps, True)]
    taken = {weights.step for weights in final}
    checkpoints = [
        StoredWeights(checkpoint.path, checkpoint.step, False)
        for checkpoint in stored_checkpoints(run_directory)
        if checkpoint.whole and checkpoint.step not in taken
    ]
    return sorted([*checkpoints, *final], key=lambda weights: weights.step)


def best_weights(run_directory: Path) -> BestWeights | str:
    """The best weights that a run has; why none can be named, where none can.

    The highest success rate in rollouts of one environment with the same seeds, where two weights
    at least have one: of equals the lower held-out error, then the earlier step. Else the lowest
    mean error on held-out episodes, then the earlier step.

    Raises:
        CheckpointError: The run's manifest cannot be read.
    """
    stored = stored_weights(run_directory)
    if len(stored) < _NEEDED:
        only = "step {0.step}: the only weights that this run has"
        return BestWeights(stored[0], only.format(stored[0])) if stored else "it has no weights"
    by_step = {weights.step: weights for weights in stored}
    final = next((weights.step for weights in stored if weights.final), None)
    of_steps = [path for path in (run_directory / EVALUATIONS).glob("*.json")
                if _OF_STEP.fullmatch(path.name)]  # fmt: skip
    evaluations = [run_directory / EVALUATION, *of_steps]
    _, errors = _measured(evaluations, _held_out_error, by_step, final)
    rollouts = (run_directory / ROLLOUTS).glob("[!.]*.json")
    (environment, *_), rates = _measured(rollouts, _success, by_step, final)
    if len(rates) >= _NEEDED:
        measure, shares = "success", {step: done / asked for step, (done, asked) in rates.items()}
        best = min(rates, key=lambda step: (-shares[step], errors.get(step, math.inf), step))
        shown = {step: f"{done} of {asked}" for step, (done, asked) in rates.items()}
        words = f"{shown[best]} rollouts in {environment} succeed"
    elif len(errors) >= _NEEDED:
        measure, best = "held-out error", min(errors, key=lambda step: (errors[step], step))
        shown = {step: f"{error:.3g}" for step, error in errors.items()}
        words = f"its error on held-out episodes is {shown[best]}"
    else:
        return (
            f"of its {len(stored)} checkpoints fewer than {_NEEDED} were rolled out, or evaluated "
            "on held-out episodes"
        )
    why = f"step {best}, the best of {len(shown)} by {measure}: {words}"
    if (last := max(shown)) != best:
        why += f", against {shown[last]} at step {last}"
    why += "; a figure that was picked as the best of several is optimistic"
    if left := len(stored) - len(shown):
        why += f"; {left} other checkpoint{'s were' if left > 1 else ' was'} not measured"
    return BestWeights(by_step[best], why)


def promoted_steps(run_directory: Path) -> set[int]:
    """Steps of the run's checkpoints that were promoted."""
    run = run_directory.absolute()
    models = run.parent.parent.with_name(MODELS) / run.parent.name
    names = (path.name.partition(f"{run.name}{OF_CHECKPOINT}") for path in folders(models))
    return {int(step) for before, _, step in names if not before and step.isdecimal()}


def rolled_out_in(run_directory: Path, step: int | None) -> list[str]:
    """Environments that a run's final weights, or a checkpoint, were rolled out in."""
    names = [path.stem.partition("@") for path in (run_directory / ROLLOUTS).glob("[!.]*.json")]
    end = "" if step is None else str(step)
    return sorted(environment for environment, _, at in names if at == end)


def evaluated_best_step(run_directory: Path) -> int | None:
    """Step of the checkpoint that evaluations say is best; None where they do not tell."""
    try:
        best = best_weights(run_directory)
    except (Gr00tAssetsError, OSError):
        return None
    return None if isinstance(best, str) else best.weights.step


def _measured(
    files: Iterable[Path],
    read: Callable[[Any], tuple[tuple[str, ...], T]],
    steps: Collection[int],
    final: int | None,
) -> tuple[tuple[str, ...], dict[int, T]]:
    """Of measurements that were made alike, by ``read``'s key, those of the most steps."""
    groups: dict[tuple[str, ...], dict[int, T]] = defaultdict(dict)
    for file in sorted(files):
        with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
            content = read_sealed(file)
            key, value = read(content)
            step: Any = content.get("step") or final
            if step in steps:
                groups[key][step] = value
    return max(sorted(groups.items()), key=lambda item: len(item[1]), default=(("",), {}))


def _held_out_error(evaluation: Any) -> tuple[tuple[str, ...], float]:
    names = ("settings", "dataset_version", "modality_hash")
    part, alike = evaluation["held_out"], [evaluation[name] for name in names]
    if not math.isfinite(error := part["error"]["mean"]):
        raise ValueError("its error is not a finite number")
    return (json_hash([*alike, part["episodes"]], 16),), error


def _success(rollouts: Any) -> tuple[tuple[str, ...], tuple[int, int]]:
    outcomes = [bool(episode["success"]) for episode in rollouts["policy"]]
    if not outcomes:
        raise ValueError("it has no episodes")
    alike = json_hash([rollouts["environment_hash"], rollouts["settings"]], 16)
    return (str(rollouts["environment"]), alike), (sum(outcomes), len(outcomes))
