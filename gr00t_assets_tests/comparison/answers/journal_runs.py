"""The journal's runs, read from the repository's table alone, and shortcuts to what is said."""

from functools import cache
from pathlib import Path

import gr00t_assets
from gr00t_assets.comparison.comparison import Comparison, compare
from gr00t_assets.comparison.curves import Loss
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.effects import Pair, nearest_pairs
from gr00t_assets.comparison.statistics.factors import configurations
from gr00t_assets.comparison.tables.runs_table import read_table

TABLE = Path(gr00t_assets.__file__).parents[1] / "data" / "examples" / "journal" / "runs.csv"
FRAMES = {"robot_sim.PickNPlace": 2096}


@cache
def journal() -> tuple[Run, ...]:
    return tuple(read_table(TABLE, FRAMES))


@cache
def comparison() -> Comparison:
    return compare(journal())


def run(run_id: str) -> Run:
    return next(one for one in journal() if one.run_id == run_id)


def loss_of(one: Run) -> Loss:
    assert one.loss is not None
    return one.loss


def epochs_of(one: Run) -> float:
    assert one.epochs is not None
    return one.epochs


def answer_to(factor: str):
    return next(one for one in comparison().answers if one.factor == factor)


def pair(factor: str, *names: str) -> Pair:
    """Two runs, with all that differs between them."""
    found = nearest_pairs(configurations([run(name) for name in names]), factor)[0]
    assert set(found.runs) == set(names)
    return found


def places() -> dict[str, list[str]]:
    """Run ids in order of their places, by the run in the first place."""
    rankings = [[place.run.run_id for place in item.ranking] for item in comparison().classes]
    return {found[0]: found for found in rankings if found}


def not_ranked() -> dict[str, str]:
    return {entry["run_id"]: entry["reason"] for entry in comparison().to_json()["not_ranked"]}


def planned(name: str, settings: dict, status: str = "missing", of: str = "ch7f65x3") -> Run:
    """A run that was not made: another one's with other settings."""
    model = run(of)
    return Run(
        run_id=name,
        name=name,
        source="table",
        status=status,
        settings={**model.settings, **settings},
        data=model.data,
        frames=model.frames,
        steps=model.steps,
        max_steps=model.max_steps,
        samples_seen=model.samples_seen,
        loss=model.loss,
    )
