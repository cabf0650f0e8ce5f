"""The next experiments of a search, from runs whose losses have a known lowest place."""

import math
import statistics

import pytest
import yaml

from gr00t_assets.comparison.all_runs import from_stored_run
from gr00t_assets.core.errors import SweepError
from gr00t_assets.experiments.new_sweep import write_sweep
from gr00t_assets.planning.suggestions import Objective, gather, read_space, suggest, suggest_sweep
from gr00t_assets.runs.stored_run import read_runs
from gr00t_assets_tests.experiments.sweep_texts import load_sweeps

RANDOM = """\
random:
  name: find-{index}
  count: 12
  seed: 3
  hyperparameters:
    learning_rate: {distribution: log_uniform, low: 1e-5, high: 1e-2}
"""

BEST = 3e-4


def loss(learning_rate: float) -> float:
    return 0.05 + 0.2 * math.log10(learning_rate / BEST) ** 2


def finals(sweep) -> dict[str, float]:
    return {item.name: loss(item.hyperparameters.learning_rate) for item in sweep.experiments}


def evidence_of(name: str, project, objective: Objective = "loss"):
    space = read_space(name)
    experiments = [item for sweep in load_sweeps().values() for item in sweep.experiments]
    runs = [from_stored_run(run) for run in read_runs(experiments, project.store)]
    return space, gather(space, runs, project.store, objective)


def test_suggestions_gather_where_the_loss_is_low(project):
    sweep = project.sweep("find", RANDOM)
    project.trained(sweep, finals(sweep))
    space, evidence = evidence_of("find", project)
    assert [run.state for run in evidence] == ["finished"] * 12
    drawn = [item.hyperparameters.learning_rate for item in sweep.experiments]
    found = [values["learning_rate"] for values in suggest(space, evidence, 8, seed=0)]

    def far(rates: list[float]) -> float:
        return statistics.median(abs(math.log10(rate / BEST)) for rate in rates)

    assert far(found) < 0.75 * far(drawn)
    assert all(1e-5 <= rate <= 1e-2 for rate in found)
    assert len(set(found)) == 8


def test_the_same_runs_and_seed_suggest_the_same_and_another_seed_others(project):
    sweep = project.sweep("find", RANDOM)
    project.trained(sweep, finals(sweep))
    space, evidence = evidence_of("find", project)
    assert suggest(space, evidence, 3, seed=1) == suggest(space, evidence, 3, seed=1)
    assert suggest(space, evidence, 3, seed=1) != suggest(space, evidence, 3, seed=2)


def test_what_has_been_run_or_asked_for_is_never_suggested(project):
    text = """\
random:
  name: find-{index}
  count: 3
  hyperparameters:
    batch_size: [2, 4, 8, 16, 32]
"""
    sweep = project.sweep("find", text)
    project.trained(sweep, {sweep.experiments[0].name: 0.2})
    space, evidence = evidence_of("find", project)
    asked = {item.hyperparameters.batch_size for item in sweep.experiments}
    found = {values["batch_size"] for values in suggest(space, evidence, 9, seed=0)}
    assert found == {2, 4, 8, 16, 32} - asked, "both that are left, and no more"
    project.sweep("all", text.replace("find-", "all-").replace("count: 3", "count: 5"))
    with pytest.raises(SweepError, match="every combination"):
        suggest(*evidence_of("find", project), 1, seed=0)


def test_runs_of_other_settings_or_another_class_are_not_told(project):
    sweep = project.sweep("find", RANDOM)
    project.trained(sweep, finals(sweep))
    other = project.sweep(
        "other",
        """\
experiments:
  - {name: longer, hyperparameters: {max_steps: 400, learning_rate: 1e-3}}
  - {name: replicate, hyperparameters: {learning_rate: 1e-3, seed: 5}}
  - {name: revised, hyperparameters: {learning_rate: 2e-3}}
""",
    )
    project.trained(other, {"longer": 0.001, "replicate": 0.2})
    project.trained(other, {"revised": 0.001}, trainer_revision="9.9.9")
    _, evidence = evidence_of("find", project)
    states = {run.name: run.state for run in evidence}
    assert states["replicate"] == "finished" and "longer" not in states
    assert states["revised"] == "of another class"


def test_pruned_and_failed_runs_are_told_as_what_they_are(project):
    sweep = project.sweep("find", RANDOM)
    first, second, third, *_ = [item.name for item in sweep.experiments]
    project.trained(sweep, {first: 0.3})
    project.trained(sweep, {second: 0.9}, status="pruned", failure="pruned", steps=100)
    project.trained(sweep, {third: 0.9}, status="failed", failure="nan")
    _, evidence = evidence_of("find", project)
    states = {run.name: run.state for run in evidence}
    assert (states[first], states[second], states[third]) == ("finished", "pruned", "failed")
    assert list(states.values()).count("running") == 9, "asked for and not yet begun"
    suggest(*evidence_of("find", project), 2, seed=0)


def test_open_loop_takes_only_what_was_evaluated(project):
    sweep = project.sweep("find", RANDOM)
    project.trained(sweep, finals(sweep))
    _, evidence = evidence_of("find", project, "open-loop")
    assert [run.state for run in evidence] == ["without an evaluation that can be read"] * 12


def test_values_of_a_run_that_was_not_evaluated_are_taken(project):
    text = "random:\n  {name: find-{index}, count: 3, hyperparameters: {batch_size: [2, 4, 8]}}\n"
    sweep = project.sweep("find", text.replace("find-{index}", "'find-{index}'"))
    project.trained(sweep, {item.name: 0.2 for item in sweep.experiments})
    with pytest.raises(SweepError, match="every combination"):
        suggest(*evidence_of("find", project, "open-loop"), 1, seed=0)


def test_a_new_file_has_the_defaults_of_the_searched_one(project):
    sweep = project.sweep("find", RANDOM + "pruning: {min_steps: 100}\n")
    project.trained(sweep, finals(sweep))
    text, basis = suggest_sweep("find", 2, 0, "loss", "more")
    write_sweep("more", text)
    made = load_sweeps()["more"]
    assert len(made.experiments) == 2
    first = made.experiments[0]
    assert (first.name, first.hyperparameters.max_steps) == ("more-001", 300)
    assert first.pruning is not None and first.pruning.min_steps == 100
    assert "may do better than" in first.hypothesis
    assert text.startswith("# find: 2 suggestions from 12 finished runs")
    assert "the best so far is find-" in basis[1]
    with pytest.raises(SweepError, match="never overwritten"):
        write_sweep("more", suggest_sweep("find", 2, 0, "loss", "more")[0])
    again = yaml.safe_load(suggest_sweep("find", 2, 0, "loss")[0])["experiments"]
    values = [entry["hyperparameters"] for entry in again]
    kept = [item.hyperparameters.learning_rate for item in made.experiments]
    assert not {entry["learning_rate"] for entry in values} & set(kept)


def test_a_sweep_without_choices_is_told_what_to_write(project):
    project.sweep("plain", "experiments:\n  - name: one\n")
    with pytest.raises(SweepError, match="no 'random' section"):
        suggest_sweep("plain", 1, 0, "loss")
