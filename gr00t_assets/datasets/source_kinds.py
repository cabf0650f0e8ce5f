"""The kinds of place that a dataset can be taken from."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator

from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.names import did_you_mean
from gr00t_assets.datasets.synthetic.spec import SyntheticSpec
from gr00t_assets.modality.modality_json import preset_names

COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class SyntheticSource(SyntheticSpec):
    """Demonstrations that are drawn here, by the parameters of the generator."""

    kind: Literal["synthetic"] = Field(default="synthetic", description="What this source is")

    def describe(self) -> str:
        """The source in words."""
        return f"synthetic {self.robot}, seed {self.seed}"


class HubSource(FrozenModel):
    """A dataset repository of the Hugging Face Hub."""

    kind: Literal["hub"] = Field(default="hub", description="What this source is")
    repo_id: str = Field(description="owner/name")
    revision: str = Field(default="main", description="Branch, tag, or full commit hash")
    modality: str | None = Field(
        default=None, description="Packaged modality.json that is put in place: so100_dualcam"
    )

    @field_validator("repo_id")
    @classmethod
    def _owner_and_name(cls, value: str) -> str:
        if not _REPOSITORY.fullmatch(value):
            raise ValueError("a Hub repository is written owner/name")
        return value

    @field_validator("modality")
    @classmethod
    def _packaged(cls, value: str | None) -> str | None:
        names = preset_names()
        if value is not None and value not in names:
            raise ValueError(
                "there is no packaged modality file of this name; " + did_you_mean(value, names)
            )
        return value

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit, which can never mean other content."""
        return COMMIT.fullmatch(self.revision) is not None

    def describe(self) -> str:
        """The source in words, with the branch or tag that was asked for."""
        asked = "" if self.pinned else f", revision {self.revision}"
        return f"https://huggingface.co/datasets/{self.repo_id}{asked}"


class GitSource(FrozenModel):
    """A folder of a git repository at one commit."""

    kind: Literal["git"] = Field(default="git", description="What this source is")
    repository: str = Field(min_length=1, description="Address that git clone takes")
    revision: str = Field(description="Full commit hash")
    path: str = Field(default=".", description="Folder of the dataset inside the repository")

    @field_validator("repository")
    @classmethod
    def _address(cls, value: str) -> str:
        if value.startswith("-"):
            raise ValueError("an address cannot begin with '-'")
        return value

    @field_validator("revision")
    @classmethod
    def _pinned(cls, value: str) -> str:
        if not COMMIT.fullmatch(value):
            raise ValueError("expected a full commit hash, 40 hex digits")
        return value

    @field_validator("path")
    @classmethod
    def _inside(cls, value: str) -> str:
        if value.startswith(("/", "-", "!")) or ".." in value.split("/"):
            raise ValueError("expected a folder inside the repository")
        return value.strip("/")

    def describe(self) -> str:
        """The source in words, without credentials."""
        return f"{without_credentials(self.repository)} {self.path}"


class FolderSource(FrozenModel):
    """A folder on this machine."""

    kind: Literal["folder"] = Field(default="folder", description="What this source is")
    path: str = Field(min_length=1, description="Absolute, or relative to the project's root")

    def describe(self) -> str:
        """The source in words."""
        return f"folder {self.path}"


Source = Annotated[
    SyntheticSource | HubSource | GitSource | FolderSource, Field(discriminator="kind")
]

SOURCE_KINDS: dict[str, type[BaseModel]] = {
    source.model_fields["kind"].default: source
    for source in (SyntheticSource, HubSource, GitSource, FolderSource)
}


def without_credentials(text: str) -> str:
    """A text whose addresses have lost their user and password.

    Examples:
        >>> without_credentials("fatal: https://me:secret@host/repo not found")
        'fatal: https://host/repo not found'
    """
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1", text)
