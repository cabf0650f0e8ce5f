"""Numbers, runs, factors, changes and losses as people read them."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import yaml

from gr00t_assets.comparison.run import Change, Run, grouped
from gr00t_assets.comparison.statistics.factors import Configuration, Spread
from gr00t_assets.comparison.statistics.ranking import RankedConfiguration
from gr00t_assets.core.text import counted, shown_setting

SENTENCES: dict[str, dict[str, str]] = yaml.safe_load(
    Path(__file__).with_name("sentences.yaml").read_text(encoding="utf-8")
)  # What is said, for ``str.format``, by its kind and what it is said of


def chance_words(chance: float) -> str:
    """A chance in percent.

    Examples:
        >>> chance_words(0.734), chance_words(0.001), chance_words(0.9999)
        ('73 %', '< 1 %', '> 99 %')
    """
    percent = round(100 * chance)
    return "< 1 %" if percent < 1 else "> 99 %" if percent > 99 else f"{percent} %"


def hours_words(hours: float) -> str:
    """Hours to two digits at least; '' where there are none.

    Examples:
        >>> hours_words(4), hours_words(0.0123), hours_words(0)
        ('4.00', '0.012', '')
    """
    return "" if not hours else f"{hours:,.2f}" if hours >= 0.1 else f"{hours:.2g}"


def result_words(run: Run) -> str:
    """Loss with its error, where in the run it is, epochs, and whether it still falls."""
    if run.loss is None:
        return f"{run.status}; no loss"
    text = f"loss {loss_words([run])} ({run.loss.kind} over {run.loss.samples:,} samples)"
    if run.steps:
        asked = f" of {run.max_steps:,}" if run.max_steps and run.max_steps != run.steps else ""
        text += f" at step {run.steps:,}{asked}"
    if run.samples_seen:
        text += f", {run.samples_seen:,} samples"
    if run.epochs is not None:
        text += f", {shown(run.epochs, 'epochs')} epochs"
    if run.curve is not None and run.finished:
        text += f"; {run.end_trend.words}"
    return text if run.status == "finished" else f"{run.status}: {text} so far"


def hours_unit(runs: Sequence[Run]) -> str:
    """The unit of hours of runs like these."""
    on_cpu = bool(runs) and all(run.gpu_hours == 0 for run in runs)
    return "hours of a CPU" if on_cpu else "GPU-hours"


MOST_TIMES = 10.0  # An interval whose high end is more times its low end says nothing
_SHOWN: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(("logged_step", "max_steps", "samples_seen"), "{:,.0f}".format),
    "epochs": lambda value: f"{value:.2f}" if value < 100 else f"{value:,.0f}",
    "samples_per_second": lambda value: f"{value:,.0f}" if value >= 100 else f"{value:.1f}",
    **dict.fromkeys(("gpu_hours", "cpu_hours"), hours_words),
    "chance_best": chance_words,
}  # By column how a value is written; any other is written as in a sweep file


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def shown(value: Any, column: str) -> str:
    """A value of a table of runs in the form that suits its column; '' where it is missing.

    Examples:
        >>> shown(16768, "samples_seen"), shown(0.0001, "learning_rate"), shown(3.841, "epochs")
        ('16,768', '1e-4', '3.84')
    """
    return "" if _is_missing(value) else _SHOWN.get(column, shown_setting)(value)


def plain(value: object) -> Any:
    """A value that JSON has; None where it is missing or not finite, anything else in words."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str) else str(value)


def loss_text(mean: float, standard_error: Any) -> str:
    """A loss with as many decimals as two digits of its standard error have.

    Examples:
        >>> loss_text(0.058519, 0.00213), loss_text(1.25717, 0.0312), loss_text(0.0585, None)
        ('0.0585 ± 0.0021', '1.257 ± 0.031', '0.0585 ± ?')
    """
    if _is_missing(standard_error):
        return f"{mean:.3g} ± ?"
    error = f"{standard_error:#.2g}".rstrip(".")
    if not standard_error > 0:
        return f"{mean:.4g} ± {error}"
    exponent = int(f"{standard_error:.1e}".partition("e")[2])
    return f"{mean:.{max(0, min(8, 1 - exponent))}f} ± {error}"


def times(ratio: float) -> str:
    """A ratio of losses to two digits, near 1 to two decimals.

    Examples:
        >>> times(1.5849), times(0.9963), times(0.0123)
        ('1.6', '1.00', '0.012')
    """
    if 0.95 < ratio < 1.05:
        return f"{ratio:.2f}"
    return f"{ratio:.2g}" if 1e-2 <= ratio < 100 else f"{ratio:.1e}"


def factor_words(factor: str) -> str:
    """A factor as it is read: ``batch_size`` is "batch size"."""
    return factor.replace("_", " ")


def value_words(value: object) -> str:
    """A value in a sentence; unknown where its source does not say.

    Parts that are trained are joined so that commas stay commas.

    Examples:
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


def first_label(runs: Sequence[Run]) -> str:
    """What people call the first of replicates, and how many: ``lr-seed1 (4 runs of 2 seeds)``."""
    if len(runs) == 1:
        return label(runs[0])
    seeds = len(Configuration(tuple(runs), {}).by_seed)
    of_seeds = f" of {counted(seeds, 'seed')}" if seeds < len(runs) else ""
    return f"{label(runs[0])} ({len(runs)} runs{of_seeds})"


def group_label(runs: Sequence[Run]) -> str:
    """What people call replicates: ``lr-seed1, lr-seed2 and lr-seed3``, or ``lr (3 runs)``."""
    names = list(dict.fromkeys(map(label, runs)))
    if len(names) == 1:
        return first_label(runs)
    return names_in_words(names, 3) if len(names) > 4 else listed(names)


def listed(items: Sequence[str]) -> str:
    """Items with commas and a last ``and``.

    Examples:
        >>> listed(["a", "b", "c"]), listed(["a"]), listed([])
        ('a, b and c', 'a', '')
    """
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def names_in_words(names: Sequence[str], most: int = 12) -> str:
    """Names with commas, and how many more where there are many.

    Examples:
        >>> names_in_words(["a", "b", "c", "d"], most=2)
        'a, b and 2 more'
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def said_once(remarks: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Each sentence once, in order of first appearance; whose it is where not everyone's.

    Examples:
        >>> said_once([("a", ["One seed.", "No GPU."]), ("b", ["One seed."])])
        ['One seed.', 'a: No GPU.']
    """
    pairs = [(name, sentence) for name, sentences in remarks for sentence in sentences]
    return [
        sentence
        if len(of) == len(remarks)
        else f"{names_in_words([name for name, _ in of], 4)}: {sentence}"
        for sentence, of in grouped(pairs, lambda pair: pair[1]).items()
    ]


def loss_words(runs: Sequence[Run]) -> str:
    """The loss of replicates with its error, within the run of one; '' where none has a loss."""
    losses = [run.loss for run in runs if run.loss]
    if len(losses) < 2:
        return loss_text(losses[0].mean, losses[0].standard_error) if losses else ""
    logs = [math.log(loss.mean) for loss in losses]
    errors = [loss.standard_error / loss.mean for loss in losses if loss.standard_error is not None]
    mean, within = math.exp(fmean(logs)), math.hypot(*errors) / len(logs)
    return loss_text(mean, mean * max(stdev(logs) / math.sqrt(len(logs)), within))


def loss_and_interval(ranked: RankedConfiguration) -> tuple[str, str]:
    """The loss and its interval between runs; where that says nothing, the loss ± its error."""
    if ranked.interval is None or ranked.interval[1] > MOST_TIMES * ranked.interval[0]:
        return loss_words(ranked.runs), ""
    low, high = (f"{end:.3g}" for end in ranked.interval)
    return f"{ranked.loss.mean:.3g}", f"{low} to {high}"


def spread_words(spread: Spread) -> str:
    """How much two runs of one configuration differ, and where that is known from."""
    percent = "" if spread.percent is None else percent_words(spread.percent)
    return SENTENCES["spreads"][spread.source].format(percent=percent, runs=spread.runs)


def percent_words(percent: float) -> str:
    """A percentage to two digits.

    Examples:
        >>> percent_words(4.831), percent_words(623.4), percent_words(0.0314)
        ('4.8', '620', '0.031')
    """
    return f"{float(f'{percent:.2g}'):,.10g}"


def status_words(run: Run) -> str:
    """Why a run is not ranked, such as ``unfinished, at step 8,600 of 10,000``."""
    if run.status == "finished":
        return "finished, without a loss"
    if run.steps is not None and run.max_steps:
        return f"{run.status}, at step {run.steps:,} of {run.max_steps:,}"
    return run.status


def not_ranked_reason(run: Run) -> str:
    """Why a run is not ranked, with what is known of its loss and its author's note."""
    loss = "no loss" if run.status != "finished" else ""
    if run.loss:
        kind = f"a mean over {run.loss.samples:,} samples"
        if run.loss.kind == "one logged value":
            kind = "one logged value of a noisy curve, not smoothed"
        loss = f"its loss on the way, {loss_words([run])}, is {kind}"
    parts = filter(None, [status_words(run), loss, run.note, *run.problems])
    return "; ".join(part.rstrip(".") for part in parts) + "."


BOTH_SIDES = "{factor} ({low} against {high})"
OTHER_THAN = "{factor} {high}, not {low}"
LOW_TO_HIGH = "{words} {low} to {high}"


def in_words(changes: Sequence[Change], form: str = BOTH_SIDES, separator: str = "") -> str:
    """Changes in a row, each in a form such as ``BOTH_SIDES``; with commas and a last ``and``.

    Examples:
        >>> in_words([Change("samples_seen", 1000, 8000)])
        'samples_seen (1,000 against 8,000)'
    """
    items = []
    for change in changes:
        low, high = value_words(change.low), value_words(change.high)
        words = factor_words(change.factor)
        items.append(form.format(factor=change.factor, words=words, low=low, high=high))
    return separator.join(items) if separator else listed(items)
