"""A comparison as JSON: what ``gr00t-assets compare --json`` prints."""

from collections.abc import Mapping, Sequence
from typing import Any

from gr00t_assets.comparison.answers.answer import Answer
from gr00t_assets.comparison.answers.baseline import Difference
from gr00t_assets.comparison.answers.limits import status_words
from gr00t_assets.comparison.contrasts.collinear import Collinear
from gr00t_assets.comparison.contrasts.contrast import Change, Contrast
from gr00t_assets.comparison.contrasts.factors import factor_value
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.contrasts.ranking import Class, Ranked
from gr00t_assets.comparison.findings import loss_text


def run_json(run: Observation) -> dict[str, Any]:
    """One run with its settings; what is not known is null."""
    loss = run.loss
    return {
        "run_id": run.run_id,
        "name": run.name,
        "source": run.source,
        "status": run.status,
        "started_at": run.started_at,
        "data": dict(run.data),
        "frames": run.frames,
        "settings": {name: _plain(value) for name, value in run.settings.items()},
        "steps": run.steps,
        "max_steps": run.max_steps,
        "samples_seen": run.samples_seen,
        "dataset_frames": run.dataset_frames,
        "epochs": run.epochs,
        "loss": loss.mean if loss else None,
        "standard_error": loss.standard_error if loss else None,
        "loss_samples": loss.samples if loss else None,
        "loss_kind": loss.kind if loss else None,
        "samples_per_second": run.samples_per_second,
        "gpu_hours": run.gpu_hours,
        "peak_memory_gb": run.peak_memory_bytes / 1e9 if run.peak_memory_bytes else None,
        "failed_checks": list(run.failed_checks),
        "note": run.note,
        "problems": list(run.problems),
    }


def class_json(group: Class, found: Sequence[Ranked]) -> dict[str, Any]:
    """One class with its ranking, lowest loss first; errors there include run-to-run spread."""
    return {
        "id": group.short_id,
        "words": group.words,
        "frames": group.frames,
        "runs": [run.run_id for run in group.observations],
        "ranking": [_ranked_json(place, run) for place in found for run in place.observations],
    }


def _ranked_json(place: Ranked, run: Observation) -> dict[str, Any]:
    return {
        "place": place.place,
        "run_id": run.run_id,
        "name": run.name,
        "loss": place.loss.mean,
        "standard_error": place.loss.standard_error,
        "interval": list(place.interval),
        "run_loss": run.loss.mean if run.loss else None,
        "run_standard_error": run.loss.standard_error if run.loss else None,
        "replicates": len(place.observations),
        "epochs": run.epochs,
        "samples_seen": run.samples_seen,
        "tied_with_best": place.tied_with_best,
    }


def not_ranked_json(run: Observation) -> dict[str, Any]:
    """A run without a place, and why it has none."""
    return {"run_id": run.run_id, "status": run.status, "reason": not_ranked_reason(run)}


def not_ranked_reason(run: Observation) -> str:
    """Why a run is not ranked, with what is known of its loss and its author's note."""
    parts = [status_words(run)]
    if run.loss:
        text = f"its loss on the way, {loss_text(run.loss.mean, run.loss.standard_error)}, is "
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


def contrast_json(one: Contrast) -> dict[str, Any]:
    """One contrast with everything that differs in it."""
    return {
        "factor": one.factor,
        "runs": list(one.runs),
        "low": [run.run_id for run in one.low],
        "high": [run.run_id for run in one.high],
        "changed_factors": list(one.changed_factors),
        "confounders": list(one.confounders),
        "immaterial": [change.factor for change in one.changes if not change.material],
        "changes": [_change_json(change) for change in one.changes],
        "effect": one.effect,
        "interval": list(one.interval) if one.interval else None,
        "ratio": one.ratio,
        "verdict": one.verdict,
        "reason": one.reason,
        "basis": one.basis,
    }


def answer_json(answer: Answer) -> dict[str, Any]:
    """One answer; ``evidence`` are the contrasts that it rests on."""
    return {
        "factor": answer.factor,
        "question": answer.question,
        "answer": answer.sentence,
        "verdict": answer.verdict,
        "evidence": [contrast_json(one) for one in answer.evidence],
        "limits": list(answer.limits),
        "collinear": collinear_json(answer.collinear) if answer.collinear else None,
    }


def collinear_json(series: Collinear) -> dict[str, Any]:
    """One series over which factors move together, with their values by run."""
    return {
        "factor": series.factor,
        "factors": list(series.factors),
        "directions": dict(series.directions),
        "runs": [run.run_id for run in series.observations],
        "values": {
            name: [_plain(factor_value(run, name)) for run in series.observations]
            for name in series.factors
        },
    }


def difference_json(found: Difference) -> dict[str, Any]:
    """What a run has otherwise than the baseline, counted."""
    return {
        "run": found.name,
        "count": len(found.material),
        "changed": [_change_json(change) for change in found.material],
        "immaterial": [_change_json(change) for change in found.immaterial],
        "unknown": list(found.unknown),
        "sentence": found.sentence,
    }


def _change_json(change: Change) -> dict[str, Any]:
    return {
        "factor": change.factor,
        "low": _plain(change.low),
        "high": _plain(change.high),
        "material": change.material,
        "implied": change.implied,
    }


def _plain(value: object) -> Any:
    """A value that JSON has; anything else in words."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)
