"""The experiments of the journal: hypothesis, config, result, conclusion, notes."""

from collections.abc import Mapping, Sequence

from gr00t_assets.comparison.contrasts.factors import factor_value
from gr00t_assets.comparison.contrasts.measures import plateau_or_falling
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.findings import loss_text
from gr00t_assets.comparison.formatting import shown, shown_setting
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.reporting.journal.conclusions import Conclusions
from gr00t_assets.reporting.journal.notes import Note, quoted
from gr00t_assets.reporting.report.markdown import escaped
from gr00t_assets.reporting.report.subject import Subject
from gr00t_assets.reporting.report.views import frames_warning

_FIRST = ("learning_rate", "batch_size", "max_steps")
_NOT_TOLD = frozenset({"tune_llm", "tune_visual", "tune_projector", "tune_diffusion_model"})


def entries(subject: Subject, notes: Mapping[str, Sequence[Note]]) -> list[str]:
    """One entry a run in order of their start, each a piece of Markdown.

    Args:
        subject: The runs.
        notes: By name of the experiment; they stand under its first run.
    """
    conclusions = Conclusions(subject)
    told: set[str] = set()
    pieces = []
    for run in subject.observations:
        piece = _entry(run, conclusions.of(run.run_id), subject)
        if run.name not in told:
            told.add(run.name)
            piece += "".join(f"\n\n{quoted(note)}" for note in notes.get(run.name, ()))
        pieces.append(piece)
    return pieces


def _entry(run: Observation, concluded: Sequence[str], subject: Subject) -> str:
    head = f"### {escaped(run.name)}"
    if run.started_at:
        head += f" ({run.started_at[:16].replace('T', ' ')})"
    hypothesis = run.hypothesis or "none written"
    lines = [
        head,
        "",
        f"- **Run**: {escaped(run.run_id)}{f', sweep {escaped(run.sweep)}' if run.sweep else ''}",
        f"- **Hypothesis**: {escaped(hypothesis)}",
        f"- **Config**: {escaped(config_words(run))}",
        f"- **Result**: {escaped(result_words(run))}",
    ]
    if (evaluation := subject.evaluations.get(run.run_id)) is not None:
        error = evaluation.main.error
        lines.append(
            f"- **Open-loop evaluation** ({evaluation.main.part}): error "
            f"{loss_text(error.mean, error.standard_error)}, normalised; "
            + "; ".join(f"beats {each.name}: {each.beaten}" for each in evaluation.baselines)
            + f"; language used: {evaluation.language_used}"
        )
    if not run.finished:
        concluded = [f"none: it is {run.status}, so it is neither ranked nor compared."]
    lines.append("- **Conclusion**: " + " ".join(map(escaped, concluded[:1] or ["none."])))
    lines += [f"  - {escaped(sentence)}" for sentence in concluded[1:]]
    doubts = [*(f"Failed check: {name}." for name in run.failed_checks), *run.problems, run.note]
    said = " ".join(dict.fromkeys(text for text in doubts if text))
    if said:
        lines.append(f"- **Note of the record**: {escaped(said)}")
    return "\n".join(lines)


def config_words(run: Observation) -> str:
    """Data, parts, and every setting that is not GR00T's default, in a line."""
    settings = run.settings
    default = Hyperparameters.model_validate({}).model_dump()
    words = [
        f"{name.replace('_', ' ')} {shown(settings[name], name)}"
        for name in _FIRST
        if settings.get(name) is not None
    ]
    words.append(f"trained parts: {factor_value(run, 'trainable_parts') or 'not known'}")
    words += [
        f"{name.replace('_', ' ')} {shown_setting(value)}"
        for name, value in settings.items()
        if name not in (*_FIRST, *_NOT_TOLD)
        and value is not None
        and (name not in default or value != default[name])
    ]
    dataset = run.dataset or "dataset not known"
    warning = frames_warning(run.frames)
    return f"{dataset}{f' ({warning})' if warning else ''}; " + ", ".join(words)


def result_words(run: Observation) -> str:
    """Loss with its error, where in the run it is, epochs, and whether it still falls."""
    if run.loss is None:
        return f"{run.status}; no loss"
    kind = "one logged value" if run.loss.kind == "one logged value" else "window mean"
    text = (
        f"loss {loss_text(run.loss.mean, run.loss.standard_error)} ({kind} over "
        f"{run.loss.samples:,} samples)"
    )
    if run.steps:
        asked = f" of {run.max_steps:,}" if run.max_steps and run.max_steps != run.steps else ""
        text += f" at step {run.steps:,}{asked}"
    if run.samples_seen:
        text += f", {run.samples_seen:,} samples"
    if run.epochs is not None:
        text += f", {shown(run.epochs, 'epochs')} epochs"
    if run.curve is not None and run.finished:
        text += f"; {plateau_or_falling(run).words}"
    return text if run.status == "finished" else f"{run.status}: {text} so far"
