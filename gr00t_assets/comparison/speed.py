"""What a run will cost, from the speed of finished runs that resemble it."""

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import NamedTuple

from gr00t_assets.comparison.run import (
    SETTINGS_OF_A_STEP,
    TRAINABLE_PARTS,
    Run,
    Settings,
    grouped,
    samples_of,
)
from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.registry import all_hyperparameters
from gr00t_assets.gpu.devices import CPU, gpus_by_name, slots_by_device
from gr00t_assets.runs.manifest import Manifest, readable_manifest
from gr00t_assets.runs.spec import SPEC, spec_settings


class Setup(NamedTuple):
    """What the speed of a run depends on besides trainer and base model."""

    device: str  # '' where it is not known
    gpus: int  # 0 on a CPU
    batch_size: int  # Of one optimizer step on each GPU
    parts: tuple[object, ...]  # The values of ``TRAINABLE_PARTS``

    @classmethod
    def of(cls, settings: Settings, device: str, on_gpu: bool = True) -> "Setup":
        """From settings; a trainer without one of those of parts trains as with its default."""
        counts = [int(str(settings.get(name, 1))) for name in SETTINGS_OF_A_STEP]
        known = all_hyperparameters()
        parts = tuple(settings.get(name, known[name].default) for name in TRAINABLE_PARTS)
        return cls(device, math.prod(counts[2:]) if on_gpu else 0, math.prod(counts[:2]), parts)

    def distance(self, wanted: "Setup") -> tuple[bool, int, float, bool]:
        """Device first, then trained parts, then batch size, then number of GPUs."""
        return (
            self.device != wanted.device if wanted.device else self.gpus == 0,
            sum(own != other for own, other in zip(self.parts, wanted.parts, strict=True)),
            abs(math.log(self.batch_size / wanted.batch_size)),
            self.gpus not in (0, wanted.gpus),
        )

    def differences(self, wanted: "Setup") -> Iterator[str]:
        """What it has otherwise, such as ``batch size 8``."""
        if self.device != wanted.device:
            yield f"on {self.device}"
        for name, own, other in zip(TRAINABLE_PARTS, self.parts, wanted.parts, strict=True):
            if own != other:
                yield f"{name} {str(own).lower()}"
        if self.batch_size != wanted.batch_size:
            yield f"batch size {self.batch_size}"
        if self.gpus not in (0, wanted.gpus):
            yield f"{self.gpus} GPUs"


class Measured(NamedTuple):
    """The speed of one finished run, over all of its GPUs."""

    kind: tuple[str, str]  # Trainer and base model
    setup: Setup
    name: str
    when: str
    samples_per_second: float


@dataclass(frozen=True)
class Estimate:
    """The speed that a run is expected to have: the median of runs, over all GPUs."""

    samples_per_second: float
    device: str
    gpus: int  # 0 on a CPU
    source: str  # The newest of the ``runs``
    runs: int
    differs: tuple[str, ...]  # In what else, such as ``batch size 8``

    def hours(self, samples: int) -> float:
        """GPU-hours that so many samples take, or hours of the CPU."""
        return samples / self.samples_per_second / 3600 * max(1, self.gpus)


class Speeds:
    """The speeds of finished runs, for a device by its name; '' where it is not known."""

    def __init__(self, measured: Iterable[Measured], device: str = "") -> None:
        self._device, self._measured = device, grouped(measured, lambda item: item.kind)
        self._nearest = cache(self._estimate)

    @classmethod
    def of_store(cls, store: Store, device: str | None = None) -> "Speeds":
        """Those of every finished run of a store, for this machine's device where left out."""
        return cls(_of_store(store), device or this_device())

    @classmethod
    def of_runs(cls, runs: Iterable[Run], store: Store | None = None) -> "Speeds":
        """Those of the given finished runs, and of a store's where they have none to resemble."""
        measured = [item for run in runs if run.finished for item in _of_run(run)]
        kinds = {item.kind for item in measured}
        others = _of_store(store) if store else ()
        measured += [item for item in others if item.kind not in kinds]
        return cls(measured, this_device() if store else "")

    def estimate(self, trainer: str, base_model: str, settings: Settings) -> Estimate | None:
        """From the nearest runs of this trainer and base model, in proportion to their GPUs."""
        return self._nearest((trainer, base_model), Setup.of(settings, self._device))

    def hours(self, trainer: str, base_model: str, settings: Settings) -> float | None:
        """GPU-hours of a whole run, or hours of the CPU; None where no run tells."""
        if not (samples := samples_of(settings)):
            return None
        estimate = self.estimate(trainer, base_model, settings)
        return estimate.hours(samples) if estimate else None

    def _estimate(self, kind: tuple[str, str], wanted: Setup) -> Estimate | None:
        if not (measured := self._measured.get(kind)):
            return None
        setup = min(measured, key=lambda item: item.setup.distance(wanted)).setup
        runs = [item for item in measured if item.setup == setup]
        scale = wanted.gpus / setup.gpus if setup.gpus else 1.0
        return Estimate(
            samples_per_second=scale * median(run.samples_per_second for run in runs),
            device=setup.device,
            gpus=wanted.gpus if setup.gpus else 0,
            source=max(runs, key=lambda run: run.when).name,
            runs=len(runs),
            differs=tuple(setup.differences(wanted)),
        )


def this_device() -> str:
    """``cpu``, or the name of the first GPU to train on; '' where it has none to tell."""
    with suppress(Gr00tAssetsError):
        if CPU in (chosen := slots_by_device()):
            return CPU
        gpus = gpus_by_name()
        return next((gpus[name].model for name in chosen if name in gpus), "")
    return ""


def manifests(store: Store) -> Iterator[tuple[Path, Manifest]]:
    """Every manifest of the store that can be read, with its run directory."""
    for path in sorted((store.root / "runs").glob("[!.]*/[!.]*/manifest.json")):
        if manifest := readable_manifest(path.parent):
            yield path.parent, manifest


def _of_store(store: Store) -> Iterator[Measured]:
    for folder, run in manifests(store):
        speed = run.samples_per_second
        if run.status == "finished" and math.isfinite(speed) and speed > 0:
            with suppress(Gr00tAssetsError, OSError, ValueError):
                setup = Setup.of(spec_settings(folder / SPEC), run.device, run.gpu_seconds > 0)
                kind = run.trainer, run.base_model
                yield Measured(kind, setup, run.experiment, run.finished_at, speed)


def _of_run(run: Run) -> Iterator[Measured]:
    if run.samples_per_second and run.settings.get("batch_size"):
        manifest = run.stored.manifest if run.stored else None
        device, when = (manifest.device, manifest.finished_at) if manifest else ("", run.started_at)
        trainer = run.data.get("trainer", "").partition(" ")[0]
        base_model = run.data.get("base model", "").partition(" at ")[0]
        setup = Setup.of(run.settings, device, run.gpu_hours != 0)
        yield Measured((trainer, base_model), setup, run.name, when, run.samples_per_second)
