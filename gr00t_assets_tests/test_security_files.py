"""Files of the store never run: a pickle in place of any of them is refused or not opened."""

import ast
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import gr00t_assets
from gr00t_assets_tests.trainers.conftest import SpecMaker, environment, small_data, spec_of, train

__all__ = ["small_data", "spec_of"]

PACKAGE = Path(gr00t_assets.__path__[0])


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (os.mkdir, (str(self._canary),))


def plain(path: Path, bomb: Bomb) -> None:
    path.write_bytes(pickle.dumps(bomb))


def zipped(path: Path, bomb: Bomb) -> None:
    """As ``torch.save`` writes it."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(bomb, protocol=2))
        file.writestr("archive/version", "3\n")


def array(path: Path, bomb: Bomb) -> None:
    """An ``.npy`` of objects, whose content is a pickle."""
    with path.open("wb") as file:
        np.lib.format.write_array(file, np.array([bomb], dtype=object), allow_pickle=True)


def tagged(path: Path, bomb: Bomb) -> None:
    """YAML that full loaders run."""
    path.write_text(f"!!python/object/apply:os.mkdir ['{bomb._canary}']\n")


READ_ALL = """
import json, sys
from pathlib import Path
import numpy as np
unpickled = []
sys.addaudithook(lambda e, a: unpickled.append(a) if e == "pickle.find_class" else None)

from gr00t_assets.core.errors import StoreError
from gr00t_assets.core.project import Store
from gr00t_assets.core.yaml_files import load_settings
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.modality.frame_check_result import frames_verified
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.frames.frame_cache import PreparedFrames
from gr00t_assets.datasets.sources.versions import load_record
from gr00t_assets.datasets.sources.origin import load_origin
from gr00t_assets.experiments.sweeps import load_sweep
from gr00t_assets.modality.camera_images import ImageRecipe
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.runs.retention.retention_rule import RetentionRule
from gr00t_assets.trainers.isaac_gr00t import isaac_checkpoints as isaac
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.isaac_gr00t.environment import N15
from gr00t_assets.trainers.isaac_gr00t.isaac_checkpoints import sizes_on_disk
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.trainers.native.base_models import load_base_model
from gr00t_assets.trainers.native.training_state import latest_checkpoint
from gr00t_assets.trainers.run_checks import final_weights_problem
from gr00t_assets.trainers.native.policy import NativePolicy
from gr00t_assets.runs.spec import TrainingSpec, load_spec
from gr00t_assets.trainers.wandb_run import read_record

def read_all(spec_file, root):
    spec = TrainingSpec.model_validate(json.loads(spec_file.read_text()))
    store, run, cache = Store(root), spec.run_directory, spec.datasets[0].frame_cache
    camera = spec.modality_config.video[0].original_key
    def prepared():
        config = load_modality_config("small", store)
        frames = PreparedFrames.open(cache, config, ImageRecipe(112))
        frames.frames(config.video[0].original_key, np.array([0]))
    def episode():
        dataset = LeRobotDataset.open(spec.datasets[0].directory)
        return dataset.read_episode(0), dataset
    readers = {
        "dataset": episode,
        "record": lambda: load_record("small", store),
        "origin": lambda: load_origin("small", store),
        "config": lambda: load_modality_config("small", store),
        "truth": lambda: frames_verified(spec.datasets[0].frame_check),
        "cache": lambda: FrameCache.open(cache).frame(0, camera, 0),
        "prepared": prepared,
        "spec": lambda: load_spec(run / "spec.json"),
        "manifest": lambda: load_manifest(run),
        "metrics": lambda: read_metrics(run),
        "wandb": lambda: read_record(run),
        "checkpoint": lambda: latest_checkpoint(run, spec.config_hash),
        "isaac": lambda: isaac.latest_checkpoint(spec),
        "model": lambda: load_base_model(str(run / "model")),
        "policy": lambda: NativePolicy(run / "model"),
        "size": lambda: sizes_on_disk(run / "model", IsaacHyperparameters(), N15.parts),
        "final": lambda: final_weights_problem(run),
        "catalog": lambda: load_catalog(root.parent / "datasets.yaml"),
        "sweep": lambda: load_sweep(root.parent / "sweep.yaml", ["small"]),
        "rule": lambda: load_settings(root.parent / "retention.yaml", RetentionRule, StoreError),
    }
    failed = {}
    for name, read in readers.items():
        try:
            read()
        except Exception as error:
            failed[name] = type(error).__name__
    print(json.dumps({"failed": failed, "unpickled": list(map(str, unpickled))}), flush=True)

for pair in zip(sys.argv[1::2], sys.argv[2::2]):
    read_all(*map(Path, pair))
"""


def read_all(pairs: list[tuple[Path, Path]]) -> list[dict]:
    """What each store's readers did, by the spec of its run."""
    result = subprocess.run(
        [sys.executable, "-c", READ_ALL, *(str(part) for pair in pairs for part in pair)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


@pytest.fixture
def store(spec_of: SpecMaker, tmp_path: Path) -> tuple[Path, Path]:
    """A store with one of each file, and the spec of its run."""
    spec = spec_of(max_steps=2, augmentation="none")
    assert train(spec).returncode == 0
    entry = {"description": "d", "source": "synthetic", "data_config": "so100_dualcam"}
    root = Path(spec.store)
    (root.parent / "datasets.yaml").write_text(json.dumps({"small": entry}))
    sweep = {"defaults": {"dataset": "small"}, "experiments": [{"name": "a"}]}
    (root.parent / "sweep.yaml").write_text(json.dumps(sweep))
    (root.parent / "retention.yaml").write_text("last: 1\n")
    file = tmp_path / "asked.json"
    file.write_text(spec.model_dump_json())
    return root, file


def test_a_pickle_in_place_of_any_file_does_nothing(
    store: tuple[Path, Path], tmp_path: Path
) -> None:
    root, spec = store
    canary, pairs = tmp_path / "canary", [(spec, root)]
    for number, write in enumerate((plain, zipped, array, tagged)):
        folder = tmp_path / f"spoilt{number}" / "all"
        shutil.copytree(root.parent, folder, ignore=shutil.ignore_patterns("spoilt*"))
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            write(path, Bomb(canary))
        file = folder.parent / "asked.json"
        asked = json.loads(spec.read_text()) | {"store": str(folder / root.name)}
        file.write_text(json.dumps(asked))
        pairs.append((file, folder / root.name))
    sound, *others = read_all(pairs)
    assert set(sound["failed"]) <= {"isaac"}, sound
    assert len(others) == 4
    needed = {"dataset", "record", "config", "cache", "spec", "manifest", "checkpoint", "model"}
    for found in others:
        assert needed <= set(found["failed"])
        assert found["unpickled"] == []
    assert not canary.exists()


def test_the_bomb_does_go_off_where_it_is_unpickled(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    plain(tmp_path / "bomb", Bomb(canary))
    pickle.loads((tmp_path / "bomb").read_bytes())
    assert canary.is_dir()
    canary.rmdir()
    array(tmp_path / "bomb.npy", Bomb(canary))
    np.load(tmp_path / "bomb.npy", allow_pickle=True)
    assert canary.is_dir()


FORBIDDEN = {
    "eval",
    "exec",
    "os.system",
    "pickle.load",
    "pickle.loads",
    "torch.load",
    "joblib.load",
    "yaml.load",
    "yaml.full_load",
    "yaml.unsafe_load",
    "marshal.loads",
    "shelve.open",
}
ARGUMENTS = {"allow_pickle", "trust_remote_code", "shell"}


def calls() -> Iterator[tuple[Path, ast.Call, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield path, node, ast.unparse(node.func)


def test_the_package_calls_nothing_that_runs_what_it_reads() -> None:
    """``yaml.BaseLoader`` makes texts, lists and tables of them, and nothing else."""
    found = [
        f"{path.name}:{node.lineno}: {name}"
        for path, node, name in calls()
        if (name in FORBIDDEN and not ast.unparse(node).endswith("yaml.BaseLoader)"))
        or any(
            keyword.arg in ARGUMENTS
            and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
            for keyword in node.keywords
        )
    ]
    assert found == []
    assert sum(name == "np.load" for _, _, name in calls()) > 2
