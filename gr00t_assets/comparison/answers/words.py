"""Runs, losses and values in words."""

import math
from collections.abc import Sequence

from gr00t_assets.comparison.contrasts.contrast import Change
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.contrasts.reasons import shown as plain
from gr00t_assets.comparison.findings import loss_text, names_in_words

QUESTIONS = {
    "learning_rate": "Does another learning rate help?",
    "batch_size": "Does batch size help?",
    "max_steps": "Do more steps help?",
    "warmup_ratio": "Does warm-up help?",
    "weight_decay": "Does weight decay help?",
    "trainable_parts": "Does training more parts help?",
    "lr_scheduler_type": "Does another scheduler help?",
    "seed": "How much does the seed matter?",
    "samples_seen": "Do more samples help?",
}


def question_words(factor: str) -> str:
    """The question that is asked of a factor.

    Example:
        >>> question_words("batch_size"), question_words("adam_beta1")
        ('Does batch size help?', 'Does adam_beta1 matter?')
    """
    return QUESTIONS.get(factor, f"Does {factor} matter?")


def shown(value: object) -> str:
    """A value in a sentence; parts that are trained are joined so that commas stay commas.

    Example:
        >>> shown("projector, diffusion model"), shown(2000), shown(5e-4)
        ('projector + diffusion model', '2,000', '5e-4')
    """
    return plain(value).replace(", ", " + ")


def label(run: Observation) -> str:
    """What people call a run: its experiment's name in a store, its id elsewhere."""
    return run.name if run.source == "store" else run.run_id


def group_label(runs: Sequence[Observation]) -> str:
    """What people call replicates.

    Example:
        Three seeds of one configuration are ``lr-seed1, lr-seed2 and lr-seed3``.
    """
    names = list(dict.fromkeys(label(run) for run in runs))
    if len(names) == 1:
        return names[0] if len(runs) == 1 else f"{names[0]} ({len(runs)} runs)"
    if len(names) > 4:
        return names_in_words(names, 3)
    return listed(names)


def listed(words: Sequence[str]) -> str:
    """Words with commas and a last ``and``.

    Example:
        >>> listed(["a", "b", "c"]), listed(["a"]), listed([])
        ('a, b and c', 'a', '')
    """
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def loss_words(runs: Sequence[Observation]) -> str:
    """The loss of replicates with its error: within the run of one, their mean of several."""
    losses = [run.loss for run in runs if run.loss]
    if not losses:
        return "none"
    if len(losses) == 1:
        return loss_text(losses[0].mean, losses[0].standard_error)
    logs = [math.log(loss.mean) for loss in losses]
    mean = math.exp(sum(logs) / len(logs))
    middle = sum(logs) / len(logs)
    spread = math.sqrt(sum((value - middle) ** 2 for value in logs) / (len(logs) - 1))
    within = math.sqrt(sum((loss.standard_error / loss.mean) ** 2 for loss in losses)) / len(logs)
    return loss_text(mean, mean * max(spread / math.sqrt(len(logs)), within))


def sides_words(changes: Sequence[Change]) -> str:
    """Changes with the values of both sides.

    Example:
        >>> sides_words([Change("samples_seen", 1000, 8000)])
        'samples_seen (1,000 against 8,000)'
    """
    return listed([f"{one.factor} ({shown(one.low)} against {shown(one.high)})" for one in changes])


def times(ratio: float) -> str:
    """A ratio of losses to two digits.

    Example:
        >>> times(0.3687), times(12.04)
        ('0.37', '12')
    """
    return f"{ratio:.2g}" if 1e-2 <= ratio < 100 else f"{ratio:.1e}"


def percent(log_spread: float) -> str:
    """A spread of the log loss as a share.

    Example:
        >>> percent(0.08)
        '8.3 percent'
    """
    return f"{100 * math.expm1(log_spread):.2g} percent"
