"""Runs, factors, changes and losses in words."""

import math
from collections.abc import Callable, Sequence

from gr00t_assets.comparison.contrasts.contrast import Change
from gr00t_assets.comparison.formatting import loss_text
from gr00t_assets.comparison.run import Run
from gr00t_assets.core.units import shown_setting

_QUESTIONS = {
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
    return _QUESTIONS.get(factor, f"Does {factor} matter?")


def factor_words(factor: str) -> str:
    """A factor as it is read: ``batch_size`` is "batch size"."""
    return factor.replace("_", " ")


def value_words(value: object) -> str:
    """A value in a sentence; unknown where its source does not say.

    Parts that are trained are joined so that commas stay commas.

    Example:
        >>> value_words("projector, diffusion model"), value_words(2000), value_words(5e-4)
        ('projector + diffusion model', '2,000', '5e-4')
    """
    if value is None:
        return "unknown"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return shown_setting(value).replace(", ", " + ")


def label(run: Run) -> str:
    """What people call a run: its experiment's name in a store, its id elsewhere."""
    return run.name if run.source == "store" else run.run_id


def group_label(runs: Sequence[Run]) -> str:
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


def listed(items: Sequence[str]) -> str:
    """Items with commas and a last ``and``.

    Example:
        >>> listed(["a", "b", "c"]), listed(["a"]), listed([])
        ('a, b and c', 'a', '')
    """
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def names_in_words(names: Sequence[str], most: int = 12) -> str:
    """Names with commas, and how many more where there are many.

    Example:
        >>> names_in_words(["a", "b", "c", "d"], most=2)
        'a, b and 2 more'
    """
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most:,} more"


def run_loss_words(run: Run) -> str:
    """The loss of one run with its standard error; '' where it has none."""
    return loss_text(run.loss.mean, run.loss.standard_error) if run.loss else ""


def loss_words(runs: Sequence[Run]) -> str:
    """The loss of replicates with its error: within the run of one, their mean of several."""
    losses = [run.loss for run in runs if run.loss]
    if not losses:
        return "none"
    if len(losses) == 1:
        return loss_text(losses[0].mean, losses[0].standard_error)
    logs = [math.log(loss.mean) for loss in losses]
    middle = sum(logs) / len(logs)
    spread = math.sqrt(sum((value - middle) ** 2 for value in logs) / (len(logs) - 1))
    errors = [loss.standard_error / loss.mean for loss in losses if loss.standard_error is not None]
    within = math.sqrt(sum(error**2 for error in errors)) / len(logs)
    mean = math.exp(middle)
    return loss_text(mean, mean * max(spread / math.sqrt(len(logs)), within))


def status_words(run: Run) -> str:
    """Why a run is not ranked.

    Example:
        ``unfinished, at step 8,600 of 10,000``
    """
    if run.status == "finished":
        return "finished, without a loss"
    if run.steps is not None and run.max_steps:
        return f"{run.status}, at step {run.steps:,} of {run.max_steps:,}"
    return run.status


def not_ranked_reason(run: Run) -> str:
    """Why a run is not ranked, with what is known of its loss and its author's note."""
    parts = [status_words(run)]
    if run.loss:
        text = f"its loss on the way, {run_loss_words(run)}, is "
        if run.loss.kind == "one logged value":
            text += "one logged value of a noisy curve, not smoothed"
        else:
            text += f"a mean over {run.loss.samples:,} samples"
        parts.append(text)
    elif run.status != "finished":
        parts.append("no loss")
    parts += [run.note] if run.note else []
    parts += list(run.problems)
    return "; ".join(part.rstrip(".") for part in parts) + "."


def both_sides(change: Change) -> str:
    """A change with the values of both sides: ``samples_seen (1,000 against 8,000)``."""
    return f"{change.factor} ({value_words(change.low)} against {value_words(change.high)})"


def other_than(change: Change) -> str:
    """A change as what one run has otherwise than another: ``batch_size 5, not 32``."""
    return f"{change.factor} {value_words(change.high)}, not {value_words(change.low)}"


def low_to_high(change: Change) -> str:
    """A change as it is read: ``batch size 1 to 8``."""
    low, high = value_words(change.low), value_words(change.high)
    return f"{factor_words(change.factor)} {low} to {high}"


def in_words(changes: Sequence[Change], form: Callable[[Change], str] = both_sides) -> str:
    """Changes in a row, each in a form such as :func:`both_sides`.

    Example:
        >>> in_words([Change("samples_seen", 1000, 8000)])
        'samples_seen (1,000 against 8,000)'
    """
    return listed([form(change) for change in changes])
