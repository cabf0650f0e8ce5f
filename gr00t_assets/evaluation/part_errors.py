"""Errors of a policy over one part of its data, beside the rules without a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, combinations
from typing import Any, Literal, TypeAlias

import numpy as np

from gr00t_assets.evaluation import intervals
from gr00t_assets.evaluation.recorded_actions import NEAREST, ActionGroup, RecordedActions
from gr00t_assets.evaluation.result import (
    BASELINE_NAMES,
    Baseline,
    BaselineName,
    DatasetPart,
    GroupError,
    JointError,
    PartEvaluation,
    PartName,
)

_Answering: TypeAlias = Literal["policy"] | BaselineName


@dataclass(frozen=True)
class PartPredictions:
    """One part of one dataset with everything that its errors are made of.

    ``rules`` are what the rules without a model answer but for 'hold', normalised, each
    ``(n or 1, horizon or 1, action_dim)``.
    """

    part: PartName
    episodes_in_part: int  # Those included that were passed over
    windows: intervals.Windows  # Where the policy was asked
    recorded: RecordedActions
    predicted: np.ndarray  # Normalised, ``(draws, n, horizon, action_dim)``
    rules: Mapping[BaselineName, np.ndarray]
    training_rows: tuple[int, int]  # In which the nearest chunks are looked for, and all
    groups: Sequence[ActionGroup]
    labels: Mapping[str, Sequence[str]]  # The dataset's own names of a group's numbers, by group
    dataset: str

    @cached_property
    def moving(self) -> np.ndarray:
        """Which numbers can change what is done, ``(action_dim,)``, bool; never none of them."""
        moving = np.concatenate([group.moving for group in self.groups])
        return moving if moving.any() else np.ones_like(moving)

    @cached_property
    def differences(self) -> dict[_Answering, np.ndarray]:
        """Absolute differences from what was recorded, ``(n, horizon, action_dim)`` each.

        Of the policy the mean over its draws. A number that never changes has none.
        """
        answers: dict[_Answering, np.ndarray] = {
            "policy": self.predicted,
            "hold": self.recorded.held[None],
            **{name: answer[None] for name, answer in self.rules.items()},
        }
        return {
            name: np.abs(answer - self.recorded.actions).mean(axis=0) * self.moving
            for name, answer in answers.items()
        }

    def over_numbers(self, values: np.ndarray) -> np.ndarray:
        """Mean of normalised values ``(..., action_dim)`` over the numbers that can change."""
        return values[..., self.moving].mean(axis=-1)


def part_evaluation(datasets: Sequence[PartPredictions], named: bool = False) -> PartEvaluation:
    """The errors with their intervals, over the windows of a part on all datasets together.

    Where they are ``named``, as those of a mixture, groups and joints have their dataset's name
    before theirs, and each dataset has its own errors.
    """
    own = [_part_errors([predictions]) for predictions in datasets]
    errors = _part_errors(datasets) if len(own) > 1 else own[0]
    groups, joints, squares = [], [], []
    for predictions in datasets:
        means = intervals.EpisodeMeans(predictions.windows)
        prefix = f"{predictions.dataset}: " if named else ""
        for group in predictions.groups:
            group_error, joint_errors, square = _group_errors(predictions, group, means, prefix)
            groups.append(group_error)
            joints += joint_errors
            squares.append(square * group_error.numbers)
    return PartEvaluation(
        part=datasets[0].part,
        groups=tuple(groups),
        joints=tuple(joints),
        squared_error_in_units=float(intervals.rounded(np.array(sum(squares) / len(joints)))),
        datasets=tuple(
            DatasetPart(
                dataset=predictions.dataset,
                **{name: values[name] for name in DatasetPart.model_fields if name in values},
            )
            for predictions, values in zip(datasets, own, strict=True)
            if named
        ),
        **errors,
    )


def _part_errors(datasets: Sequence[PartPredictions]) -> dict[str, Any]:
    """What ``PartEvaluation`` says over all windows of some datasets."""
    windows = intervals.joined_windows([predictions.windows for predictions in datasets])
    means = intervals.EpisodeMeans(windows)

    def errors_of(who: _Answering) -> np.ndarray:
        """Mean over the numbers that can change, ``(n, horizon)``."""
        return np.concatenate([item.over_numbers(item.differences[who]) for item in datasets])

    error, words = errors_of("policy"), _rule_words(datasets)
    spread = np.concatenate([item.over_numbers(draw_spread(item.predicted)) for item in datasets])
    baselines = []
    for name in BASELINE_NAMES:
        of_rule = errors_of(name)
        difference = means.mean(error - of_rule)
        baselines.append(
            Baseline(
                name=name,
                words=words[name],
                error=means.mean(of_rule),
                difference=difference,
                beaten=intervals.answered(difference),
                by_step=means.plain(of_rule),
            )
        )
    episodes = [dict.fromkeys(predictions.windows.episodes.tolist()) for predictions in datasets]
    errors = intervals.rounded(means.by_episode(error))
    return {
        "episodes": tuple(chain.from_iterable(episodes)),
        "episodes_in_part": sum(predictions.episodes_in_part for predictions in datasets),
        "stride": windows.stride,
        "windows": len(windows),
        "resampled": "episodes",
        "clusters": len(errors),
        "episode_errors": tuple(errors.tolist()),
        "error": means.mean(error),
        "by_step": tuple(means.by_step(error)),
        "baselines": tuple(baselines),
        "draw_spread": means.mean(spread),
    }


def _rule_words(datasets: Sequence[PartPredictions]) -> dict[BaselineName, str]:
    groups = [group for predictions in datasets for group in predictions.groups]
    repeated = ", ".join(dict.fromkeys(group.held for group in groups))
    used, rows = np.sum([predictions.training_rows for predictions in datasets], axis=0)
    drawn = f", of {used:,} drawn evenly from {rows:,}" if used < rows else ""
    return {
        "hold": f"hold the {repeated}".replace("the no motion", "no motion"),
        "mean action": "always the mean action of the training data",
        "nearest chunks": f"the mean chunk after the {NEAREST} nearest training states{drawn}",
        "median action": "always the median action of the training data",
    }


def draw_spread(predicted: np.ndarray) -> np.ndarray:
    """Mean absolute difference over all pairs of draws: ``(draws, ...)`` to ``(...)``."""
    pairs = combinations(predicted, 2)
    return np.mean([np.abs(first - second) for first, second in pairs], axis=0)


def _group_errors(
    predictions: PartPredictions, group: ActionGroup, means: intervals.EpisodeMeans, prefix: str
) -> tuple[GroupError, list[JointError], float]:
    """The errors of a group and of its numbers, ``prefix``ed, and its squared error in units."""
    recorded, inside = predictions.recorded, predictions.windows.inside
    name, place, exact = group.key.key, group.normalised, group.number_by_number
    truth, anchor = recorded.actions_in_units[name], recorded.anchors.get(name)
    difference = group.inverse(predictions.predicted[..., place], anchor) - truth
    units = np.abs(difference).mean(axis=0)
    normalised = predictions.differences["policy"][..., place]
    rules_in_units: dict[BaselineName, np.ndarray] = {
        "hold": np.abs(recorded.held_in_units[name] - truth),
        **{
            rule: np.abs(group.inverse(answer[..., place], anchor) - truth)
            for rule, answer in predictions.rules.items()
        },
    }
    group_error = GroupError(
        group=prefix + name,
        numbers=units.shape[-1],
        held=group.held,
        normalised=means.mean(normalised.mean(axis=-1)),
        in_units=means.mean(units.mean(axis=-1)),
        by_step=means.plain(normalised.mean(axis=-1)),
        by_step_in_units=means.plain(units.mean(axis=-1)),
        baselines={
            rule: means.mean(predictions.differences[rule][..., place].mean(axis=-1)).mean
            for rule in BASELINE_NAMES
        },
        baselines_in_units={
            rule: means.mean(values.mean(axis=-1)).mean for rule, values in rules_in_units.items()
        },
    )
    labels = predictions.labels.get(name)
    joints = [
        JointError(
            name=prefix + joint_name(group, number),
            group=prefix + name,
            label=labels[number] if labels else None,
            normalised=means.mean(normalised[..., number]) if exact else None,
            in_units=means.mean(units[..., number]),
            by_step=means.plain(normalised[..., number]) if exact else None,
            by_step_in_units=means.plain(units[..., number]),
            baselines_in_units={
                rule: means.mean(values[..., number]).mean
                for rule, values in rules_in_units.items()
            },
        )
        for number in range(group_error.numbers)
    ]
    return group_error, joints, float(np.square(difference).mean(axis=(0, -1))[inside].mean())


def joint_name(group: ActionGroup, number: int) -> str:
    """``left_arm[3]``; the group's name where it has one number."""
    return group.key.key if group.data_dim == 1 else f"{group.key.key}[{number}]"
