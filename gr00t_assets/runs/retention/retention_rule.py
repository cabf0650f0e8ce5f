"""Which runs are current, and which checkpoints of one stay: newest, best, final, promoted.

It is applied when a run finishes, in the trainer's process, and by ``gr00t-assets store prune``.
"""

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from gr00t_assets.core.errors import CheckpointError, Gr00tAssetsError, StoreError
from gr00t_assets.core.files import FrozenModel, folders, read_json
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.core.text import format_bytes, name_problem
from gr00t_assets.core.yaml_files import load_settings
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.runs.checkpoint_choice import evaluated_best_step, promoted_steps
from gr00t_assets.runs.checkpoint_layout import stored_checkpoints
from gr00t_assets.runs.final_loss import window_steps
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.retention.removal import Removal, RemovalKind, freed_bytes, remove
from gr00t_assets.runs.run_directory import LOCK
from gr00t_assets.runs.spec import TrainingSpec, run_name
from gr00t_assets.runs.training_data import find_training_data


class RetentionRule(FrozenModel):
    """What stays of a finished run besides its model, which always stays.

    While a run trains, its ``save_total_limit`` newest checkpoints stay, and the best one.
    """

    last: int | None = Field(
        default=None,
        ge=1,
        description="Newest checkpoints kept; the run's own save_total_limit where left out",
    )
    best: bool = Field(
        default=True,
        description="Keep the checkpoint with the lowest window loss as well; the best one by "
        "evaluations, and one that was promoted, stay in any case",
    )
    optimizer_state: Literal["drop", "keep"] = Field(
        default="drop", description="Of checkpoints that no experiment's continue_from needs"
    )


def load_rule() -> RetentionRule:
    """That of ``data/retention.yaml``, or defaults; a ``StoreError`` has every problem's line."""
    path = project_root() / "data" / "retention.yaml"
    return load_settings(path, RetentionRule, StoreError) or RetentionRule()


RunState = Literal["current", "stale", "unlisted", "undecided"]
"""``unlisted``: no sweep file has an experiment of its name; ``undecided``: a faulty one may."""


@dataclass(frozen=True)
class CurrentState:
    """What the records and the sweep files say of the store.

    Attributes:
        versions: Current versions by dataset; a dataset that cannot be read is left out, and then
            none of its versions is old.
        hashes: Names of the run directories in use by experiment: its own, and those that others
            continue; None where the data is not there to tell.
        continued: Experiments that go on from a run, by its experiment and run directory.
        incomplete: Whether a sweep file has a fault, which may have any experiment.
    """

    versions: dict[str, frozenset[str]]
    hashes: dict[str, frozenset[str] | None]
    continued: dict[tuple[str, str], tuple[str, ...]]
    incomplete: bool = False

    def is_old(self, dataset: str, version: str) -> bool:
        """Whether a dataset's version is known not to be current any more."""
        versions = self.versions.get(dataset)
        return versions is not None and version not in versions

    def state_of(self, experiment: str, config_hash: str) -> RunState:
        """Whether a run is the one that its experiment asks for now; current where in doubt."""
        if experiment not in self.hashes:
            return "undecided" if self.incomplete else "unlisted"
        hashes = self.hashes[experiment]
        return "current" if hashes is None or config_hash in hashes else "stale"


def project_state(store: Store) -> CurrentState:
    """What is current in the store by the project's sweep files.

    Nothing is decided of runs that a sweep file with a fault may ask for.
    """
    project = read_project()
    hashes: dict[str, frozenset[str] | None] = {}
    continued: dict[tuple[str, str], tuple[str, ...]] = {}
    for experiment, data in find_training_data(project.experiments.values(), store):
        hashes.setdefault(experiment.name, frozenset())
        if isinstance(data, str):
            hashes[experiment.name] = None
            continue
        own = experiment.name, run_name(experiment, data, store)
        source = experiment.continued()
        used = [own]
        if source is not None:
            used.append((source.name, run_name(source, data, store)))
            continued[used[-1]] = (*continued.get(used[-1], ()), experiment.name)
        for name, config_hash in used:
            others = hashes.get(name, frozenset())
            hashes[name] = None if others is None else others | {config_hash}
    return CurrentState(_versions(store), hashes, continued, bool(project.sweeps.faults))


def _versions(store: Store) -> dict[str, frozenset[str]]:
    """The recorded version of each dataset, and that of its modality config where it differs."""
    versions: dict[str, frozenset[str]] = {}
    for name in (folder.name for folder in folders(store.root / "datasets")):
        if name_problem(name):
            continue
        recorded = _field(store.dataset_record(name), "version")
        file = store.modality_config(name)
        validated = _field(file, "dataset_version")
        if recorded and (validated or not file.exists()):
            versions[name] = frozenset(filter(None, (recorded, validated)))
    return versions


def _field(file: Path, name: str) -> str | None:
    try:
        value = read_json(file)[name]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) else None


def surplus(
    run_directory: Path, rule: RetentionRule, last: int, continued_by: Collection[str] = ()
) -> list[Removal]:
    """What the rule does not keep of a finished run; its model is not looked at.

    ``last`` is the run's ``save_total_limit``, which counts where the rule has no number;
    ``continued_by`` are the experiments whose ``continue_from`` starts from its last checkpoint.
    """
    checkpoints = stored_checkpoints(run_directory)
    whole = {checkpoint.step for checkpoint in checkpoints if checkpoint.whole}
    kept = kept_steps(whole, rule.last or last, run_directory, rule.best)
    final = max(whole, default=None)
    removals = []
    for checkpoint in checkpoints:
        kind: RemovalKind = "checkpoint"
        files: tuple[str, ...] = ()
        if not checkpoint.whole:
            kind, why = "leftover", "it was cut short by a kill"
        elif checkpoint.step not in kept:
            why = "neither among the last, nor the best, nor the final, nor promoted"
        else:
            kind, why, files = "optimizer state", "the run is finished", checkpoint.training_files
            wanted = rule.optimizer_state == "keep" or (checkpoint.step == final and continued_by)
            if wanted or not files:
                continue
        removals.append(
            Removal(kind, checkpoint.path, why, files, run_directory / LOCK, of_finished=True)
        )
    return removals


def retain(spec: TrainingSpec, say: Callable[[str], None]) -> None:
    """Delete what the project's rule does not keep of a run that has just finished.

    Nothing is deleted where it is not known what another experiment continues: no sweep file that
    can be read has this one, or its data is not there. Nothing here fails the run, whose lock the
    caller holds; what was deleted, or why nothing was, is said in a line.
    """
    experiment, directory = spec.experiment, spec.run_directory
    try:
        current = project_state(Store(Path(spec.store)))
        if current.hashes.get(experiment.name) is None:
            if current.state_of(experiment.name, spec.config_hash) == "undecided":
                say("old checkpoints are kept: a sweep file has a fault, see: gr00t-assets check")
            return
        continued_by = current.continued.get((experiment.name, spec.config_hash), ())
        limit = experiment.hyperparameters.save_total_limit
        removals = surplus(directory, load_rule(), limit, continued_by)
        size = freed_bytes([path for removal in removals for path in removal.paths])
        for removal in removals:
            remove(Path(spec.store), removal.path, removal.files)
    except (Gr00tAssetsError, OSError) as error:
        say(f"old checkpoints are kept: {error}")
        return
    if continued_by:
        names = ", ".join(continued_by)
        say(f"the last checkpoint keeps its optimizer state: {names} continues it")
    if removals:
        say(f"retention: {len(removals)} of its checkpoints cut down, {format_bytes(size)} freed")


def kept_steps(
    steps: Collection[int], last: int, run_directory: Path, best: bool = True
) -> set[int]:
    """Steps whose checkpoints stay: the newest ``last`` of them, the best one, and promoted ones.

    The best one is that of the lowest window loss, which is all that is known while a run trains;
    and, whatever ``best`` says, that which evaluations or rollouts found best, so that
    ``EXPERIMENT@best`` does not vanish.
    """
    kept = set(sorted(steps)[-last:]) | promoted_steps(run_directory)
    others = (best_step(steps, run_directory) if best else None, evaluated_best_step(run_directory))
    return (kept | {step for step in others if step is not None}) & set(steps)


def best_step(steps: Iterable[int], run_directory: Path) -> int | None:
    """The step with the lowest window loss, the later one of equals; None where none has one.

    The window of step ``s`` is the final window of a run of ``s`` steps; see ``window_steps``. A
    step with no logged loss in its window, or one that is not finite, is not compared.
    """
    try:
        metrics = read_metrics(run_directory)
    except CheckpointError:
        return None
    losses = dict(zip(metrics.loss_steps.tolist(), metrics.losses.tolist(), strict=True))
    compared = []
    for step in steps:
        window = range(step - window_steps(step) + 1, step + 1)
        values = [losses[number] for number in window if number in losses]
        if values and math.isfinite(mean := sum(values) / len(values)):
            compared.append((mean, -step))
    return -min(compared)[1] if compared else None
