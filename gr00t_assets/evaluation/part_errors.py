"""Errors of a policy over one part of a dataset, beside the rules without a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from gr00t_assets.evaluation.recorded_actions import ActionGroup, RecordedActions
from gr00t_assets.evaluation.result import (
    Baseline,
    BaselineName,
    Estimate,
    EvaluationSettings,
    GroupError,
    JointError,
    PartEvaluation,
    PartName,
)
from gr00t_assets.evaluation.windows import ClusterBootstrap, Windows, answered, rounded


@dataclass(frozen=True)
class PartPredictions:
    """One part with everything that its errors are made of.

    Attributes:
        part: Held out, or seen in training.
        episodes_in_part: Episodes of it, those included that were passed over.
        windows: Where the policy was asked.
        recorded: What was recorded there.
        predicted: Normalised, ``(draws, n, horizon, action_dim)``.
        mean_action: Normalised, of the training data, ``(action_dim,)``.
        groups: The action groups.
        labels: The dataset's own names of a group's numbers, by group.
    """

    part: PartName
    episodes_in_part: int
    windows: Windows
    recorded: RecordedActions
    predicted: np.ndarray
    mean_action: np.ndarray
    groups: Sequence[ActionGroup]
    labels: dict[str, list[str]]

    @property
    def moving(self) -> np.ndarray:
        """Which numbers can change what is done, ``(action_dim,)``, bool; never none of them."""
        moving = np.concatenate([group.moving for group in self.groups])
        return moving if moving.any() else np.ones_like(moving)

    def over_numbers(self, values: np.ndarray) -> np.ndarray:
        """Mean of normalised values ``(..., action_dim)`` over the numbers that can change."""
        return values[..., self.moving].mean(axis=-1)


def part_evaluation(predictions: PartPredictions, settings: EvaluationSettings) -> PartEvaluation:
    """The errors with their intervals, from what was predicted and recorded."""
    windows, recorded, predicted = predictions.windows, predictions.recorded, predictions.predicted
    bootstrap = ClusterBootstrap(windows, settings.resamples, settings.seed)
    normalised = np.abs(predicted - recorded.actions).mean(axis=0) * predictions.moving
    rules: dict[BaselineName, np.ndarray] = {
        "hold": np.abs(recorded.held - recorded.actions) * predictions.moving,
        "mean action": np.abs(predictions.mean_action - recorded.actions) * predictions.moving,
    }
    error = predictions.over_numbers(normalised)
    by_rule: dict[BaselineName, np.ndarray] = {
        name: predictions.over_numbers(values) for name, values in rules.items()
    }
    spread = predictions.over_numbers(draw_spread(predicted))
    overall = bootstrap.means(
        [
            error,
            spread,
            *by_rule.values(),
            *(error - values for values in by_rule.values()),
        ]
    )
    repeated = ", ".join(dict.fromkeys(group.held for group in predictions.groups))
    descriptions: dict[BaselineName, str] = {
        "hold": f"hold the {repeated}".replace("the no motion", "no motion"),
        "mean action": "always the mean action of the training data",
    }
    baselines = [
        Baseline(
            name=name,
            words=descriptions[name],
            error=overall[2 + place],
            difference=overall[4 + place],
            beaten=answered(overall[4 + place]),
            by_step=bootstrap.plain(values),
        )
        for place, (name, values) in enumerate(by_rule.items())
    ]
    groups, joints, square = _by_group(predictions, bootstrap, normalised, rules)
    return PartEvaluation(
        part=predictions.part,
        episodes=tuple(dict.fromkeys(windows.episodes.tolist())),
        episodes_in_part=predictions.episodes_in_part,
        stride=windows.stride,
        windows=len(windows),
        resampled=windows.resampled,
        clusters=int(windows.clusters.max()) + 1,
        error=overall[0],
        by_step=tuple(bootstrap.by_step(error)),
        groups=tuple(groups),
        joints=tuple(joints),
        baselines=tuple(baselines),
        draw_spread=overall[1],
        squared_error_in_units=float(rounded(np.array(square))),
    )


def draw_spread(predicted: np.ndarray) -> np.ndarray:
    """Mean absolute difference over all pairs of draws: ``(draws, ...)`` to ``(...)``."""
    pairs = combinations(predicted, 2)
    return np.mean([np.abs(first - second) for first, second in pairs], axis=0)


def _by_group(
    predictions: PartPredictions,
    bootstrap: ClusterBootstrap,
    normalised: np.ndarray,
    rules: dict[BaselineName, np.ndarray],
) -> tuple[list[GroupError], list[JointError], float]:
    recorded, inside = predictions.recorded, predictions.windows.inside
    groups, joints, squares, numbers = [], [], 0.0, 0
    for group in predictions.groups:
        name, place = group.key.key, group.normalised
        truth = recorded.actions_in_units[name]
        difference = group.in_units(predictions.predicted[..., place]) - truth
        squares += float((np.square(difference).mean(axis=0).sum(axis=-1) * inside).sum())
        numbers += truth.shape[-1]
        units = np.abs(difference).mean(axis=0)
        mean = group.in_units(predictions.mean_action[place])
        rules_in_units: dict[BaselineName, np.ndarray] = {
            "hold": np.abs(recorded.held_in_units[name] - truth),
            "mean action": np.abs(mean - truth),
        }
        of_group = [normalised[..., place].mean(axis=-1), units.mean(axis=-1)]
        of_joints = [units[..., number] for number in range(units.shape[-1])]
        if group.number_by_number:
            of_joints += [normalised[..., number] for number in range(place.start, place.stop)]
        estimates = bootstrap.means([*of_group, *of_joints])
        groups.append(
            GroupError(
                group=name,
                numbers=units.shape[-1],
                held=group.held,
                normalised=estimates[0],
                in_units=estimates[1],
                by_step=bootstrap.plain(of_group[0]),
                by_step_in_units=bootstrap.plain(of_group[1]),
                baselines={
                    rule: _mean(difference[..., place], inside)
                    for rule, difference in rules.items()
                },
                baselines_in_units={
                    rule: _mean(difference, inside) for rule, difference in rules_in_units.items()
                },
            )
        )
        joints += _joints(predictions, group, estimates[2:], of_joints, rules_in_units, bootstrap)
    return groups, joints, squares / (numbers * float(inside.sum()))


def _joints(
    predictions: PartPredictions,
    group: ActionGroup,
    estimates: list[Estimate],
    values: list[np.ndarray],
    rules: dict[BaselineName, np.ndarray],
    bootstrap: ClusterBootstrap,
) -> list[JointError]:
    numbers, inside = group.transform.data_dim, predictions.windows.inside
    labels = predictions.labels.get(group.key.key)
    exact = group.number_by_number
    return [
        JointError(
            name=joint_name(group, number),
            group=group.key.key,
            label=labels[number] if labels else None,
            normalised=estimates[numbers + number] if exact else None,
            in_units=estimates[number],
            by_step=bootstrap.plain(values[numbers + number]) if exact else None,
            by_step_in_units=bootstrap.plain(values[number]),
            baselines_in_units={
                rule: _mean(difference[..., number : number + 1], inside)
                for rule, difference in rules.items()
            },
        )
        for number in range(numbers)
    ]


def joint_name(group: ActionGroup, number: int) -> str:
    """``left_arm[3]``; the group's name where it has one number."""
    return group.key.key if group.transform.data_dim == 1 else f"{group.key.key}[{number}]"


def _mean(values: np.ndarray, inside: np.ndarray) -> float:
    """Mean over the last axis and the steps that count."""
    return float(rounded(np.array(values.mean(axis=-1)[inside].mean())))
