"""NVIDIA's modality configs in Python: read where they are plain, else refused with the line."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gr00t_assets.core.errors import DataConfigError
from gr00t_assets.modality.data_config import load_data_config
from gr00t_assets.modality.python_config import python_text, read_python, yaml_text

HEAD = """\
from gr00t.configs.data.embodiment_configs import register_modality_config
from gr00t.data.embodiment_tags import EmbodimentTag
from gr00t.data.types import *

OUTSIDE = open("/etc/hostname").read()  # unused: read as text, and never run
STEPS = list(range(0, 8))
ABSOLUTE = ActionConfig(ActionRepresentation.ABSOLUTE, ActionType.NON_EEF, ActionFormat.DEFAULT)
TURN = ActionConfig(
    rep=ActionRepresentation.RELATIVE,
    type=ActionType.EEF,
    format=ActionFormat.XYZ_ROT6D,
    state_key="pose",
)
"""
PARTS = """\
arm: dict = {
    "video": ModalityConfig(delta_indices=[0], modality_keys=["top", "hand"]),
    "state": ModalityConfig([0], ["pose", "grip"], mean_std_embedding_keys=["grip"]),
    "action": ModalityConfig(
        delta_indices=STEPS,
        modality_keys=["goal", "grip"],
        action_configs=[TURN, ABSOLUTE],
    ),
    "language": ModalityConfig([0], ["annotation.human.task_description"]),
}
register_modality_config(arm, embodiment_tag=EmbodimentTag.LIBERO_PANDA)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_arm.py"
    path.write_text(HEAD + PARTS)
    return path


def test_a_plain_file_becomes_a_data_config(file: Path, tmp_path: Path) -> None:
    content = read_python(file)
    assert content == {
        "generation": "n1.7",
        "embodiment_tag": "libero_sim",
        "video": ["top", "hand"],
        "state": {"pose": {"normalization": "percentiles"}, "grip": {"normalization": "mean_std"}},
        "action": {
            "goal": {
                "rep": "relative",
                "type": "eef",
                "format": "xyz_rot6d",
                "state_key": "pose",
                "normalization": "min_max",
            },
            "grip": {"normalization": "percentiles"},
        },
        "language": "annotation.human.task_description",
        "action_indices": list(range(8)),
    }
    written = tmp_path / "my-arm.yaml"
    written.write_text(yaml_text(content, file.name))
    assert yaml.safe_load(written.read_text()) == content
    assert load_data_config(written).max_action_dim == 132


def test_the_command_writes_it_once_and_under_another_name(file: Path, tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    (root / "data" / "datasets.yaml").write_text("{}\n")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = "from gr00t_assets.cli.main import main; main()"
        command = [sys.executable, "-c", code, "dataset", "config", str(file), *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=root)

    first = run()
    assert first.returncode == 0, first.stderr
    assert (root / "data" / "data_configs" / "my_arm.yaml").is_file()
    again = run()
    assert again.returncode == 1 and "there is a data config of this name" in again.stderr
    assert run("--name", "other").returncode == 0


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ('["top", "hand"]', '[name for name in ("top",)]', 15, "not written out as a value"),
        ("STEPS = list(range(0, 8))", "STEPS = [*range(8)]", 6, "not written out as a value"),
        ("list(range(0, 8))", "list(range(10**9))", 6, "not written out as a value"),
        ("[TURN, ABSOLUTE]", "[TURN, absolute()]", 20, "not written out as a value: absolute()"),
        ("[TURN, ABSOLUTE]", "[TURN]", 17, "a list of 2 ActionConfig is expected"),
        ("ActionRepresentation.RELATIVE", "ActionRepresentation.DELTA", 8, "'delta' is not"),
        ("ActionFormat.XYZ_ROT6D", "ActionFormat.DEFAULT", 8, "type eef and format go together"),
        ("list(range(0, 8))", "list(range(10**9, 2 * 10**20))", 6, "not written out as a value"),
        ("list(range(0, 8))", "list(range(99999999999999999999))", 6, "not written out"),
        ("list(range(0, 8))", "{[1]: 2}", 6, "not written out as a value: {[1]: 2}"),
        ("list(range(0, 8))", f"0{' + 1' * 900}", 6, "not written out as a value: 0 + 1 + 1"),
        ('=["grip"]', '="grip"', 16, "no list of str"),
        ("LIBERO_PANDA", "GR1", 24, "'GR1' is no EmbodimentTag of N1.7"),
        ('"annotation.human.task_description"', '"task"', 22, "language 'task' is no annotation"),
        ("ModalityConfig([0], [\"pose\"", "ModalityConfig([-1], [\"pose\"", 16, "one for both"),
        ("mean_std_embedding_keys", "mean_embedding_keys", 16, "ModalityConfig takes"),
        ("arm: dict", "for arm in ():\n    pass\narm: dict", 14, "this is run as code"),
        ('    "language"', '    "mask": ModalityConfig([0], []),\n    "language"', 22, "'mask'"),
    ],
)  # fmt: skip
def test_what_is_not_plain_is_refused_with_its_line(
    file: Path, old: str, new: str, line: int, reason: str
) -> None:
    text = HEAD + PARTS
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    with pytest.raises(DataConfigError) as caught:
        read_python(file)
    (told, _) = caught.value.details
    assert told.startswith(f"line {line}: ") and reason in told


def test_code_is_never_run(tmp_path: Path) -> None:
    file = tmp_path / "evil.py"
    mark = tmp_path / "mark"
    file.write_text(f"import os\nos.system('touch {mark}')\n")
    with pytest.raises(DataConfigError, match="line 2"):
        read_python(file)
    file.write_text("x = " + "(" * 5000 + ")" * 5000)
    with pytest.raises(DataConfigError, match="no Python file"):
        read_python(file)
    assert not mark.exists()


def test_two_modality_configs_are_two_data_configs(file: Path) -> None:
    file.write_text(HEAD + PARTS + "register_modality_config(arm)\n")
    with pytest.raises(DataConfigError, match="it registers 2 modality configs"):
        read_python(file)


def test_what_is_written_is_read_again(file: Path) -> None:
    keys = {"delta_indices": (0,), "sin_cos_embedding_keys": None, "action_configs": None}
    absolute = {"rep": "ABSOLUTE", "type": "NON_EEF", "format": "DEFAULT", "state_key": None}
    relative = {**absolute, "rep": "RELATIVE", "state_key": "pose"}
    modalities = {
        "video": {**keys, "modality_keys": ("it's",)},
        "state": {**keys, "modality_keys": ("pose",), "mean_std_embedding_keys": ("pose",)},
        "action": {
            "delta_indices": tuple(range(40)),
            "modality_keys": ("goal", "grip"),
            "action_configs": [relative, absolute],
        },
        "language": {**keys, "modality_keys": ("annotation.task",)},
    }
    file.write_text(python_text("arm", "libero_sim", modalities))
    content = read_python(file)
    assert content["video"] == ["it's"] and "action_indices" not in content
    assert content["state"]["pose"] == {"normalization": "mean_std"}
    assert content["action"]["goal"]["state_key"] == "pose"
    assert content["embodiment_tag"] == "libero_sim"


def test_a_tag_that_nvidia_does_not_have_is_told() -> None:
    with pytest.raises(DataConfigError, match=r"embodiment tag gr1\.\n.*data/datasets.yaml"):
        python_text("arms", "gr1", {})
