"""Reading the store: every run of each experiment, finished, failed, stale, or not there."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from gr00t_assets.comparison.run import Run, Status, unrankable
from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metric_table import MetricTable, read_metric_table
from gr00t_assets.runs.spec import load_spec

__all__ = ["Run", "read_runs"]


def read_runs(experiments: Sequence[Experiment], store: Store, curves: bool = True) -> list[Run]:
    """Every run directory of the experiments, and a placeholder for each that has none.

    An experiment's current run comes first and its stale ones after it, newest first. A current
    run that is missing has a placeholder only where there is no stale one either. Nothing that
    is wrong with a file raises: it is among the run's ``problems``.

    Args:
        experiments: Those to look for.
        store: Where they are.
        curves: Whether to read specs and metrics too; without them a run with a manifest has only
            that, which is all that its status needs.
    """
    current = _CurrentHashes(store)
    return [
        run
        for experiment in experiments
        for run in _experiment_runs(experiment, store, current, curves)
    ]


def _experiment_runs(
    experiment: Experiment, store: Store, hashes: "_CurrentHashes", curves: bool
) -> list[Run]:
    current, doubt = hashes.of(experiment)
    found = [_read_run(experiment, folder, curves) for folder in _run_folders(experiment, store)]
    found.sort(key=_age, reverse=True)
    if current is None:
        current = next((run.config_hash for run in found if _asks_the_same(run)), None)
    runs = [_judged(run, stale=run.config_hash != current) for run in found]
    runs.sort(key=lambda run: run.stale)
    if not runs:
        return [Run(experiment, current, "missing", None, [], stale=False, problems=doubt)]
    first, *others = runs
    return [_with_problems(first, doubt), *others]


class _CurrentHashes:
    """The config hash that experiments have now; each dataset's modality config is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._data: dict[str, tuple[str, str] | str] = {}

    def of(self, experiment: Experiment) -> tuple[str | None, tuple[str, ...]]:
        """The hash; or None, and why there is none."""
        data = self._data.get(experiment.dataset)
        if data is None:
            data = self._data[experiment.dataset] = self._read(experiment.dataset)
        if isinstance(data, str):
            return None, (data,)
        return experiment.config_hash(*data), ()

    def _read(self, dataset: str) -> tuple[str, str] | str:
        try:
            modality = load_modality_config(dataset, self._store)
        except (Gr00tAssetsError, OSError) as error:
            return " ".join(line.strip() for line in str(error).splitlines())
        return modality.dataset_version, modality.content_hash()


def _run_folders(experiment: Experiment, store: Store) -> Iterator[Path]:
    parent = store.root / "runs" / experiment.name
    if not parent.is_dir():
        return
    for folder in sorted(parent.iterdir()):
        if folder.is_dir() and not folder.name.startswith(".") and any(folder.iterdir()):
            yield folder


def _read_run(experiment: Experiment, folder: Path, curves: bool) -> Run:
    problems: list[str] = []
    manifest = None
    status: Status = "unfinished"
    try:
        manifest = load_manifest(folder)
        status = manifest.status if manifest else "unfinished"
    except (Gr00tAssetsError, OSError) as error:
        status = "unreadable"
        problems.append("manifest.json cannot be read: " + _reason(error))
    if manifest and (manifest.experiment, manifest.config_hash) != (experiment.name, folder.name):
        problems.append(
            f"manifest.json is of {manifest.experiment} {manifest.config_hash}, "
            f"and stands in the directory of {experiment.name} {folder.name}."
        )
        manifest, status = None, "unreadable"
    if manifest and not curves:
        return Run(experiment, folder.name, status, manifest, [], stale=False)
    try:
        metrics = read_metric_table(folder)
    except (ValueError, OSError) as error:
        metrics = MetricTable.of([])
        problems.append("metrics.jsonl cannot be read: " + _reason(error))
    spec = None
    try:
        spec = load_spec(folder / "spec.json")
    except (Gr00tAssetsError, ValueError, OSError) as error:
        problems.append("spec.json cannot be read: " + _reason(error))
    if status == "finished" and (reason := unrankable(manifest)):
        problems.append(f"It is not ranked: {reason}.")
    return Run(experiment, folder.name, status, manifest, metrics, False, tuple(problems), spec)


def _asks_the_same(run: Run) -> bool:
    """Whether a run has the experiment's present settings, whatever its data was."""
    if run.manifest:
        data = (run.manifest.dataset_version, run.manifest.modality_hash)
    elif run.spec:
        modality = run.spec.modality_config
        data = (modality.dataset_version, modality.content_hash())
    else:
        return False
    return run.experiment.config_hash(*data) == run.config_hash


def _judged(run: Run, stale: bool) -> Run:
    return replace(run, status="stale", stale=True) if stale else run


def _with_problems(run: Run, more: tuple[str, ...]) -> Run:
    return replace(run, problems=(*run.problems, *more)) if more else run


def _age(run: Run) -> str:
    return run.manifest.finished_at if run.manifest else ""


def _reason(error: Exception) -> str:
    """The first two lines of an error, without the path that its subject repeats."""
    if isinstance(error, Gr00tAssetsError):
        first = error.details[0].splitlines()[0] if error.details else ""
        return f"{error.problem} {first}".strip()
    return str(error).splitlines()[0] if str(error) else type(error).__name__
