"""A training on two nodes: two launchers as two processes that meet over the network."""

import socket
import subprocess
import uuid

import numpy as np
import psutil
import pytest

from gr00t_assets.runs.checkpoint_layout import COMPLETE
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.nodes import NODE_RANK, RENDEZVOUS, RENDEZVOUS_ID, TIMEOUT
from gr00t_assets.trainers.run_files import DEFAULT_LAYOUT
from gr00t_assets_tests.trainers.conftest import SpecMaker, environment, train, trainer
from gr00t_assets_tests.trainers.native.test_native_resume import losses, wait_for
from gr00t_assets_tests.trainers.native.test_processes import layout, none_is_left, start

MEETING = {RENDEZVOUS_ID: "one-attempt"}


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def start_nodes(spec: TrainingSpec, **variables: str) -> list[subprocess.Popen[str]]:
    meeting = {RENDEZVOUS: f"127.0.0.1:{free_port()}", RENDEZVOUS_ID: uuid.uuid4().hex}
    return [
        start(spec, **meeting, **{NODE_RANK: str(node)}, **variables)
        for node in range(spec.experiment.hyperparameters.nodes)
    ]


def ended(nodes: list[subprocess.Popen[str]], timeout: float = 300) -> list[tuple[int, str]]:
    output = [node.communicate(timeout=timeout)[0] for node in nodes]
    return list(zip([node.returncode for node in nodes], output, strict=True))


@pytest.mark.parametrize("each", [1, pytest.param(2, marks=pytest.mark.cluster)])
def test_losses_of_two_nodes_are_those_of_one_process(spec_of: SpecMaker, each: int) -> None:
    spec = spec_of(augmentation="gr00t", num_nodes=2, **layout(each, 4 // each, 1))
    (first, said), (second, silent) = ended(start_nodes(spec))
    assert (first, second) == (0, 0), said + silent
    assert "step 4/4 " in said and f"{2 * each} processes" in said
    assert silent == "", "the second node has no writer"
    found = losses(spec.run_directory)
    manifest = load_manifest(spec.run_directory)
    assert manifest is not None
    assert manifest.samples_seen == 4 * 8
    one = spec_of(augmentation="gr00t", **layout(1, 8, 1))
    assert one.config_hash != spec.config_hash
    assert train(one).returncode == 0
    np.testing.assert_allclose(found, losses(one.run_directory), rtol=1e-5)


@pytest.mark.parametrize("lost", [pytest.param(0, marks=pytest.mark.cluster), 1])
def test_a_lost_node_ends_the_other_and_the_run_goes_on(spec_of: SpecMaker, lost: int) -> None:
    """The launcher of one is killed, which takes its process along, as Slurm does."""
    spec = spec_of(max_steps=16, save_steps=4, num_nodes=2, **layout(1, 2, 1))
    directory = spec.run_directory
    nodes = start_nodes(spec)
    wait_for(DEFAULT_LAYOUT.folder(directory, 4) / COMPLETE, nodes[0])
    running = [child for node in nodes for child in psutil.Process(node.pid).children()]
    nodes[lost].kill()
    (code, said) = ended(nodes, 60)[1 - lost]
    assert code == 1, said
    assert "Traceback" not in said, said
    expected = "no answer from process 1 (last step " if lost else "process 1 of 2 has lost"
    assert expected in said, said
    assert none_is_left(running)
    assert not (directory / "model").exists()

    command = trainer(spec)
    torchrun = [command[0], "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1"]
    again = subprocess.run(
        [*torchrun, *command[1:]], env=environment(), capture_output=True, text=True, timeout=300
    )
    assert again.returncode == 0, again.stderr
    assert "resuming from step" in again.stdout
    whole = spec_of(max_steps=16, save_steps=4, **layout(1, 4, 1))
    assert train(whole).returncode == 0
    np.testing.assert_allclose(losses(directory), losses(whole.run_directory), rtol=1e-5)


def test_a_node_that_never_comes_is_told(spec_of: SpecMaker) -> None:
    spec = spec_of(num_nodes=2, **layout(1, 2, 1))
    meeting = {RENDEZVOUS: f"127.0.0.1:{free_port()}", **MEETING}
    for node in ("0", "1"):
        alone = start(spec, **meeting, **{NODE_RANK: node, TIMEOUT: "3"})
        (code, said) = ended([alone], 60)[0]
        assert code == 1, said
        assert f"node {node} of 2 has lost the others, or they never came" in said
        assert meeting[RENDEZVOUS] in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "take an engine of kind slurm"),
        ({RENDEZVOUS: "node1", NODE_RANK: "0", **MEETING}, f"expected {RENDEZVOUS}=HOST:PORT"),
        ({RENDEZVOUS: ":29500", NODE_RANK: "0", **MEETING}, f"expected {RENDEZVOUS}=HOST:PORT"),
        ({RENDEZVOUS: "node1:29500", NODE_RANK: "one", **MEETING}, f"{NODE_RANK}=one"),
    ],
)
def test_several_nodes_by_hand_are_told_where_to_go(
    spec_of: SpecMaker, variables: dict[str, str], expected: str
) -> None:
    (code, said) = ended([start(spec_of(num_nodes=2), **variables)], 60)[0]
    assert code == 1
    assert expected in said and "Traceback" not in said
