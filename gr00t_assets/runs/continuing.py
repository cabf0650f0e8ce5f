"""A run that starts from the last checkpoint of a shorter one: ``continue_from`` in a sweep file.

The shorter run is left as it is. What it logged is logged in the longer one too, so that its curve
is whole. The learning rate goes on by the longer run's schedule, which is not the one that the
steps before were trained with unless it is constant.
"""

import os
import shutil
from pathlib import Path

from gr00t_assets.core.checksums import read_sealed, sealed
from gr00t_assets.core.errors import CheckpointError, TrainingError
from gr00t_assets.core.files import published_directory, write_bytes, write_json
from gr00t_assets.core.project import Store
from gr00t_assets.runs.checkpoint_layout import COMPLETE, require_whole, stored_checkpoints
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import METRICS, missing_losses, read_metrics
from gr00t_assets.runs.model_files import metrics_problem
from gr00t_assets.runs.run_directory import CHECKPOINTS
from gr00t_assets.runs.spec import TrainingSpec, run_name


def take_over(spec: TrainingSpec) -> int | None:
    """Take over the last checkpoint of the run that this one continues, unless it has its own.

    Returns:
        The step that was taken over; ``None`` where nothing was.

    Raises:
        TrainingError: That run is not finished, or its last checkpoint is gone.
        CheckpointError: That checkpoint, or what that run has logged, is damaged.
    """
    source = spec.experiment.continued()
    if source is None or any(item.complete for item in stored_checkpoints(spec.run_directory)):
        return None
    name, step = spec.experiment.name, source.hyperparameters.max_steps
    store = Store(Path(spec.store))
    directory = store.run_directory(source.name, run_name(source, spec.data, store))
    manifest = load_manifest(directory)
    if manifest is None or manifest.status != "finished":
        state = "was not trained" if manifest is None else f"is {manifest.status}"
        problem = f"it goes on from {source.name}, which {state} with max_steps {step}."
        raise TrainingError(name, problem, [f"materialise {source.name} first"])
    last = next((item for item in stored_checkpoints(directory) if item.step == step), None)
    if last is None or not last.complete:
        what = "has no optimizer state any more" if last and last.whole else "is gone"
        problem = f"it goes on from {source.name}, whose checkpoint of step {step} {what}."
        remedy = (
            "a finished run keeps it where continue_from names it before it finishes: move "
            f"{directory} away and materialise {source.name} again, or take continue_from out "
            "of the sweep file"
        )
        raise TrainingError(name, problem, [f"looked in {directory / CHECKPOINTS}", remedy])
    remedy = f"move {directory} away and materialise {source.name} again"
    require_whole(last.path, remedy)
    problem = metrics_problem(manifest, directory)
    if problem := problem or missing_losses(read_metrics(directory), step):
        raise CheckpointError(str(directory / METRICS), problem, [remedy])
    metrics = directory / METRICS
    write_bytes(spec.run_directory / METRICS, metrics.read_bytes())
    with published_directory(spec.run_directory / CHECKPOINTS / last.path.name) as partial:
        shutil.copytree(last.path, partial, dirs_exist_ok=True, copy_function=_link)
        content = read_sealed(partial / COMPLETE) | {"config_hash": spec.config_hash}
        (partial / COMPLETE).unlink()
        write_json(partial / COMPLETE, sealed(content))
    return step


def _link(source: str, target: str) -> str:
    """Link a file, which no trainer changes once it is written; copy it where that is refused."""
    try:
        os.link(source, target)
        return target
    except OSError:
        return shutil.copyfile(source, target)
