"""Plans: balanced, reproducible, blind, and never overwritten."""

from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gr00t_assets.core.errors import TrialsError
from gr00t_assets.core.project import Store
from gr00t_assets.evaluation.trials.plan import (
    TrialPlan,
    load_plan,
    make_plan,
    model_to_serve,
    publish_plan,
    read_conditions,
    trials_folder,
)
from gr00t_assets_tests.evaluation.trials.conftest import PlanMaker, weights


def blocks(plan: TrialPlan) -> list[str]:
    """The letters of each block, in order."""
    count = len(plan.policies)
    trials = plan.trials
    rows = [trials[start : start + count] for start in range(0, len(trials), count)]
    assert all(len({(item.condition, item.repeat) for item in row}) == 1 for row in rows)
    return ["".join(item.letter for item in row) for row in rows]


@pytest.mark.parametrize("policies", [1, 2, 3, 4, 5])
def test_every_policy_is_tried_alike(planned: PlanMaker, policies: int) -> None:
    plan = planned(policies, 2 * policies, repeats=3)
    letters = "ABCDE"[:policies]
    rows = blocks(plan)
    assert all(sorted(row) == list(letters) for row in rows)
    tried = Counter((item.letter, item.condition, item.repeat) for item in plan.trials)
    assert len(tried) == len(plan.trials) == policies * 2 * policies * 3
    places: dict[int, Counter[str]] = defaultdict(Counter)
    for row in rows:
        places.update({place: places[place] + Counter(row[place]) for place in range(policies)})
    assert all(set(counts.values()) == {6} for counts in places.values())
    follows = Counter(row[place : place + 2] for row in rows for place in range(policies - 1))
    assert len(set(follows.values())) <= 1 and len(follows) == policies * (policies - 1)
    assert [item.order for item in plan.trials] == list(range(1, len(plan.trials) + 1))


def test_two_policies_swap_who_is_first(planned: PlanMaker) -> None:
    first = [row[0] for row in blocks(planned(2, 40))]
    assert all(set(first[at : at + 2]) == {"A", "B"} for at in range(0, 40, 2))
    assert len(set(zip(first[::2], first[1::2], strict=True))) == 2


def test_a_seed_gives_the_same_plan_again(store: Store) -> None:
    models = [weights(store.root, name) for name in ("one", "two", "three")]

    def made(seed: int) -> TrialPlan:
        return make_plan("x", models, [""] * 9, 2, seed, store)

    assert made(3).trials == made(3).trials and made(3).policies == made(3).policies
    assert len({made(seed).trials for seed in range(8)}) == 8
    assert len({tuple(item.name for item in made(seed).policies) for seed in range(40)}) == 6


def test_what_the_scorer_gets_does_not_tell_the_policies(store: Store) -> None:
    models = [weights(store.root, name) for name in ("low-rate", "high-rate")]
    plan = make_plan("arm", models, ["=left, far", ""], 1, 1, store)
    folder = publish_plan(plan, store)
    assert sorted(path.name for path in folder.iterdir()) == ["outcomes.csv", "plan.json"]
    text = plan.sheet_path(store).read_text()
    assert "rate" not in text and text.count('"\'=left, far"') == 2
    assert load_plan("arm", store) == plan


def test_nothing_is_overwritten(planned: PlanMaker, store: Store) -> None:
    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in store.root.rglob("[!.]*") if path.is_file()}

    plan = planned()
    files = content()
    with pytest.raises(TrialsError, match="already"):
        publish_plan(plan.model_copy(update={"seed": 8}), store)
    assert content() == files


def test_what_cannot_be_planned_is_said_at_once(store: Store) -> None:
    one, same = weights(store.root, "one", b"w"), weights(store.root, "two", b"w")
    with pytest.raises(TrialsError) as error:
        make_plan("x", [one, same], [""] * 5000, 1, 0, store)
    assert "two has the same weights as one" in str(error.value)
    assert "10,000 trials; at most 5,000" in str(error.value)
    with pytest.raises(TrialsError, match="0 policies"):
        make_plan("x", [], [""], 1, 0, store)
    with pytest.raises(TrialsError, match="27 policies"):
        make_plan("x", [one] * 27, [""], 1, 0, store)
    with pytest.raises(TrialsError, match="allowed are letters"):
        trials_folder("../x", store)


def test_conditions_are_a_number_or_lines_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "conditions.txt"
    file.write_text("\ufeff# cans\nleft\n\n  right side \n", encoding="utf-8")
    assert read_conditions(str(file)) == ("left", "right side")
    assert read_conditions("3") == ("", "", "")
    file.write_text("# nothing\n")
    for wrong in ("0", "-1", "5001", "none.txt", str(file), str(tmp_path)):
        with pytest.raises(TrialsError):
            read_conditions(wrong)


def test_a_plan_that_was_edited_is_refused(planned: PlanMaker, store: Store) -> None:
    planned()
    path = trials_folder("arm", store) / "plan.json"
    path.write_text(path.read_text().replace('"letter": "A"', '"letter": "B"', 1))
    with pytest.raises(TrialsError, match="edited by hand"):
        load_plan("arm", store)
    with pytest.raises(TrialsError, match="did you mean 'arm'"):
        load_plan("arms", store)
    for name in ("../x", ""):
        with pytest.raises(TrialsError, match=r"no trials of this name\.\n  known: arm"):
            load_plan(name, store)


def test_other_weights_than_planned_are_not_served(planned: PlanMaker, store: Store) -> None:
    planned()
    for reference in ("trial:arm:C", "trial:arm", "trial:arm:"):
        with pytest.raises(TrialsError, match="known: A, B"):
            model_to_serve(reference, store)
    # Folders of weights alone are no run, so that they cannot be opened.
    with pytest.raises(TrialsError, match=r"policy A .*cannot be opened") as error:
        model_to_serve("trial:arm:a", store)
    assert "policy-" not in str(error.value)


def test_of_many_who_take_a_name_one_has_it(planned: PlanMaker, store: Store) -> None:
    plan = planned().model_copy(update={"name": "other"})

    def publish(seed: int) -> bool:
        try:
            publish_plan(plan.model_copy(update={"seed": seed}), store)
        except TrialsError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = [seed for seed, done in enumerate(pool.map(publish, range(8))) if done]
    assert [load_plan("other", store).seed] == won
