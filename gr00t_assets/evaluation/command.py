"""``gr00t-assets evaluate`` and ``python -m gr00t_assets.evaluation``: evaluate, and print it."""

from pathlib import Path

from gr00t_assets.core.errors import EvaluationError, Gr00tAssetsError
from gr00t_assets.evaluation.result import (
    EVALUATION,
    Evaluation,
    EvaluationSettings,
    load_evaluation,
)
from gr00t_assets.evaluation.words import (
    PART_HEAD,
    baseline_sentence,
    group_rows,
    language_sentence,
    part_sentence,
)
from gr00t_assets.runs.manifest import MANIFEST
from gr00t_assets.runs.run_directory import SPEC

ALREADY = "already evaluated with these settings; nothing computed"


def run_evaluate(
    target: str, settings: EvaluationSettings, as_json: bool = False, again: bool = False
) -> int:
    """Evaluate what a person named and print the outcome; exit code 0.

    Args:
        target: An experiment of the sweep files, or a run directory.
        settings: What decides the numbers.
        as_json: Print ``evaluation.json`` and nothing else.
        again: Also where the same was evaluated before.

    Raises:
        Gr00tAssetsError: There is no such run, or it cannot be evaluated.
    """
    import sys

    directory = find_run(target)

    def say(line: str) -> None:
        sys.stderr.write(line + "\n") if as_json else sys.stdout.write(line + "\n")
        sys.stdout.flush()

    evaluation = None if again else earlier(directory, settings)
    if evaluation is None:
        from gr00t_assets.evaluation.run import evaluate_run

        evaluation = evaluate_run(directory, settings, say)
    else:
        say(ALREADY)
    if as_json:
        sys.stdout.write((directory / EVALUATION).read_text())
    else:
        print_evaluation(evaluation)
    return 0


def earlier(run_directory: Path, settings: EvaluationSettings) -> Evaluation | None:
    """The evaluation of the same weights and data with the same settings, if there is one."""
    from gr00t_assets.evaluation.run import finished_spec, model_hash

    try:
        found = load_evaluation(run_directory)
    except EvaluationError:
        return None
    if found is None or found.settings != settings:
        return None
    spec = finished_spec(run_directory)
    modality = spec.modality_config
    same = (found.dataset_version, found.modality_hash, found.model_hash) == (
        modality.dataset_version,
        modality.content_hash(),
        model_hash(run_directory),
    )
    return found if same else None


def find_run(target: str) -> Path:
    """The run directory that a person means: a path, or an experiment's name.

    Raises:
        Gr00tAssetsError: There is neither, or the experiment's present configuration was not run.
    """
    path = Path(target)
    if any((path / name).is_file() for name in (SPEC, MANIFEST)):
        return path
    if path.is_dir():
        problem = "this folder is no run directory."
        raise EvaluationError(target, problem, [f"expected {SPEC} and {MANIFEST} in it"])
    from gr00t_assets.core.project import Store
    from gr00t_assets.experiments.sweeps import find_experiment, load_sweeps
    from gr00t_assets.runs.spec import current_config_hash

    experiment, store = find_experiment(target, load_sweeps()), Store.from_environment()
    try:
        directory = store.run_directory(target, current_config_hash(experiment, store))
    except Gr00tAssetsError as error:
        raise EvaluationError(target, error.problem, error.details) from error
    if directory.is_dir():
        return directory
    parent = directory.parent
    found = sorted(each.name for each in parent.iterdir()) if parent.is_dir() else []
    raise EvaluationError(
        target,
        "its present configuration was not run.",
        [
            f"its config hash is {directory.name}; runs in the store: {', '.join(found) or 'none'}",
            "to evaluate an earlier one give its run directory",
            "train: dagster asset materialize -m gr00t_assets.definitions --select checkpoint "
            f"--partition {target}",
        ],
    )


def print_evaluation(evaluation: Evaluation) -> None:
    """The outcome on a terminal."""
    from rich.table import Table

    from gr00t_assets.comparison.console import console

    out = console()
    for part in evaluation.parts:
        out.print(part_sentence(part), highlight=False)
        for baseline in part.baselines:
            out.print("  " + baseline_sentence(baseline), highlight=False)
    table = Table(*PART_HEAD, title=f"errors by action group, {evaluation.main.part}")
    for row in group_rows(evaluation.main):
        table.add_row(*row)
    out.print(table)
    out.print(f"language used: {language_sentence(evaluation)}", highlight=False)
    for line in evaluation.limits:
        out.print(f"note: {line}", highlight=False)
