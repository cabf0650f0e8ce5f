"""Setting up with a small local repository: steps, interruption, another commit, failures."""

import fcntl
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from gr00t_assets.trainers.isaac_gr00t.commits import PINNED, head
from gr00t_assets.trainers.isaac_gr00t.setup.setup import Setup, explain_failure
from gr00t_assets.trainers.isaac_gr00t.setup.setup_steps import (
    Installer,
    SetupError,
    SetupOptions,
    choose_installer,
)
from gr00t_assets_tests.trainers.isaac_gr00t.environments import commit_all, program, python310
from gr00t_assets_tests.trainers.isaac_gr00t.setup_place import (
    CLI,
    STEPS,
    UV,
    Place,
    done_before,
    make_place,
    path_without_uv,
    write_wheel,
)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Set up at the first commit, killed while packages were installed, and run again."""
    place = make_place(tmp_path_factory.mktemp("setup"))
    place.directory.mkdir()
    wait = place.directory / "wait"
    wait.touch()
    with subprocess.Popen(
        place.command("--commit", place.first),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=place.variables(),
    ) as process:
        wait_for(place.directory / "pid", process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    builder = int((place.directory / "pid").read_text())
    while is_running(builder):
        time.sleep(0.05)
    assert list(place.record()) == ["clone", "commit", "environment", "tools"]
    before = {name: place.record()[name] for name in place.record()}
    wait.unlink()
    result = place.run("--commit", place.first)
    assert result.returncode == 0, result.stdout + result.stderr
    assert done_before(result.stdout) == ["clone", "commit", "environment", "tools"]
    assert {name: place.record()[name] for name in before} == before
    assert head(place.environment.checkout) == place.first
    return place


def test_what_was_interrupted_goes_on_to_a_whole_environment(place: Place):
    code = (
        "import importlib.metadata as m, importlib.util as u;"
        "print(u.find_spec('gr00t').origin);"
        "print(*[m.version(n) for n in ('onlyinbase', 'flash-attn', 'python-dotenv')])"
    )
    output = subprocess.run(
        [str(place.environment.python), "-I", "-c", code], capture_output=True, text=True
    )
    origin, versions = output.stdout.splitlines()
    assert Path(origin) == place.environment.checkout / "gr00t" / "__init__.py"
    assert versions == "1.0 2.7.1.post4 1.0"
    assert sorted(place.record()) == sorted(STEPS)
    log = (place.directory / "setup.log").read_text()
    assert "$ git clone --filter=blob:none" in log


def test_what_is_done_is_not_done_again(place: Place):
    before, current = place.record(), head(place.environment.checkout)
    assert current is not None
    result = place.run("--commit", current)
    assert result.returncode == 0
    assert done_before(result.stdout) == STEPS
    assert place.record() == before
    dry = place.run("--commit", current, "--dry-run")
    assert (dry.returncode, dry.stdout) == (0, "")
    assert f"isaac doctor {place.directory}" in result.stdout


def test_a_failed_step_says_why_and_another_commit_does_again_what_depends_on_it(place: Place):
    (place.origin / "broken").write_text("OSError: [Errno 28] No space left on device")
    broken = commit_all(place.origin, "made after the clone, and broken")
    result = place.run("--commit", broken)
    assert result.returncode == 1
    assert "SetupError: step 5 of 7: " in result.stderr
    assert ": the disk is full." in result.stderr
    assert "finished steps are not repeated" in result.stderr
    assert "No space left on device" in result.stderr and "setup.log" in result.stderr
    assert "Traceback" not in result.stderr.split("the last lines of")[0]
    assert list(place.record()) == ["clone", "environment", "tools", "commit"]

    (place.origin / "broken").unlink()
    mended = commit_all(place.origin, "mended")
    checkout, python = place.environment.checkout, place.environment.python
    pip = f"{python} -m pip install"
    dry = place.run("--commit", mended, "--dry-run")
    assert dry.stdout.splitlines() == [
        f"git -C {checkout} fetch --filter=blob:none --tags origin",
        f"GIT_LFS_SKIP_SMUDGE=1 git -C {checkout} checkout --detach {mended}",
        f"{pip} -e {shlex.quote(f'{checkout}[base]')}",
        f"{pip} flash-attn==2.7.1.post4 --no-build-isolation",
        f"{pip} python-dotenv",
    ]
    result = place.run("--commit", mended)
    assert result.returncode == 0, result.stdout + result.stderr
    assert done_before(result.stdout) == ["clone", "environment", "tools"]
    assert head(place.environment.checkout) == mended


def test_only_one_sets_up_a_folder_at_a_time(place: Place):
    with (place.directory / "setup.log").open("ab") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        result = place.run("--commit", place.first)
    assert result.returncode == 1
    assert "it is being set up already" in result.stderr


def test_what_another_process_did_meanwhile_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    place = make_place(tmp_path)
    for name, value in place.variables().items():
        monkeypatch.setenv(name, value)
    options = SetupOptions(place.first, place.origin.as_uri(), python310(), flash_attention=False)
    setup = Setup(place.directory, options)
    assert place.run("--commit", place.first, "--skip-flash-attn").returncode == 0
    lines: list[str] = []
    setup.run(lines.append)
    assert all(line.endswith("(done before)") for line in lines), lines


def test_another_repository_does_not_go_into_the_same_folder(place: Place):
    result = place.run("--commit", place.first, "--repository", "https://example.org/other")
    assert result.returncode == 1
    assert "made by another command" in result.stderr


def test_a_dry_run_prints_every_command_and_makes_nothing(tmp_path: Path):
    directory = tmp_path / "isaac"
    python = str(python310())
    command = [*CLI, str(directory), "--dry-run", "--skip-flash-attn", "--python", python]
    without_uv = {**os.environ, "PATH": path_without_uv()}
    result = subprocess.run(command, capture_output=True, text=True, env=without_uv)
    checkout, pip = directory / "Isaac-GR00T", f"{directory}/.venv/bin/python -m pip install"
    assert result.stdout.splitlines() == [
        f"rm -rf {checkout}.partial",
        "git clone --filter=blob:none --no-checkout https://github.com/NVIDIA/Isaac-GR00T "
        f"{checkout}.partial",
        f"mv {checkout}.partial {checkout}",
        f"GIT_LFS_SKIP_SMUDGE=1 git -C {checkout} checkout --detach {PINNED}",
        f"rm -rf {directory}/.venv",
        f"{python} -m venv {directory}/.venv",
        f"{pip} --upgrade pip 'setuptools<81' wheel",
        f"{pip} -e '{checkout}[base]'",
        f"{pip} python-dotenv",
    ]
    assert not directory.exists()


@pytest.mark.skipif(UV is None, reason="uv is not installed")
def test_with_uv_on_the_path_it_makes_the_environment_and_installs(tmp_path: Path):
    place = make_place(tmp_path)
    write_wheel(place.root / "wheels", "pip", "26.0")
    result = place.run("--commit", place.first, uv=True)
    assert result.returncode == 0, result.stdout + result.stderr
    uv, python = place.root / "programs" / "uv", place.environment.python
    environment = place.directory / ".venv"
    record = place.record()
    assert record["environment"]["commands"][-1] == (
        f"{uv} venv --seed --python {python310()} {environment}"
    )
    assert record["extras"]["commands"] == [f"{uv} pip install --python {python} python-dotenv"]
    code = "import importlib.metadata as m; print(m.version('onlyinbase'), m.version('gr00t'))"
    versions = subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True)
    assert versions.stdout.split() == ["1.0", "1.1.0"]
    again = place.run("--commit", place.first, uv=True)
    assert done_before(again.stdout) == STEPS


def test_a_folder_that_somebody_else_filled_is_left_alone(tmp_path: Path):
    place = make_place(tmp_path)
    (place.directory / ".venv").mkdir(parents=True)
    result = place.run("--commit", place.first)
    assert result.returncode == 1
    assert f"{place.directory}/.venv: it is there already" in result.stderr
    assert [entry.name for entry in place.directory.iterdir()] == [".venv"]


def test_a_repository_or_commit_that_is_not_there_is_said(tmp_path: Path):
    place = make_place(tmp_path)
    result = place.run("--repository", (tmp_path / "nowhere").as_uri())
    assert result.returncode == 1
    assert "step 1 of 7" in result.stderr and "the repository is not there" in result.stderr
    result = place.run("--commit", "0123456789")
    assert result.returncode == 1
    assert "step 2 of 7" in result.stderr and "does not have this commit" in result.stderr


def test_a_password_in_the_url_is_refused_and_not_repeated(tmp_path: Path):
    place = make_place(tmp_path)
    result = place.run("--repository", "https://me:hunter2@example.org/fork", "--dry-run")
    assert result.returncode == 1
    assert "hunter2" not in result.stdout + result.stderr
    assert not place.directory.exists()


def test_a_shim_without_its_python_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    programs = tmp_path / "programs"
    program(programs, "python3.10", "echo 'pyenv: python3.10: command not found' >&2; exit 127")
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    with pytest.raises(SetupError, match="not on this machine") as caught:
        choose_installer(None)
    assert "--python" in str(caught.value) and "docs.astral.sh/uv" in str(caught.value)
    program(programs, "uv", "exit 0")
    uv = str(programs / "uv")
    assert choose_installer(None) == Installer("3.10", uv)
    python = tmp_path / "pyenv" / "versions" / "3.10.13" / "bin" / "python3.10"
    program(python.parent, python.name, "echo 3.10")
    assert choose_installer(None) == Installer(str(python), uv)


def test_an_environment_keeps_the_installer_that_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder, python = tmp_path / ".venv", str(python310())
    program(tmp_path / "programs", "uv", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    for installer, recorded in (
        (Installer(python), [python, "-m", "venv", str(folder)]),
        (
            Installer(python, "/opt/uv"),
            ["/opt/uv", "venv", "--seed", "--python", python, str(folder)],
        ),
    ):
        assert choose_installer(None, recorded) == installer
        assert choose_installer(Path(python), recorded) == installer


@pytest.mark.parametrize(
    ("output", "problem", "remedy"),
    [
        (
            "OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA root.",
            "nor a compiler (nvcc)",
            "cu12torch2.5cxx11abiFALSE-cp310",
        ),
        (
            "fatal: unable to access 'https://x/': Could not resolve host: github.com",
            "no connection",
            "HTTPS_PROXY",
        ),
        (
            "The virtual environment was not created successfully because ensurepip is not\n"
            "available.",
            "without the module venv",
            "python3.10-venv",
        ),
        (
            "ERROR: No matching distribution found for torch==2.5.1",
            "no build of a package",
            "Python 3.10",
        ),
        ("env: 'git': No such file or directory", "not installed", "such as git"),
        ("something that nobody foresaw", "ended with code 1", "last lines"),
    ],
)
def test_known_failures_are_explained(output: str, problem: str, remedy: str):
    error = explain_failure("step 6 of 7: flash-attn", 1, output, "setup.log")
    assert problem in error.problem
    assert remedy in error.details[0]
    assert output.splitlines()[-1] in str(error)


def test_a_command_that_the_kernel_killed_is_one_without_memory():
    assert "memory runs out" in explain_failure("step 6", 137, "c++ -O3", "setup.log").problem
