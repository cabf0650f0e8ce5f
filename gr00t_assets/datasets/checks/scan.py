"""One pass over a dataset: its meta files, the rows and videos of every episode, and its totals.

The scan of a dataset version in the store is kept beside it, so that the checks of the dataset and
of its modality config read its files once.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import Field

from gr00t_assets.core.checksums import read_sealed, sealed
from gr00t_assets.core.errors import StoreError
from gr00t_assets.core.files import LARGEST_LIST, FrozenModel, write_json
from gr00t_assets.core.finding import Finding, Findings
from gr00t_assets.core.project import project_root
from gr00t_assets.core.text import did_you_mean
from gr00t_assets.datasets.checks import meta_files
from gr00t_assets.datasets.checks.camera_checks import BACKENDS, check_camera_rates
from gr00t_assets.datasets.checks.episode_scan import EpisodeScanner, Progress
from gr00t_assets.datasets.checks.row_checks import check_statistics
from gr00t_assets.datasets.lerobot.dataset import MODALITY
from gr00t_assets.datasets.lerobot.features import INFO, Camera, Feature
from gr00t_assets.datasets.lerobot.folder import Folder, read_object, report_missing_files
from gr00t_assets.datasets.lerobot.info import V30
from gr00t_assets.datasets.lerobot.metadata import find_cameras, read_metadata
from gr00t_assets.datasets.lerobot.statistics import STATS

SCAN_VERSION = 4  # raised when the checks begin to find other things in the same files

DEFAULT_BACKEND = "frame-cache"


class DatasetScan(FrozenModel):
    """The faults of a dataset's files, and what a data config asks of them."""

    findings: tuple[Finding, ...] = Field(description="Those that are listed, in order")
    error_count: int = Field(description="Errors, listed or not")
    warning_count: int = Field(description="Warnings, listed or not")
    widths: dict[str, int] = Field(default={}, description="Numbers of each column with a slice")
    modality_file: str = Field(default=MODALITY, description="The file that is read as it")
    cameras: tuple[str, ...] = Field(default=(), description="Cameras that have frames")
    measured: tuple[Camera, ...] = Field(default=(), description="Cameras as their frames are")
    constant: dict[str, tuple[int, ...]] = Field(
        default={}, description="By action column, the numbers that are the same in every row"
    )


def naming(findings: Findings, file: str) -> Findings:
    """Findings with the name of the file that stands in for ``modality.json``."""
    items = []
    for finding in findings:
        texts = finding.model_dump(include={"subject", "found", "remedy"}).items()
        named = {
            name: text.replace(MODALITY, file) for name, text in texts if text and file not in text
        }
        items.append(finding.model_copy(update=named))
    return Findings(items, findings.error_count, findings.warning_count)


def stored_scan(directory: Path, kept: Path, converted: bool = False) -> DatasetScan:
    """The scan of a dataset version in the store, which is made once.

    It is made anew where the checks are of another version, where a file of the dataset was
    replaced, added or changed since, and where it could not be written to ``kept``. What is wrong
    with files that the converter wrote is no finding.
    """
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        content = read_sealed(kept, LARGEST_LIST)
        if content.items() >= _identity(directory).items():
            return DatasetScan.model_validate(content["scan"])
    scan = scan_dataset(directory)
    if converted:
        findings = Findings(
            item
            for item in scan.findings
            if item.subject == MODALITY or item.code == "task-special-token"
        )
        counts = {"error_count": findings.error_count, "warning_count": findings.warning_count}
        scan = scan.model_copy(update={"findings": tuple(findings), **counts})
    keep_scan(scan, directory, kept)
    return scan


def keep_scan(scan: DatasetScan, directory: Path, kept: Path) -> None:
    """Keep a scan beside a dataset version: of its own files, or of those it was made from."""
    content = {**_identity(directory), "scan": scan.model_dump(mode="json")}
    with suppress(OSError, StoreError):
        write_json(kept, sealed(content))


def scan_dataset(
    directory: Path,
    backend: str = DEFAULT_BACKEND,
    progress: Progress | None = None,
    replaced: Mapping[Path, Path] | None = None,
    leaves_out: Callable[[int], bool] | None = None,
    trained_task: Callable[[str], str] = str,
) -> DatasetScan:
    """Look at every file of a dataset.

    Each Parquet file is read once and each video is walked through packet by packet, without
    decoding. Nothing is written.

    Args:
        backend: What will decode the videos, one of ``camera_checks.BACKENDS``.
        replaced: Files that stand in for those of the dataset, by path relative to it.
        leaves_out: Whether an episode is not looked at; all are by default.
        trained_task: The instruction that is trained on, by the dataset's.
    """
    folder = Folder(directory, replaced=replaced, leaves_out=leaves_out)
    facts: dict[str, Any] = {}
    with folder.collector.guard(None):
        facts = _scan(folder, backend, progress, trained_task)
    own, root = (replaced or {}).get(Path(MODALITY), Path(MODALITY)), project_root()
    file = str(own.relative_to(root) if own.is_relative_to(root) else own)
    findings = naming(folder.collector.findings(), file)
    return DatasetScan(
        findings=findings,
        error_count=findings.error_count,
        warning_count=findings.warning_count,
        modality_file=file,
        **facts,
    )


def _scan(
    folder: Folder, backend: str, progress: Progress | None, trained_task: Callable[[str], str]
) -> dict[str, Any]:
    """The order of the checks, and what each hands to the next; the fields beside the findings."""
    collector = folder.collector
    if backend not in BACKENDS:
        texts = {"backends": ", ".join(BACKENDS), "hint": did_you_mean(backend, BACKENDS)}
        collector.report("video-backend-unknown", None, f"video backend '{backend}'", **texts)
    if not folder.directory.is_dir():
        collector.report("no-folder", None, f"no folder {folder.directory}")
        return {}
    with collector.guard(None):
        folder.check_links()
    metadata = read_metadata(folder)
    info = metadata.info
    if info.raw and info.version is None:
        return {}
    modality, stored = None, None
    with collector.guard(None):
        meta_files.check_features(collector, info)
        tasks = {index: trained_task(text) for index, text in (metadata.tasks or {}).items()}
        meta_files.check_tasks(collector, tasks, info.tasks_file)
        meta_files.check_episodes(metadata)
        check_camera_rates(collector, info)
    with collector.guard(MODALITY):
        modality = meta_files.check_modality(folder, info)
    with collector.guard(STATS):
        stored = read_object(folder, STATS, "stats-missing")
    if not metadata.episodes or not info.features:
        return {}
    cameras: list[Feature] = []
    with collector.guard(None):
        if info.version != V30:
            report_missing_files(folder, metadata.data_files(), "parquet-missing")
        meta_files.check_unlisted_files(metadata)
    with collector.guard(None):
        used = {modality.video_feature(key) for key in modality.video} if modality else set()
        cameras = find_cameras(metadata, used)
    sliced, of_tasks = meta_files.sliced_columns(modality, info), meta_files.task_columns(modality)
    scanned = EpisodeScanner(metadata, cameras, sorted(sliced), of_tasks, backend)
    scanned.run(progress)
    with collector.guard(INFO):
        if metadata.complete:
            meta_files.check_totals(metadata, cameras, scanned.rows)
        if not metadata.complete or collector.count("episode-count", "frame-count"):
            scanned.incomplete.update(sliced)
    with collector.guard(STATS):
        if stored is not None:
            complete = {n: s for n, s in scanned.statistics.items() if n not in scanned.incomplete}
            check_statistics(
                collector,
                modality,
                stored,
                ((info.features[n], kind, complete.get(n)) for n, kind in sliced.items()),
                used=info.version != V30,
            )
    actions = [name for name, kind in sliced.items() if kind == "action"]
    names, measured = [camera.name for camera in cameras], scanned.measured
    return {
        "widths": {name: info.features[name].width for name in scanned.statistics},
        "cameras": tuple(names),
        "measured": tuple(measured[name] for name in names if name in measured),
        "constant": {name: scanned.constant_numbers(name) for name in actions},
    }


def _identity(directory: Path) -> dict[str, Any]:
    """What a scan is of: the checks, and path, size and time of change of every file."""
    digest = hashlib.blake2b(digest_size=16)
    for parent, folders, files in os.walk(directory):
        folders.sort()
        for path in (Path(parent, name) for name in sorted(files)):
            status, file = path.lstat(), os.fsencode(path.relative_to(directory))
            digest.update(file + f"\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    files = digest.hexdigest()
    return {"scan_version": SCAN_VERSION, "backend": DEFAULT_BACKEND, "files": files}
