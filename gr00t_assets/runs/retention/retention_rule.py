"""Which checkpoints of a run stay: newest, best, final, promoted; the rule is a project's own.

It is applied when a run finishes, in the trainer's process, and by ``gr00t-assets store prune``.
"""

import math
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from gr00t_assets.core.errors import CheckpointError, Gr00tAssetsError, StoreError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.core.units import format_bytes
from gr00t_assets.core.yaml_files import load_yaml, raise_problems, validation_problems
from gr00t_assets.runs.checkpoint_choice import evaluated_best_step, promoted_steps
from gr00t_assets.runs.checkpoint_layout import stored_checkpoints
from gr00t_assets.runs.final_loss import window_steps
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.retention.removal import Removal, RemovalKind, freed_bytes, remove
from gr00t_assets.runs.retention.store_state import project_state
from gr00t_assets.runs.run_directory import LOCK
from gr00t_assets.runs.spec import TrainingSpec


class RetentionRule(FrozenModel):
    """What stays of a finished run besides its model, which always stays.

    While a run trains, its ``save_total_limit`` newest checkpoints stay, and the best one.
    """

    last: int | None = Field(
        default=None,
        ge=1,
        description="Newest checkpoints kept; the run's own save_total_limit where left out",
    )
    best: bool = Field(
        default=True,
        description="Keep the checkpoint with the lowest window loss as well; the best one by "
        "evaluations, and one that was promoted, stay in any case",
    )
    optimizer_state: Literal["drop", "keep"] = Field(
        default="drop", description="Of checkpoints that no experiment's continue_from needs"
    )


def load_rule(file: Path | None = None) -> RetentionRule:
    """The rule of a file, ``data/retention.yaml`` if left out; the defaults where there is none.

    Raises:
        StoreError: Every problem of the file, with line and field.
    """
    path = file or project_root() / "data" / "retention.yaml"
    if not path.is_file():
        return RetentionRule()
    located = load_yaml(path, StoreError)
    try:
        return RetentionRule.model_validate({} if located.data is None else located.data)
    except ValidationError as failure:
        raise_problems(located, validation_problems(failure, RetentionRule), StoreError)
        raise


def surplus(
    run_directory: Path, rule: RetentionRule, last: int, continued_by: Collection[str] = ()
) -> list[Removal]:
    """What the rule does not keep of a finished run; its model is not looked at.

    ``last`` is the run's ``save_total_limit``, which counts where the rule has no number;
    ``continued_by`` are the experiments whose ``continue_from`` starts from its last checkpoint.
    """
    checkpoints = stored_checkpoints(run_directory)
    whole = {checkpoint.step for checkpoint in checkpoints if checkpoint.whole}
    kept = kept_steps(whole, rule.last or last, run_directory, rule.best)
    final = max(whole, default=None)
    removals = []
    for checkpoint in checkpoints:
        kind: RemovalKind = "checkpoint"
        files: tuple[str, ...] = ()
        if not checkpoint.whole:
            kind, why = "leftover", "it was cut short by a kill"
        elif checkpoint.step not in kept:
            why = "neither among the last, nor the best, nor the final, nor promoted"
        else:
            kind, why, files = "optimizer state", "the run is finished", checkpoint.training_files
            wanted = rule.optimizer_state == "keep" or (checkpoint.step == final and continued_by)
            if wanted or not files:
                continue
        removals.append(
            Removal(kind, checkpoint.path, why, files, run_directory / LOCK, of_finished=True)
        )
    return removals


def retain(spec: TrainingSpec, say: Callable[[str], None]) -> None:
    """Delete what the project's rule does not keep of a run that has just finished.

    Nothing is deleted where the project's sweep files do not have this experiment or cannot be
    read, or its data is not there: what another experiment continues is not known then. Nothing
    here fails a run, whose lock the caller holds; what was deleted, or why nothing was, is said in
    a line.
    """
    experiment, directory = spec.experiment, spec.run_directory
    try:
        current = project_state(Store(Path(spec.store)))
        if current.hashes.get(experiment.name) is None:
            if current.state_of(experiment.name, spec.config_hash) == "undecided":
                say("old checkpoints are kept: a sweep file has a fault, see: gr00t-assets check")
            return
        continued_by = current.continued.get((experiment.name, spec.config_hash), ())
        limit = experiment.hyperparameters.save_total_limit
        removals = surplus(directory, load_rule(), limit, continued_by)
        size = freed_bytes([path for removal in removals for path in removal.paths])
        for removal in removals:
            remove(Path(spec.store), removal.path, removal.files)
    except (Gr00tAssetsError, OSError) as error:
        say(f"old checkpoints are kept: {error}")
        return
    if continued_by:
        say(
            f"the last checkpoint keeps its optimizer state: {', '.join(continued_by)} continues it"
        )
    if removals:
        say(f"retention: {len(removals)} of its checkpoints cut down, {format_bytes(size)} freed")


def kept_steps(
    steps: Collection[int], last: int, run_directory: Path, best: bool = True
) -> set[int]:
    """Steps whose checkpoints stay: the newest ``last`` of them, the best one, and promoted ones.

    The best one is that of the lowest window loss, which is all that is known while a run trains;
    and, whatever ``best`` says, that which evaluations or rollouts found best, so that
    ``EXPERIMENT@best`` does not vanish.
    """
    kept = set(sorted(steps)[-last:]) | promoted_steps(run_directory)
    others = (best_step(steps, run_directory) if best else None, evaluated_best_step(run_directory))
    return (kept | {step for step in others if step is not None}) & set(steps)


def best_step(steps: Iterable[int], run_directory: Path) -> int | None:
    """The step with the lowest window loss, the later one of equals; None where none has one.

    The window of step ``s`` is the final window of a run of ``s`` steps; see ``window_steps``. A
    step with no logged loss in its window, or one that is not finite, is not compared.
    """
    try:
        metrics = read_metrics(run_directory)
    except CheckpointError:
        return None
    losses = dict(zip(metrics.loss_steps.tolist(), metrics.losses.tolist(), strict=True))
    compared = []
    for step in steps:
        window = range(step - window_steps(step) + 1, step + 1)
        values = [losses[number] for number in window if number in losses]
        if values and math.isfinite(mean := sum(values) / len(values)):
            compared.append((mean, -step))
    return -min(compared)[1] if compared else None
