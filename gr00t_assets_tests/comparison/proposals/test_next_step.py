"""What a sweep with ``until`` does next, as the plan, its JSON and the report say it."""

import pytest

from gr00t_assets.cli.sweep_plan import plan_json
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.experiments.sweeps import AskedRound, save_round
from gr00t_assets.planning.proposed_sweep import propose
from gr00t_assets.planning.sweep_plan import make_plan
from gr00t_assets.reporting.report import make_report
from gr00t_assets_tests.comparison.proposals.small_project import SmallProject
from gr00t_assets_tests.experiments.sweep_texts import load_sweeps

SWEEP = """\
experiments:
  - name: low
    hyperparameters: {learning_rate: 1e-4}
  - name: high
    hyperparameters: {learning_rate: 1e-3}
until: {question: learning_rate, max_gpu_hours: 1}
"""
KNOWN = "Until learning_rate is known: "


def words(project: SmallProject) -> str:
    """The same in the plan and on the page."""
    sweeps = load_sweeps()
    plan = make_plan(sweeps["mine"], project.store, "cpu")
    assert plan.next_step is not None
    assert plan_json(plan)["next_step"] == plan.next_step.words
    page = make_report(list(sweeps.values()), project.store).page
    assert KNOWN + plan.next_step.words.split(":")[0].split("(")[0] in page
    return plan.next_step.words


def test_it_waits_and_then_asks_with_the_reason_and_the_hours(project: SmallProject):
    sweep = project.sweep("mine", SWEEP)
    project.trained(sweep, {"low": 0.2})
    assert words(project) == "waits for high"
    project.trained(sweep, {"high": 0.4})
    text = words(project)
    assert text.startswith("asks for 2 runs, about ") and "seed 1, common to all" in text


def test_after_a_round_it_says_that_it_is_settled(project: SmallProject):
    project.trained(project.sweep("mine", SWEEP), {"low": 0.2, "high": 0.4})
    for seed, (low, high) in enumerate([(0.201, 0.402), (0.199, 0.399)], 1):
        names = (f"low-seed{seed}", f"high-seed{seed}")
        asked = AskedRound(asked_at="", experiments=names, chance=None, hours=0.1, reason="")
        save_round("mine", project.store, asked)
        assert words(project) == f"waits for {', '.join(names)}"
        project.trained(load_sweeps()["mine"], dict(zip(names, (low, high), strict=True)))
    assert words(project).startswith("stopped, settled: ")


def test_a_question_that_needs_other_runs_is_handed_to_a_person(project: SmallProject):
    text = SWEEP.replace("learning_rate: 1e-3", "learning_rate: 1e-3, weight_decay: 0.1")
    project.trained(project.sweep("mine", text), {"low": 0.2, "high": 0.4})
    command = "gr00t-assets sweep propose --sweep mine --question learning_rate"
    assert command in words(project)


def test_which_is_best_may_be_asked_on_the_command_line(project: SmallProject):
    project.trained(project.sweep("mine", SWEEP), {"low": 0.2, "high": 0.21})
    text = propose(None, None, "best", "next")
    assert text.count("seed: 1") == 2
    assert text.startswith("# next: 2 experiments that tell of the best configuration.")
    with pytest.raises(ComparisonError, match="not a factor"):
        propose(None, None, "bset", "next")
