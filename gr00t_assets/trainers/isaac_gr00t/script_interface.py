"""What NVIDIA's fine-tuning script takes on its command line and what it hard-codes, by commit.

The script is read, never imported: importing it takes torch and a GPU's libraries.
"""

import ast
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.trainers.isaac_gr00t.commits import TORCHVISION_AV, revision_of

_RELEASE = yaml.safe_load(Path(__file__).with_name("release_script.yaml").read_bytes())

TRANSFORMERS_DEFAULTS: Mapping[str, Any] = _RELEASE["transformers_defaults"]
"""What ``TrainingArguments`` of transformers 4.51 takes where the script says nothing."""


@dataclass(frozen=True)
class ScriptInterface:
    """The command line of one version of ``scripts/gr00t_finetune.py``."""

    defaults: Mapping[str, Any]  # Every argument that has one, by its name in ``ArgsConfig``
    choices: Mapping[str, tuple[Any, ...]]  # The values of an argument that takes no others
    # What the script hard-codes of transformers' ``TrainingArguments``
    fixed: Mapping[str, Any] = field(default_factory=dict)
    torchvision_av_fixed: bool | None = None  # Whether its commit has the fix; None: not known

    def takes(self, name: str, value: Any) -> bool:
        """Whether the command line has an argument, and the argument a value."""
        return name in self.defaults and value in self.choices.get(name, (value,))


RELEASE = ScriptInterface(
    defaults=_RELEASE["defaults"],
    choices={name: tuple(values) for name, values in _RELEASE["choices"].items()},
    fixed=_RELEASE["fixed"],
)
"""The release of N1.5, commit 5e3ef5e of 2025-06-11; defaults in the order of printed commands."""


def read_interface(script: Path) -> ScriptInterface:
    """Read a version of the script.

    Raises:
        TrainingError: The file cannot be read, or is not the fine-tuning script of N1.5.
    """
    try:
        tree = ast.parse(script.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError) as error:
        raise TrainingError(str(script), "this script cannot be read.", [str(error)]) from error
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    arguments = next((node for node in classes if node.name == "ArgsConfig"), None)
    if arguments is None:
        problem = "this is not the fine-tuning script of GR00T N1.5."
        expected = "expected a class ArgsConfig with the script's arguments"
        remedy = "check out a commit of the N1.5 line, such as a86e915"
        raise TrainingError(str(script), problem, [expected, remedy])
    fields = [
        (node.target.id, node.annotation, node.value)
        for node in arguments.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]
    literals = _constants(
        (name, annotation.slice)
        for name, annotation, _ in fields
        if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Literal"
    ).items()
    fixed = revision_of(script.absolute().parents[1]).fixed
    return ScriptInterface(
        defaults=_constants((name, value) for name, _, value in fields),
        choices={name: value if isinstance(value, tuple) else (value,) for name, value in literals},
        fixed=_constants(
            (keyword.arg, keyword.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "TrainingArguments"
            for keyword in node.keywords
            if keyword.arg in TRANSFORMERS_DEFAULTS
        ),
        torchvision_av_fixed=fixed[TORCHVISION_AV.code],
    )


def flag(name: str, value: Any) -> tuple[str, ...]:
    """A flag as tyro takes it: a switch's name alone, or with ``no`` before it; texts; a mapping.

    Examples:
        >>> flag("tune_llm", False), flag("learning_rate", 0.0005)
        (('--no-tune-llm',), ('--learning-rate', '5e-4'))
        >>> flag("color_jitter_params", {"hue": 0.1})
        ('--color-jitter-params', 'hue', '0.1')
    """
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return (f"--{dashed}",) if value else (f"--no-{dashed}",)
    if isinstance(value, dict):
        value = sum(value.items(), ())
    if isinstance(value, tuple):
        return (f"--{dashed}", *map(str, value))
    return (f"--{dashed}", number(value) if isinstance(value, float) else str(value))


def number(value: float) -> str:
    """A number as a person writes it, and exactly the same number.

    Examples:
        >>> [number(value) for value in (0.0005, 2.5e-4, 1e-5, 0.01, 0.0, 0.05)]
        ['5e-4', '2.5e-4', '1e-5', '0.01', '0.0', '0.05']
    """
    if value == 0 or abs(value) >= 0.01:
        return repr(value)
    return f"{Decimal(repr(value)).normalize():e}"


def _constants(expressions: Iterable[tuple[Any, ast.expr | None]]) -> dict[str, Any]:
    """The values, by name, of expressions that are written out as values."""
    values = {}
    for name, expression in expressions:
        with suppress(ValueError):
            values[name] = ast.literal_eval(expression)  # pyright: ignore[reportArgumentType]
    return values
