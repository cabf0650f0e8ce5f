"""A data config of one's own under isaac-gr00t: the module it is given, and what is refused."""

import importlib
import importlib.util
import json
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import pytest

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.modality.key_config import CameraTransforms
from gr00t_assets.trainers.isaac_gr00t.data_config_module import CLASS, write_module
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.isaac_run import LAUNCHER
from gr00t_assets.trainers.isaac_gr00t.limits import refuse, refuse_other_shape
from gr00t_assets.trainers.isaac_gr00t.trainer import IsaacGr00tTrainer
from gr00t_assets_tests.defs.specs import a_spec
from gr00t_assets_tests.trainers.isaac_gr00t.own_data_config import own_config

_NAMES = {
    "gr00t.data.dataset": ["ModalityConfig"],
    "gr00t.data.transform.base": ["ComposedModalityTransform"],
    "gr00t.data.transform.concat": ["ConcatTransform"],
    "gr00t.data.transform.state_action": [
        "StateActionSinCosTransform",
        "StateActionToTensor",
        "StateActionTransform",
    ],
    "gr00t.data.transform.video": [
        "VideoColorJitter",
        "VideoCrop",
        "VideoResize",
        "VideoToNumpy",
        "VideoToTensor",
    ],
    "gr00t.model.transforms": ["GR00TTransform"],
}

_CATALOG = """\
drawn:
  description: Two short episodes
  source: {kind: synthetic, episodes: 2, min_frames: 40, max_frames: 44, width: 96, height: 96}
  data_config: mine
"""
_CONFIG = """\
video: [ego_view]
state:
  left_arm: {normalization: q99}
action:
  left_arm: {normalization: min_max}
language: annotation.human.action.task_description
"""


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes of the checkout's names that keep what they are told."""
    for name, classes in _NAMES.items():
        module = types.ModuleType(name)
        for each in classes:
            setattr(module, each, type(each, (SimpleNamespace,), {}))
        for part in (name, name.rsplit(".", 1)[0], "gr00t"):
            monkeypatch.setitem(
                sys.modules,
                part,
                module if part == name else sys.modules.get(part) or types.ModuleType(part),
            )


def _made(config: ModalityConfig, folder: Path) -> SimpleNamespace:
    path = write_module(config, folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, CLASS)()


@pytest.mark.usefixtures("stand_in")
def test_the_module_says_what_the_data_config_says(tmp_path: Path) -> None:
    config = own_config()
    made = _made(config, tmp_path)
    assert (tmp_path / "own_my_arm_v2.py").is_file()
    assert made.action_indices == [0, 1, 2, 4]
    keys = made.modality_config()
    assert keys["state"].modality_keys == ["state.arm", "state.joints", "state.hand", "state.plain"]
    assert keys["language"].modality_keys == ["annotation.human.task_description"]
    steps = made.transform().transforms
    crops = [step for step in steps if type(step).__name__ == "VideoCrop"]
    assert [(step.apply_to, step.scale) for step in crops] == [
        (["video.front"], 0.95),
        (["video.wrist"], 0.8),
    ]
    of_state, of_action = (s for s in steps if type(s).__name__ == "StateActionTransform")
    assert of_state.normalization_modes == {"state.arm": "q99", "state.hand": "min_max"}
    assert of_state.target_rotations == {"state.hand": "rotation_6d"}
    assert of_action.normalization_modes["action.grip"] == "binary"
    assert steps[-1].embodiment_tag_mapping == {"new_embodiment": 30}


def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (tmp_path / "data" / "data_configs").mkdir(parents=True)
    (tmp_path / "data" / "datasets.yaml").write_text(_CATALOG)
    (tmp_path / "data" / "data_configs" / "mine.yaml").write_text(text)
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("min_max", "min_max, rep: relative", "left_arm is relative"),
        ("{normalization: min_max}", "{sin_cos: true}", "has sin_cos"),
        ("language", "cameras: {ego_view: {resize: letterbox}}\nlanguage", "stretches images"),
        ("language", "cameras: {ego_view: {region: [0, 0, 1, 0.5]}}\nlanguage", "has a region"),
        ("language", "max_state_dim: 132\nlanguage", "max_state_dim 132, and N1.5 takes 64"),
        ("language", "image_size: 448\nlanguage", "image_size 448, and N1.5 takes 224"),
    ],
)
def test_what_n15_cannot_do_is_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, words: str
) -> None:
    spec = a_spec(tmp_path, trainer="isaac-gr00t", base_model="nvidia/GR00T-N1.5-3B")
    experiment = spec.experiment.model_copy(update={"dataset": "drawn"})
    _project(tmp_path, monkeypatch, _CONFIG)
    assert IsaacGr00tTrainer().limits(experiment) == []
    file = tmp_path / "data" / "data_configs" / "mine.yaml"
    file.write_text(_CONFIG.replace(old, new, 1))
    (limit,) = IsaacGr00tTrainer().limits(experiment)
    assert limit.subject == "dataset" and words in limit.found and limit.remedy


def test_only_what_the_data_tells_is_refused_at_the_start(tmp_path: Path) -> None:
    spec = a_spec(tmp_path, trainer="isaac-gr00t", base_model="nvidia/GR00T-N1.5-3B")
    environment = IsaacEnvironment(tmp_path, tmp_path / "python")
    refuse(spec, environment)
    config = own_config()
    grown = config.action[1].model_copy(update={"target_rotation": "quaternion"})
    boxed = config.video[0].model_copy(update={"transforms": CameraTransforms(resize="letterbox")})
    wrong = config.model_copy(
        update={"action": (config.action[0], grown), "video": (boxed, config.video[1])}
    )
    grown_spec = spec.model_copy(update={"modality_config": wrong})
    with pytest.raises(TrainingError, match="does not take data config my-arm") as caught:
        refuse(grown_spec, environment)
    assert "action turn becomes quaternion, of another width" in str(caught.value.details)


def test_only_october_makes_a_head_for_chunks_of_another_shape(tmp_path: Path) -> None:
    spec = a_spec(tmp_path).model_copy(update={"modality_config": own_config()})
    environment = IsaacEnvironment(tmp_path, tmp_path / "python")
    shape = {"action_horizon": 16, "action_dim": 32}
    (tmp_path / "config.json").write_text(json.dumps({"action_head_cfg": shape}))
    environment.script.parent.mkdir()
    environment.script.write_text("data_action_horizon = len(action_indices)\n")
    refuse_other_shape(spec, environment, tmp_path)
    environment.script.write_text("")
    with pytest.raises(TrainingError, match="action_horizon 4, the base model's 16"):
        refuse_other_shape(spec, environment, tmp_path)


@pytest.mark.usefixtures("stand_in")
def test_the_launcher_adds_it_to_the_configs_of_either_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(LAUNCHER.parent))
    launcher = importlib.import_module("launcher_n15")
    known = types.ModuleType("gr00t.experiment.data_config")
    known.DATA_CONFIG_MAP = {}  # pyright: ignore[reportAttributeAccessIssue]
    for name in ("gr00t.experiment", "gr00t.experiment.data_config"):
        monkeypatch.setitem(sys.modules, name, known)
    config = own_config()
    launch = {
        "data_config_module": str(write_module(config, tmp_path)),
        "data_config_class": CLASS,
        "arguments": {"data_config": config.data_config},
    }
    launcher.register_data_config(launch)
    assert list(known.DATA_CONFIG_MAP) == ["my-arm.v2"]
    assert known.DATA_CONFIG_MAP["my-arm.v2"].action_indices == [0, 1, 2, 4]
    for name in [name for name in sys.modules if name.startswith("launcher_")]:
        sys.modules.pop(name, None)
    sys.modules.pop("own_my_arm_v2", None)
    sys.path.remove(str(tmp_path))
