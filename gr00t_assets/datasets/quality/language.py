"""Instructions: how many there are, and which of them say nothing."""

from collections import Counter

import numpy as np

from gr00t_assets.datasets.lerobot.lerobot import LeRobotDataset
from gr00t_assets.datasets.quality.figures import Language
from gr00t_assets.datasets.quality.thresholds import PLACEHOLDERS

_PREFERRED = ("human.action.task_description", "human.task_description", "human.coarse_action")
_SHOWN = 50


def language(dataset: LeRobotDataset, column: str | None = None) -> Language | None:
    """Instructions by rows.

    Args:
        dataset: The dataset.
        column: Column of task indices; by default the instruction that modality.json names, or
            ``task_index``.

    Raises:
        DatasetError: The column cannot be read.
    """
    column = column or _column(dataset)
    if column is None:
        return None
    rows: Counter[str] = Counter()
    for episode in dataset.episodes:
        indices = dataset.vector(episode.index, column)[:, 0]
        for index, count in zip(*np.unique(indices, return_counts=True), strict=True):
            rows[_text(dataset, float(index))] += int(count)
    total = max(rows.total(), 1)
    empty = [text for text in rows if says_nothing(text)]
    return Language(
        column=column,
        shares={text: count / total for text, count in rows.most_common(_SHOWN)},
        distinct=len(rows),
        empty_share=sum(rows[text] for text in empty) / total,
        placeholders=tuple(sorted(empty)[:_SHOWN]),
    )


def says_nothing(text: str) -> bool:
    """Whether a text is empty or a placeholder.

    Example:
        >>> [says_nothing(text) for text in ("", "valid", "Task 1", "42", "pick the pear")]
        [True, True, True, True, False]
    """
    words = "".join(letter if letter.isalpha() else " " for letter in text.lower()).split()
    return not words or (len(words) == 1 and words[0] in PLACEHOLDERS) or text in PLACEHOLDERS


def _column(dataset: LeRobotDataset) -> str | None:
    annotations = (dataset.modality or {}).get("annotation")
    if isinstance(annotations, dict) and annotations:
        names = [name for name in _PREFERRED if name in annotations]
        names += [name for name in annotations if "valid" not in name]
        for name in names:
            item = annotations[name]
            original = item.get("original_key") if isinstance(item, dict) else None
            found = str(original or f"annotation.{name}")
            if found in dataset.columns:
                return found
    return "task_index" if "task_index" in dataset.columns else None


def _text(dataset: LeRobotDataset, index: float) -> str:
    return dataset.tasks.get(int(index), "") if np.isfinite(index) else ""
