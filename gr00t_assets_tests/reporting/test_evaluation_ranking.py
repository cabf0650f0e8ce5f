"""Configurations by open-loop error: over seeds, in pairs, and where the loss orders otherwise."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from gr00t_assets.comparison.comparison import compare
from gr00t_assets.comparison.curves import Loss
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.ranking import comparability_classes
from gr00t_assets.comparison.success_ranking import measured_success
from gr00t_assets.evaluation.result import Estimate, Evaluation
from gr00t_assets.reporting.evaluation_ranking import (
    EvaluationRanking,
    agreement,
    evaluation_ranking,
)
from gr00t_assets.reporting.html import page_environment
from gr00t_assets_tests.comparison.test_success_ranking import rolled
from gr00t_assets_tests.reporting.report_runs import evaluation, finished_run


def loss(mean: float, error: float = 0.001) -> Loss:
    return Loss(mean, error, samples=100)


def about(mean: float, error: float = 0.001) -> Estimate:
    return Estimate(mean=mean, standard_error=error, low=mean - 2 * error, high=mean + 2 * error)


def test_the_same_order_agrees() -> None:
    rows = [(name, loss(0.1 * i), about(0.5 * i)) for i, name in enumerate("abcde", start=1)]
    found = agreement(rows)
    assert found.disagreeing == ()
    assert "name the same best run, a (Kendall's tau 1.00 over 5 runs)" in found.sentence
    assert found.sentence.endswith("Neither is success on a robot.")


def test_a_reversed_order_disagrees_in_every_pair() -> None:
    rows = [(name, loss(0.1 * i), about(-0.5 * i)) for i, name in enumerate("abcd", start=1)]
    found = agreement(rows)
    assert "Kendall's tau -1.00 over 4 runs" in found.sentence
    assert found.disagreeing == tuple(itertools.combinations("abcd", 2))
    assert "a has the lower loss and b the lower error, and 5 more pairs" in found.sentence


def test_a_disagreement_within_noise_is_none() -> None:
    found = agreement([("a", loss(0.10, 0.2), about(0.4)), ("b", loss(0.11, 0.2), about(0.3))])
    assert found.disagreeing == () and "tau" not in found.sentence
    assert "no pair of runs is ordered both ways beyond noise" in found.sentence


def test_one_run_has_no_order() -> None:
    assert "One run was evaluated" in agreement([("a", loss(1), about(1))]).sentence


EPISODES = np.array([0.1, 0.15, 0.2, 0.3, 0.4, 0.8])


def test_two_runs_of_one_seed_count_once_beside_success_as_in_the_ranking() -> None:
    runs = [finished_run(f"a{place}", 0.05, seed=seed) for place, seed in enumerate((1, 1, 2))]
    made = [by_episode(run, EPISODES * (1 + 3 * (run is runs[2]))) for run in runs]
    errors = {run.run_id: item for run, item in zip(runs, made, strict=True)}
    comparison = compare(runs, errors, {run.run_id: [rolled(run, 20)] for run in runs})
    table = evaluation_ranking(comparison.ranked_classes[0].ranking, errors)
    assert table and table.rows[0].error.mean == pytest.approx(EPISODES.mean() * 2.5)
    beside = measured_success(comparison.success[0].rows[0], "open-loop error", errors)
    assert beside and beside.value == pytest.approx(table.rows[0].error.mean)


def by_episode(run: Run, errors: np.ndarray, **changes: object) -> Evaluation:
    """An evaluation on held-out episodes with these errors."""
    made = evaluation(run, float(np.mean(errors)))
    assert made.held_out is not None
    numbers = tuple(range(len(errors)))
    part = {"episodes": numbers, "episode_errors": tuple(errors), "clusters": len(errors)}
    return made.model_copy(update={"held_out": made.held_out.model_copy(update=part | changes)})


def ranked(*made: tuple[Run, Evaluation]) -> EvaluationRanking:
    (comparability_class,) = comparability_classes([run for run, _ in made])
    found = evaluation_ranking(
        comparability_class.ranking, {run.run_id: evaluation for run, evaluation in made}
    )
    assert found is not None
    return found


def test_errors_are_compared_on_the_same_episodes_and_a_disagreement_counts_there() -> None:
    low, high = finished_run("low", 0.05, learning_rate=1e-3), finished_run("high", 0.5)
    worse = EPISODES * (1.1, 1.12, 1.08, 1.1, 1.11, 1.09)
    table = ranked((low, by_episode(low, worse)), (high, by_episode(high, EPISODES)))
    first, second = table.rows
    assert (first.ranked.run.name, first.against_first_words) == ("high", "")
    assert second.against_first_words == "errs 10 % more (9 to 11 % more)"
    assert table.paired_sentence == (
        "high has the lowest error; compared on the same 6 episodes it errs less than 1 of 1 "
        "others beyond chance. "
        "Configurations with one seed may be ordered otherwise by other seeds."
    )
    assert table.agreement.disagreeing == (("low", "high"),)


def test_all_seeds_of_a_configuration_are_in_its_error() -> None:
    seeds = [finished_run(f"s{seed}", 0.05, seed=seed) for seed in (1, 2, 3, 3)]
    seeds[3] = replace(seeds[3], run_id="again", name="again")
    factors = (1.0, 1.05, 1.1, 1.2)
    table = ranked(
        *((run, by_episode(run, f * EPISODES)) for run, f in zip(seeds, factors, strict=True))
    )
    (row,) = table.rows
    means = np.array([1.0, 1.05, 1.15]) * EPISODES.mean()
    assert row.error.by_seed == pytest.approx(means)
    assert row.error.mean == pytest.approx(means.mean(), rel=1e-5)
    assert row.error.seeds_words == "3 seeds: 0.325, 0.341, 0.374"
    one = ranked((seeds[0], by_episode(seeds[0], EPISODES))).rows[0].error
    assert one.standard_error is not None and row.error.standard_error is not None
    assert row.error.standard_error > one.standard_error
    assert table.paired_sentence == ""


def test_other_windows_are_not_compared_and_the_reason_is_told() -> None:
    a, b = finished_run("a", 0.05, learning_rate=1e-3), finished_run("b", 0.5)
    table = ranked((a, by_episode(a, EPISODES)), (b, by_episode(b, 2 * EPISODES, stride=5)))
    assert table.rows[1].against_first == "they differ in the windows"
    assert table.paired_sentence.endswith("Not compared by episode: they differ in the windows.")
    old = ranked((a, by_episode(a, EPISODES)), (b, evaluation(b, 0.9)))
    assert "run gr00t-assets evaluate b" in old.rows[1].against_first_words
    seeds = [finished_run(f"s{seed}", 0.05, seed=seed) for seed in (1, 2)]
    mixed = ranked(
        (seeds[0], by_episode(seeds[0], EPISODES)),
        (seeds[1], by_episode(seeds[1], EPISODES, episodes=tuple(range(10, 16)))),
    )
    assert mixed.rows[0].error.by_seed == pytest.approx([EPISODES.mean()])
    assert mixed.limits[-1] == "s2 is not in its error: they differ in the episodes."


def test_fewer_than_five_episodes_have_no_interval() -> None:
    run = finished_run("a", 0.05)
    for made in (by_episode(run, EPISODES[:4]), evaluation(run, 0.3)):
        error = ranked((run, made)).rows[0].error
        assert (error.interval, error.standard_error) == (None, None)
        assert error.interval is None
    other = finished_run("b", 0.5, learning_rate=1e-3)
    table = ranked((run, by_episode(run, EPISODES[:4])), (other, by_episode(other, EPISODES[1:5])))
    assert table.rows[1].against_first_words.endswith(", fewer than 5 episodes")
    assert "cannot be told from fewer than 5 episodes" in table.paired_sentence


def test_the_section_of_the_report_has_pairs_seeds_and_every_rule() -> None:
    runs = [
        *(finished_run(f"a{seed}", 0.05, learning_rate=1e-3, seed=seed) for seed in (1, 2)),
        finished_run("b", 0.5),
    ]
    table = ranked(*((run, by_episode(run, (1 + at) * EPISODES)) for at, run in enumerate(runs)))
    text = (
        page_environment()
        .get_template("open_loop.html.j2")
        .render(evaluated=table, figures=[], anchor="", ranked_class=comparability_classes(runs)[0])
    )
    assert "2 seeds: 0.325, 0.65" in text and "cannot be told apart: errs" in text
    assert text.count("<th>") == 1 + 1 + 2 + 1 and table.paired_sentence.split(";")[0] in text
