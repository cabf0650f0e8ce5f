"""The whole check of a dataset: all that is wrong with it at once, without decoding a video."""

from pathlib import Path

from gr00t_assets.core.finding import Collector, Findings
from gr00t_assets.core.names import did_you_mean
from gr00t_assets.datasets.checks.features import Feature
from gr00t_assets.datasets.checks.fit import check_fit, check_names, facts_of, used_numbers
from gr00t_assets.datasets.checks.folder import Folder
from gr00t_assets.datasets.checks.info import Info, check_info
from gr00t_assets.datasets.checks.lists import check_episodes, check_tasks
from gr00t_assets.datasets.checks.modality_file import check_modality, sliced_columns
from gr00t_assets.datasets.checks.presence import check_cameras, check_data_files
from gr00t_assets.datasets.checks.scan import Progress, Scan, Scanner
from gr00t_assets.datasets.checks.stored_statistics import (
    check_constant,
    check_statistics,
    read_statistics,
)
from gr00t_assets.datasets.checks.totals import check_totals
from gr00t_assets.datasets.checks.videos import BACKENDS
from gr00t_assets.datasets.fit.problems import DatasetFacts
from gr00t_assets.modality.data_configs import DATA_CONFIGS
from gr00t_assets.modality.schema import ModalityFile


def check_dataset(
    directory: Path,
    data_config: str | None = None,
    embodiment_tag: str = "new_embodiment",
    video_backend: str = "frame-cache",
    progress: Progress | None = None,
) -> Findings:
    """Look for everything that keeps a dataset from being trained on, and for what is odd.

    Each Parquet file is read once and each video is walked through packet by packet, without
    decoding. Nothing is written.

    Args:
        directory: A LeRobot dataset of format v2.0 or v2.1.
        data_config: Name of a data config that it is to fit; without it a dataset that fits none
            is a warning.
        embodiment_tag: One of N1.5's.
        video_backend: What will decode the videos, one of ``videos.BACKENDS``.
        progress: Called after each episode.

    Returns:
        The findings. No fault of the dataset is raised as an exception.
    """
    collector = Collector()
    with collector.guard(None):
        _Check(directory, collector, video_backend).run(data_config, embodiment_tag, progress)
    return collector.findings()


class _Check:
    """The order of the checks, and what each hands to the next."""

    def __init__(self, directory: Path, collector: Collector, backend: str) -> None:
        self.folder = Folder(directory, collector)
        self.collector = collector
        self.backend = backend

    def run(self, data_config: str | None, tag: str, progress: Progress | None) -> None:
        collector, folder = self.collector, self.folder
        check_names(collector, data_config, tag)
        if self.backend not in BACKENDS:
            collector.error(
                "video-backend-unknown",
                None,
                f"video backend '{self.backend}'",
                f"one of {', '.join(BACKENDS)}",
                did_you_mean(self.backend, BACKENDS),
            )
        if not folder.directory.is_dir():
            collector.error(
                "no-folder",
                None,
                f"no folder {folder.directory}",
                "the folder that holds meta, data and videos",
                "check the path",
            )
            return
        with collector.guard(None):
            folder.see_links()
        info = Info()
        with collector.guard("meta/info.json"):
            info = check_info(folder)
        if info.raw and info.version is None:
            return
        tasks, listed, modality, stored = None, None, None, None
        with collector.guard("meta/tasks.jsonl"):
            tasks = check_tasks(folder)
        with collector.guard("meta/episodes.jsonl"):
            listed = check_episodes(folder, tasks)
        with collector.guard("meta/modality.json"):
            modality = check_modality(folder, info)
        with collector.guard("meta/stats.json"):
            stored = read_statistics(folder)
        if listed is None or not listed.listed or not info.features:
            return
        episodes = listed.listed
        with collector.guard(None):
            check_data_files(folder, info, episodes)
        cameras: list[Feature] = []
        with collector.guard(None):
            used = {modality.video_feature(key) for key in modality.video} if modality else set()
            cameras = check_cameras(folder, info, episodes, used)
        sliced = sliced_columns(modality, info)
        scanner = Scanner(
            folder, info, cameras, sliced, _task_columns(modality), tasks, self.backend
        )
        scan = scanner.run(episodes, progress)
        if not listed.whole:
            scan.spoilt.update(sliced)
        with collector.guard("meta/info.json"):
            count = None if tasks is None else len(tasks)
            if listed.whole:
                check_totals(collector, info, episodes, count, len(cameras), scan.rows)
        facts = None
        with collector.guard("meta/modality.json"):
            names = [camera.name for camera in cameras]
            facts = facts_of(folder, info, modality, scan.readable, names, scan.videos)
            if facts is not None:
                check_fit(collector, facts, data_config)
        with collector.guard("meta/stats.json"):
            self._statistics(info, modality, scan, stored, facts, data_config)

    def _statistics(
        self,
        info: Info,
        modality: ModalityFile | None,
        scan: Scan,
        stored: dict | None,
        facts: DatasetFacts | None,
        data_config: str | None,
    ) -> None:
        config = DATA_CONFIGS.get(data_config or "")
        for name, kind in sliced_columns(modality, info).items():
            column, running = info.features[name], scan.statistics.get(name)
            if stored is not None:
                whole = None if name in scan.spoilt else running
                check_statistics(self.collector, stored, column, kind, modality, whole)
            if kind == "action" and running is not None:
                used = used_numbers(facts, config, name) if facts and config else frozenset()
                chosen = config.name if config else None
                check_constant(self.collector, column, modality, running, used, chosen)


def _task_columns(modality: ModalityFile | None) -> list[str]:
    """``task_index``, and the columns of the annotations."""
    keys = modality.annotation_keys() if modality else ()
    columns = [modality.annotation_column(key) for key in keys] if modality else []
    return list(dict.fromkeys(["task_index", *(name for name in columns if name)]))
