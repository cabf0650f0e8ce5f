"""``continue_from`` in a sweep file."""

from pathlib import Path

import pytest
import yaml

from gr00t_assets.core.errors import SweepError
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.sweeps import load_sweep


def load(folder: Path, *entries: dict[str, object], **top: object) -> dict[str, Experiment]:
    file = folder / "long.yaml"
    content = {
        "defaults": {"dataset": "demo", "hyperparameters": {"batch_size": 8, "max_steps": 100}},
        "experiments": [{"name": "short"}, *entries],
        **top,
    }
    file.write_text(yaml.safe_dump(content))
    return {item.name: item for item in load_sweep(file, ["demo"]).experiments}


def longer(steps: int = 200, name: str = "longer", source: str = "short") -> dict[str, object]:
    return {"name": name, "continue_from": source, "hyperparameters": {"max_steps": steps}}


def test_it_is_the_other_experiment_with_more_steps(tmp_path: Path) -> None:
    found = load(tmp_path, longer())
    short, long = found["short"], found["longer"]
    assert long.hyperparameters == short.hyperparameters.model_copy(update={"max_steps": 200})
    assert (long.continue_from, long.continued_steps) == ("short", (100,))
    assert long.continued() == short


def test_a_chain_remembers_every_run_before_it(tmp_path: Path) -> None:
    found = load(tmp_path, longer(), longer(400, "longest", "longer"))
    longest, long, short = found["longest"], found["longer"], found["short"]
    assert longest.continued_steps == (100, 200)
    source = longest.continued()
    assert source is not None
    assert source.config_hash("d", "m") == long.config_hash("d", "m")
    assert len({item.config_hash("d", "m") for item in (short, long, longest)}) == 3


def test_it_is_not_the_run_that_was_long_from_the_start(tmp_path: Path) -> None:
    straight = {"name": "straight", "hyperparameters": {"max_steps": 200}}
    found = load(tmp_path, longer(), straight)
    assert found["longer"].hyperparameters == found["straight"].hyperparameters
    assert found["longer"].config_hash("d", "m") != found["straight"].config_hash("d", "m")


def test_each_seed_continues_its_own(tmp_path: Path) -> None:
    found = load(tmp_path, longer(), seeds=[0, 1])
    assert found["longer-seed1"].continue_from == "short-seed1"
    assert found["longer-seed1"].hyperparameters.seed == 1


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (longer(100), "max_steps 100 is not more than the 100 of 'short'"),
        (longer(50), "max_steps 50 is not more than the 100 of 'short'"),
        ({"name": "x", "continue_from": "short"}, "give max_steps: 'short' has 100"),
        (longer(source="shot"), "no experiment 'shot' in this file; did you mean 'short'"),
        (longer(name="self", source="self"), "'self' continues itself"),
        (
            {
                "name": "x",
                "continue_from": "short",
                "base_model": "other",
                "hyperparameters": {"max_steps": 200, "learning_rate": 1e-3},
            },
            "base_model is that of 'short'(.|\n)*learning_rate is that of 'short'",
        ),
    ],
)
def test_what_cannot_be_continued_is_refused(
    tmp_path: Path, entry: dict[str, object], message: str
) -> None:
    with pytest.raises(SweepError, match=message):
        load(tmp_path, entry)
