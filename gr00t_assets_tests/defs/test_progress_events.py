"""What a running training leaves on its page: real trainers, a real instance."""

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.defs.launching import MOST, ProgressEvents
from gr00t_assets.runs.metrics import last_metrics
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import SPEC
from gr00t_assets_tests.defs import noop_trainer
from gr00t_assets_tests.defs.specs import a_modality_config, a_spec

STEPS = 5_000


def train(
    store: Store,
    instance: dg.DagsterInstance,
    until: Callable[[Path], bool] = lambda _: False,
    step_seconds: float = 0.0004,
) -> None:
    """Train as far as ``until`` lets, with an observation whenever one may be made."""
    spec = a_spec(store.root, hyperparameters={"max_steps": STEPS})
    place_spec(spec)
    modality = a_modality_config().content_hash()
    command = [sys.executable, "-S", str(noop_trainer.__file__), str(spec.run_directory / SPEC)]

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["lr1e-3"]))
    def checkpoint(context: dg.AssetExecutionContext) -> None:
        events = ProgressEvents(context, spec.run_directory, seconds=0)
        environment = {"NOOP_STEP_SECONDS": str(step_seconds)}
        with subprocess.Popen([*command, modality], env=environment) as process:
            while process.poll() is None:
                events.observe()
                if until(spec.run_directory):
                    process.send_signal(signal.SIGKILL)
                    process.wait()
        events.observe(last=True)

    result = dg.materialize([checkpoint], instance=instance, partition_key="lr1e-3")
    assert result.success


def observations(instance: dg.DagsterInstance) -> list[Mapping[str, Any]]:
    """Metadata of each, the oldest first."""
    key = dg.AssetKey("checkpoint")
    records = instance.fetch_observations(key, limit=10_000, ascending=True).records
    found = [record.asset_observation for record in records]
    return [{name: value.value for name, value in item.metadata.items()} for item in found if item]


def is_at(step: int) -> Callable[[Path], bool]:
    def reached(directory: Path) -> bool:
        lines = last_metrics(directory, 1)
        return bool(lines) and lines[0].step >= step

    return reached


def test_five_thousand_steps_are_at_most_200_observations(
    store: Store, instance: dg.DagsterInstance
):
    train(store, instance)
    found = observations(instance)
    assert MOST / 10 < len(found) <= MOST
    steps = [item["training_step"] for item in found]
    assert steps == sorted(set(steps)) and steps[-1] == STEPS, "the last one always"
    assert {item["training_steps"] for item in found} == {STEPS}
    last, middle = found[-1], found[len(found) // 2]
    assert last["training_percent"] == 100.0
    assert middle["training_percent"] == pytest.approx(100 * middle["training_step"] / STEPS, 1e-3)
    assert middle["training_samples_per_second"] > 0
    arrival = datetime.strptime(middle["training_eta"], "%Y-%m-%d %H:%M:%S UTC")
    assert abs((arrival - datetime.now(UTC).replace(tzinfo=None)).total_seconds()) < 60
    curves = [item for item in found if "training_loss_line" in item]
    assert len(found) // 10 <= len(curves) <= len(found) // 10 + 1
    assert "training_loss_line" in last
    assert all("data:image/svg+xml" in item["training_loss_line"] for item in curves)
    logs = [item["training_log"] for item in found if "training_log" in item]
    assert len(logs) == 1 and "training_log" in found[0]
    assert Path(logs[0]).name == "log.txt"


def test_kills_do_not_make_them_more(store: Store, instance: dg.DagsterInstance):
    counts = []
    for end in (2_000, 3_000, 4_000, STEPS):
        train(store, instance, is_at(end) if end < STEPS else lambda _: False)
        counts.append(len(observations(instance)))
    assert counts == sorted(set(counts)), "each attempt is observed"
    assert counts[-1] <= MOST
    assert observations(instance)[-1]["training_step"] == STEPS


def test_steps_that_are_done_again_are_observed_again(store: Store, instance: dg.DagsterInstance):
    train(store, instance, is_at(2_000))
    metrics = (
        a_spec(store.root, hyperparameters={"max_steps": STEPS}).run_directory / "metrics.jsonl"
    )
    before = [item["training_step"] for item in observations(instance)]
    lines = metrics.read_text().splitlines(keepends=True)
    metrics.write_text("".join(lines[:500]))
    train(store, instance, is_at(1_500))
    after = [item["training_step"] for item in observations(instance)][len(before) :]
    assert after and after[0] < 1_000
    assert len(before) + len(after) <= MOST
