"""What a search may choose from: the ``random`` section of a sweep file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gr00t_assets.core.errors import SweepError
from gr00t_assets.core.yaml_files import load_yaml, shown_path
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.experiments.points import choices
from gr00t_assets.experiments.random_samples import DIGITS, Choice, Distribution
from gr00t_assets.experiments.sweep_file import SweepFile
from gr00t_assets.experiments.sweeps import Sweep, find_sweep, load_sweep, load_sweeps

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Space:
    """The hyperparameters that are searched, and all the others, which stay as they are.

    Attributes:
        sweep: The sweep that it is from.
        content: Its file, read.
        raw: Its file as YAML gives it, for a copy of its defaults.
        choices: By searched hyperparameter a distribution, or the values to choose from.
        fixed: The hyperparameters of every suggestion but for the searched ones.
    """

    sweep: Sweep
    content: SweepFile
    raw: Mapping[str, Any]
    choices: Mapping[str, Choice]
    fixed: Hyperparameters

    def distributions(self) -> "dict[str, BaseDistribution]":
        """The choices as Optuna has them."""
        return {name: _distribution(choice) for name, choice in self.choices.items()}

    def rounded(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Drawn values as they stand in a file: three significant digits, inside the bounds."""
        return {name: _rounded(value, self.choices[name]) for name, value in drawn.items()}

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether a run's values of the searched hyperparameters could have been drawn."""
        return all(_inside(values[name], choice) for name, choice in self.choices.items())


def read_space(name: str) -> Space:
    """The search space of a sweep, by the sweep's name or file.

    Raises:
        SweepError: There is no such sweep, it is wrong, or has no ``random`` section.
    """
    catalog = load_catalog()
    if name.endswith((".yaml", ".yml")):
        sweep = load_sweep(Path(name), catalog)
    else:
        sweep = find_sweep(name, load_sweeps(datasets=catalog))
    raw = load_yaml(sweep.file, SweepError).data
    content = SweepFile.model_validate(raw)
    if content.random is None:
        raise SweepError(
            shown_path(sweep.file),
            "it has no 'random' section, which says what to search and between which bounds.",
            [
                "give one, such as",
                "random:",
                f"  name: {sweep.name}-random-{{index}}",
                "  count: 4",
                "  hyperparameters:",
                "    learning_rate: {distribution: log_uniform, low: 1e-5, high: 1e-3}",
            ],
        )
    found = {key: _typed(key, choice) for key, choice in choices(content).items()}
    fixed = Hyperparameters.model_validate(content.defaults.hyperparameters)
    return Space(sweep, content, raw, found, fixed)


def _typed(name: str, choice: Choice) -> Choice:
    """Listed values in the type of their hyperparameter: YAML reads 3e-4 as a word."""
    if isinstance(choice, Distribution):
        return choice
    return [getattr(Hyperparameters.model_validate({name: value}), name) for value in choice]


def _distribution(choice: Choice) -> "BaseDistribution":
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if not isinstance(choice, Distribution):
        return CategoricalDistribution(choice)
    if choice.distribution == "int_uniform":
        return IntDistribution(int(choice.low), int(choice.high))
    return FloatDistribution(choice.low, choice.high, log=choice.distribution == "log_uniform")


def _rounded(value: Any, choice: Choice) -> Any:
    if not isinstance(choice, Distribution) or choice.distribution == "int_uniform":
        return value
    return min(choice.high, max(choice.low, float(f"{value:.{DIGITS}g}")))


def _inside(value: Any, choice: Choice) -> bool:
    if isinstance(choice, Distribution):
        return choice.low <= value <= choice.high
    return value in choice
