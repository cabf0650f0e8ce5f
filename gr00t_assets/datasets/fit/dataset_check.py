"""The whole check of a dataset: its files, and how it fits a data config."""

from collections.abc import Callable, Mapping
from pathlib import Path

from gr00t_assets.core.finding import Collector, Findings
from gr00t_assets.core.project import Store, own_modality_file
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.datasets.checks.episode_scan import Progress
from gr00t_assets.datasets.checks.meta_files import check_modality, number_names
from gr00t_assets.datasets.checks.scan import (
    DEFAULT_BACKEND,
    DatasetScan,
    naming,
    scan_dataset,
    stored_scan,
)
from gr00t_assets.datasets.fit import fit_check
from gr00t_assets.datasets.lerobot.dataset import MODALITY
from gr00t_assets.datasets.lerobot.folder import FAULTS, Folder
from gr00t_assets.datasets.lerobot.info import read_info
from gr00t_assets.datasets.lerobot.v3.convert import CONVERTED
from gr00t_assets.datasets.sources.versions import DatasetRecord
from gr00t_assets.modality.data_config import DataConfig, data_configs


def check_dataset(
    directory: Path,
    data_config: str | DataConfig | None = None,
    embodiment_tag: str = "new_embodiment",
    video_backend: str = DEFAULT_BACKEND,
    progress: Progress | None = None,
    replaced: Mapping[Path, Path] | None = None,
    trained_task: Callable[[str], str] = str,
) -> Findings:
    """Look for everything that keeps a dataset from being trained on, and for what is odd.

    Files are read as ``scan_dataset`` does. No fault of the dataset is raised as an exception.

    Args:
        data_config: A data config that it is to fit, or its name; without it a dataset that fits
            none is a warning.
        embodiment_tag: One of the data config's generation.
        video_backend: As ``scan_dataset`` takes it, like the arguments after it.
    """
    scan = scan_dataset(directory, video_backend, progress, replaced, trained_task=trained_task)
    folder = Folder(directory, replaced=replaced)
    return _all_findings(folder, scan, data_config, embodiment_tag)


def check_stored_dataset(
    record: DatasetRecord, store: Store, data_config: str | None, embodiment_tag: str
) -> Findings:
    """The same of a dataset version in the store, whose files are read once for all such checks.

    The findings are about the source. Where its scan is lost, nothing that the converter wrote is
    a finding.
    """
    directory = record.directory(store)
    converted = any(line.startswith(CONVERTED) for line in record.warnings)
    scan = stored_scan(directory, store.dataset_scan(record.name, record.version), converted)
    findings = _all_findings(Folder(directory), scan, data_config, embodiment_tag)
    missing = FAULTS.finding("modality-missing", MODALITY, "no such file", source=record.name)
    items = (missing if item.code == missing.code else item for item in findings)
    findings = Findings(items, findings.error_count, findings.warning_count)
    return of_own_file(findings, record.name)


def of_own_file(findings: Findings, dataset: str) -> Findings:
    """The findings, with the project's ``modality.json`` where it has one."""
    own = own_modality_file(dataset)
    return naming(findings, shown_path(own)) if own.is_file() else findings


def _all_findings(
    folder: Folder, scan: DatasetScan, data_config: str | DataConfig | None, embodiment_tag: str
) -> Findings:
    """The findings of a scan together with those of a data config, errors first, by code."""
    collector = Collector(FAULTS)
    named = None if isinstance(data_config, DataConfig) else data_config
    for finding in fit_check.name_findings(named, embodiment_tag):
        collector.add(finding)
    if scan.widths:
        with collector.guard(MODALITY):
            _check_fit(collector, folder, scan, data_config)
    fit = naming(collector.findings(), scan.modality_file)
    return Findings(
        sorted((*scan.findings, *fit), key=lambda finding: (finding.severity, finding.code)),
        scan.error_count + fit.error_count,
        scan.warning_count + fit.warning_count,
    )


def _check_fit(
    collector: Collector, folder: Folder, scan: DatasetScan, data_config: str | DataConfig | None
) -> None:
    """Report why the dataset does not fit a data config, or that it fits none of them; and action
    numbers that never change, apart those that the data config trains on.
    """
    info, configs = read_info(folder), data_configs()
    modality = check_modality(folder, info)
    is_config = isinstance(data_config, DataConfig)
    config = data_config if is_config else configs.get(data_config or "")
    fit = fit_check.Fit(modality, config) if modality and config else None
    if modality is not None and len(info.features) == len(info.raw.get("features") or ()):
        cameras = fit_check.known_cameras(info, scan.cameras, scan.measured)
        fitting = fit_check.fitting_data_configs(modality, cameras)
        for finding in fit.findings(cameras) if fit else ():
            if finding.code == "config-key" and fitting:
                remedy = f"choose a data config that fits: {', '.join(fitting)}"
                finding = finding.model_copy(update={"remedy": remedy})
            collector.add(finding)
        if data_config is None and not fitting:
            found = "cameras and keys that no data config has together"
            collector.report("no-data-config-fits", MODALITY, found, configs=", ".join(configs))
    unused = f"; data config {config.name} does not use them" if config else ""
    for column, constant in scan.constant.items():
        used = [number for number in constant if fit and fit.uses(column, number)]
        others = [number for number in constant if number not in used]
        for fault, numbers in (("constant-action-used", used), ("constant-action", others)):
            if numbers:
                names = number_names(modality, "action", info.features[column], numbers)
                texts = {"config": config and config.name, "unused": unused}
                found = f"{column} never changes in {names}"
                collector.report(fault, MODALITY, found, **texts)
