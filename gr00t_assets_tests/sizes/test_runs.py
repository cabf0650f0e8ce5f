"""Run files with absurd numbers and sizes: one bad run never takes the comparison down."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gr00t_assets_tests.comparison.run_factory import (
    experiment,
    losses,
    project_of_two_runs,
    write_run,
)
from gr00t_assets_tests.harness.limited import Result, run_limited
from gr00t_assets_tests.reporting.report_runs import evaluation, finished_run

Spoil = Callable[[Path], object]

DATASET = "synthetic-pick-n-place"


def change(file: str, edit: Callable[[Any], object]) -> Spoil:
    """Another content; no checksum, as files of older versions have none."""

    def spoil(run: Path) -> None:
        content = json.loads((run / file).read_text())
        content.pop("checksum", None)
        edit(content)
        (run / file).write_text(json.dumps(content))

    return spoil


def manifest(**fields: Any) -> Spoil:
    return change("manifest.json", lambda content: content.update(fields))


def text(file: str, content: str) -> Spoil:
    return lambda run: (run / file).write_text(content)


def sparse(file: str, size: int = 50 * 10**9) -> Spoil:
    def spoil(run: Path) -> None:
        with (run / file).open("wb") as opened:
            opened.truncate(size)

    return spoil


def metric(**fields: Any) -> Spoil:
    def spoil(run: Path) -> None:
        lines = (run / "metrics.jsonl").read_text().splitlines()
        lines[-1] = json.dumps({**json.loads(lines[-1]), **fields})
        (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")

    return spoil


def evaluated(edit: Callable[[Any], object]) -> Spoil:
    def spoil(run: Path) -> None:
        content = evaluation(finished_run("third", run_id=run.name), 0.1).model_dump(mode="json")
        edit(content)
        (run / "evaluation.json").write_text(json.dumps(content))

    return spoil


NAMED: dict[str, Spoil] = {
    "10^30 steps": manifest(steps=10**30, max_steps=10**30),
    "10^4000 steps": manifest(steps=10**4000, max_steps=10**4000),
    "10^18 steps": manifest(steps=10**18, max_steps=10**18),
    "-10^30 steps": manifest(steps=-(10**30)),
    "10^30 samples": manifest(samples_seen=10**30),
    "10^400 samples": manifest(samples_seen=10**400),
    "10^400 bytes": manifest(peak_memory_bytes=10**400),
    "10^400 frames": manifest(dataset_frames=10**400),
    "10^400 parameters": manifest(parameters=10**400),
    "10^30 attempts": manifest(attempts=10**30),
    "a loss of 10^308": change(
        "manifest.json", lambda m: m["final_loss"].update(mean=1e308, standard_error=1e308)
    ),
    "a loss of infinity": change("manifest.json", lambda m: m["final_loss"].update(mean=1e999)),
    "a window of 10^30 steps": change(
        "manifest.json", lambda m: m["final_loss"].update(steps=10**30, samples=10**400)
    ),
    "10^308 seconds": manifest(wall_seconds=1e308, gpu_seconds=1e308),
    "infinite seconds": manifest(wall_seconds=1e999, gpu_seconds=1e999),
    "no number of seconds": manifest(wall_seconds=float("nan"), gpu_seconds=float("nan")),
    "100,000 levels": text("manifest.json", "[" * 100_000),
    "a manifest of 50 GB": sparse("manifest.json"),
    "a number of a million digits": text("manifest.json", f'{{"steps": {"9" * 10**6}}}'),
    "a failure of 10 MB": manifest(failure="x" * 10**7, status="failed"),
    "metrics of 50 GB": sparse("metrics.jsonl"),
    "a logged step of 10^30": metric(step=10**30),
    "a logged step of 2^62": metric(step=2**62),
    "10^30 samples logged": metric(samples_seen=10**30),
    "a logged loss of 10^308": metric(loss=1e308, losses=[1e308] * 10),
    "a line of 100,000 levels": text("metrics.jsonl", '{"losses": ' + "[" * 100_000),
    "a spec of 50 GB": sparse("spec.json"),
    "a spec of 100,000 levels": text("spec.json", '{"a": ' + "[" * 100_000),
    "an evaluation of 50 GB": sparse("evaluation.json"),
    "an evaluation of 100,000 levels": text("evaluation.json", "[" * 100_000),
    "an evaluation of 10^30 windows": evaluated(lambda e: e["seen"].update(windows=10**30)),
    "an evaluation of 10^400 windows": evaluated(
        lambda e: e["held_out"].update(windows=10**400, clusters=10**400, stride=10**400)
    ),
    "an evaluation of a horizon of 10^30": evaluated(lambda e: e.update(horizon=10**30)),
    "an error of 10^308": evaluated(
        lambda e: e["held_out"]["error"].update(mean=1e308, low=-1e308, high=1e308)
    ),
    "an error of infinity": evaluated(lambda e: e["held_out"]["error"].update(mean=1e999)),
    "an episode of 10^400": evaluated(lambda e: e["trajectories"][0].update(episode=10**400)),
    "an attempt of 50 GB": sparse("attempts.jsonl"),
    "a record of W&B of 50 GB": sparse("wandb.json"),
}

HARMLESS = {
    "a logged step of 2^62",
    "10^30 samples logged",
    "a logged loss of 10^308",
    "10^18 steps",
    "10^18 samples",
    "a failure of 10 MB",
    "an attempt of 50 GB",
    "a record of W&B of 50 GB",
}
"""What is shown as it is, or has no bearing on what is compared."""

WHY = re.compile(
    r"third\S* cannot be read: |(third/\S+|third): \S*.*?(too large|nested|losses of|not finite)|"
    r"It is not ranked|The evaluation of third is left out"
)

VIEWS = """
import os
os.environ.update(GR00T_ASSETS_ROOT={root!r}, GR00T_ASSETS_STORE={store!r}, COLUMNS="1000")
os.chdir({root!r})
for words in (["compare"], ["compare", "--json"], ["journal", "--print"], ["store", "status"]):
    sys.argv[1:] = words
    try:
        main()
    except SystemExit as ending:
        if ending.code:
            print(words)
            raise
"""

MODULES = """
import gr00t_assets.reporting.report, gr00t_assets.reporting.images
import matplotlib.pyplot, pandas
from gr00t_assets.cli.main import main
import sys
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    folder, pieces = tmp_path_factory.mktemp("runs"), {}
    for number, (name, spoil) in enumerate(NAMED.items()):
        root = folder / str(number)
        with pytest.MonkeyPatch.context() as patch:
            store = project_of_two_runs(root, patch)
        sweep = root / "data" / "sweeps" / "demo.yaml"
        sweep.write_text(
            f"{sweep.read_text()}  - name: third\n    hyperparameters: {{batch_size: 2}}\n"
        )
        item = experiment("third", dataset=DATASET, batch_size=2)
        spoil(write_run(item, store, losses(300, 0.3)))
        pieces[name] = VIEWS.format(root=str(root), store=str(store.root))
    return run_limited(pieces, MODULES)


@pytest.mark.parametrize("name", NAMED)
def test_the_other_runs_are_compared(name: str, results: dict[str, Result]) -> None:
    output = results[name].done()
    assert "best" in output
    assert "second" in output
    if name not in HARMLESS:
        assert WHY.search(output), output[-3000:]
