"""One fault each in ``modality.json`` and ``stats.json`` of a good dataset."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gr00t_assets_tests.datasets.checks.edits import (
    CAMERA,
    edit_json,
    edit_rows,
    renew_statistics,
    set_values,
)
from gr00t_assets_tests.datasets.checks.meta_faults import (
    MODALITY,
    STATS,
    Fault,
    Make,
    feature,
    modality,
    removed,
)


def stats(column: str, field: str, change: Callable[[list[float]], Any]) -> Make:
    def edit(value: Any) -> None:
        value[column][field] = change(value[column][field])

    return lambda directory: edit_json(directory, "stats.json", edit)


def _wide(value: Any) -> None:
    """Give the model 7 + 33 + ... action numbers by widening a key."""
    value["action"]["left_arm"] = {"start": 0, "end": 7}
    value["action"]["right_arm"] = {"start": 7, "end": 28}
    value["action"]["left_hand"] = {"start": 28, "end": 34}
    value["action"]["right_hand"] = {"start": 34, "end": 44}
    for key in ("left_leg", "neck", "right_leg", "waist"):
        del value["action"][key]


def _still(directory: Path) -> None:
    for index in range(3):
        edit_rows(directory, index, set_values("action", (slice(None), 2), 0.5))
    renew_statistics(directory)


MODALITY_FAULTS = {
    "action constant": Fault(
        "constant-action-used", MODALITY, _still, "choose a data config", "warning"
    ),
    "modality missing": Fault("modality-missing", MODALITY, removed(MODALITY), "dataset add"),
    "slice is text": Fault(
        "modality-field", MODALITY, modality("state", "left_arm", end="seven"), "correct"
    ),
    "slices overlap": Fault(
        "slice-overlap", MODALITY, modality("action", "left_arm", end=9), "start and end"
    ),
    "slice past the vector": Fault(
        "slice-range", MODALITY, modality("state", "waist", end=45), "start and end"
    ),
    "column unknown": Fault(
        "modality-column",
        MODALITY,
        modality("state", "waist", original_key="state"),
        "original_key",
    ),
    "camera unknown": Fault(
        "modality-camera",
        MODALITY,
        modality("video", "ego_view", original_key="ego"),
        "original_key",
    ),
    "annotation unknown": Fault(
        "modality-annotation", MODALITY, modality("annotation", "human.validity"), "original_key"
    ),
    "annotation of text": Fault(
        "modality-annotation",
        MODALITY,
        lambda directory: (
            feature("remark", dtype="string", shape=[1])(directory),
            modality("annotation", "human.remark", original_key="remark")(directory),
        ),
        "original_key: task_index",
        also=("column-missing",),
    ),
    "column of no numbers": Fault(
        "modality-column", MODALITY, modality("state", "waist", original_key=CAMERA), "original_key"
    ),
    "camera that is a column": Fault(
        "modality-camera",
        MODALITY,
        modality("video", "ego_view", original_key="action"),
        "original_key",
    ),
    "field unknown": Fault(
        "modality-unknown-field", MODALITY, modality("state", "waist", ende=3), "correct", "warning"
    ),
    "key missing": Fault(
        "config-key",
        MODALITY,
        lambda directory: edit_json(
            directory, "modality.json", lambda value: value["state"].pop("left_arm")
        ),
        "name the part",
    ),
    "too many numbers": Fault(
        "dims-over-limit",
        MODALITY,
        lambda directory: edit_json(directory, "modality.json", _wide),
        "fewer parts",
    ),
    "no data config fits": Fault(
        "no-data-config-fits",
        MODALITY,
        lambda directory: edit_json(
            directory, "modality.json", lambda value: value["state"].pop("left_arm")
        ),
        "--data-config",
        "warning",
        config=None,
    ),
    "data config unknown": Fault(
        "data-config-unknown", None, lambda directory: None, "did you mean", config="so100_dualcan"
    ),
    "stats missing": Fault("stats-missing", STATS, removed(STATS), "computed", "warning"),
    "stats incomplete": Fault(
        "stats-incomplete",
        STATS,
        lambda directory: edit_json(
            directory, "stats.json", lambda value: value["action"].pop("q01")
        ),
        "computed",
        "warning",
    ),
    "stats too short": Fault(
        "stats-field", STATS, stats("action", "min", lambda values: values[:-1]), "remove"
    ),
    "stats not finite": Fault(
        "stats-field",
        STATS,
        stats("action", "min", lambda values: [float("nan"), *values[1:]]),
        "remove",
    ),
    "stats of other data": Fault(
        "stats-mismatch",
        STATS,
        stats("action", "mean", lambda values: [values[0] + 0.2, *values[1:]]),
        "computed from the rows",
    ),
    "quantiles of other data": Fault(
        "stats-mismatch",
        STATS,
        stats("observation.state", "q99", lambda values: [values[0] + 0.2, *values[1:]]),
        "computed from the rows",
    ),
}
