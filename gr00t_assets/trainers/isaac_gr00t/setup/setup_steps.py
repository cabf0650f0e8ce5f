"""The steps that make an environment for Isaac-GR00T, each a few shell commands.

Packages are installed by uv, or by pip where there is none, into an environment of Python 3.10.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import yaml

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.trainers.isaac_gr00t.environment import N15, IsaacEnvironment

_PYTHON = N15.python  # N1.7's pins are for the same
_NAME = f"python{_PYTHON}"

_REMEDIES = [
    f"Ubuntu 22.04: apt install {_NAME} {_NAME}-venv {_NAME}-dev",
    "or install uv, which brings one: https://docs.astral.sh/uv",
    "or name one: --python /path/to/python3.10",
]


class SetupError(Gr00tAssetsError):
    """An environment for Isaac-GR00T cannot be made, or not further."""


class Installer(NamedTuple):
    """What makes a virtual environment and installs packages into it."""

    python: str  # Interpreter that the environment is made of; a version where uv brings it
    uv: str | None = None  # Path of uv; None for the modules venv and pip of the interpreter


def choose_installer(
    python: Path | None, recorded: Sequence[str] = (), needs_uv: bool = False
) -> Installer:
    """uv where it is on the PATH, pip otherwise; an environment that is there keeps its own.

    A given interpreter is used whatever its version; else Python 3.10 from ``PATH`` or pyenv, else
    the one that uv downloads. ``recorded`` is the command that made the environment, where one has.

    Raises:
        SetupError: There is no Python 3.10, the given one does not start, or uv is not there.
    """
    before, uv = None, shutil.which("uv")
    if recorded:
        uv = recorded[0] if recorded[1] == "venv" else None
        before = recorded[recorded.index("--python") + 1] if uv else recorded[0]
    if needs_uv and uv is None:
        reason = "N1.7's packages come from where pip does not look"
        problem = f"it is not on this machine, and {reason}."
        raise SetupError("uv", problem, ["install it: pip install uv"])
    if python is not None:
        if version_of(python) is None:
            raise SetupError("--python", f"{python} is no Python that starts.", _REMEDIES[-1:])
        # The link in a virtual environment is kept: what it points to lacks that environment.
        return Installer(str(python.expanduser().absolute()), uv)
    if before is not None:
        return Installer(before, uv)
    if (found := find_python()) is not None:
        return Installer(str(found), uv)
    if uv is None:
        raise SetupError(_NAME, "it is not on this machine, and no uv to bring it.", _REMEDIES)
    return Installer(_PYTHON, uv)


def find_python() -> Path | None:
    """A Python 3.10 that starts: on ``PATH``, else pyenv's newest."""
    root = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser()
    of_pyenv = sorted(root.glob(f"versions/{_PYTHON}.*/bin/{_NAME}"), reverse=True)
    candidates = map(Path, filter(None, (shutil.which(_NAME), *of_pyenv)))
    return next((path for path in candidates if version_of(path) == _PYTHON), None)


def version_of(python: Path) -> str | None:
    """Major and minor version of an interpreter; ``None`` where it does not start.

    It is run, since a shim of pyenv is on ``PATH`` also for versions that are not there.
    """
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    command = [str(python.expanduser()), "-I", "-c", code]
    try:
        finished = subprocess.run(
            command, capture_output=True, timeout=60, encoding="utf-8", errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return finished.stdout.strip() if finished.returncode == 0 else None


Command = list[str]
"""Program and arguments; as for ``env``, variables may stand in front: ``NAME=value``."""


@dataclass(frozen=True)
class SetupOptions:
    """What the command line asks for."""

    commit: str  # Hash, abbreviated hash, tag or branch
    repository: str  # URL or folder to clone
    python: Path | None  # Interpreter to make the environment with; looked for where it is None
    flash_attention: bool  # Whether flash-attn is installed


@dataclass(frozen=True)
class Step:
    """Commands that belong together, recorded as done when the last of them is.

    Its fields are those of ``setup_steps.yaml``, with the names filled in.
    """

    name: str
    title: str
    commands: tuple[Command, ...]
    after: tuple[str, ...] = ()
    makes: Path | None = None

    def lines(self) -> list[str]:
        """The commands as a person types them."""
        return [shlex.join(command) for command in self.commands]


def all_steps(
    environment: IsaacEnvironment, options: SetupOptions, installer: Installer
) -> list[Step]:
    """All steps that set up a folder, in order, whatever is done of them.

    Raises:
        SetupError: The repository's URL holds a password, or the commit is no name.
    """
    facts, address = environment.generation, urlsplit(options.repository)
    if address.password or (address.username and address.scheme in ("http", "https")):
        problem = "the URL holds a user name or password, which would stand in files and logs."
        raise SetupError("--repository", problem, ["leave it out: git asks its credential helper"])
    if options.commit.startswith("-") or not options.commit.strip():
        problem = f"'{options.commit}' is no commit."
        raise SetupError("--commit", problem, [f"for example: {facts.pinned}"])
    if facts.name == "n1.7" and not options.flash_attention:
        problem = "flash-attn is among N1.7's packages, built and whole; it cannot be left out."
        raise SetupError("--skip-flash-attn", problem, ["leave the option out"])
    checkout, virtual = environment.checkout, environment.python.parents[1]
    names = {
        "repository": options.repository,
        "commit": options.commit,
        "checkout": checkout,
        "partial": checkout.with_name(f"{checkout.name}.partial"),
        "virtual": virtual,
        "flash_attention": facts.flash_attention,
        "package": facts.package(checkout),
    }
    python, uv = str(environment.python), installer.uv
    install, make = [python, "-m", "pip", "install"], [installer.python, "-m", "venv"]
    if uv is not None:
        install = [uv, "pip", "install", "--python", python]
        # Seeded with pip, which the doctor's remedies and packages' own set-ups call.
        make = [uv, "venv", "--seed", "--python", installer.python]
    commands = {"{install}": install, "{make_environment}": [*make, str(virtual)]}

    def arguments(line: str) -> Command:
        words = (commands.get(word) or [word.format(**names)] for word in shlex.split(line))
        return list(chain.from_iterable(words))

    def step(texts: dict[str, Any]) -> Step:
        makes = Path(texts["makes"].format(**names)) if "makes" in texts else None
        title, after = texts["title"].format(**names), tuple(texts.get("after", ()))
        return Step(texts["name"], title, tuple(map(arguments, texts["commands"])), after, makes)

    described = yaml.safe_load(Path(__file__).with_name("setup_steps.yaml").read_bytes())
    by_name = {texts["name"]: texts for texts in described["steps"]}
    steps = [step(by_name[name]) for name in described[facts.name]]
    return [step for step in steps if options.flash_attention or step.name != "flash-attn"]
