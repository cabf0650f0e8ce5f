"""The real Isaac-GR00T on a CPU: which checkouts, which Python, and a tiny model for them.

``GR00T_ASSETS_TEST_ISAAC_CHECKOUT`` names one or more checkouts, separated as in PATH, and
``GR00T_ASSETS_TEST_ISAAC_PYTHON`` a Python 3.10 with their dependencies; flash-attn and a GPU are
not needed. Without them every test here is skipped.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.runs.spec import TrainingSpec, make_spec
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.launch_file import backbone_folder
from gr00t_assets_tests.trainers.isaac_gr00t.real.tiny_model import make

CHECKOUT = "GR00T_ASSETS_TEST_ISAAC_CHECKOUT"
PYTHON = "GR00T_ASSETS_TEST_ISAAC_PYTHON"
HERE = Path(__file__).parent

collect_ignore = ["cpu", "programs"]

_CHECKOUTS = [Path(part) for part in os.environ.get(CHECKOUT, "").split(os.pathsep) if part]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is marked ``isaac``."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.isaac)


@dataclass(frozen=True, kw_only=True)
class Isaac(IsaacEnvironment):
    """A checkout, its Python, and what they need without a GPU.

    Attributes:
        modules: Where transformers copies the Eagle folder's code to.
        drops_future_tokens: The June release, whose action head has none.
    """

    modules: Path
    drops_future_tokens: bool

    def variables(self, eagle: Path | None = None) -> dict[str, str]:
        """Environment variables of a process of the checkout's Python."""
        mine = {
            "PYTHONPATH": os.pathsep.join([str(self.checkout), str(HERE / "cpu")]),
            "HF_MODULES_CACHE": str(self.modules),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "TOKENIZERS_PARALLELISM": "false",
            "NO_ALBUMENTATIONS_UPDATE": "1",
        }
        if eagle is not None:
            mine["ISAAC_CPU_EAGLE"] = str(eagle)
        return {**os.environ, **mine}

    def run(self, script: Path, *arguments: object, eagle: Path | None = None) -> str:
        """What a script prints under the checkout's Python; its end is shown where it fails."""
        done = subprocess.run(
            [str(self.python), str(script), *map(str, arguments)],
            env=self.variables(eagle),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=500,
        )
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    def program(self, name: str, *arguments: object, eagle: Path | None = None) -> Any:
        """The JSON in the last line that a program of ``programs/`` prints."""
        printed = self.run(HERE / "programs" / f"{name}.py", *arguments, eagle=eagle)
        return json.loads(printed.strip().splitlines()[-1])


@pytest.fixture(scope="session", params=_CHECKOUTS or [None], ids=lambda path: path and path.name)
def isaac(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Isaac:
    """Each of the checkouts in turn."""
    checkout, python = request.param, os.environ.get(PYTHON)
    if checkout is None or not python:
        pytest.skip(f"set {CHECKOUT} to checkouts of Isaac-GR00T and {PYTHON} to their Python")
    head = checkout / "gr00t" / "model" / "action_head" / "flow_matching_action_head.py"
    return Isaac(
        checkout=checkout.absolute(),
        python=Path(python).absolute(),
        modules=tmp_path_factory.mktemp("modules"),
        drops_future_tokens="future_tokens" not in head.read_text(),
    )


@pytest.fixture(scope="session")
def tiny_base(isaac: Isaac, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model of random weights that both programs open."""
    return make(isaac.backbone, tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="session")
def tiny_eagle(isaac: Isaac, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Eagle folder that goes with it."""
    made = backbone_folder(
        tiny_base, isaac.checkout, tmp_path_factory.mktemp("eagle") / "tiny_eagle"
    )
    assert made is not None
    return made


@pytest.fixture(scope="session")
def exact_eagle(tiny_eagle: Path) -> Path:
    """The same in float32: the checkout's own makes the towers bfloat16."""
    exact = tiny_eagle.with_name("exact_eagle")
    shutil.copytree(tiny_eagle, exact)
    text = (exact / "config.json").read_text()
    assert '"torch_dtype": "bfloat16"' in text
    (exact / "config.json").write_text(text.replace('"bfloat16"', '"float32"'))
    return exact


@pytest.fixture(scope="session")
def demo_copy(demo_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo data where Isaac-GR00T may write into it."""
    copy = tmp_path_factory.mktemp("demo") / demo_dataset.name
    shutil.copytree(demo_dataset, copy)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return copy


@pytest.fixture(scope="session")
def demo_store(demo_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with the demo data, its modality config and its frame cache."""
    name = demo_dataset.name
    entry = CatalogEntry.model_validate(
        {
            "name": name,
            "description": "NVIDIA's demonstrations",
            "source": {"kind": "folder", "path": str(demo_dataset)},
            "data_config": "fourier_gr1_arms_only",
            "embodiment_tag": "gr1",
        }
    )
    store = Store(tmp_path_factory.mktemp("store"))
    record = ingest_dataset(entry, store)
    config = build_modality_config(entry, store)
    dataset = LeRobotDataset.open(record.directory(store), record.name)
    cameras = [camera.original_key for camera in config.video]
    build_frame_cache(dataset, cameras, store.frame_cache(record.name, record.version))
    return store


@pytest.fixture
def demo_spec(demo_store: Store, demo_dataset: Path) -> TrainingSpec:
    """A run of Isaac-GR00T on the demo data."""
    experiment = Experiment(
        name="demo", sweep="demo", dataset=demo_dataset.name, trainer="isaac-gr00t"
    )
    return make_spec(experiment, demo_store)
