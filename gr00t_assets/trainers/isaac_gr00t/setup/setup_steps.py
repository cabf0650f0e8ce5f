"""The steps that make an environment for Isaac-GR00T, each a few shell commands."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from gr00t_assets.trainers.isaac_gr00t.commits import PINNED, REPOSITORY
from gr00t_assets.trainers.isaac_gr00t.doctor.packages import FLASH_ATTENTION
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.setup.installer import Installer, SetupError

Command = list[str]
"""Program and arguments; as for ``env``, variables may stand in front: ``NAME=value``."""


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


def all_steps(directory: Path, options: SetupOptions, installer: Installer) -> list[Step]:
    """All steps that set up a folder, in order, whatever is done of them.

    Raises:
        SetupError: The repository's URL holds a password, or the commit is no name.
    """
    address = urlsplit(options.repository)
    if address.password or (address.username and address.scheme in ("http", "https")):
        raise SetupError(
            "--repository",
            "the URL holds a user name or password, which would stand in files and logs.",
            ["leave it out: git asks its credential helper"],
        )
    if options.commit.startswith("-") or not options.commit.strip():
        raise SetupError(
            str(directory), f"'{options.commit}' is no commit.", [f"for example: {PINNED}"]
        )
    environment = IsaacEnvironment.in_directory(directory)
    checkout, virtual = environment.checkout, environment.python.parents[1]
    names = {
        "repository": options.repository,
        "commit": options.commit,
        "checkout": checkout,
        "partial": checkout.with_name(f"{checkout.name}.partial"),
        "virtual": virtual,
        "flash_attention": FLASH_ATTENTION,
    }
    commands = {
        "{install}": installer.install(environment.python),
        "{make_environment}": installer.make_environment(virtual),
    }

    def step(name: str, title: str, after: tuple[str, ...] = (), **texts: Any) -> Step:
        lines = [
            [
                argument
                for word in shlex.split(line)
                for argument in commands.get(word) or [word.format(**names)]
            ]
            for line in texts["commands"]
        ]
        makes = Path(texts["makes"].format(**names)) if "makes" in texts else None
        return Step(name, title.format(**names), tuple(lines), tuple(after), makes)

    described = yaml.safe_load(Path(__file__).with_name("setup_steps.yaml").read_text())
    steps = [step(**texts) for texts in described]
    return [step for step in steps if options.flash_attention or step.name != "flash-attn"]


def fetch_command(checkout: Path) -> Command:
    """Brings the commits that a clone does not have yet."""
    return ["git", "-C", str(checkout), "fetch", "--filter=blob:none", "--tags", "origin"]
