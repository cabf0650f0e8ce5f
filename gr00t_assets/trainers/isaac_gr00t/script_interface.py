"""What NVIDIA's fine-tuning script takes on its command line and what it hard-codes, by commit.

The script is read, never imported: importing it takes torch and a GPU's libraries.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from gr00t_assets.core.errors import TrainingError

TRANSFORMERS_DEFAULTS: Mapping[str, Any] = {
    "lr_scheduler_type": "linear",
    "seed": 42,
    "logging_steps": 500,
    "gradient_accumulation_steps": 1,
    "save_total_limit": None,
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "adam_epsilon": 1e-8,
    "max_grad_norm": 1.0,
}
"""What ``TrainingArguments`` of transformers 4.51 takes where the script says nothing."""


@dataclass(frozen=True)
class ScriptInterface:
    """The command line of one version of ``scripts/gr00t_finetune.py``.

    Attributes:
        defaults: Every argument that has a default, by its name in ``ArgsConfig``.
        choices: The values of an argument that takes no others.
        fixed: What the script hard-codes of transformers' ``TrainingArguments``.
    """

    defaults: Mapping[str, Any]
    choices: Mapping[str, tuple[Any, ...]]
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def takes(self, name: str, value: Any) -> bool:
        """Whether the command line has an argument, and the argument a value."""
        return name in self.defaults and value in self.choices.get(name, (value,))

    def hard_coded(self, name: str) -> Any:
        """What the script trains with in place of a setting that it has no argument for.

        Raises:
            KeyError: transformers has no such setting that this module knows.
        """
        return self.fixed[name] if name in self.fixed else TRANSFORMERS_DEFAULTS[name]


RELEASE = ScriptInterface(
    defaults={
        "output_dir": "/tmp/gr00t",
        "base_model_path": "nvidia/GR00T-N1.5-3B",
        "data_config": "fourier_gr1_arms_only",
        "embodiment_tag": "new_embodiment",
        "video_backend": "decord",
        "num_gpus": 1,
        "batch_size": 32,
        "max_steps": 10000,
        "learning_rate": 1e-4,
        "save_steps": 1000,
        "report_to": "wandb",
        "tune_llm": False,
        "tune_visual": False,
        "tune_projector": True,
        "tune_diffusion_model": True,
        "lora_rank": 0,
        "lora_alpha": 16,
        "lora_dropout": 0.1,
        "lora_full_model": False,
        "warmup_ratio": 0.05,
        "weight_decay": 1e-5,
        "dataloader_num_workers": 8,
        "balance_dataset_weights": True,
        "balance_trajectory_weights": True,
        "resume": False,
    },
    choices={
        "report_to": ("wandb", "tensorboard"),
        "video_backend": ("decord", "torchvision_av"),
    },
    fixed={
        "lr_scheduler_type": "cosine",
        "seed": 42,
        "logging_steps": 10.0,
        "gradient_accumulation_steps": 1,
        "save_total_limit": 8,
        "adam_beta1": 0.95,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-8,
    },
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
        raise TrainingError(
            str(script),
            "this is not the fine-tuning script of GR00T N1.5.",
            [
                "expected a class ArgsConfig with the script's arguments",
                "check out a commit of the N1.5 line, such as a86e915",
            ],
        )
    defaults: dict[str, Any] = {}
    choices: dict[str, tuple[Any, ...]] = {}
    for node in arguments.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        is_constant, value = _constant(node.value)
        if is_constant:
            defaults[node.target.id] = value
        literals = _literals(node.annotation)
        if literals:
            choices[node.target.id] = literals
    return ScriptInterface(defaults, choices, _fixed(tree))


def flag(name: str, value: Any) -> tuple[str, ...]:
    """A flag as tyro takes it: a switch's name alone, or with ``no`` before it.

    Example:
        >>> flag("tune_llm", False), flag("learning_rate", 0.0005)
        (('--no-tune-llm',), ('--learning-rate', '5e-4'))
    """
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return (f"--{dashed}",) if value else (f"--no-{dashed}",)
    return (f"--{dashed}", number(value) if isinstance(value, float) else str(value))


def number(value: float) -> str:
    """A number as a person writes it, and exactly the same number.

    Example:
        >>> [number(value) for value in (0.0005, 2.5e-4, 1e-5, 0.01, 0.0, 0.05)]
        ['5e-4', '2.5e-4', '1e-5', '0.01', '0.0', '0.05']
    """
    if value == 0 or abs(value) >= 0.01:
        return repr(value)
    _, digits, _ = Decimal(repr(value)).normalize().as_tuple()
    exponent = Decimal(repr(value)).adjusted()
    mantissa = "".join(str(digit) for digit in digits)
    point = f"{mantissa[0]}.{mantissa[1:]}" if len(mantissa) > 1 else mantissa
    return f"{'-' if value < 0 else ''}{point}e{exponent}"


def _literals(annotation: ast.expr) -> tuple[Any, ...]:
    """The values of ``Literal["a", "b"]``; nothing where they are not written out."""
    if not isinstance(annotation, ast.Subscript) or not isinstance(annotation.value, ast.Name):
        return ()
    if annotation.value.id != "Literal":
        return ()
    is_constant, value = _constant(annotation.slice)
    if not is_constant:
        return ()
    return value if isinstance(value, tuple) else (value,)


def _fixed(tree: ast.Module) -> dict[str, Any]:
    fixed: dict[str, Any] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id != "TrainingArguments":
            continue
        for keyword in node.keywords:
            is_constant, value = _constant(keyword.value)
            if is_constant and keyword.arg and keyword.arg in TRANSFORMERS_DEFAULTS:
                fixed[keyword.arg] = value
    return fixed


def _constant(node: ast.expr | None) -> tuple[bool, Any]:
    """Whether an expression is written out as a value, and the value."""
    if node is None:
        return False, None
    try:
        return True, ast.literal_eval(node)
    except ValueError:
        return False, None
