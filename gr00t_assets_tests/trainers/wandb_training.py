"""What a trainer does, without its model: logs lines while W&B is told of them."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gr00t_assets.runs.manifest import Outcome, Status, save_manifest
from gr00t_assets.runs.metrics import Metric
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.reporter import Reporter, reporting
from gr00t_assets.trainers.wandb_run import FINISH_SECONDS, wandb_run
from gr00t_assets_tests.trainers.conftest import SpecMaker

KEY = "c0ffee" * 6 + "cafe"


def bare_spec(spec_of: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingSpec:
    """A placed spec, in an environment that says nothing of W&B and has no key."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(FINISH_SECONDS, "100")
    (tmp_path / "home").mkdir()
    made = spec_of()
    changes = {"hypothesis": "It falls.", "tags": ("demo-data",)}
    experiment = made.experiment.model_copy(update=changes)
    made = made.model_copy(update={"experiment": experiment})
    place_spec(made)
    return made


@contextmanager
def logged(spec: TrainingSpec) -> Iterator[Reporter]:
    with reporting(spec.run_directory, 4) as reporter, wandb_run(spec, reporter):
        yield reporter


def metric(step: int) -> Metric:
    return Metric(
        step=step,
        samples_seen=2 * step,
        epoch=step / 40,
        loss=1.0 / step,
        losses=(1.0 / step,),
        grad_norm=0.5,
        learning_rate=1e-4,
        wall_seconds=float(step),
    )


def end(spec: TrainingSpec, status: Status = "finished", steps: int = 4) -> None:
    outcome = Outcome("1", steps=steps)
    save_manifest(outcome.manifest(spec, status, None, ["2025-06-01"]), spec.run_directory)


def log_training(spec: TrainingSpec, first: int = 1, last: int = 4) -> None:
    with logged(spec) as reporter:
        for step in range(first, last + 1):
            reporter.metric(metric(step))
        end(spec)


def files_with_the_key(spec: TrainingSpec) -> list[Path]:
    files = [path for path in spec.run_directory.rglob("*") if path.is_file()]
    assert len(files) > 5
    return [path for path in files if KEY.encode() in path.read_bytes()]


EARLIER: set[int] = set()
"""Children that other tests of this process have left, such as the service of W&B's own API."""


def children(process: int | str = "self") -> list[int]:
    listings = Path(f"/proc/{process}/task").glob("*/children")
    found = [int(child) for listing in listings for child in listing.read_text().split()]
    found = [child for child in found if child not in EARLIER]
    return [child for child in found if b"multiprocessing" not in _command(child)]


def _command(process: int) -> bytes:
    """Its command line; those of other tests' fork servers name ``multiprocessing``."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def wait_until_started(spec: TrainingSpec) -> None:
    deadline = time.monotonic() + 300
    while not list((spec.run_directory / "wandb").glob("*/*.wandb")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
