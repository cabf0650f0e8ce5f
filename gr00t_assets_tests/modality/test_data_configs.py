"""Data configs: the twelve of N1.5, a project's own, and what is said about a wrong file."""

from pathlib import Path

import pytest

from gr00t_assets.core.errors import CatalogError, DataConfigError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.modality.data_config import EMBODIMENT_IDS, data_configs, load_data_config
from gr00t_assets.modality.rotations import ROTATION_DIMS

OWN = """\
video: [ego_view]
state:
  left_arm: {normalization: q99}
  right_hand: {}
action:
  right_arm: {normalization: mean_std}
language: annotation.human.action.task_description
action_indices: [0, 1, 2, 3]
color_jitter: {hue: 0}
"""
CATALOG = """\
drawn:
  description: Two short episodes
  source: {kind: synthetic, episodes: 2, min_frames: 40, max_frames: 44, width: 96, height: 96}
  data_config: left_arm_only
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a catalog and a data config of its own."""
    (tmp_path / "data" / "data_configs").mkdir(parents=True)
    (tmp_path / "data" / "datasets.yaml").write_text(CATALOG)
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    monkeypatch.delenv("GR00T_ASSETS_DATASETS", raising=False)
    return tmp_path


def _own(project: Path, text: str = OWN, name: str = "left_arm_only") -> Path:
    file = project / "data" / "data_configs" / f"{name}.yaml"
    file.write_text(text)
    return file


def test_the_twelve_of_n1_5() -> None:
    assert list(data_configs()) == [
        "agibot_genie1",
        "bimanual_panda_gripper",
        "bimanual_panda_hand",
        "fourier_gr1_arms_only",
        "fourier_gr1_arms_waist",
        "fourier_gr1_full_upper_body",
        "oxe_droid",
        "single_panda_gripper",
        "so100",
        "so100_dualcam",
        "unitree_g1",
        "unitree_g1_full_body",
    ]
    assert EMBODIMENT_IDS == {"gr1": 24, "oxe_droid": 17, "agibot_genie1": 26, "new_embodiment": 31}


@pytest.mark.parametrize("config", data_configs().values(), ids=lambda config: config.name)
def test_every_config_is_whole(config) -> None:
    for keys in (config.state, config.action):
        assert len({key.key for key in keys}) == len(keys)
        for key in keys:
            assert key.normalization in (None, "min_max", "q99", "mean_std", "binary")
            assert key.target_rotation in (None, *ROTATION_DIMS)
    assert config.language.startswith("annotation.")
    assert config.observation_indices == (0,)
    assert config.action_indices == tuple(range(16))
    assert (config.max_state_dim, config.max_action_dim) == (64, 32)


def test_facts_that_differ_between_configs() -> None:
    arms = data_configs()["fourier_gr1_arms_only"]
    assert [key.key for key in arms.state] == ["left_arm", "right_arm", "left_hand", "right_hand"]
    assert all(key.sin_cos and key.normalization is None for key in arms.state)
    assert all(key.normalization == "min_max" for key in arms.action)
    droid = {key.key: key for key in data_configs()["oxe_droid"].action}
    assert droid["eef_position_delta"].normalization is None
    assert droid["eef_rotation_delta"].target_rotation == "axis_angle"
    assert droid["gripper_position"].normalization == "binary"
    panda = {key.key: key for key in data_configs()["single_panda_gripper"].state}
    assert panda["base_rotation"].target_rotation == "rotation_6d"
    assert panda["base_rotation"].normalization == "min_max"
    assert len(data_configs()["unitree_g1_full_body"].state) == 7


def test_a_misspelt_name_is_answered_with_the_closest() -> None:
    problem = data_configs().problem("so100_dual_cam")
    assert problem == "there is no data config 'so100_dual_cam'; did you mean 'so100_dualcam'?"
    assert data_configs().problem("so100_dualcam") is None


def test_an_own_data_config_goes_from_its_file_to_a_modality_config(project: Path) -> None:
    """No Python file is touched: a YAML file, a line in the catalog."""
    _own(project)
    entry = load_catalog()["drawn"]
    store = Store(project / "store")
    ingest_dataset(entry, store)
    config = build_modality_config(entry, store)
    assert config.data_config == "left_arm_only"
    assert [(key.key, key.normalization) for key in config.state] == [
        ("left_arm", "q99"),
        ("right_hand", None),
    ]
    assert (config.state_dim, config.action_dim, len(config.action_indices)) == (13, 7, 4)
    assert (config.color_jitter.hue, config.color_jitter.brightness) == (0, 0.3)


def test_a_changed_file_is_read_again(project: Path) -> None:
    file = _own(project)
    assert data_configs()["left_arm_only"].crop_scale == 0.95
    file.write_text(OWN + "crop_scale: 0.875\n")
    assert data_configs()["left_arm_only"].crop_scale == 0.875
    file.unlink()
    assert "left_arm_only" not in data_configs()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("language:", "langage:", r"line 7: langage: unknown field; did you mean 'language'"),
        ("q99", "q95", r":3: state.left_arm.normalization: .*found 'q95'; did you mean 'q99'"),
        ("{normalization: q99}", "{rotation: quaternion}", r":3: state.left_arm.rotation: unknown"),
        (
            "{normalization: q99}",
            "{target_rotation: rotation6d}",
            r":3: state.left_arm.target_rotation: .*did you mean 'rotation_6d'",
        ),
        ("{normalization: q99}", "{normalization: q99, sin_cos: true}", ":3: .*stands alone"),
        ("annotation.human", "human", r":7: language: .*annotation"),
        ("video: [ego_view]", "video: []", r":1: video: .*at least 1"),
        ("  right_arm:", "  right_arm: {}\n  right_arm:", r":7: action.right_arm: is given twice"),
        ("hue: 0", "hue: 0.7", r":9: color_jitter.hue: .*0.5, found 0.7"),
        ("video: [ego_view]", "video: [ego_view", "this is not YAML"),
    ],
)
def test_a_wrong_file_is_told_by_line_and_field(
    project: Path, old: str, new: str, expected: str
) -> None:
    with pytest.raises(DataConfigError, match=expected) as caught:
        load_data_config(_own(project, OWN.replace(old, new, 1)))
    assert "left_arm_only.yaml" in str(caught.value)


def test_a_wrong_file_disables_what_names_it_and_nothing_else(project: Path) -> None:
    _own(project, OWN.replace("q99", "q95"), name="broken")
    _own(project)
    assert list(load_catalog()) == ["drawn"]
    assert "broken" not in data_configs()
    problem = data_configs().problem("broken") or ""
    assert "broken.yaml:3: state.left_arm.normalization" in problem
    (project / "data" / "datasets.yaml").write_text(CATALOG.replace("left_arm_only", "broken"))
    with pytest.raises(CatalogError, match=r"drawn.data_config: .*broken.yaml:3") as caught:
        load_catalog()
    assert "did you mean 'q99'" in str(caught.value)


def test_the_name_of_a_built_in_one_is_refused(project: Path) -> None:
    _own(project, name="so100")
    problem = data_configs().problem("so100") or ""
    assert "so100.yaml: a built-in data config has this name" in problem
    assert data_configs().problem("so100_dualcam") is None
    (project / "data" / "datasets.yaml").write_text(CATALOG.replace("left_arm_only", "so100"))
    with pytest.raises(CatalogError, match="a built-in data config has this name"):
        load_catalog()
