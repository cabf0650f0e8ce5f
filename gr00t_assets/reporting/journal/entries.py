"""The experiments of the journal: hypothesis, config, result, conclusion, and notes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from gr00t_assets.comparison.compare import Comparison
from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.comparison.contrasts.factors import factor_value
from gr00t_assets.comparison.contrasts.ranking import ComparabilityClass, RankedConfiguration
from gr00t_assets.comparison.formatting import loss_text, shown
from gr00t_assets.comparison.run import TRAINABLE_PARTS, Run
from gr00t_assets.comparison.wording import factor_words, run_loss_words
from gr00t_assets.core.units import shown_setting
from gr00t_assets.experiments.registry import all_hyperparameters, trainer_named
from gr00t_assets.reporting.contrast_table import BADGES, side_name, telling_order
from gr00t_assets.reporting.journal.notes import Note, quoted
from gr00t_assets.reporting.markdown import escaped
from gr00t_assets.reporting.ranking_table import frames_warning, record_note

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

MOST_CONTRASTS = 3
"""Contrasts that a conclusion names; the comparison has the others."""

_FIRST_SETTINGS = ("learning_rate", "batch_size", "max_steps")
_PART_FLAGS = tuple(name for name in TRAINABLE_PARTS if name.startswith("tune_"))
_SCRIPT_VALUES = ("data_config", "batch_size", "max_steps", "learning_rate", "warmup_ratio",
                  "weight_decay", "lora_rank", "num_gpus", "video_backend")  # fmt: skip
_NOT_CONCLUDED = frozenset({"seed", "samples_seen"})


def entries(comparison: Comparison, notes: Mapping[str, Sequence[Note]]) -> list[str]:
    """One entry a run in order of their start, each a piece of Markdown.

    Args:
        comparison: The runs and their comparison.
        notes: By name of the experiment; they stand under its first run.
    """
    contrasts = _contrasts_by_run(comparison.contrasts)
    places = _places(comparison.ranked_classes)
    noted: set[str] = set()
    pieces = []
    for run in comparison.runs:
        piece = _entry(run, comparison, _conclusion(run, places, contrasts.get(run.run_id, ())))
        if run.name not in noted:
            noted.add(run.name)
            piece += "".join(f"\n\n{quoted(note)}" for note in notes.get(run.name, ()))
        pieces.append(piece)
    return pieces


def _entry(run: Run, comparison: Comparison, conclusion: Sequence[str]) -> str:
    title = f"### {escaped(run.name)}"
    if run.started_at:
        title += f" ({run.started_at[:16].replace('T', ' ')})"
    lines = [
        title,
        "",
        f"- **Run**: {escaped(run.run_id)}{f', sweep {escaped(run.sweep)}' if run.sweep else ''}",
        f"- **Hypothesis**: {escaped(run.hypothesis or 'none written')}",
        f"- **Config**: {escaped(config_words(run))}",
        f"- **Result**: {escaped(result_words(run))}",
    ]
    if (evaluation := comparison.evaluations.get(run.run_id)) is not None:
        error = evaluation.main.error
        beaten = [f"beats {baseline.name}: {baseline.beaten}" for baseline in evaluation.baselines]
        lines.append(
            f"- **Open-loop evaluation** ({evaluation.main.part}): error "
            f"{loss_text(error.mean, error.standard_error)}, normalised; {'; '.join(beaten)}"
            f"; language used: {evaluation.language_used}"
        )
    lines.append(f"- **Conclusion**: {escaped(conclusion[0])}")
    lines += [f"  - {escaped(sentence)}" for sentence in conclusion[1:]]
    if note := record_note([run]):
        lines.append(f"- **Note of the record**: {escaped(note)}")
    return "\n".join(lines)


def _conclusion(run: Run, places: Mapping[str, str], contrasts: Sequence[Contrast]) -> list[str]:
    """What may be concluded: its place, then its contrasts' verdicts, and nothing stronger.

    Of each factor only the most telling contrast is named.
    """
    if not run.finished:
        return [f"none: it is {run.status}, so it is neither ranked nor compared."]
    by_factor: dict[str, Contrast] = {}
    for contrast in sorted(contrasts, key=telling_order):
        by_factor.setdefault(contrast.factor, contrast)
    chosen = list(by_factor.values())[:MOST_CONTRASTS]
    return [
        places.get(run.run_id, "none."),
        *(_contrast_sentence(contrast, run) for contrast in chosen),
    ]


def _contrasts_by_run(contrasts: Mapping[str, Iterable[Contrast]]) -> dict[str, list[Contrast]]:
    by_run: dict[str, list[Contrast]] = {}
    for factor, of_factor in contrasts.items():
        if factor in _NOT_CONCLUDED:
            continue
        for contrast in of_factor:
            if contrast.verdict == "not_comparable":
                continue
            for run in (*contrast.low, *contrast.high):
                by_run.setdefault(run.run_id, []).append(contrast)
    return by_run


def _places(classes: Iterable[ComparabilityClass]) -> dict[str, str]:
    return {
        run.run_id: _place_sentence(ranked, ranked_class.ranking)
        for ranked_class in classes
        for ranked in ranked_class.ranking
        for run in ranked.runs
    }


def _place_sentence(ranked: RankedConfiguration, ranking: Sequence[RankedConfiguration]) -> str:
    if len(ranking) == 1:
        return "The only finished configuration of its class."
    if ranked.place > 1:
        known = (
            "it cannot be told from the best"
            if ranked.tied
            else "the best is lower by more than noise explains"
        )
        return f"Place {ranked.place} of {len(ranking)} in its class; {known}."
    text = f"Lowest loss of {len(ranking)} configurations of its class"
    tied = sum(other.tied for other in ranking)
    if tied:
        return f"{text}, {tied} of which cannot be told from it."
    return f"{text}, by more than noise explains."


def _contrast_sentence(contrast: Contrast, run: Run) -> str:
    on_low_side = any(member.run_id == run.run_id for member in contrast.low)
    other = side_name(contrast.high if on_low_side else contrast.low)
    verdict = BADGES[contrast.verdict].text
    return f"Of {factor_words(contrast.factor)}, against {other}: {verdict}. {contrast.reason}"


def config_words(run: Run) -> str:
    """Data, parts, and every setting that is not its trainer's default, in a line."""
    settings, fields = run.settings, _fields(run)
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
    kind = "one logged value" if run.loss.kind == "one logged value" else "window mean"
    text = f"loss {run_loss_words(run)} ({kind} over {run.loss.samples:,} samples)"
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
    Of an imported run the arguments of NVIDIA's script are known.
    """
    if run.stored is None:
        return script_command(run)
    experiment = run.stored.experiment
    return [run.stored.command, *trainer_named(experiment.trainer).shell_commands(experiment)]


def script_command(run: Run) -> list[str]:
    """``gr00t_finetune.py`` with every argument that the run's source knows, one a line."""
    settings: dict[str, object] = {**run.settings}
    if data_config := run.data.get("data config"):
        settings["data_config"] = data_config
    lines = [
        f"  --{_dashed(name)} {shown_setting(settings[name])}"
        for name in _SCRIPT_VALUES
        if settings.get(name) not in (None, "") and (name != "lora_rank" or settings[name])
    ]
    lines += [
        f"  --{'' if settings[name] else 'no-'}{_dashed(name)}"
        for name in _PART_FLAGS
        if name in settings
    ]
    return " \\\n".join(["python scripts/gr00t_finetune.py", *lines]).splitlines()


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _fields(run: Run) -> "Mapping[str, FieldInfo]":
    """The hyperparameters of a run's trainer; of an imported run those of every trainer."""
    if run.stored and run.stored.hyperparameters:
        return type(run.stored.hyperparameters).model_fields
    return all_hyperparameters()
