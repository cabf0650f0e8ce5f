"""Data that changed on the disk: the command that the error names makes it anew, to the letter."""

import re
import shlex
from pathlib import Path

import pytest

from gr00t_assets_tests.defs.project import Project, make_project
from gr00t_assets_tests.small_dataset import small_dataset

CATALOG = {"drawn": small_dataset(2)}
TINY = {"batch_size": 2, "max_steps": 2, "save_steps": 2}
SWEEPS = {
    "tiny": {
        "defaults": {"dataset": "drawn", "hyperparameters": TINY},
        "experiments": [{"name": "two-steps"}],
    }
}


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    file.write_bytes(content)


@pytest.mark.faults
def test_the_commands_that_the_errors_name_mend_rows_and_frames(tmp_path: Path) -> None:
    project: Project = make_project(tmp_path, CATALOG, SWEEPS)
    made = project.materialize("dataset,modality_config,frame_cache", "drawn")
    assert made.returncode == 0, made.stdout
    root = project.store.root
    for file in (next(root.rglob("*.parquet")), next(root.rglob("frames.npy"))):
        sound = file.read_bytes()
        damage(file)
        refused = project.materialize("checkpoint", "two-steps")
        assert refused.returncode != 0
        found = re.search(r"anew.*?: (dagster asset materialize .*)", refused.stdout)
        assert found is not None, refused.stdout
        mended = project.dagster(*shlex.split(found[1])[1:])
        assert mended.returncode == 0, mended.stdout
        assert file.read_bytes() == sound
    trained = project.materialize("checkpoint", "two-steps")
    assert trained.returncode == 0, trained.stdout
