"""Another user's files, disks that take no more, odd paths and encodings: each said in words."""

import ast
import errno
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import psutil
import pytest

from gr00t_assets.core.errors import StoreError, explained_error, no_inodes, system_errors_explained
from gr00t_assets.core.files import write_json
from gr00t_assets.core.locks import LockRecord
from gr00t_assets.core.processes import is_alive, lock_file, open_lock, start_time, try_lock
from gr00t_assets.defs.storage import CheckedSqliteStorage
from gr00t_assets.runs.model_reference import find_model

ROOT = Path(__file__).resolve().parents[1]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")
ALICE, BOB, GROUP = 60001, 60002, 60000


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def as_user(user: int, umask: int, work: Callable[[], str]) -> str:
    """What ``work`` says, or its error, in a process of another user."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.umask(umask)
            os.setgroups([])
            os.setgid(GROUP)
            os.setuid(user)
            with system_errors_explained():
                said = work()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def write(path: Path) -> Callable[[], str]:
    def work() -> str:
        write_json(path, {"a": 1})
        return "written"

    return work


def lock(path: Path) -> Callable[[], str]:
    def work() -> str:
        with ExitStack() as locks:
            descriptor = lock_file(path, locks)
            assert descriptor is not None
            LockRecord.of_this_process().write(descriptor)
            return "locked"

    return work


@as_root
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_second_user_is_told_whose_it_is_and_the_one_command(shared: Path, umask: int) -> None:
    store = shared / "data" / "store"
    store.parent.mkdir()
    store.parent.chmod(0o777)
    assert as_user(ALICE, umask, write(store / "a" / "b.json")) == "written"
    said = as_user(BOB, umask, write(store / "a" / "c.json"))
    assert said.startswith("StoreError") and f"it is of {ALICE}, group {GROUP}, mode d" in said
    command = said.rpartition("its owner or root runs: ")[2]
    assert command == f"chmod -R g+rwX {store}"
    subprocess.run(command, shell=True, check=True)
    assert as_user(BOB, umask, write(store / "a" / "c.json")) == "written"


@as_root
def test_a_group_folder_and_umask_002_need_no_message(shared: Path) -> None:
    store = shared / "store"
    store.mkdir()
    os.chown(store, 0, GROUP)
    store.chmod(0o2775)
    assert as_user(ALICE, 0o002, write(store / "a" / "b.json")) == "written"
    assert as_user(BOB, 0o002, write(store / "a" / "b.json")) == "written"


@as_root
def test_a_lock_file_of_another_user_needs_only_to_be_read(shared: Path) -> None:
    path = shared / "cpu-0.lock"
    path.touch()
    os.chown(path, ALICE, GROUP)
    path.chmod(0o644)
    assert as_user(BOB, 0o022, lock(path)) == "locked"
    descriptor = open_lock(path)
    assert try_lock(descriptor)
    os.close(descriptor)
    path.chmod(0o600)
    said = as_user(BOB, 0o022, lock(path))
    assert f"it is of {ALICE}, group {GROUP}, mode -rw-------" in said and "chmod" in said


@as_root
def test_a_disk_without_inodes_is_called_so(shared: Path) -> None:
    disk = shared / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "nr_inodes=20,size=8m", "tmpfs", str(disk)]
    if subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        assert not no_inodes(disk)
        with pytest.raises(StoreError, match=r"no inodes left, of 20, and \d MB free"):
            for number in range(30):
                write_json(disk / f"{number}.json", number)
        assert no_inodes(disk)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(StoreError, match="mounted read-only"):
            write_json(disk / "0.json", 1)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_limit_of_file_sizes_is_said_and_kills_nothing(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path;"
        "from gr00t_assets.core.files import write_bytes;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000000, resource.RLIM_INFINITY));"
        "write_bytes(Path(sys.argv[1]), bytes(2000000))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "big")]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 1
    assert "no file may be larger than 1 MB here, as ulimit -f says" in result.stderr
    assert list(tmp_path.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_quota_is_a_full_disk_of_this_user(tmp_path: Path) -> None:
    error = explained_error(OSError(errno.EDQUOT, "Disk quota exceeded", str(tmp_path)))
    assert error is not None and "the disk quota is used up" in str(error)


def test_a_reference_that_is_too_long_for_a_path_is_refused_in_words() -> None:
    with pytest.raises(StoreError, match="give a shorter one"), system_errors_explained():
        find_model("x" * 300)


@pytest.mark.parametrize("name", ["a?b", "a%20b", "a*", "[a]"])
def test_a_path_that_sqlite_takes_for_another_is_refused_before_anything_is_written(
    tmp_path: Path, name: str
) -> None:
    folder = tmp_path / name / "data" / "dagster"
    with pytest.raises(click.ClickException, match="rename the folder"):
        CheckedSqliteStorage.from_config_value(None, {"base_dir": str(folder)})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_says_how_it_is_told_anew(tmp_path: Path) -> None:
    file = tmp_path / "history" / "runs.db"
    file.parent.mkdir()
    file.write_bytes(os.urandom(8192))
    with pytest.raises(click.ClickException, match="gr00t-assets store rematerialize"):
        CheckedSqliteStorage.from_config_value(None, {"base_dir": str(tmp_path)})  # type: ignore[arg-type]


def test_a_process_is_the_same_when_the_clock_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    process = os.getpid()
    started, by_date = start_time(process), psutil.Process(process).create_time()
    assert is_alive(process, started) and is_alive(process, by_date)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: by_date - 3600)
    assert is_alive(process, started)
    assert started is not None and not is_alive(process, started + 1)


def test_every_file_of_text_is_opened_as_utf_8() -> None:
    found = []
    for path in sorted((ROOT / "gr00t_assets").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _opens_text(node):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def _opens_text(call: ast.Call) -> bool:
    """Whether a call reads or writes text without saying in which encoding."""
    names = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in names or not isinstance(call.func, ast.Attribute | ast.Name):
        return False
    if ast.unparse(call.func) == "av.open":
        return False
    name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id
    text = names.get("text")
    if isinstance(text, ast.Constant) and text.value is True:
        return True
    modes = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
    is_text_mode = modes and modes[-1] in ("r", "w", "a", "r+", "w+", "a+", "x", "rt", "wt")
    return name in ("read_text", "write_text") or (name == "open" and bool(is_text_mode))


def test_a_terminal_without_the_letters_gets_escapes(tmp_path: Path) -> None:
    code = "from gr00t_assets.core.text import escape_output as e; e(); print('0.3 \\u00b1 0.1')"
    plain = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
    }
    result = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | plain, capture_output=True, cwd=ROOT
    )
    assert (result.returncode, result.stdout) == (0, b"0.3 \\xb1 0.1\n")
