"""The Python on a model card runs as it stands, in the folder of the model."""

import os
import re
import subprocess
import sys

from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets_tests.serving.arm import arm_config


def blocks(card: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", card, re.DOTALL)


def test_the_cards_python_prints_an_action(trained):
    trained.promote()
    (code,) = blocks((trained.promoted / "README.md").read_text())
    variables = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=trained.promoted,
        env=variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    shapes, actions = done.stdout.splitlines()[:-1], done.stdout
    assert "video.ego_view (64, 64, 3)" in shapes and "state.left_arm (7,)" in shapes
    assert "motor_0" in actions and actions.rstrip().endswith("()")


def test_the_other_trainers_card_has_the_same_and_nvidias():
    config = arm_config()
    ours = blocks(trainer_named("native").loading_example(config))
    nvidias, same = blocks(trainer_named("isaac-gr00t").loading_example(config))
    assert [same] == ours
    compile(nvidias, "card", "exec")
    assert 'DATA_CONFIG_MAP["so100_dualcam"]' in nvidias and "Path.cwd()" in nvidias
