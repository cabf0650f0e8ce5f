"""Runs that go on from a shorter one, which stays as it is."""

import json
from pathlib import Path

from gr00t_assets.core.project import Store
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import METRICS, read_metrics
from gr00t_assets.runs.spec import TrainingSpec, make_spec
from gr00t_assets_tests.trainers.conftest import SpecMaker, train

OF_THIS_VERSION = ("files", "checksum")
"""What the manifests of version 0.2 do not have."""


def losses(spec: TrainingSpec) -> list[float]:
    return read_metrics(spec.run_directory).losses.tolist()


def going_on(spec: TrainingSpec, steps: int) -> TrainingSpec:
    """The spec of an experiment that goes on from that of ``spec``."""
    short = spec.experiment
    settings = short.hyperparameters.model_copy(update={"max_steps": steps})
    changes = {
        "name": f"{short.name}-longer",
        "hyperparameters": settings,
        "continue_from": short.name,
        "continued_steps": (short.hyperparameters.max_steps,),
    }
    return make_spec(short.model_copy(update=changes), Store(Path(spec.store)))


def test_at_a_constant_rate_it_equals_the_run_that_was_long_from_the_start(
    spec_of: SpecMaker,
) -> None:
    short = spec_of(max_steps=2, lr_scheduler_type="constant")
    longer = going_on(short, 4)
    settings = longer.experiment.hyperparameters
    straight = make_spec(
        short.experiment.model_copy(update={"name": "straight", "hyperparameters": settings}),
        Store(Path(short.store)),
    )
    assert train(short).returncode == 0
    before = {path: path.read_bytes() for path in short.run_directory.rglob("*.json*")}

    outcome = train(longer)
    assert outcome.returncode == 0, outcome.stderr
    assert "resuming from step 2 of 4" in outcome.stdout
    assert train(straight).returncode == 0

    assert losses(longer) == losses(straight)
    manifest = load_manifest(longer.run_directory)
    assert manifest is not None
    assert (manifest.status, manifest.steps, manifest.attempts) == ("finished", 4, 1)
    assert {path: path.read_bytes() for path in short.run_directory.rglob("*.json*")} == before


def test_a_decaying_rate_goes_on_by_the_longer_schedule(spec_of: SpecMaker) -> None:
    short = spec_of(max_steps=2, lr_scheduler_type="linear", warmup_ratio=0.0)
    longer = going_on(short, 4)
    assert train(short).returncode == 0
    assert train(longer).returncode == 0
    rates = read_metrics(longer.run_directory).columns["learning_rate"].tolist()
    assert rates == [1e-3, 0.5e-3, 0.5e-3, 0.25e-3]


def test_the_shorter_run_has_to_be_finished(spec_of: SpecMaker) -> None:
    outcome = train(going_on(spec_of(max_steps=2), 4))
    assert outcome.returncode == 1
    assert "it goes on from small-run, which was not trained with max_steps 2." in outcome.stderr
    assert "materialise small-run first" in outcome.stderr


def test_where_a_power_cut_took_its_losses_it_is_continued_anew(spec_of: SpecMaker) -> None:
    short = spec_of(max_steps=2, lr_scheduler_type="constant")
    longer = going_on(short, 4)
    assert train(short).returncode == 0
    assert train(longer).returncode == 0
    unbroken = losses(longer)
    (longer.run_directory / "manifest.json").unlink()
    (longer.run_directory / METRICS).write_bytes(b"")
    outcome = train(longer)
    assert outcome.returncode == 0, outcome.stderr
    assert "went back there, without step-000002, step-000004" in outcome.stdout
    assert "resuming from step 2 of 4" in outcome.stdout
    assert losses(longer) == unbroken


def test_the_shorter_run_needs_a_loss_for_each_step(spec_of: SpecMaker) -> None:
    short = spec_of(max_steps=2)
    assert train(short).returncode == 0
    manifest = short.run_directory / "manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({k: v for k, v in content.items() if k not in OF_THIS_VERSION}))
    (short.run_directory / METRICS).write_bytes(b"")
    outcome = train(going_on(short, 4))
    assert outcome.returncode == 1
    assert "losses of 2 of 2 steps are missing" in outcome.stderr
    assert f"move {short.run_directory} away and materialise small-run again" in outcome.stderr
