"""Two users of one group train on one store, as docs/deployment.md has it set up."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.runs.spec import make_spec
from gr00t_assets_tests.defs.project import MODULE, Project, make_project
from gr00t_assets_tests.experiments.sweep_texts import load_sweeps
from gr00t_assets_tests.gpu.test_locks import HOLDER
from gr00t_assets_tests.harness.users import ALICE, BOB, GROUP, as_root, as_user
from gr00t_assets_tests.small_dataset import small_dataset

pytestmark = [pytest.mark.faults, as_root]

SETTINGS = {"batch_size": 2, "max_steps": 6, "save_steps": 2, "logging_steps": 1}
CLI = (sys.executable, "-c", "from gr00t_assets.cli.main import main; main()")
MAKE = (sys.executable, "-m", "dagster", "asset", "materialize", "-m", MODULE)
DATA = "dataset,modality_config,frame_cache"

COMMANDS = {
    "train": (*MAKE, "--select", "checkpoint", "--partition", "seed-3"),
    "train again": (*MAKE, "--select", "checkpoint", "--partition", "seed-2"),
    "data": (*MAKE, "--select", DATA, "--partition", "small"),
    "by hand": (*CLI, "train", "seed-3"),
    "compare": (*CLI, "compare"),
    "evaluate": (*CLI, "evaluate", "seed-2"),
    "plan": (*CLI, "sweep", "plan", "demo"),
    "slots": (*CLI, "gpu", "status"),
    "space": (*CLI, "store", "status"),
    "verify": (*CLI, "store", "verify"),
    "prune": (*CLI, "store", "prune", "--all", "--yes"),
    "promote": (*CLI, "model", "promote", "seed-2", "--because", "a test"),
}
"""What the second of two people tries, whose files the first one keeps to themselves."""


def sweep(*seeds: int) -> dict[str, object]:
    experiments = [{"name": f"seed-{seed}", "hyperparameters": {"seed": seed}} for seed in seeds]
    defaults = {"dataset": "small", "report_to": "none", "hyperparameters": SETTINGS}
    return {"defaults": defaults, "experiments": experiments}


class Person:
    """A user with a clone of the project of their own and a share in the store."""

    def __init__(self, user: int, root: Path, store: Path, *seeds: int) -> None:
        self.user = user
        made = make_project(root, {"small": small_dataset(2)}, {"demo": sweep(*seeds)})
        for path in (root, *root.rglob("*")):
            os.chown(path, user, GROUP)
        variables = {"GR00T_ASSETS_STORE": str(store), "HOME": str(root), "TMPDIR": str(root)}
        variables |= {"PYTHONDONTWRITEBYTECODE": "1", "CUDA_VISIBLE_DEVICES": ""}
        self.project = Project(made.root, {**variables, "WANDB_MODE": "disabled"})

    def start(self, *command: str, umask: int = 0o002) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            as_user(self.user, *command, umask=umask),
            cwd=self.project.root,
            env=self.project.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str, code: int | None = 0, umask: int = 0o002) -> str:
        """The output of a command that ends with a code; None is any code."""
        process = self.start(*command, umask=umask)
        output, _ = process.communicate(timeout=240)
        assert code in (process.returncode, None), output
        return output

    def make(self, select: str, partition: str, umask: int = 0o002) -> None:
        self.run(*MAKE, "--select", select, "--partition", partition, umask=umask)


@pytest.fixture
def store() -> Iterator[Store]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        root = Path(folder, "store")
        root.mkdir()
        os.chown(root, 0, GROUP)
        root.chmod(0o2775)
        yield Store(root)


@pytest.fixture
def people(store: Store) -> tuple[Person, Person]:
    home = store.root.parent
    return Person(ALICE, home / "a", store.root, 1, 2), Person(BOB, home / "b", store.root, 2, 3)


def test_both_train_evaluate_compare_verify_and_prune(
    store: Store, people: tuple[Person, Person]
) -> None:
    alice, bob = people
    alice.make(DATA, "small")
    alice.make("checkpoint,open_loop_evaluation", "seed-1")
    bob.make(DATA, "small")
    bob.make("checkpoint", "seed-2")
    alice.make("checkpoint,open_loop_evaluation", "seed-2")
    bob.make("checkpoint,open_loop_evaluation", "seed-3")
    assert "seed-1 and seed-2" in alice.run(*CLI, "compare")
    assert "seed-2 and seed-3" in bob.run(*CLI, "compare")
    for person in people:
        assert "nothing damaged" in person.run(*CLI, "store", "verify")
    kept = bob.run(*CLI, "store", "prune", "--yes")
    assert "nothing to prune" in kept and list(store.root.glob("runs/seed-1/*/checkpoints/*"))
    freed = bob.run(*CLI, "store", "prune", "--all", "--yes")
    assert "runs/seed-1/" in freed and "kept" not in freed
    closed = [
        path
        for path in store.root.rglob("*")
        if not path.stat().st_mode & 0o020 or path.stat().st_gid != GROUP
    ]
    assert closed == []


@pytest.mark.parametrize(
    ("umask", "refused"),
    [(0o022, {"train", "data", "by hand", "evaluate"}), (0o077, set(COMMANDS))],
    ids=["022", "077"],
)
def test_where_rights_lack_each_command_says_so_and_one_command_mends_it(
    store: Store, people: tuple[Person, Person], umask: int, refused: set[str]
) -> None:
    alice, bob = people
    alice.make(DATA, "small", umask)
    alice.make("checkpoint", "seed-2", umask)
    said = {name: bob.run(*command, code=None) for name, command in COMMANDS.items()}
    assert [name for name, text in said.items() if "Traceback" in text] == [], said
    remedy = "its owner or root runs: chmod -R g+rwX "
    assert [said[name] for name in sorted(refused) if remedy not in said[name]] == []
    command = said["train"].split(remedy)[1].split("\n")[0]
    subprocess.run(f"chmod -R g+rwX {command}", shell=True, check=True)
    said = {name: bob.run(*COMMANDS[name]) for name in ("train", "evaluate", "compare", "prune")}
    assert not [name for name, text in said.items() if remedy in text], said


def test_what_a_dead_process_of_the_other_left_is_named_with_the_one_command(
    store: Store, people: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = people
    alice.make(DATA, "small")
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(bob.project.root))
    spec = make_spec(load_sweeps().experiments["seed-2"], store)
    file = bob.project.root / "spec.json"
    file.write_text(spec.model_dump_json())
    alice.run(*CLI, "train", str(file))
    for name in ("manifest.json", "checkpoints", "model", "metrics.jsonl"):
        subprocess.run(["rm", "-r", str(spec.run_directory / name)], check=True)
    (slots,) = (store.root / "slots").iterdir()
    left = []
    try:
        for lock in (spec.run_directory / ".lock", slots / "cpu-0.lock"):
            holder = alice.start(sys.executable, "-c", HOLDER, str(lock))
            assert holder.stdout is not None
            left.append(int(holder.stdout.readline()))
            holder.kill()
            holder.wait(10)
        waiting = bob.start(*CLI, "train", str(file))
        assert waiting.stdout is not None
        for line in waiting.stdout:
            if "is dead, and user 60001 or root ends what it left: " in line:
                command = line.rpartition("left: ")[2].split()
                assert command[:3] == ["python", "-m", "gr00t_assets.core.locks"]
                assert "ended what it left" in alice.run(sys.executable, *command[1:])
        assert waiting.wait(60) == 0
    finally:
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
