"""The columns of a comparison table: name, type, unit and meaning, in one place."""

from dataclasses import dataclass
from typing import Literal

Dtype = Literal["Int64", "Float64", "boolean", "string"]


@dataclass(frozen=True)
class Column:
    """One column; every type has a missing value, which is ``pandas.NA``."""

    name: str
    dtype: Dtype
    unit: str
    meaning: str


LEADING = (
    Column("rank", "Int64", "", "Place by final loss among the ranked runs of one class"),
    Column("experiment", "string", "", "Name, which is the partition key"),
    Column("status", "string", "", "What became of the run; the words are in run.STATUS_WORDS"),
    Column("final_loss", "Float64", "loss", "Mean over the last 1,024 samples, at least 20 steps"),
    Column("final_loss_se", "Float64", "loss", "Standard error of that mean, by batch means"),
    Column("first_loss", "Float64", "loss", "Mean over the first max(20, 10 %) steps"),
    Column("loss_fall", "Float64", "ratio", "first_loss / final_loss"),
    Column("steps", "Int64", "optimizer steps", "Done"),
    Column("max_steps", "Int64", "optimizer steps", "Asked for; length of the schedule"),
    Column("samples_seen", "Int64", "samples", "Over all steps and GPUs"),
    Column("epochs", "Float64", "epochs", "samples_seen / frames of the dataset"),
    Column("learning_rate", "Float64", "", "Peak of the schedule"),
    Column("batch_size", "Int64", "samples", "Per step and GPU"),
)  # fmt: skip
"""Then come the other hyperparameters that differ among the rows, under their own names."""

TRAILING = (
    Column("samples_per_second", "Float64", "samples/s", "Of the training loop"),
    Column("wall_seconds", "Float64", "s", "Over every attempt"),
    Column("gpu_hours", "Float64", "h", "Wall hours times GPUs; 0 on a CPU"),
    Column("class", "string", "", "Short id of the comparability class"),
    Column("config_hash", "string", "", "Name of the run directory"),
    Column("failed_checks", "string", "", "Names of the checks not passed"),
    Column("note", "string", "", "What a reader must know before using the row"),
)

FIXED = frozenset(column.name for column in (*LEADING, *TRAILING))
