"""Data configs: the twelve of N1.5, a project's own, and what is said about a wrong file."""

from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.core.errors import CatalogError, DataConfigError, DatasetError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.modality.data_config import data_configs, is_built_in, load_data_config
from gr00t_assets.modality.generations import GENERATIONS
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

BUILT_IN = {name: config for name, config in data_configs().items() if is_built_in(name)}


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
    assert list(BUILT_IN) == [
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
    ids = {"gr1": 24, "oxe_droid": 17, "agibot_genie1": 26, "new_embodiment": 31}
    assert GENERATIONS["n1.5"].embodiment_ids == ids


@pytest.mark.parametrize("config", BUILT_IN.values(), ids=lambda config: config.name)
def test_every_config_is_whole(config) -> None:
    for keys in (config.state, config.action):
        for key in keys.values():
            assert key.normalization in (None, "min_max", "q99", "mean_std", "binary")
            assert key.target_rotation in (None, *ROTATION_DIMS)
    assert config.language.startswith("annotation.")
    assert config.observation_indices == (0,)
    assert config.action_indices == tuple(range(16))
    assert (config.max_state_dim, config.max_action_dim) == (64, 32)


def test_facts_that_differ_between_configs() -> None:
    arms = data_configs()["fourier_gr1_arms_only"]
    assert list(arms.state) == ["left_arm", "right_arm", "left_hand", "right_hand"]
    assert all(key.sin_cos and key.normalization is None for key in arms.state.values())
    assert all(key.normalization == "min_max" for key in arms.action.values())
    droid = data_configs()["oxe_droid"].action
    assert droid["eef_position_delta"].normalization is None
    assert droid["eef_rotation_delta"].target_rotation == "axis_angle"
    assert droid["gripper_position"].normalization == "binary"
    panda = data_configs()["single_panda_gripper"].state
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
        (
            "{normalization: mean_std}",
            "{rep: RELATIVE, state_key: left_arn}",
            r":6: action.right_arm: .*'left_arn', .*did you mean 'left_arm'",
        ),
        (
            "{normalization: mean_std}",
            "{rep: relative, state_key: [a]}",
            "line 6: action.right_arm.state_key: ",
        ),
        ("{normalization: mean_std}", "{rep: relativ}", r":6: .*found 'relativ'; did you mean"),
        ("{normalization: mean_std}", "{rep: delta}", ":6: .*write relative or absolute"),
        ("{normalization: mean_std}", "{type: EEF}", ":6: .*type eef and format go together"),
        ("{normalization: mean_std}", "{state_key: left_arm}", ":6: .*add rep: relative"),
        ("language:", "cameras: {ego_veiw: {}}\nlanguage:", r":7: cameras.ego_veiw: .*'ego_view'"),
        (
            "language:",
            "cameras: {ego_view: {resize: letter}}\nlanguage:",
            ":7: cameras.ego_view.resize: .*did you mean 'letterbox'",
        ),
        ("language:", "embodiment_tag: gr2\nlanguage:", ":7: embodiment_tag: .*'gr1'"),
        ("language:", "embodiment_id: 32\nlanguage:", ":7: embodiment_id: .*31, found 32"),
    ],
)
def test_a_wrong_file_is_told_by_line_and_field(
    project: Path, old: str, new: str, expected: str
) -> None:
    with pytest.raises(DataConfigError, match=expected) as caught:
        load_data_config(_own(project, OWN.replace(old, new, 1)))
    assert "left_arm_only.yaml" in str(caught.value)


def test_a_state_key_that_is_nothing_is_the_keys_own_name(project: Path) -> None:
    text = OWN.replace(
        "right_arm: {normalization: mean_std}", "left_arm: {rep: relative, state_key: }"
    )
    key = load_data_config(_own(project, text)).action["left_arm"]
    assert (key.rep, key.state_key) == ("relative", None)


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


def test_all_problems_of_a_file_are_told_at_once(project: Path) -> None:
    text = OWN.replace("q99", "q95").replace("{normalization: mean_std}", "{rep: relative}")
    text = text.replace("hue: 0", "hue: 7").replace("[0, 1, 2, 3]", "[1, 2]")
    with pytest.raises(DataConfigError, match="4 problems") as caught:
        load_data_config(_own(project, text))
    assert [line.split(":")[0] for line in caught.value.details] == [
        "line 3",
        "line 6",
        "line 8",
        "line 9",
    ]


RELATIVE = """\
video: [ego_view]
cameras:
  ego_view: {region: [0, 0.25, 1, 1], resize: letterbox, crop_scale: 0.9}
state:
  left_arm: {normalization: min_max}
  right_hand: {normalization: none}
action:
  left_arm: {rep: RELATIVE, type: NON_EEF, format: DEFAULT, normalization: min_max}
  right_hand: {rep: relative, state_key: right_hand}
language: annotation.human.action.task_description
action_indices: [0, 1, 2, 3]
embodiment_tag: gr1
embodiment_id: 5
"""


def test_relative_actions_have_the_statistics_of_each_step_over_whole_chunks(project: Path) -> None:
    _own(project, RELATIVE)
    entry = load_catalog()["drawn"]
    store = Store(project / "store")
    record = ingest_dataset(entry, store)
    config = build_modality_config(entry, store)
    assert (config.embodiment_tag, config.embodiment_id) == ("gr1", 5)
    assert config.video[0].transforms.resize == "letterbox"
    arm, state = config.action[0], config.state[0]
    assert arm.chunk_statistics is not None and config.state[1].normalization is None
    dataset = LeRobotDataset.open(record.directory(store))
    chunks = []
    for episode in dataset.episodes:
        rows = dataset.vectors(episode.index, [arm.original_key, state.original_key])
        actions = rows[arm.original_key][:, arm.start : arm.end]
        states = rows[state.original_key][:, state.start : state.end]
        chunks += [actions[at : at + 4] - states[at] for at in range(len(states) - 3)]
    np.testing.assert_allclose(arm.chunk_statistics.min, np.min(chunks, axis=0), atol=1e-6)
    np.testing.assert_allclose(arm.chunk_statistics.std, np.std(chunks, axis=0), atol=1e-5)
    assert not np.allclose(arm.chunk_statistics.max[0], arm.chunk_statistics.max[3])
    assert config.content_hash() != _with(project, entry, store, "crop_scale: 0.9", "crop_scale: 1")
    assert config.content_hash() != _with(project, entry, store, "rep: RELATIVE", "rep: ABSOLUTE")


def _with(project: Path, entry, store: Store, old: str, new: str) -> str:
    """The content hash with another data config file."""
    _own(project, RELATIVE.replace(old, new, 1))
    return build_modality_config(entry, store).content_hash()


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("{rep: relative, state_key: right_hand}", "state key 'right_hand' has 6"),
        ("{rotation_type: quaternion}", "has 7 numbers; quaternion takes 4"),
        ("{type: eef, format: xyz_rot6d}", "no pose in the format xyz_rot6d"),
    ],
)
def test_an_action_that_cannot_be_made_so_is_found_with_its_key(
    project: Path, action: str, words: str
) -> None:
    old = "{rep: RELATIVE, type: NON_EEF, format: DEFAULT, normalization: min_max}"
    _own(project, RELATIVE.replace(old, action))
    entry = load_catalog()["drawn"]
    store = Store(project / "store")
    ingest_dataset(entry, store)
    with pytest.raises(DatasetError) as caught:
        build_modality_config(entry, store)
    assert words in str(caught.value) + " ".join(caught.value.details)
    _own(project, RELATIVE.replace(old, "{}"))
    assert build_modality_config(entry, store)
