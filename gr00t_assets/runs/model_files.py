"""Models and metrics as they were written: SHA-256 in the manifest, compared when they are used.

A run of an older version has none in its manifest: its files are taken as they are, and
``store verify`` says of how many that is so.
"""

from pathlib import Path

from gr00t_assets.core.checksums import changed_files, file_hashes, read_sealed
from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.core.files import LARGEST_LIST
from gr00t_assets.runs.manifest import MANIFEST, Manifest, load_manifest
from gr00t_assets.runs.metrics import METRICS
from gr00t_assets.runs.run_directory import MODEL

PROMOTION = "promotion.json"
"""Record of a promoted model, beside its weights."""


def run_hashes(run_directory: Path, model: bool) -> dict[str, str]:
    """SHA-256 of a run's metrics, and of the files of its model where it is to have one."""
    files = [run_directory / METRICS]
    if model:
        files += (run_directory / MODEL).rglob("*")
    return file_hashes(run_directory, files)


def model_hashes(manifest: Manifest) -> dict[str, str]:
    """What a manifest has recorded of the model's files, by their names in ``model/``."""
    begin = f"{MODEL}/"
    return {
        name.removeprefix(begin): value
        for name, value in manifest.files.items()
        if name.startswith(begin)
    }


def metrics_problem(manifest: Manifest, run_directory: Path) -> str | None:
    """What is wrong with the metrics of a run that is over, where its manifest can tell."""
    path = run_directory / METRICS
    if path.is_file() and path.stat().st_size > LARGEST_LIST:
        return f"{METRICS}: is too large"
    recorded = {name: value for name, value in manifest.files.items() if name == METRICS}
    return next(iter(changed_files(run_directory, recorded)), None)


def recorded_hashes(folder: Path) -> dict[str, str]:
    """What is recorded of the files of a run's or a promoted model; nothing of another folder.

    Raises:
        CheckpointError: The record cannot be read.
    """
    if (folder / PROMOTION).is_file():
        try:
            record = read_sealed(folder / PROMOTION)
            return {**record["weights"], **record.get("files", {})}
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            problem = "this is not the record of a promotion."
            raise CheckpointError(str(folder / PROMOTION), problem, [_again(folder)]) from error
    folder = folder.absolute()
    if folder.name == MODEL and (folder.parent / MANIFEST).is_file():
        manifest = load_manifest(folder.parent)
        return model_hashes(manifest) if manifest else {}
    return {}


def require_unchanged(folder: Path) -> None:
    """Refuse the model of a run, or a promoted one, whose files are not as they were written.

    A folder that nothing is recorded of is taken as it is.

    Raises:
        CheckpointError: A file has changed or is missing.
    """
    if changed := changed_files(folder, recorded_hashes(folder)):
        raise CheckpointError(str(folder), "this model is damaged.", [*changed, _again(folder)])


def _again(folder: Path) -> str:
    if (folder / PROMOTION).is_file():
        return f"move {folder} away and promote again"
    return f"move {folder.parent} away and materialise again, or put the files back from a copy"
