"""What a run will cost, from the speed of finished runs that resemble it."""

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.gpu.devices import CPU, devices
from gr00t_assets.gpu.nvidia_smi import list_devices
from gr00t_assets.runs.manifest import Manifest, load_manifest

_PARTS = ("tune_llm", "tune_visual", "tune_projector", "tune_diffusion_model", "lora_rank",
          "lora_full_model")  # fmt: skip


class Setup(NamedTuple):
    """What the speed of a run depends on besides trainer and base model."""

    device: str
    gpus: int
    batch_size: int
    parts: tuple[object, ...]


class Measured(NamedTuple):
    """The speed of one finished run; ``samples_per_second`` is over all of its GPUs."""

    experiment: str
    finished_at: str
    samples_per_second: float


@dataclass(frozen=True)
class Estimate:
    """The speed that a run is expected to have.

    Attributes:
        samples_per_second: Over all GPUs, the median of the runs that it is taken from.
        device: Name of the device that they ran on.
        gpus: GPUs of the run that is estimated; 0 where it is estimated for a CPU.
        source: The newest run that it is taken from.
        runs: Runs that it is taken from.
        differs: What those runs had otherwise, such as ``batch_size 8``; empty where nothing.
    """

    samples_per_second: float
    device: str
    gpus: int
    source: str
    runs: int
    differs: tuple[str, ...]

    def hours(self, samples: int) -> float:
        """GPU-hours that so many samples take, or hours of the CPU."""
        return samples / self.samples_per_second / 3600 * max(1, self.gpus)


class Speeds:
    """The speeds of every finished run of a store.

    Args:
        store: The store.
        device: Name of the device that runs will have; that of this machine where left out.
    """

    def __init__(self, store: Store, device: str | None = None) -> None:
        self._device = device or this_device()
        self._measured: dict[tuple[str, str], dict[Setup, list[Measured]]] = defaultdict(dict)
        for kind, setup, measured in _finished(store):
            self._measured[kind].setdefault(setup, []).append(measured)
        self._known: dict[tuple[str, str, Setup], Estimate | None] = {}

    def estimate(self, experiment: Experiment) -> Estimate | None:
        """From runs of the same trainer and base model; None where there is none.

        Of those the ones on the same device come first, then those that train the same parts,
        then the nearest batch size, then as many GPUs. A speed with another number of GPUs is
        taken in proportion.
        """
        settings = experiment.hyperparameters
        wanted = Setup(
            self._device or "", settings.num_gpus, _batch(settings), _parts(settings.model_dump())
        )
        key = (experiment.trainer, experiment.base_model, wanted)
        if key not in self._known:
            self._known[key] = self._nearest(*key)
        return self._known[key]

    def _nearest(self, trainer: str, base_model: str, wanted: Setup) -> Estimate | None:
        found = self._measured.get((trainer, base_model))
        if not found:
            return None
        setup = min(found, key=lambda setup: _distance(setup, wanted))
        runs = found[setup]
        on_gpu = setup.gpus > 0
        scale = wanted.gpus / setup.gpus if on_gpu else 1.0
        return Estimate(
            samples_per_second=scale * statistics.median(run.samples_per_second for run in runs),
            device=setup.device,
            gpus=wanted.gpus if on_gpu else 0,
            source=max(runs, key=lambda run: run.finished_at).experiment,
            runs=len(runs),
            differs=tuple(_differences(setup, wanted)),
        )


def this_device() -> str | None:
    """``cpu``, or the name of the first GPU to train on; None where it has none to tell."""
    try:
        chosen = devices()
        if CPU in chosen:
            return CPU
        models = {listed.name: listed.model for listed in list_devices()}
    except Gr00tAssetsError:
        return None
    return next((models[name] for name in chosen if name in models), None)


def manifests(store: Store) -> Iterator[tuple[Path, Manifest]]:
    """Every manifest of the store that can be read, with its run directory."""
    for path in sorted((store.root / "runs").glob("[!.]*/[!.]*/manifest.json")):
        try:
            manifest = load_manifest(path.parent)
        except (Gr00tAssetsError, OSError):
            continue
        if manifest is not None:
            yield path.parent, manifest


def _finished(store: Store) -> Iterable[tuple[tuple[str, str], Setup, Measured]]:
    for folder, manifest in manifests(store):
        speed = manifest.samples_per_second
        if manifest.status != "finished" or not (math.isfinite(speed) and speed > 0):
            continue
        try:
            raw = json.loads((folder / "spec.json").read_text())["experiment"]["hyperparameters"]
            settings = Hyperparameters.model_validate(raw)
        except (OSError, ValueError, LookupError, TypeError):
            continue
        gpus = settings.num_gpus if manifest.gpu_seconds > 0 else 0
        setup = Setup(manifest.device, gpus, _batch(settings), _parts(settings.model_dump()))
        measured = Measured(manifest.experiment, manifest.finished_at, speed)
        yield (manifest.trainer, manifest.base_model), setup, measured


def _batch(settings: Hyperparameters) -> int:
    """Samples of one optimizer step on each GPU."""
    return settings.batch_size * settings.gradient_accumulation_steps


def _parts(settings: dict[str, object]) -> tuple[object, ...]:
    return tuple(settings[name] for name in _PARTS)


def _distance(setup: Setup, wanted: Setup) -> tuple[bool, int, float, bool]:
    other_device = setup.device != wanted.device if wanted.device else setup.gpus == 0
    parts = sum(a != b for a, b in zip(setup.parts, wanted.parts, strict=True))
    return (
        other_device,
        parts,
        abs(math.log(setup.batch_size / wanted.batch_size)),
        setup.gpus not in (0, wanted.gpus),
    )


def _differences(setup: Setup, wanted: Setup) -> Iterator[str]:
    if setup.device != wanted.device:
        yield f"on {setup.device}"
    for name, theirs, ours in zip(_PARTS, setup.parts, wanted.parts, strict=True):
        if theirs != ours:
            yield f"{name} {str(theirs).lower()}"
    if setup.batch_size != wanted.batch_size:
        yield f"batch size {setup.batch_size}"
    if setup.gpus not in (0, wanted.gpus):
        yield f"{setup.gpus} GPUs"
