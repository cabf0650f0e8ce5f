"""Records of a store that are of 50 GB and take no room on the disk: each is named, in no time."""

import os
import shutil
from pathlib import Path

import pytest

from gr00t_assets_tests.evaluation.runs import a_store, make_data, make_run
from gr00t_assets_tests.harness.limited import Result, run_limited

FILES = {
    "datasets/*/dataset.json": "too large",
    "datasets/*/origin.json": "too large",
    "datasets/*/*.files.json": "nothing damaged",
    "datasets/*/*.scan.json": "too large",
    "datasets/*/*/meta/info.json": "its content has changed",
    "modality_configs/*.json": "too large",
    "frame_caches/*/*/*/checksums.json": "it is damaged",
    "frame_caches/*/*/*/index.json": "it is damaged",
    "frame_caches/*/*.frames.json": "too large",
    "runs/*/*/spec.json": "too large",
    "runs/*/*/manifest.json": "too large",
    "runs/*/*/metrics.jsonl": "too large",
    "runs/*/*/attempts.jsonl": "too large",
    "runs/*/*/checkpoints/*/complete.json": "too large",
    "runs/*/*/model/modality_config.json": "its content has changed",
}
HASHED = {"runs/*/*/model/modality_config.json", "datasets/*/*/meta/info.json"}
"""What has a SHA-256 is read to its end, which of 50 GB takes a while: 200 MB are enough."""

HARMLESS = {"runs/*/*/attempts.jsonl", "datasets/*/*.files.json"}
"""An attempt is passed over; hashes that give the version's name are written anew."""
UNREAD_BY_TRAINING = {
    "datasets/*/dataset.json", "datasets/*/origin.json", "datasets/*/*.scan.json",
    "modality_configs/*.json",
    "runs/*/*/model/modality_config.json",
}  # fmt: skip
"""A run has its modality config in its spec, and its dataset's version."""

MODULES = """
import sys, os, torch
import gr00t_assets.trainers.native.native_run
import gr00t_assets.runs.verification
from gr00t_assets.cli.main import main
from gr00t_assets.trainers.native.__main__ import main as train
"""

COMMANDS = """
os.environ["GR00T_ASSETS_STORE"] = {store!r}
for words in {commands!r}:
    sys.argv[1:] = words
    try:
        main()
    except SystemExit as ending:
        print(words[1], "ended with", ending.code)
"""

TRAIN = """
os.environ["GR00T_ASSETS_STORE"] = {store!r}
sys.exit(train([{spec!r}]))
"""


FOLLOW = """
from pathlib import Path
from gr00t_assets.runs.metrics import MetricTail
print(len(MetricTail(Path({run!r}), 0).new()), "new lines")
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    folder, pieces = tmp_path_factory.mktemp("records"), {}
    store = a_store(folder)
    make_data(store)
    spec = make_run(store, max_steps=2, logging_steps=1)
    for number, pattern in enumerate(FILES):
        root = shutil.copytree(store.root, folder / str(number), copy_function=os.link)
        for path in sorted(root.glob(pattern)):
            path.unlink()
            with path.open("wb") as opened:
                opened.truncate(200 * 10**6 if pattern in HASHED else 50 * 10**9)
        commands = [["store", "verify"], ["store", "status"], ["store", "prune", "--dry-run"]]
        pieces[pattern] = COMMANDS.format(store=str(root), commands=commands)
        trained = shutil.copytree(root, folder / f"{number}t", copy_function=os.link)
        run = trained / spec.run_directory.relative_to(store.root)
        for name in ("manifest.json", "spec.json"):
            if name not in pattern:
                (run / name).unlink()
        file = Path(folder, f"{number}.json")
        moved = spec.model_copy(update={"store": str(trained)})
        (run / "spec.json").unlink(missing_ok="spec" not in pattern)
        if "spec" not in pattern:
            (run / "spec.json").write_text(moved.model_dump_json())
        file.write_text(moved.model_dump_json())
        pieces[f"train {pattern}"] = TRAIN.format(store=str(trained), spec=str(file))
    (run := folder / "run").mkdir()
    with (run / "metrics.jsonl").open("wb") as opened:
        opened.truncate(50 * 10**9)
    pieces["followed"] = FOLLOW.format(run=str(run))
    return run_limited(pieces, MODULES)


@pytest.mark.parametrize("pattern", FILES)
def test_it_is_named_by_store_verify_and_survived(pattern: str, results: dict[str, Result]) -> None:
    output = results[pattern].done()
    assert FILES[pattern] in output
    assert f"verify ended with {int(pattern not in HARMLESS)}" in output
    assert "status ended with" in output and "prune ended with" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("pattern", FILES)
def test_a_training_refuses_it_or_does_not_need_it(
    pattern: str, results: dict[str, Result]
) -> None:
    result = results[f"train {pattern}"]
    if pattern in UNREAD_BY_TRAINING | HARMLESS:
        result.done()
    else:
        in_cache = pattern.count("/") == 4 and "frame" in pattern
        named = "frame cache" if in_cache else Path(pattern).name.lstrip("*")
        assert named in result.refused()


def test_metrics_of_50_gb_are_followed_a_part_at_a_time(results: dict[str, Result]) -> None:
    assert "0 new lines" in results["followed"].done()
