"""What a run will cost, from the speed of finished runs that resemble it."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gr00t_assets.comparison.run import TRAINABLE_PARTS, Run, samples_of
from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.registry import all_hyperparameters
from gr00t_assets.gpu.devices import CPU, read_gpus, slots_by_device
from gr00t_assets.runs.manifest import Manifest, load_manifest
from gr00t_assets.runs.spec import load_spec

Settings = Mapping[str, object]


class Setup(NamedTuple):
    """What the speed of a run depends on besides trainer and base model.

    Attributes:
        device: Name of the device; '' where it is not known.
        gpus: 0 on a CPU.
        batch_size: Samples of one optimizer step on each GPU.
        parts: Values of the settings that say which weights are trained.
    """

    device: str
    gpus: int
    batch_size: int
    parts: tuple[object, ...]


class Measured(NamedTuple):
    """The speed of one finished run; ``samples_per_second`` is over all of its GPUs."""

    trainer: str
    base_model: str
    setup: Setup
    name: str
    when: str
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
    """The speeds of finished runs.

    Args:
        measured: The runs.
        device: Name of the device that runs will have; '' where it is not known.
    """

    def __init__(self, measured: Iterable[Measured], device: str = "") -> None:
        self._device = device
        self._measured: dict[tuple[str, str], dict[Setup, list[Measured]]] = defaultdict(dict)
        for item in measured:
            kind = self._measured[item.trainer, item.base_model]
            kind.setdefault(item.setup, []).append(item)
        self._known: dict[tuple[str, str, Setup], Estimate | None] = {}

    @classmethod
    def of_store(cls, store: Store, device: str | None = None) -> "Speeds":
        """Those of every finished run of a store, for this machine's device where left out."""
        return cls(_of_store(store), device or this_device() or "")

    @classmethod
    def of_runs(cls, runs: Iterable[Run], store: Store | None = None) -> "Speeds":
        """Those of the given finished runs, and of a store's where they have none to resemble."""
        measured = [item for run in runs if run.finished for item in _of_run(run)]
        kinds = {(item.trainer, item.base_model) for item in measured}
        others = _of_store(store) if store is not None else ()
        more = [item for item in others if (item.trainer, item.base_model) not in kinds]
        return cls([*measured, *more], (this_device() or "") if store is not None else "")

    def estimate(self, trainer: str, base_model: str, settings: Settings) -> Estimate | None:
        """From runs of the same trainer and base model; None where there is none.

        Of those the ones on the same device come first, then those that train the same parts,
        then the nearest batch size, then as many GPUs. A speed with another number of GPUs is
        taken in proportion.
        """
        wanted = Setup(self._device, _gpus(settings), _batch(settings), _parts(settings))
        key = (trainer, base_model, wanted)
        if key not in self._known:
            self._known[key] = self._nearest(*key)
        return self._known[key]

    def hours(self, trainer: str, base_model: str, settings: Settings) -> float | None:
        """GPU-hours of a whole run, or hours of the CPU; None where no run tells."""
        samples = samples_of(settings)
        estimate = self.estimate(trainer, base_model, settings)
        return estimate.hours(samples) if estimate and samples else None

    def _nearest(self, trainer: str, base_model: str, wanted: Setup) -> Estimate | None:
        by_setup = self._measured.get((trainer, base_model))
        if not by_setup:
            return None
        setup = min(by_setup, key=lambda setup: _distance(setup, wanted))
        runs = by_setup[setup]
        on_gpu = setup.gpus > 0
        scale = wanted.gpus / setup.gpus if on_gpu else 1.0
        return Estimate(
            samples_per_second=scale * statistics.median(run.samples_per_second for run in runs),
            device=setup.device,
            gpus=wanted.gpus if on_gpu else 0,
            source=max(runs, key=lambda run: run.when).name,
            runs=len(runs),
            differs=tuple(_differences(setup, wanted)),
        )


def this_device() -> str | None:
    """``cpu``, or the name of the first GPU to train on; None where it has none to tell."""
    try:
        chosen = slots_by_device()
        if CPU in chosen:
            return CPU
        models = {gpu.name: gpu.model for gpu in read_gpus()}
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


def _of_store(store: Store) -> Iterator[Measured]:
    for folder, manifest in manifests(store):
        speed = manifest.samples_per_second
        if manifest.status != "finished" or not (math.isfinite(speed) and speed > 0):
            continue
        try:
            settings = load_spec(folder / "spec.json").experiment.hyperparameters.model_dump()
        except (Gr00tAssetsError, OSError, ValueError):
            continue
        gpus = _gpus(settings) if manifest.gpu_seconds > 0 else 0
        setup = Setup(manifest.device, gpus, _batch(settings), _parts(settings))
        yield Measured(
            manifest.trainer,
            manifest.base_model,
            setup,
            manifest.experiment,
            manifest.finished_at,
            speed,
        )


def _of_run(run: Run) -> Iterator[Measured]:
    if not run.samples_per_second or not run.settings.get("batch_size"):
        return
    manifest = run.stored.manifest if run.stored else None
    gpus = 0 if run.gpu_hours == 0 else _gpus(run.settings)
    device = manifest.device if manifest else ""
    setup = Setup(device, gpus, _batch(run.settings), _parts(run.settings))
    yield Measured(
        run.data.get("trainer", "").partition(" ")[0],
        run.data.get("base model", "").partition(" at ")[0],
        setup,
        run.name,
        manifest.finished_at if manifest else run.started_at,
        run.samples_per_second,
    )


def _batch(settings: Settings) -> int:
    """Samples of one optimizer step on each GPU."""
    accumulated = settings.get("gradient_accumulation_steps", 1)
    return int(str(settings["batch_size"])) * int(str(accumulated))


def _gpus(settings: Settings) -> int:
    return int(str(settings.get("num_gpus", 1)))


def _parts(settings: Settings) -> tuple[object, ...]:
    """A trainer without one of these settings trains as with its default."""
    fields = all_hyperparameters()
    return tuple(
        settings.get(name, fields[name].default if name in fields else None)
        for name in TRAINABLE_PARTS
    )


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
    for name, theirs, ours in zip(TRAINABLE_PARTS, setup.parts, wanted.parts, strict=True):
        if theirs != ours:
            yield f"{name} {str(theirs).lower()}"
    if setup.batch_size != wanted.batch_size:
        yield f"batch size {setup.batch_size}"
    if setup.gpus not in (0, wanted.gpus):
        yield f"{setup.gpus} GPUs"
