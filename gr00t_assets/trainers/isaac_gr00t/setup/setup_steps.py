"""The steps that make an environment for Isaac-GR00T, each a few shell commands."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gr00t_assets.trainers.isaac_gr00t.commits import PINNED, REPOSITORY
from gr00t_assets.trainers.isaac_gr00t.doctor.packages import EXTRA, FLASH_ATTENTION
from gr00t_assets.trainers.isaac_gr00t.environment import (
    CHECKOUT_NAME,
    ENVIRONMENT_NAME,
    IsaacEnvironment,
)
from gr00t_assets.trainers.isaac_gr00t.setup.installer import Installer, SetupError

SETUPTOOLS = "setuptools<81"
"""tensorboard 2.15, which tensorflow 2.15 brings, imports ``pkg_resources``; setuptools 82 is
without it, and 81 the release that was announced to be."""

_NO_LARGE_FILES = ("GIT_LFS_SKIP_SMUDGE", "1")


@dataclass(frozen=True)
class SetupOptions:
    """What the command line asks for.

    Attributes:
        commit: Hash, abbreviated hash, tag or branch.
        repository: URL or folder to clone.
        python: Interpreter to make the environment with; found where left out.
        flash_attention: Whether flash-attn is installed.
    """

    commit: str = PINNED
    repository: str = REPOSITORY
    python: Path | None = None
    flash_attention: bool = True


@dataclass(frozen=True)
class Command:
    """One command, as it runs and as a person types it.

    Attributes:
        arguments: Program and arguments.
        variables: What is added to the environment; no secrets.
    """

    arguments: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()

    def shell(self) -> str:
        """The line to type.

        Example:
            >>> Command(("pip", "install", "setuptools<81"), (("A", "1"),)).shell()
            "A=1 pip install 'setuptools<81'"
        """
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.variables]
        return " ".join([*variables, shlex.join(self.arguments)])


@dataclass(frozen=True)
class Step:
    """Commands that belong together, recorded as done when the last of them is.

    Attributes:
        name: In the record.
        title: For people.
        commands: In order.
        after: Steps that it builds on: where one of them is done again, so is this.
        makes: What is there, whole, as soon as it is done, and not before.
    """

    name: str
    title: str
    commands: tuple[Command, ...]
    after: tuple[str, ...] = ()
    makes: Path | None = None

    def lines(self) -> list[str]:
        """The commands as a person types them."""
        return [command.shell() for command in self.commands]


def all_steps(directory: Path, options: SetupOptions, installer: Installer) -> list[Step]:
    """All steps in order, whatever is done of them.

    Args:
        directory: Where checkout and environment go.
        options: What is asked for.
        installer: Makes the virtual environment, and installs packages into it.

    Raises:
        SetupError: The repository's URL holds a password, or the commit is no name.
    """
    _refuse_secrets(options.repository)
    if options.commit.startswith("-") or not options.commit.strip():
        raise SetupError(
            str(directory), f"'{options.commit}' is no commit.", [f"for example: {PINNED}"]
        )
    environment = IsaacEnvironment.in_directory(directory)
    checkout, python = environment.checkout, environment.python
    partial = checkout.with_name(f"{CHECKOUT_NAME}.partial")
    virtual = checkout.with_name(ENVIRONMENT_NAME)

    def install(*arguments: str) -> Command:
        return _command(*installer.install(python, *arguments))

    steps = [
        Step(
            "clone",
            f"clone {options.repository}",
            (
                _command("rm", "-rf", partial),
                _command(
                    *("git", "clone", "--filter=blob:none", "--no-checkout"),
                    *(options.repository, partial),
                ),
                _command("mv", partial, checkout),
            ),
            makes=checkout,
        ),
        Step(
            "commit",
            f"check out {options.commit[:12]}",
            (
                Command(
                    ("git", "-C", str(checkout), "checkout", "--detach", options.commit),
                    (_NO_LARGE_FILES,),
                ),
            ),
            after=("clone",),
        ),
        Step(
            "environment",
            f"Python environment {ENVIRONMENT_NAME}",
            (_command("rm", "-rf", virtual), _command(*installer.make_environment(virtual))),
        ),
        Step(
            "tools",
            "pip and setuptools",
            (install("--upgrade", "pip", SETUPTOOLS, "wheel"),),
            after=("environment",),
        ),
        Step(
            "packages",
            "Isaac-GR00T and what it needs, some 8 GB",
            (install("-e", f"{checkout}[{EXTRA}]"),),
            after=("commit", "tools"),
        ),
        Step(
            "flash-attn",
            f"flash-attn {FLASH_ATTENTION}",
            (install(f"flash-attn=={FLASH_ATTENTION}", "--no-build-isolation"),),
            after=("packages",),
        ),
        Step(
            "extras",
            "python-dotenv and dagster-pipes",
            (install("python-dotenv", "dagster-pipes"),),
            after=("packages",),
        ),
    ]
    return [step for step in steps if options.flash_attention or step.name != "flash-attn"]


def fetch_command(directory: Path) -> Command:
    """Brings the commits that a clone does not have yet."""
    checkout = IsaacEnvironment.in_directory(directory).checkout
    return _command("git", "-C", checkout, "fetch", "--filter=blob:none", "--tags", "origin")


def _command(*arguments: str | Path) -> Command:
    return Command(tuple(map(str, arguments)))


def _refuse_secrets(repository: str) -> None:
    address = urlsplit(repository)
    if address.password or (address.username and address.scheme in ("http", "https")):
        raise SetupError(
            "--repository",
            "the URL holds a user name or password, which would stand in files and logs.",
            ["leave it out: git asks its credential helper"],
        )
