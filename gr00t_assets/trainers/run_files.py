"""Checkpoints and the final model on disk, for any trainer.

A checkpoint is complete or not there, checked before it is trusted, and few are kept. The folder
``model`` of a finished run has the final weights; beside them ``modality_config.json`` says what a
policy has to know of the data, and ``experiment_cfg/metadata.json`` is what Isaac-GR00T's policy
of N1.5 reads there; that of N1.7 reads ``n17.processor_files``.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gr00t_assets.core.checksums import crc32, sealed
from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.core.files import (
    PARTIAL,
    discard_directory,
    published_directory,
    read_json,
    write_json,
)
from gr00t_assets.core.text import did_you_mean
from gr00t_assets.modality.config import ModalityConfig, VectorKey
from gr00t_assets.runs.checkpoint_layout import (
    COMPLETE,
    WEIGHTS_ONLY,
    CheckpointLayout,
    CheckpointRecord,
    require_whole,
    stored_checkpoints,
)
from gr00t_assets.runs.metrics import METRICS, missing_losses, read_metrics, sync_metrics
from gr00t_assets.runs.retention.retention_rule import kept_steps
from gr00t_assets.runs.run_directory import CHECKPOINTS, MODALITY_CONFIG, MODEL
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.n17.processor_configs import configs_of
from gr00t_assets.trainers.n17.processor_files import ProcessorFiles, processor_folder

DEFAULT_LAYOUT = CheckpointLayout()


def publish_checkpoint(
    run_directory: Path,
    step: int,
    write: Callable[[Path], None],
    *,
    config_hash: str,
    keep: int,
    facts: Mapping[str, Any] | None = None,
    layout: CheckpointLayout = DEFAULT_LAYOUT,
) -> Path:
    """Publish a checkpoint in one step, then drop all but the newest ``keep`` and the best one.

    What was logged up to it is on the disk before it is there. Its sealed record has step, config
    hash, facts, and size and CRC-32 of each file. ``write`` writes the checkpoint's files into a
    folder; ``keep`` is ``save_total_limit``.

    Raises:
        StoreError: The disk is full; the checkpoints before this one are as they were.
    """
    folder = layout.folder(run_directory, step)
    with published_directory(folder) as partial:
        write(partial)
        files = {}
        for path in sorted(filter(Path.is_file, partial.rglob("*"))):
            recorded = {"bytes": path.stat().st_size, "crc32": crc32(path)}
            files[path.relative_to(partial).as_posix()] = recorded
        record = {"step": step, **(facts or {}), "config_hash": config_hash, "files": files}
        (partial / COMPLETE).write_text(json.dumps(sealed(record), indent=2), encoding="utf-8")
        sync_metrics(run_directory)
    drop_old_checkpoints(run_directory, keep, layout)
    return folder


def drop_old_checkpoints(run_directory: Path, keep: int, layout: CheckpointLayout) -> None:
    """Delete complete checkpoints but the newest ``keep`` and the best one, oldest first."""
    steps = _complete_by_step(run_directory, layout)
    if len(steps) > keep:
        for dropped in sorted(steps.keys() - kept_steps(steps, keep, run_directory)):
            discard_directory(steps[dropped])


def drop_uncovered(run_directory: Path) -> str | None:
    """Delete checkpoints of steps whose losses a power cut took, so that training goes back.

    Training from one of them would end with fewer losses than steps. Returned is what was deleted,
    in a sentence; ``None`` where the losses cover every checkpoint.

    Raises:
        CheckpointError: Losses of later steps are there: the file is damaged, not cut short.
    """
    metrics, path = read_metrics(run_directory), run_directory / METRICS
    covered = metrics.complete_steps
    stored = [item for item in stored_checkpoints(run_directory) if item.complete]
    beyond = [item.path for item in stored if item.step > covered]
    if not beyond:
        return None
    if covered < len(metrics.losses):
        lost = missing_losses(metrics, stored[-1].step)
        remedy = f"delete {', '.join(map(str, beyond))} to train those steps again"
        raise CheckpointError(str(path), f"{lost}.", [remedy])
    for folder in reversed(beyond):
        discard_directory(folder)
    names = ", ".join(folder.name for folder in beyond)
    return f"{path} ends at step {covered}, as after a power cut: went back there, without {names}"


def complete_checkpoints(
    run_directory: Path, layout: CheckpointLayout = DEFAULT_LAYOUT
) -> list[Path]:
    """Folders of checkpoints that were finished, oldest first; partial ones are passed over."""
    return list(_complete_by_step(run_directory, layout).values())


def _complete_by_step(run_directory: Path, layout: CheckpointLayout) -> dict[int, Path]:
    markers = (run_directory / CHECKPOINTS).glob(f"[!.]*/{COMPLETE}")
    steps = [(layout.step_of(marker.parent.name), marker.parent) for marker in markers]
    return dict(sorted((step, folder) for step, folder in steps if step is not None))


def latest_record(
    run_directory: Path, config_hash: str, layout: CheckpointLayout = DEFAULT_LAYOUT
) -> tuple[Path, CheckpointRecord] | None:
    """The newest complete checkpoint, once every file is as recorded; ``None`` where none is.

    Raises:
        CheckpointError: It belongs to another run, or its files are not what was written.
    """
    steps = _complete_by_step(run_directory, layout)
    if not steps:
        return None
    step, folder = max(steps.items())
    remedy = f"delete {folder} to go on from the checkpoint before it, or from the start"
    record = require_whole(folder, remedy)
    if record.config_hash != config_hash or record.step != step:
        owner = f"it is step {record.step} of config hash {record.config_hash}"
        details = [owner, f"expected: {config_hash}", remedy]
        raise CheckpointError(str(folder), "this checkpoint belongs to another run.", details)
    return folder, record


def remove_partial(
    run_directory: Path, layout: CheckpointLayout = DEFAULT_LAYOUT, weights_only: bool = False
) -> None:
    """Remove what a killed run was in the middle of writing or deleting; needs the run's lock.

    With ``weights_only`` checkpoints without their optimizer state go as well.
    """
    leftovers = list(run_directory.rglob(f".*{PARTIAL}*"))
    kept = (COMPLETE,) if weights_only else (COMPLETE, WEIGHTS_ONLY)
    for path in (run_directory / CHECKPOINTS).glob("[!.]*"):
        is_whole = any((path / marker).is_file() for marker in kept)
        if layout.step_of(path.name) is not None and not is_whole:
            leftovers.append(path)
    for path in leftovers:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@contextmanager
def published_model(spec: TrainingSpec) -> Iterator[Path]:
    """A folder to write final weights to, which becomes the run's ``model`` with the block.

    One that is there, of an attempt that was killed, is replaced.

    Raises:
        StoreError: The disk is full.
    """
    with published_directory(spec.run_directory / MODEL, replace=True) as partial:
        yield partial
        write_data_files(spec, partial)


def write_data_files(spec: TrainingSpec, model: Path) -> None:
    """Write what a policy has to know of the data beside its weights; see the module."""
    configs = [dataset.config for dataset in spec.datasets]
    if configs[0].generation == "n1.5":
        write_json(model / "experiment_cfg" / "metadata.json", isaac_metadata(*configs))
    contents = [config.model_dump(mode="json") for config in configs]
    write_json(model / MODALITY_CONFIG, contents if len(contents) > 1 else contents[0])


def read_modality_config(model_directory: Path, dataset: str | None = None) -> ModalityConfig:
    """The modality config that a model was trained with, or that of NVIDIA's N1.7 files beside it.

    The dataset is one that it was trained on, the first where left out; of NVIDIA's files it is an
    embodiment tag.

    Raises:
        CheckpointError: There is none beside the weights, or it was not trained on the dataset.
    """
    path = model_directory / MODALITY_CONFIG
    if not path.is_file() and processor_folder(model_directory):
        configs = configs_of(ProcessorFiles.read(model_directory), model_directory)
    else:
        try:
            content = read_json(path)
            contents = content if isinstance(content, list) else [content]
            configs = [ModalityConfig.model_validate(item) for item in contents]
        except (OSError, ValueError) as error:
            problem = "there is no modality config beside these weights."
            raise CheckpointError(str(model_directory), problem, [str(error)]) from error
    return configs[0] if dataset is None else config_of(dataset, configs, model_directory)


def config_of(dataset: str, configs: Sequence[ModalityConfig], folder: Path) -> ModalityConfig:
    """The modality config of one of the datasets that the weights in a folder were trained on.

    Raises:
        CheckpointError: They were not trained on it.
    """
    by_name = {config.dataset: config for config in configs}
    if dataset not in by_name:
        problem = f"this model was not trained on {dataset}."
        raise CheckpointError(str(folder), problem, [did_you_mean(dataset, by_name)])
    return by_name[dataset]


def isaac_metadata(*configs: ModalityConfig) -> dict[str, Any]:
    """The datasets' metadata by embodiment tag, as ``Gr00tPolicy`` loads it.

    Layout: ``DatasetMetadata`` in Isaac-GR00T's ``gr00t/data/schema.py``. Statistics are those of
    the raw columns, in the data's units; resolutions are ``[width, height]``. Datasets of one tag
    have the same statistics; of a camera that several have, the first one's is there.
    """
    metadata: dict[str, Any] = {}
    for config in configs:
        video = {
            key.key: {"resolution": [key.width, key.height], "channels": 3, "fps": key.fps}
            for key in config.video
        }
        if known := metadata.get(config.embodiment_tag):
            known["modalities"]["video"] = {**video, **known["modalities"]["video"]}
            continue
        statistics, modalities = {}, {"video": video}
        for part, keys in (("state", config.state), ("action", config.action)):
            statistics[part] = {key.key: key.statistics.model_dump(mode="json") for key in keys}
            modalities[part] = {key.key: _vector(key) for key in keys}
        metadata[config.embodiment_tag] = {
            "statistics": statistics,
            "modalities": modalities,
            "embodiment_tag": config.embodiment_tag,
        }
    return metadata


def _vector(key: VectorKey) -> dict[str, Any]:
    described = {"absolute": key.absolute, "rotation_type": key.rotation_type}
    return {**described, "shape": [key.end - key.start], "continuous": True}
