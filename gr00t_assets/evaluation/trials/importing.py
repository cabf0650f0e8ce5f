"""From a folder that was recorded during trials to a dataset version that knows what drove it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.datasets.adding.adding import look_at_source
from gr00t_assets.datasets.adding.project_files import write_project_files
from gr00t_assets.datasets.adding.source import named_source
from gr00t_assets.datasets.catalog import project_catalog
from gr00t_assets.datasets.source_kinds import FolderSource
from gr00t_assets.datasets.sources.fetch import no_log
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.evaluation.trials.lineage import TrialLineage, record_lineage
from gr00t_assets.evaluation.trials.plan import TrialPlan
from gr00t_assets.evaluation.trials.sheet import TrialOutcome


def import_trials(
    plan: TrialPlan,
    outcomes: Sequence[TrialOutcome],
    folder: Path,
    dataset: str,
    store: Store,
    data_config: str | None = None,
    log: Callable[[str], None] = no_log,
) -> TrialLineage:
    """Bring the recording of a plan's trials into the store as a version of a dataset.

    A dataset that the catalog does not have is added to it as ``gr00t-assets dataset add`` does. Of
    one that it has, the folder is the source, and what was recorded since makes a new version.

    Raises:
        DatasetError: The folder is no sound dataset, or the dataset has another source.
        CatalogError: The catalog cannot be read or added to.
        StoreError: The disk is full.
    """
    entry = project_catalog().get(dataset)
    if entry is None:
        source = named_source(str(folder))
        words = f"Recorded during the trials {plan.name}"
        addition = look_at_source(source, store, dataset, data_config, None, words, None, log)
        write_project_files(addition.files, addition.entry)
        entry = addition.entry
    own = project_root() / entry.source.path if isinstance(entry.source, FolderSource) else None
    if own is None or own.resolve() != folder.resolve():
        details = [
            f"it is {entry.source.describe()}",
            "give another --dataset, and train on a mixture of both (datasets: of a sweep file)",
            f"or let its source in data/datasets.yaml be this folder: {folder}",
        ]
        raise DatasetError(dataset, "the catalog has it from another source.", details)
    return record_lineage(plan, outcomes, ingest_dataset(entry, store, log), store)
