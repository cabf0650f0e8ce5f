"""The real dataset class, fed from the frame cache, hands over the right frames."""

import hashlib
import json
from pathlib import Path

import av
import numpy as np

from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.isaac_run import LAUNCHER
from gr00t_assets.trainers.isaac_gr00t.launch_file import make_launch
from gr00t_assets_tests.trainers.isaac_gr00t.real.conftest import Isaac


def decoded(dataset: LeRobotDataset, episode: int, camera: str) -> list[str]:
    """Digest of the frame that is nearest to each row's timestamp, decoded by PyAV in order."""
    digests, times = [], []
    with av.open(str(dataset.video_path(episode, camera))) as container:
        for frame in container.decode(video=0):
            digests.append(hashlib.sha256(frame.to_ndarray(format="rgb24").tobytes()).hexdigest())
            assert frame.time is not None
            times.append(frame.time)
    asked = dataset.timestamps(episode)
    nearest = np.abs(np.array(times)[:, None] - asked).argmin(axis=0)
    return [digests[index] for index in nearest]


def test_every_frame_of_the_demo_data_is_the_right_one(
    isaac: Isaac, demo_spec: TrainingSpec, tiny_base: Path, tmp_path: Path, whole_parity_data: Path
) -> None:
    launch = make_launch(
        demo_spec, IsaacEnvironment(isaac.checkout, isaac.python), tiny_base, latest=None
    )
    (tmp_path / "launch.json").write_text(json.dumps(launch))
    answer = isaac.program(
        *("frames", LAUNCHER.parent, tmp_path / "launch.json"),
        tmp_path / "out.json",
        eagle=Path(str(launch["backbone"])),
    )
    assert answer == {"rows": 2096, "different": []}

    dataset = LeRobotDataset.open(demo_spec.datasets[0].directory)
    (camera,) = demo_spec.modality_config.video
    expected = [
        digest
        for episode in dataset.episodes
        for digest in decoded(dataset, episode.index, camera.original_key)
    ]
    output = json.loads((tmp_path / "out.json").read_text())
    assert output["frames"] == expected
    # Decoded by the class itself, here and when the reference vectors were made.
    assert {int(row): digest for row, digest in output["decoded"].items()} == {
        row: expected[row] for row in range(0, 2096, 131)
    }
    for sample in json.loads((whole_parity_data / "samples.json").read_text()):
        assert sample["frame_sha256"]["video.ego_view"] == expected[sample["index"]]
