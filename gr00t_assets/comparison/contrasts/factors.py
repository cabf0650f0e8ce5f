"""Factors: what may differ between two runs, by name, with a value for each run."""

import difflib
from collections.abc import Mapping, Sequence

from gr00t_assets.comparison.contrasts.observation import TRAINABLE_PARTS, Observation
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.experiments.hyperparameters import Hyperparameters

QUESTIONS = (
    "learning_rate",
    "batch_size",
    "max_steps",
    "warmup_ratio",
    "weight_decay",
    "trainable_parts",
    "lr_scheduler_type",
    "seed",
)
"""Factors that people ask about, in the order in which they are answered."""

IMMATERIAL = frozenset(
    {
        "save_steps",
        "save_total_limit",
        "logging_steps",
        "dataloader_num_workers",
        "report_to",
        "num_gpus",
        "gradient_accumulation_steps",
    }
)
"""Settings that do not change what is learned. Number of GPUs and accumulation count only through
the samples of one step, which are the factor ``batch_size``."""

ALIASES = {
    "lr": "learning_rate",
    "learningrate": "learning_rate",
    "batch": "batch_size",
    "batchsize": "batch_size",
    "bs": "batch_size",
    "samples_per_step": "batch_size",
    "steps": "max_steps",
    "training_steps": "max_steps",
    "warmup": "warmup_ratio",
    "warm_up": "warmup_ratio",
    "warm_up_ratio": "warmup_ratio",
    "wd": "weight_decay",
    "decay": "weight_decay",
    "parts": "trainable_parts",
    "trained_parts": "trainable_parts",
    "trainable": "trainable_parts",
    "full_fine_tuning": "trainable_parts",
    "scheduler": "lr_scheduler_type",
    "schedule": "lr_scheduler_type",
    "lr_scheduler": "lr_scheduler_type",
    "samples": "samples_seen",
    "seeds": "seed",
    "workers": "dataloader_num_workers",
    "gpus": "num_gpus",
    **dict.fromkeys(TRAINABLE_PARTS, "trainable_parts"),
}
"""Other words for factors."""

_PART_WORDS = {
    "tune_llm": "language model",
    "tune_visual": "vision tower",
    "tune_projector": "projector",
    "tune_diffusion_model": "diffusion model",
}
_SCHEDULERS = ("cosine", "linear", "constant", "constant_with_warmup")


def known_factors() -> list[str]:
    """Every factor that may be asked about, those of :data:`QUESTIONS` first."""
    others = [name for name in Hyperparameters.model_fields if name not in TRAINABLE_PARTS]
    return list(dict.fromkeys([*QUESTIONS, *others, "samples_seen"]))


def factor_named(text: str) -> str:
    """The factor that a person means.

    Raises:
        ComparisonError: There is none of that name; the known ones are in the message.

    Example:
        >>> factor_named("steps"), factor_named("Warm-up"), factor_named("lr")
        ('max_steps', 'warmup_ratio', 'learning_rate')
    """
    word = text.strip().lower().replace("-", "_").replace(" ", "_")
    known = known_factors()
    if word in known:
        return word
    if word in ALIASES:
        return ALIASES[word]
    near = difflib.get_close_matches(word, [*known, *ALIASES], n=1)
    details = [f"did you mean {ALIASES.get(near[0], near[0])}?"] if near else []
    details.append(f"factors: {', '.join(known)}")
    raise ComparisonError(text, "this is not a factor.", details)


def factor_value(observation: Observation, factor: str) -> object:
    """The value that a run has of a factor; None where its source does not know it.

    ``batch_size`` is the samples of one optimizer step over all GPUs and accumulated batches, and
    ``trainable_parts`` is in words. Any other name is a setting, or a word of ``data``.
    """
    settings = observation.settings
    match factor:
        case "trainable_parts":
            return trainable_parts(settings)
        case "batch_size":
            return samples_per_step(settings)
        case "samples_seen":
            return samples_seen(observation)
        case "max_steps":
            return settings.get("max_steps", observation.max_steps)
        case "continued_steps":
            return observation.continued_steps
        case "frames":
            return observation.frames
    return settings.get(factor, observation.data.get(factor))


def factors_of(observations: Sequence[Observation]) -> list[str]:
    """Material factors with more than one value among finished runs of the same data and frames.

    Those of :data:`QUESTIONS` come first, in their order.
    """
    from gr00t_assets.comparison.contrasts.configurations import material_settings

    values: dict[tuple[object, str], set[object]] = {}
    for run in observations:
        if run.finished:
            named = material_settings(run) | {"seed": run.settings.get("seed")}
            for name, value in named.items():
                values.setdefault((run.comparable, name), set()).add(value)
    varying = {name for (_, name), found in values.items() if len(found - {None}) > 1}
    order = [*known_factors(), *sorted(varying)]
    return [name for name in dict.fromkeys(order) if name in varying]


def trainable_parts(settings: Mapping[str, object]) -> str:
    """Which weights are trained, in words.

    Example:
        >>> trainable_parts({"tune_projector": True, "tune_diffusion_model": True})
        'projector, diffusion model'
    """
    words = ", ".join(word for name, word in _PART_WORDS.items() if settings.get(name))
    if settings.get("lora_rank"):
        where = "backbone and action head" if settings.get("lora_full_model") else "action head"
        words += f"; LoRA of rank {settings['lora_rank']} on the {where}"
    return words or "none known"


def samples_per_step(settings: Mapping[str, object]) -> int | None:
    """Samples of one optimizer step, over GPUs and accumulated batches; None where unknown."""
    batch = settings.get("batch_size")
    if not isinstance(batch, int):
        return None
    for name in ("gradient_accumulation_steps", "num_gpus"):
        times = settings.get(name, 1)
        batch *= times if isinstance(times, int) else 1
    return batch


def samples_seen(observation: Observation) -> int | None:
    """Samples of all steps done; from steps and batch size where the source does not say."""
    if observation.samples_seen is not None:
        return observation.samples_seen
    per_step = samples_per_step(observation.settings)
    if per_step is None or observation.steps is None:
        return None
    return per_step * observation.steps


def order_of(factor: str, value: object) -> tuple[int, float, str]:
    """What a factor's values are sorted by: numbers by size, words from the usual one on.

    The fewer parts are trained the lower; the scheduler that GR00T uses is the lowest.
    """
    if value is None:
        return (0, 0.0, "")
    if isinstance(value, int | float):
        return (1, float(value), "")
    text = str(value)
    if factor == "trainable_parts":
        return (2, len(text.split(",")), text)
    if factor == "lr_scheduler_type" and text in _SCHEDULERS:
        return (2, _SCHEDULERS.index(text), text)
    return (2, 0.0, text)
