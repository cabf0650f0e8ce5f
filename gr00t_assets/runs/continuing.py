"""A run that starts from the last checkpoint of a shorter one: ``continue_from`` in a sweep file.

The shorter run is left as it is. What it logged is logged in the longer one too, so that its curve
is whole. The learning rate goes on by the longer run's schedule, which is not the one that the
steps before were trained with unless it is constant.
"""

import json
import os
import shutil
from pathlib import Path

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.files import published_directory, write_bytes, write_json
from gr00t_assets.core.project import Store
from gr00t_assets.runs.checkpoint_layout import COMPLETE, WEIGHTS_ONLY
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import METRICS
from gr00t_assets.runs.run_directory import CHECKPOINTS
from gr00t_assets.runs.spec import TrainingSpec, run_name


def take_over(spec: TrainingSpec) -> int | None:
    """Take over the last checkpoint of the run that this one continues, unless it has its own.

    Returns:
        The step that was taken over; ``None`` where nothing was.

    Raises:
        TrainingError: That run is not finished, or its last checkpoint is gone.
    """
    source = spec.experiment.continued()
    checkpoints = spec.run_directory / CHECKPOINTS
    if source is None or any(checkpoints.glob(f"[!.]*/{COMPLETE}")):
        return None
    step = source.hyperparameters.max_steps
    store = Store(Path(spec.store))
    name = run_name(source, spec.modality_config, store)
    directory = store.run_directory(source.name, name)
    manifest = load_manifest(directory)
    if manifest is None or manifest.status != "finished":
        state = "was not trained" if manifest is None else f"is {manifest.status}"
        raise TrainingError(
            spec.experiment.name,
            f"it goes on from {source.name}, which {state} with max_steps {step}.",
            [f"materialise {source.name} first"],
        )
    last = [path.parent for path in (directory / CHECKPOINTS).glob(f"[!.]*/{COMPLETE}")]
    last = [path for path in last if _record(path)["step"] == step]
    if not last:
        dropped = any((directory / CHECKPOINTS).glob(f"[!.]*-*{step}/{WEIGHTS_ONLY}"))
        what = "has no optimizer state any more" if dropped else "is gone"
        raise TrainingError(
            spec.experiment.name,
            f"it goes on from {source.name}, whose checkpoint of step {step} {what}.",
            [
                f"looked in {directory / CHECKPOINTS}",
                "a finished run keeps it where continue_from names it before it finishes: move "
                f"{directory} away and materialise {source.name} again, or take continue_from out "
                "of the sweep file",
            ],
        )
    metrics = directory / METRICS
    write_bytes(spec.run_directory / METRICS, metrics.read_bytes())
    with published_directory(checkpoints / last[0].name) as partial:
        shutil.copytree(last[0], partial, dirs_exist_ok=True, copy_function=_link)
        (partial / COMPLETE).unlink()
        write_json(partial / COMPLETE, _record(last[0]) | {"config_hash": spec.config_hash})
    return step


def _record(checkpoint: Path) -> dict[str, object]:
    return json.loads((checkpoint / COMPLETE).read_text())


def _link(source: str, target: str) -> str:
    """Link a file, which no trainer changes once it is written; copy it where that is refused."""
    try:
        os.link(source, target)
        return target
    except OSError:
        return shutil.copyfile(source, target)
