"""The columns of a table of runs: name, type, unit and meaning, in one place.

A table that is written has every column of :data:`COLUMNS` and one for each setting that a run
has; a table that is read needs those of :data:`REQUIRED` alone.
"""

from typing import Literal, get_args, get_origin

from gr00t_assets.comparison.columns import Column, Dtype
from gr00t_assets.experiments.hyperparameters import Hyperparameters

DESCRIPTION = (
    Column("run_id", "string", "", "Unique among the runs that are compared"),
    Column("name", "string", "", "Of the experiment; the run_id where it is left out"),
    Column("source", "string", "", "store, table or wandb; where the run was read from"),
    Column("sweep", "string", "", "Name of the sweep file"),
    Column("started_at", "string", "", "ISO 8601; before October 2025 torchvision_av gives "
           "wrong frames"),
    Column("status", "string", "", "A word of run.STATUS_WORDS; only finished ones are ranked"),
)  # fmt: skip

DATA = (
    Column("dataset", "string", "", "What it was trained on, by name"),
    Column("dataset_version", "string", "", "The same by content; for runs of a store"),
    Column("data_config", "string", "", "GR00T's choice of camera, state, action and language"),
    Column("modality_config", "string", "", "The same by content; for runs of a store"),
    Column("embodiment_tag", "string", "", "Which of the model's weights are the robot's"),
    Column("base_model", "string", "", "What training began from"),
    Column("trainer", "string", "", "What trained it, with its revision"),
)
"""What must be equal before two losses can be set side by side."""

MEASURED = (
    Column("logged_step", "Int64", "optimizer steps", "Done when the loss was logged"),
    Column("samples_seen", "Int64", "samples", "Over all steps, GPUs; batch x steps if left out"),
    Column("dataset_frames", "Int64", "frames", "In the dataset; wins over the catalog's"),
    Column("epochs", "Float64", "epochs", "samples_seen / dataset_frames; not read"),
    Column("frames", "string", "", "verified, known wrong or not verified; not read"),
    Column("frames_verified", "boolean", "", "Proof that the images are those of the asked time"),
    Column("loss", "Float64", "loss", "At logged_step; that of the training"),
    Column("loss_se", "Float64", "loss", "Standard error of the loss; estimated if left out"),
    Column("loss_samples", "Int64", "samples", "That the loss is a mean of; 10 logged steps "
           "if left out"),
    Column("loss_kind", "string", "", "window mean or one logged value"),
    Column("loss_halfway", "Float64", "loss", "Where half of max_steps were done; not read"),
    Column("trend", "string", "", "falling, level or rising at the end; not read"),
    Column("samples_per_second", "Float64", "samples/s", "Of the training loop"),
    Column("gpu_hours", "Float64", "h", "Wall hours times GPUs"),
    Column("peak_memory_gb", "Float64", "GB (10^9 bytes)", "Of one GPU, with these settings"),
)  # fmt: skip

WORDS = (
    Column("hypothesis", "string", "", "What was expected, written before it ran"),
    Column("note", "string", "", "What its author or the store says of it"),
    Column("problems", "string", "", "What is doubtful about the row; not read"),
)

COLUMNS = (*DESCRIPTION, *DATA, *MEASURED, *WORDS)
BY_NAME = {column.name: column for column in COLUMNS}

REQUIRED = ("run_id", "status", "learning_rate", "batch_size", "max_steps", "loss")
"""Besides these a table needs ``dataset`` or ``dataset_version``."""

DERIVED = ("source", "epochs", "frames", "loss_halfway", "trend", "problems")
"""Written for a reader, and worked out anew when such a table is read again."""

SETTINGS = tuple(Hyperparameters.model_fields)
"""Hyperparameters that a column may be named after; any other column is a setting too, of which
nothing is known but that it may matter."""


def setting_dtype(name: str) -> Dtype | None:
    """The pandas type of a hyperparameter's column; None for one that is not known here.

    Example:
        >>> setting_dtype("learning_rate"), setting_dtype("tune_llm"), setting_dtype("optimizer")
        ('Float64', 'boolean', None)
    """
    field = Hyperparameters.model_fields.get(name)
    if field is None:
        return None
    if get_origin(field.annotation) is Literal and get_args(field.annotation):
        return "string"
    kinds: dict[object, Dtype] = {int: "Int64", float: "Float64", bool: "boolean"}
    return kinds[field.annotation]


def meaning(name: str) -> tuple[str, str]:
    """Unit and meaning of any column of a table that was written."""
    if name in BY_NAME:
        return BY_NAME[name].unit, BY_NAME[name].meaning
    field = Hyperparameters.model_fields.get(name)
    return "", (field.description or "" if field else "A setting of this table alone")
