"""The small checkout as a git repository, its base model, and what starts it."""

import shutil
from pathlib import Path

import pytest

from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets_tests.gpu.fake_driver import FakeDriver
from gr00t_assets_tests.trainers.conftest import SpecMaker
from gr00t_assets_tests.trainers.isaac_gr00t.driving import IsaacSpec
from gr00t_assets_tests.trainers.isaac_gr00t.launching import (
    SmallRun,
    Trainer,
    as_october,
    committed,
    copy_checkout,
)
from gr00t_assets_tests.trainers.isaac_gr00t.small_model import make_base

collect_ignore = ["small_checkout", "small_checkout_n17"]
KEYS = ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "NETRC", "HF_TOKEN", "HF_HOME")


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    """A machine with git and nothing else, and a GPU driver that does not answer."""
    programs = tmp_path / "programs"
    programs.mkdir()
    git = shutil.which("git")
    assert git is not None
    (programs / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (*KEYS, "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    driver = FakeDriver(tmp_path / "driver")
    driver.install(monkeypatch)
    driver.fails()
    return driver


@pytest.fixture
def small_checkout(tmp_path: Path) -> Path:
    """A checkout that behaves as the June release, in a git repository of one commit."""
    return committed(copy_checkout(tmp_path / "Isaac-GR00T"))


@pytest.fixture
def october_checkout(tmp_path: Path) -> Path:
    """A checkout that behaves as the one of October, in a git repository of one commit."""
    return committed(as_october(copy_checkout(tmp_path / "Isaac-GR00T-october")))


@pytest.fixture(scope="session")
def small_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the base model that fits the small checkout."""
    folder = tmp_path_factory.mktemp("base")
    eagle = copy_checkout(folder / "checkout") / "gr00t" / "model" / "backbone" / "eagle2_hg_model"
    return make_base(eagle, folder / "model")


@pytest.fixture
def small_run(spec_of: SpecMaker, small_checkout: Path, small_base: Path) -> Trainer:
    """Makes a run of the small checkout of June from hyperparameters."""
    return lambda **settings: SmallRun(
        spec_of(trainer="isaac-gr00t", **settings), small_checkout, small_base
    )


@pytest.fixture
def october_run(spec_of: SpecMaker, october_checkout: Path, small_base: Path) -> Trainer:
    """Makes a run of the small checkout of October from hyperparameters."""
    return lambda **settings: SmallRun(
        spec_of(trainer="isaac-gr00t", **settings), october_checkout, small_base
    )


@pytest.fixture
def isaac_spec(spec_of: SpecMaker, small_base: Path) -> IsaacSpec:
    """Makes a spec that the small checkout trains, from hyperparameters."""

    def make(**settings: object) -> TrainingSpec:
        values = {"dataloader_num_workers": 0, **settings}
        return spec_of(base_model=str(small_base), trainer="isaac-gr00t", **values)

    return make
