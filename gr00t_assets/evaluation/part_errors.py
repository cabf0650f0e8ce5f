"""Errors of a policy over one part of a dataset, beside the rules without a model."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from gr00t_assets.evaluation.recorded_actions import ActionGroup, RecordedActions
from gr00t_assets.evaluation.result import (
    Baseline,
    BaselineName,
    EvaluationSettings,
    GroupError,
    JointError,
    PartEvaluation,
    PartName,
    Trajectory,
    TrajectoryLine,
)
from gr00t_assets.evaluation.windows import ClusterBootstrap, Windows, answered, rounded

SHOWN_JOINTS = 6
RECORDED_POINTS = 160
PREDICTED_POINTS = 240
"""Of all chunks of one number at most; of a chunk every second step is kept, or fewer."""


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
    labels: Mapping[str, Sequence[str]]

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
    answers = {"hold": recorded.held, "mean action": predictions.mean_action}
    rules: dict[BaselineName, np.ndarray] = {
        name: np.abs(answers[name] - recorded.actions) * predictions.moving for name in _RULES
    }
    error = predictions.over_numbers(normalised)
    spread = predictions.over_numbers(draw_spread(predicted))
    by_rule = [predictions.over_numbers(values) for values in rules.values()]
    estimates = bootstrap.means(
        [error, spread, *by_rule, *(error - rule_error for rule_error in by_rule)]
    )
    repeated = ", ".join(dict.fromkeys(group.held for group in predictions.groups))
    descriptions = (
        f"hold the {repeated}".replace("the no motion", "no motion"),
        "always the mean action of the training data",
    )
    baselines = [
        Baseline(
            name=name,
            words=descriptions[place],
            error=estimates[2 + place],
            difference=estimates[4 + place],
            beaten=answered(estimates[4 + place]),
            by_step=bootstrap.plain(by_rule[place]),
        )
        for place, name in enumerate(rules)
    ]
    groups, joints, squares = [], [], []
    for group in predictions.groups:
        group_error, joint_errors, square = _group_errors(
            predictions, group, bootstrap, normalised, rules
        )
        groups.append(group_error)
        joints += joint_errors
        squares.append(square * group_error.numbers)
    return PartEvaluation(
        part=predictions.part,
        episodes=tuple(dict.fromkeys(windows.episodes.tolist())),
        episodes_in_part=predictions.episodes_in_part,
        stride=windows.stride,
        windows=len(windows),
        resampled=windows.resampled,
        clusters=int(windows.clusters.max()) + 1,
        error=estimates[0],
        by_step=tuple(bootstrap.by_step(error)),
        groups=tuple(groups),
        joints=tuple(joints),
        baselines=tuple(baselines),
        draw_spread=estimates[1],
        squared_error_in_units=float(rounded(np.array(sum(squares) / len(joints)))),
    )


_RULES: tuple[BaselineName, ...] = ("hold", "mean action")


def draw_spread(predicted: np.ndarray) -> np.ndarray:
    """Mean absolute difference over all pairs of draws: ``(draws, ...)`` to ``(...)``."""
    pairs = combinations(predicted, 2)
    return np.mean([np.abs(first - second) for first, second in pairs], axis=0)


def _group_errors(
    predictions: PartPredictions,
    group: ActionGroup,
    bootstrap: ClusterBootstrap,
    normalised: np.ndarray,
    rules: dict[BaselineName, np.ndarray],
) -> tuple[GroupError, list[JointError], float]:
    """The errors of a group and of its numbers, and its mean squared error in units."""
    recorded, inside = predictions.recorded, predictions.windows.inside
    name, place = group.key.key, group.normalised
    truth = recorded.actions_in_units[name]
    difference = group.in_units(predictions.predicted[..., place]) - truth
    units, exact = np.abs(difference).mean(axis=0), group.number_by_number
    mean = group.in_units(predictions.mean_action[place])
    rules_in_units: dict[BaselineName, np.ndarray] = {
        "hold": np.abs(recorded.held_in_units[name] - truth),
        "mean action": np.abs(mean - truth),
    }
    errors = [normalised[..., place].mean(axis=-1), units.mean(axis=-1), *np.moveaxis(units, -1, 0)]
    if exact:
        errors += [*np.moveaxis(normalised[..., place], -1, 0)]
    estimates = bootstrap.means(errors)
    steps = [bootstrap.plain(values) for values in errors]
    group_error = GroupError(
        group=name,
        numbers=units.shape[-1],
        held=group.held,
        normalised=estimates[0],
        in_units=estimates[1],
        by_step=steps[0],
        by_step_in_units=steps[1],
        baselines={rule: _mean(values[..., place], inside) for rule, values in rules.items()},
        baselines_in_units={rule: _mean(rules_in_units[rule], inside) for rule in _RULES},
    )
    labels = predictions.labels.get(name)
    joints = [
        JointError(
            name=joint_name(group, number),
            group=name,
            label=labels[number] if labels else None,
            normalised=estimates[at + group_error.numbers] if exact else None,
            in_units=estimates[at],
            by_step=steps[at + group_error.numbers] if exact else None,
            by_step_in_units=steps[at],
            baselines_in_units={
                rule: _mean(values[..., [number]], inside)
                for rule, values in rules_in_units.items()
            },
        )
        for number, at in enumerate(range(2, 2 + group_error.numbers))
    ]
    return group_error, joints, float(np.square(difference).mean(axis=(0, -1))[inside].mean())


def joint_name(group: ActionGroup, number: int) -> str:
    """``left_arm[3]``; the group's name where it has one number."""
    return group.key.key if group.transform.data_dim == 1 else f"{group.key.key}[{number}]"


def _mean(values: np.ndarray, inside: np.ndarray) -> float:
    """Mean over the last axis and the steps that count."""
    return float(rounded(np.array(values.mean(axis=-1)[inside].mean())))


def trajectory(
    predictions: PartPredictions, seconds: np.ndarray, columns: dict[str, np.ndarray]
) -> Trajectory:
    """The first episode of a part: the numbers that move most, and chunks that do not overlap.

    Args:
        predictions: The part with its predictions.
        seconds: Of the episode's rows, ``(rows,)``.
        columns: Its action columns by name, ``(rows, numbers)``.
    """
    windows = predictions.windows
    horizon = windows.inside.shape[1]
    episode = int(windows.episodes[0])
    places = _non_overlapping(windows.rows, windows.episodes == episode, horizon)
    every = max(1, math.ceil(len(places) * horizon / PREDICTED_POINTS))
    steps = [np.flatnonzero(windows.inside[place])[::every] for place in places]
    rows = [windows.rows[place] + kept for place, kept in zip(places, steps, strict=True)]
    shown = np.unique(np.linspace(0, len(seconds) - 1, RECORDED_POINTS).round().astype(int))
    lines = []
    for group, number in _most_moving(predictions):
        truth = columns[group.key.original_key][:, group.key.start + number]
        units = group.in_units(predictions.predicted[:, places][..., group.normalised])[..., number]
        chunks = [units[:, at][:, kept] for at, kept in enumerate(steps)]
        lines.append(
            TrajectoryLine(
                joint=joint_name(group, number),
                recorded=_numbers(truth[shown]),
                predicted=tuple(_numbers(chunk.mean(axis=0)) for chunk in chunks),
                low=tuple(_numbers(chunk.min(axis=0)) for chunk in chunks),
                high=tuple(_numbers(chunk.max(axis=0)) for chunk in chunks),
            )
        )
    return Trajectory(
        part=predictions.part,
        episode=episode,
        seconds=_numbers(seconds[shown]),
        chunk_seconds=tuple(_numbers(seconds[chunk_rows]) for chunk_rows in rows),
        lines=tuple(lines),
    )


def _non_overlapping(rows: np.ndarray, chosen: np.ndarray, horizon: int) -> list[int]:
    """Indices of windows that are at least a horizon from each other."""
    places: list[int] = []
    for place in np.flatnonzero(chosen):
        if not places or rows[place] - rows[places[-1]] >= horizon:
            places.append(int(place))
    return places


def _most_moving(predictions: PartPredictions) -> list[tuple[ActionGroup, int]]:
    """The number of each group that moves most, then others, in the order of the groups."""
    ranked: list[tuple[int, float, int, int]] = []
    for at, group in enumerate(predictions.groups):
        values = predictions.recorded.actions_in_units[group.key.key]
        extent = np.subtract(group.key.statistics.max, group.key.statistics.min)
        moved = values.std(axis=(0, 1)) / np.where(extent > 0, extent, 1)
        for place, number in enumerate(np.argsort(-moved, kind="stable")):
            ranked.append((min(place, 1), -float(moved[number]), at, int(number)))
    chosen = sorted((at, number) for _, _, at, number in sorted(ranked)[:SHOWN_JOINTS])
    return [(predictions.groups[at], number) for at, number in chosen]


def _numbers(values: np.ndarray) -> tuple[float, ...]:
    return tuple(rounded(np.asarray(values, np.float64), 4).tolist())
