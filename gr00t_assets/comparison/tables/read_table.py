"""From a table of the form of ``data/journal/runs.csv`` to observations."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from gr00t_assets.comparison.contrasts.factors import samples_per_step
from gr00t_assets.comparison.contrasts.noise import logged_value_error
from gr00t_assets.comparison.contrasts.observation import Loss, LossKind, Observation
from gr00t_assets.comparison.tables.cells import Value
from gr00t_assets.comparison.tables.columns import BY_NAME, DATA
from gr00t_assets.comparison.tables.frame_state import frame_state
from gr00t_assets.comparison.tables.known_datasets import known_frames
from gr00t_assets.comparison.tables.memory_words import noted_memory
from gr00t_assets.comparison.tables.rows import Row, read_rows
from gr00t_assets.experiments.hyperparameters import Hyperparameters

NEARLY_DONE = 0.95
"""A run that says it finished has done this share of its steps, or all but its last logged ones."""

_DEFAULTS = Hyperparameters.model_validate({})


def read_table(path: Path, dataset_frames: Mapping[str, int] | None = None) -> list[Observation]:
    """The runs of a CSV file in the order of the file; nothing else is looked at.

    A loss is the one value that was logged last, the mean of ``logging_steps`` steps, unless
    the table says what it is the mean of. Samples seen are batch times steps done, on one GPU
    unless the table has num_gpus. A setting that the table has no column for is not known, and
    never taken to be the default.

    Args:
        path: The file; its columns are in ``tables.columns``.
        dataset_frames: Frames by dataset, for epochs, where the table has no ``dataset_frames``;
            those that the project's catalog says where left out.

    Raises:
        ComparisonError: The file cannot be read, or with every problem that it has.

    Example:
        ``read_table(Path("data/journal/runs.csv"))[0].run_id`` is ``klky5smm``
    """
    rows = read_rows(path)
    frames = known_frames() if dataset_frames is None else dataset_frames
    return [_observation(row, frames) for row in rows]


def _observation(row: Row, dataset_frames: Mapping[str, int]) -> Observation:
    settings = {name: value for name, value in row.cells.items() if name not in BY_NAME}
    max_steps = row.whole("max_steps")
    steps = row.whole("logged_step")
    status = row.text("status")
    if steps is None and status == "finished":
        steps = max_steps
    per_step = samples_per_step(settings) or 1
    samples_seen = row.whole("samples_seen")
    if samples_seen is None and steps is not None:
        samples_seen = steps * per_step
    status, problems = _judged(status, steps, max_steps, settings)
    loss, doubt = _loss(row, settings, samples_seen, per_step)
    note = row.text("note")
    memory = row.number_of("peak_memory_gb")
    verified = row.cells.get("frames_verified")
    dataset = row.text("dataset")
    return Observation(
        run_id=row.text("run_id"),
        name=row.text("name") or row.text("run_id"),
        source="table",
        status=status,
        settings=settings,
        data=data_words(row.cells),
        frames=frame_state(
            settings.get("video_backend"),
            row.text("started_at"),
            bool(verified) if verified is not None else None,
        ),
        steps=steps,
        max_steps=max_steps,
        samples_seen=samples_seen,
        dataset_frames=row.whole("dataset_frames") or dataset_frames.get(dataset),
        loss=loss,
        sweep=row.text("sweep"),
        hypothesis=row.text("hypothesis"),
        started_at=row.text("started_at"),
        samples_per_second=row.number_of("samples_per_second"),
        gpu_hours=row.number_of("gpu_hours"),
        peak_memory_bytes=round(memory * 1e9) if memory else noted_memory(note),
        note=note,
        problems=(*problems, *doubt),
    )


def data_words(cells: Mapping[str, Value]) -> dict[str, str]:
    """What a run was trained on and with, by the words of a comparability class.

    Example:
        >>> data_words({"dataset": "so101", "base_model": "tiny", "loss": 0.1})
        {'dataset': 'so101', 'base model': 'tiny'}
    """
    return {
        column.name.replace("_", " "): str(cells[column.name])
        for column in DATA
        if column.name in cells
    }


def logging_steps(settings: Mapping[str, object]) -> int:
    """Steps that one logged loss is the mean of; Isaac-GR00T's 10 where nothing is said of it."""
    value = settings.get("logging_steps", _DEFAULTS.logging_steps)
    return value if isinstance(value, int) else _DEFAULTS.logging_steps


def _judged(
    status: str, steps: int | None, max_steps: int | None, settings: Mapping[str, object]
) -> tuple[str, tuple[str, ...]]:
    """The status; a run that stopped before its end is not finished, whatever is said of it."""
    if status != "finished" or steps is None or max_steps is None:
        return status, ()
    if steps >= min(NEARLY_DONE * max_steps, max_steps - logging_steps(settings)):
        return status, ()
    doubt = f"It is said to have finished, at step {steps:,} of {max_steps:,}."
    return "unfinished", (doubt,)


def _loss(
    row: Row, settings: Mapping[str, object], samples_seen: int | None, per_step: int
) -> tuple[Loss | None, tuple[str, ...]]:
    mean = row.number_of("loss")
    if mean is None:
        return None, ()
    if not math.isfinite(mean):
        return None, (f"Its loss is {mean}.",)
    samples = row.whole("loss_samples")
    if samples is None:
        samples = logging_steps(settings) * per_step
        samples = max(1, min(samples, samples_seen or samples))
    error = row.number_of("loss_se")
    kind = row.text("loss_kind") or ("one logged value" if error is None else "window mean")
    if error is None:
        error = logged_value_error(mean, samples)
    return Loss(mean, error, samples, cast(LossKind, kind)), ()
