"""What a reader must be warned of, and losses, names and settings in words."""

from collections.abc import Callable, Sequence
from typing import Any

from gr00t_assets.comparison.contrasts.ranking import differing
from gr00t_assets.comparison.formatting import is_missing, shown_setting
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.standings import RankedClass, ranked_classes
from gr00t_assets.experiments.hyperparameters import Hyperparameters


def loss_words(run: Run) -> str:
    """Final loss with its standard error, to the digits that the error leaves."""
    window = run.final_loss
    return loss_text(window.mean, window.standard_error) if window else ""


def loss_text(mean: Any, standard_error: Any) -> str:
    """A table's ``final_loss`` and ``final_loss_se`` in one; '' where they are missing.

    Example:
        >>> loss_text(0.058519, 0.00213)
        '0.0585 ± 0.0021'
    """
    if is_missing(mean) or is_missing(standard_error):
        return ""
    error = f"{standard_error:#.2g}".rstrip(".")
    return f"{shown_loss(mean, standard_error)} ± {error}"


def shown_loss(mean: float, standard_error: float) -> str:
    """A mean with as many decimals as two digits of its standard error have.

    Example:
        >>> shown_loss(0.058519, 0.00213), shown_loss(1.25717, 0.0312), shown_loss(0.2, 0.0)
        ('0.0585', '1.257', '0.2')
    """
    if not standard_error > 0:
        return f"{mean:.4g}"
    exponent = int(f"{standard_error:.1e}".partition("e")[2])
    return f"{mean:.{max(0, min(8, 1 - exponent))}f}"


def cautions(runs: Sequence[Run]) -> list[str]:
    """Sentences that a reader needs before calling one experiment better than another."""
    ranked = ranked_classes(runs)
    found = [_several_classes(ranked)] if len(ranked) > 1 else []
    for each in ranked:
        said = [_frames(each), *(check(each.runs) for check in _CHECKS)]
        name = f"Class {each.kind.short_id}: " if len(ranked) > 1 else ""
        found += [name + caution for caution in said if caution]
    return found


def names_in_words(names: Sequence[str], most: int = 12) -> str:
    """Names with commas, and how many more where there are many.

    Example:
        >>> names_in_words(["a", "b", "c", "d"], most=2)
        'a, b and 2 more'
    """
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most:,} more"


def _several_classes(ranked: Sequence[RankedClass]) -> str:
    names = differing([each.kind for each in ranked])
    return (
        f"Losses of the {len(ranked)} comparability classes are not compared with each other: "
        f"they differ in {', '.join(names)}."
    )


def _frames(ranked: RankedClass) -> str | None:
    if ranked.kind.frames == "verified":
        return None
    return (
        "The frames of these runs are not verified: the images may not be those of the recorded "
        "time, so the losses say nothing of learning from images."
    )


def _samples(members: Sequence[Run]) -> str | None:
    seen = {run.samples_seen for run in members if run.samples_seen is not None}
    if len(seen) < 2:
        return None
    return (
        f"These runs saw different numbers of samples ({min(seen):,} to {max(seen):,}): loss "
        "follows samples seen as well as the factor."
    )


def _schedules(members: Sequence[Run]) -> str | None:
    lengths = sorted({run.manifest.max_steps for run in members if run.manifest})
    if len(lengths) < 2:
        return None
    return (
        f"These runs have schedules of different lengths ({', '.join(map(str, lengths))} steps): "
        "each loss is that of the end of its own schedule."
    )


def _continued(members: Sequence[Run]) -> str | None:
    found = [
        f"{run.name} (from {run.experiment.continue_from} at step "
        f"{run.experiment.continued_steps[-1]})"
        for run in members
        if run.experiment.continue_from
        and run.hyperparameters
        and not run.hyperparameters.lr_scheduler_type.startswith("constant")
    ]
    if not found:
        return None
    return (
        f"Continued from a shorter run: {names_in_words(found)}. The learning rate followed two "
        "schedules, so a run that had all its steps from the start may end elsewhere."
    )


def _epochs(members: Sequence[Run]) -> str | None:
    epochs = [run.manifest.epochs for run in members if run.manifest]
    below = [value for value in epochs if value < 1]
    if not below:
        return None
    which = "No run has" if len(below) == len(epochs) else f"{len(below)} of {len(epochs)} have not"
    seen = " to ".join(dict.fromkeys(f"{value:.2f}" for value in (min(below), max(below))))
    return f"{which} seen every frame of the dataset once ({seen} epochs)."


def _repeats(members: Sequence[Run]) -> str | None:
    if len(members) < 2:
        return None
    settings = [
        run.hyperparameters.model_copy(update={"seed": 0}).model_dump_json()
        for run in members
        if run.hyperparameters
    ]
    if len(set(settings)) < len(settings):
        return None
    return (
        "Each configuration ran with one seed: the standard errors cover the noise within a run, "
        "not the difference between two runs of the same configuration."
    )


def _augmentation(members: Sequence[Run]) -> str | None:
    kinds = {run.hyperparameters.augmentation for run in members if run.hyperparameters}
    if len(kinds) < 2:
        return None
    return (
        "Augmentation differs: a training loss on augmented images is that of a harder task than "
        "one on plain images."
    )


def _failed_checks(members: Sequence[Run]) -> str | None:
    failed = [
        f"{run.name} ({', '.join(run.failed_checks)})" for run in members if run.failed_checks
    ]
    return f"Ranked although a check failed: {'; '.join(failed)}." if failed else None


_CHECKS: tuple[Callable[[Sequence[Run]], str | None], ...] = (
    _samples,
    _schedules,
    _continued,
    _epochs,
    _augmentation,
    _repeats,
    _failed_checks,
)


def settings_words(hyperparameters: Hyperparameters) -> list[tuple[str, str, bool]]:
    """Every hyperparameter: name, value as in a sweep file, whether it is GR00T's default."""
    default = Hyperparameters.model_validate({})
    return [
        (name, shown_setting(value), value == getattr(default, name))
        for name, value in hyperparameters
    ]
