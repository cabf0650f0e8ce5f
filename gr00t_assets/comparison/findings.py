"""What a comparison may say in words: one headline, and what a reader must be warned of."""

from collections.abc import Callable, Sequence
from typing import Any

from gr00t_assets.comparison.formatting import is_missing, shown_setting
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.table import ranked_classes, shown_runs, tied_with_best
from gr00t_assets.experiments.hyperparameters import Hyperparameters


def headline(runs: Sequence[Run]) -> str:
    """The result in one or two sentences; a class of its own has its own best."""
    total = len(shown_runs(runs))
    classes = ranked_classes(runs)
    if not classes:
        return f"None of {total} experiments has a finished run."
    if len(classes) == 1:
        return _class_headline(classes[0], total)
    bests = "; ".join(
        f"{members[0].name}, loss {loss_words(members[0])} ({_class_words(members)})"
        for members in classes
    )
    return f"{len(classes)} comparability classes, not ranked against each other: {bests}."


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
    classes = ranked_classes(runs)
    found: list[str] = []
    if len(classes) > 1:
        found.append(_several_classes(classes))
    for members in classes:
        said = [caution for check in _CHECKS if (caution := check(members))]
        if len(classes) > 1:
            group = members[0].comparability_class
            said = [f"Class {group.short_id if group else ''}: {caution}" for caution in said]
        found += said
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


def _class_headline(members: Sequence[Run], total: int) -> str:
    best = members[0]
    group = best.comparability_class
    text = f"Best of {len(members)} finished" if len(members) > 1 else "The only finished run"
    text += f" (of {total} experiments)" if total > len(members) else ""
    text += f": {best.name}, loss {loss_words(best)}"
    tied = [run.name for run in tied_with_best(members)]
    text += f"; within noise of it: {names_in_words(tied)}." if tied else "."
    if best.failed_checks:
        text += f" It failed a check: {', '.join(best.failed_checks)}."
    if group and not group.frames_verified:
        text += " Its frames are not verified."
    return text


def _class_words(members: Sequence[Run]) -> str:
    group = members[0].comparability_class
    text = f"best of {len(members)}" if len(members) > 1 else "the only one"
    return text if group is None or group.frames_verified else f"{text}, frames not verified"


def _several_classes(classes: Sequence[Sequence[Run]]) -> str:
    groups = [group for members in classes if (group := members[0].comparability_class)]
    names = dict.fromkeys(name for group in groups[1:] for name in groups[0].differences(group))
    return (
        f"Losses of the {len(classes)} comparability classes are not compared with each other: "
        f"they differ in {', '.join(names)}."
    )


def _frames(members: Sequence[Run]) -> str | None:
    group = members[0].comparability_class
    if group is None or group.frames_verified:
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
    _frames,
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
