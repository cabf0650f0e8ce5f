"""Which weights of a run are best: by success in rollouts, or by the error on held-out episodes.

Never by training loss, which goes on falling while a policy gets worse on what it has not seen.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from gr00t_assets.core.checksums import read_sealed
from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import folders, json_hash
from gr00t_assets.runs.checkpoint_layout import stored_checkpoints
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import read_held_out_losses
from gr00t_assets.runs.run_directory import MODEL

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

_NEEDED = 2  # weights that must have been measured alike before one of them is called the best


class BestWeights(NamedTuple):
    """The weights that did best, and why, in a sentence."""

    step: int
    directory: Path
    why: str


def evaluation_file(run_directory: Path, step: int | None = None) -> Path:
    """Where the evaluation of a run's final weights, or of a checkpoint, is kept."""
    name = EVALUATION if step is None else f"{EVALUATIONS}/step-{step:06d}.json"
    return run_directory / name


def stored_weights(run_directory: Path) -> dict[int, Path]:
    """Folders of all weights of a run that can be opened by their steps, in order of these.

    They are checkpoints, and of a finished run ``model`` for its last step. It raises as
    ``load_manifest``.
    """
    manifest, model = load_manifest(run_directory), run_directory / MODEL
    by_step = {item.step: item.path for item in stored_checkpoints(run_directory) if item.whole}
    if manifest is not None and manifest.status == "finished" and model.is_dir():
        by_step[manifest.steps] = model
    return dict(sorted(by_step.items()))


def best_weights(run_directory: Path) -> BestWeights | str:
    """The best weights that a run has; why none can be named, where none can.

    The highest success rate in rollouts of one environment with the same seeds, where two weights
    at least have one: of equals the lower held-out error, then the earlier step. Else the lowest
    mean error on held-out episodes, then the earlier step; else the lowest loss there
    (``eval_steps``). It raises as ``load_manifest``.
    """
    by_step = stored_weights(run_directory)
    if not by_step:
        return "it has no weights"
    if len(by_step) < _NEEDED:
        ((step, only),) = by_step.items()
        return BestWeights(step, only, f"step {step}: the only weights that this run has")
    final = next((step for step, folder in by_step.items() if folder.name == MODEL), None)

    def measured(files: Iterable[Path], read: Callable[[Any], Any]) -> tuple[str, dict[int, Any]]:
        """Of measurements that were made alike, those of the most steps, and where."""
        groups: dict[tuple[str, str], dict[int, Any]] = defaultdict(dict)
        for file in sorted(files):
            with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
                where, alike, value = read(content := read_sealed(file))
                if (step := content.get("step") or final) in by_step:
                    groups[where, json_hash(alike, 16)][step] = value
        groups[("", "")]  # where there are no others
        (where, _), values = max(sorted(groups.items()), key=lambda item: len(item[1]))
        return where, values

    # Not an earlier evaluation, which has its time in its name.
    names = (run_directory / EVALUATIONS).glob("*.json")
    of_steps = [path for path in names if re.fullmatch(r"step-\d+", path.stem)]
    _, errors = measured([run_directory / EVALUATION, *of_steps], _held_out_error)
    environment, rates = measured((run_directory / ROLLOUTS).glob("[!.]*.json"), _success)
    logged = read_held_out_losses(run_directory)
    losses = {step: loss for step, loss in logged.items() if step in by_step}
    if len(rates) >= _NEEDED:
        measure, shares = "success", {step: done / asked for step, (done, asked) in rates.items()}
        best = min(rates, key=lambda step: (-shares[step], errors.get(step, math.inf), step))
        shown = {step: f"{done} of {asked}" for step, (done, asked) in rates.items()}
        words = f"{shown[best]} rollouts in {environment} succeed"
    elif len(errors) >= _NEEDED:
        measure, best = "held-out error", min(errors, key=lambda step: (errors[step], step))
        shown = {step: f"{error:.3g}" for step, error in errors.items()}
        words = f"its error on held-out episodes is {shown[best]}"
    elif len(losses) >= _NEEDED:
        measure, best = "held-out loss", min(losses, key=lambda step: (losses[step], step))
        shown = {step: f"{loss:.4f}" for step, loss in losses.items()}
        words = f"its loss on held-out episodes is {shown[best]}"
    else:
        return (
            f"of its {len(by_step)} checkpoints fewer than {_NEEDED} were rolled out, or evaluated "
            "on held-out episodes"
        )
    why = f"step {best}, the best of {len(shown)} by {measure}: {words}"
    if (last := max(shown)) != best:
        why += f", against {shown[last]} at step {last}"
    why += "; a figure that was picked as the best of several is optimistic"
    if left := len(by_step) - len(shown):
        why += f"; {left} other checkpoint{'s were' if left > 1 else ' was'} not measured"
    return BestWeights(best, by_step[best], why)


def evaluated_best_step(run_directory: Path) -> int | None:
    """Step of the checkpoint that evaluations say is best; None where they do not tell."""
    with suppress(Gr00tAssetsError, OSError):
        if isinstance(best := best_weights(run_directory), BestWeights):
            return best.step
    return None


def evaluated_on_seen_alone(run_directory: Path) -> bool:
    """Whether the final weights were evaluated, and none of the episodes was held out."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        return read_sealed(evaluation_file(run_directory))["held_out"] is None
    return False


def promoted_steps(run_directory: Path) -> set[int]:
    """Steps of the run's checkpoints that were promoted."""
    run = run_directory.absolute()
    models = run.parent.parent.with_name(MODELS) / run.parent.name
    names = (path.name.partition(f"{run.name}{OF_CHECKPOINT}") for path in folders(models))
    return {int(step) for before, _, step in names if not before and step.isdecimal()}


def _held_out_error(evaluation: Any) -> tuple[str, Any, float]:
    part = evaluation["held_out"]
    if not math.isfinite(error := part["error"]["mean"]):
        raise ValueError("its error is not a finite number")
    names = ("settings", "dataset_version", "modality_hash")
    return "", [part["episodes"], *(evaluation[name] for name in names)], error


def _success(rollouts: Any) -> tuple[str, Any, tuple[int, int]]:
    outcomes = [bool(episode["success"]) for episode in rollouts["policy"]]
    if not outcomes:
        raise ValueError("it has no episodes")
    alike = [rollouts["environment_hash"], rollouts["settings"]]
    return str(rollouts["environment"]), alike, (sum(outcomes), len(outcomes))
