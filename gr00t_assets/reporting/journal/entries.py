"""The experiments of the journal: config, result and conclusion of each run in words."""

import shlex
from collections.abc import Iterator

from gr00t_assets.comparison.answers.headline import doubts
from gr00t_assets.comparison.comparison import Comparison
from gr00t_assets.comparison.run import TRAINABLE_PARTS, Run
from gr00t_assets.comparison.statistics.effects import Effect
from gr00t_assets.comparison.statistics.factors import factor_value
from gr00t_assets.comparison.statistics.ranking import ComparabilityClass, RankedConfiguration
from gr00t_assets.comparison.wording import factor_words, listed, run_loss_words, shown, value_words
from gr00t_assets.core.text import printable, shown_setting
from gr00t_assets.experiments.registry import all_hyperparameters, trainer_named
from gr00t_assets.reporting.effect_table import BADGES, ratio_text
from gr00t_assets.reporting.ranking_table import frames_warning

MOST_EFFECTS = 3
"""Effects that a conclusion names; the comparison has the others."""

_FIRST_SETTINGS = ("learning_rate", "batch_size", "max_steps")
_PART_FLAGS = tuple(name for name in TRAINABLE_PARTS if name.startswith("tune_"))
_SCRIPT_VALUES = ("data_config", "batch_size", "max_steps", "learning_rate", "warmup_ratio",
                  "weight_decay", "lora_rank", "num_gpus", "video_backend")  # fmt: skip


def entries(comparison: Comparison) -> Iterator[tuple[Run, str, list[str], bool]]:
    """Each run in order of their start: its place in words, what its class says of its factors, by
    sentence, and whether it is the first of its experiment, which has the notes.
    """
    names: set[str] = set()
    places = {
        run.run_id: _place_sentence(ranked, ranked_class)
        for ranked_class in comparison.ranked_classes
        for ranked in ranked_class.ranking
        for run in ranked.runs
    }
    for run in comparison.runs:
        conclusion = places.get(run.run_id, "none.")
        if not run.finished:
            conclusion = f"none: it is {run.status}, so it is neither ranked nor compared."
        effects = [
            effect
            for of_factor in comparison.effects.values()
            for effect in of_factor
            if any(member.run_id == run.run_id for member in effect.runs)
        ]
        effects.sort(key=lambda effect: list(BADGES).index(effect.verdict))
        sentences = [_effect_sentence(effect, run) for effect in effects[:MOST_EFFECTS]]
        yield run, conclusion, sentences, run.name not in names
        names.add(run.name)


def _effect_sentence(effect: Effect, run: Run) -> str:
    value = factor_value(run, effect.factor)
    text = f"{factor_words(effect.factor)} {value_words(value)}: {BADGES[effect.verdict].text}"
    if lower := effect.lower.get(value):
        text += f", ends lower than {listed(list(map(value_words, lower)))}"
    if effect.verdict == "confounded":
        return f"{text} with {listed(list(map(factor_words, effect.confounders)))}."
    if effect.ratio is not None:
        ends = f"{value_words(effect.high)} over {value_words(effect.low)}"
        text += f"; loss at {ends} {ratio_text(effect)}"
    return text + "."


def _place_sentence(ranked: RankedConfiguration, of_class: ComparabilityClass) -> str:
    count = len(of_class.ranking)
    if count == 1:
        return "The only finished configuration of its class."
    if ranked.place > 1:
        known = "the best is lower by more than noise explains"
        if ranked.tied:
            known = "it cannot be told from the best"
        return f"Place {ranked.place} of {count} in its class; {known}."
    text = f"Lowest loss of {count} configurations of its class"
    if of_class.best is not None:
        return f"{text}, by more than noise explains."
    return f"{text}, not known to be the best: {'; '.join(doubts(of_class))}."


def config_words(run: Run) -> str:
    """Data, parts, and every setting that is not its trainer's default, in a line.

    Of an imported run the defaults are those of every trainer.
    """
    settings, own = run.settings, run.stored.hyperparameters if run.stored else None
    fields = type(own).model_fields if own else all_hyperparameters()
    words = [
        f"{factor_words(name)} {shown(settings[name], name)}"
        for name in _FIRST_SETTINGS
        if settings.get(name) is not None
    ]
    words.append(f"trained parts: {factor_value(run, 'trainable_parts') or 'not known'}")
    words += [
        f"{factor_words(name)} {shown_setting(value)}"
        for name, value in settings.items()
        if name not in (*_FIRST_SETTINGS, *_PART_FLAGS)
        and value is not None
        and not (name in fields and value == fields[name].get_default(call_default_factory=True))
    ]
    warning = frames_warning(run.frames)
    dataset = (run.dataset or "dataset not known") + (f" ({warning})" if warning else "")
    return f"{dataset}; {', '.join(words)}"


def result_words(run: Run) -> str:
    """Loss with its error, where in the run it is, epochs, and whether it still falls."""
    if run.loss is None:
        return f"{run.status}; no loss"
    text = f"loss {run_loss_words(run)} ({run.loss.kind} over {run.loss.samples:,} samples)"
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


def commands(run: Run) -> list[str]:
    """What to type to train a run's configuration again.

    A run of the store is an experiment and is named; its trainer may know other commands for it.
    Of an imported run the arguments of NVIDIA's script are known, as far as its source has them.
    """
    if run.stored is not None:
        experiment = run.stored.experiment
        return [run.stored.command, *trainer_named(experiment.trainer).shell_commands(experiment)]
    settings = {**run.settings, "data_config": run.data.get("data config")}
    options = [
        f"{name.replace('_', '-')} {shlex.quote(printable(shown_setting(settings[name]), False))}"
        for name in _SCRIPT_VALUES
        if settings.get(name) not in (None, "") and (name != "lora_rank" or settings[name])
    ]
    options += [
        ("" if settings[name] else "no-") + name.replace("_", "-")
        for name in _PART_FLAGS
        if name in settings
    ]
    return " \\\n  --".join(["python scripts/gr00t_finetune.py", *options]).splitlines()
