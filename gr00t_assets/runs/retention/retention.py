"""Retention: which checkpoints of a run stay. Last N, the best, the final; then without optimizer.

It runs when a run finishes, in the trainer's process, and in ``gr00t-assets store prune``.
"""

from collections.abc import Callable, Collection
from pathlib import Path

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.units import in_units
from gr00t_assets.experiments.sweeps import load_sweeps
from gr00t_assets.runs.retention.checkpoints import stored_checkpoints
from gr00t_assets.runs.retention.disk_use import freed
from gr00t_assets.runs.retention.kept import kept_steps
from gr00t_assets.runs.retention.needed import continued_by
from gr00t_assets.runs.retention.removal import Kind, Removal
from gr00t_assets.runs.retention.rule import RetentionRule, load_rule
from gr00t_assets.runs.spec import TrainingSpec


def surplus(
    run_directory: Path, rule: RetentionRule, last: int, needed_by: Collection[str] = ()
) -> list[Removal]:
    """What the rule does not keep of a finished run; its model is not looked at.

    Args:
        run_directory: Of a finished run.
        rule: What is kept.
        last: The run's ``save_total_limit``, which counts where the rule has no number.
        needed_by: Experiments whose ``continue_from`` starts from its last checkpoint.
    """
    found = stored_checkpoints(run_directory)
    whole = {checkpoint.step for checkpoint in found if checkpoint.whole}
    kept = kept_steps(whole, rule.last or last, run_directory, rule.best)
    final = max(whole, default=None)
    removals = []
    for checkpoint in found:
        kind: Kind = "checkpoint"
        files: tuple[str, ...] = ()
        if not checkpoint.whole:
            kind, why = "leftover", "it was cut short by a kill"
        elif checkpoint.step not in kept:
            why = "neither among the last, nor the best, nor the final"
        else:
            kind, why, files = "optimizer state", "the run is finished", checkpoint.optimizer_files
            wanted = rule.optimizer_state == "keep" or (checkpoint.step == final and needed_by)
            if wanted or not files:
                continue
        removals.append(Removal(kind, checkpoint.path, why, files, run_directory, of_finished=True))
    return removals


def retain(spec: TrainingSpec, say: Callable[[str], None]) -> None:
    """Delete what the project's rule does not keep of a run that has just finished.

    Nothing is deleted where the project's sweep files do not have this experiment or cannot be
    read: what another experiment continues is not known then. Nothing here fails a run.

    Args:
        spec: Of the run, whose lock the caller holds.
        say: Where a line goes that says what was deleted, or why nothing was.
    """
    experiment, directory = spec.experiment, spec.run_directory
    try:
        experiments = [item for sweep in load_sweeps().values() for item in sweep.experiments]
        if experiment.name not in {item.name for item in experiments}:
            return
        needed_by = continued_by(experiments, spec)
        limit = experiment.hyperparameters.save_total_limit
        removals = surplus(directory, load_rule(), limit, needed_by)
        size = freed([path for removal in removals for path in removal.paths])
        for removal in removals:
            removal.carry_out(Path(spec.store))
    except (Gr00tAssetsError, OSError) as error:
        say(f"old checkpoints are kept: {error}")
        return
    if needed_by:
        say(f"the last checkpoint keeps its optimizer state: {', '.join(needed_by)} continues it")
    if removals:
        say(f"retention: {len(removals)} of its checkpoints cut down, {in_units(size)} freed")
