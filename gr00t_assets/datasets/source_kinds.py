"""The kinds of place that a dataset can be taken from."""

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, Field, model_validator

from gr00t_assets.core.files import FrozenModel, json_hash
from gr00t_assets.core.text import counted, did_you_mean
from gr00t_assets.core.yaml_files import explained_error
from gr00t_assets.modality.modality_json import preset_names

COMMIT = re.compile(r"[0-9a-f]{40}")

GENERATOR_VERSION = 1  # raised when the same parameters begin to give other demonstrations

CAMERAS = {"gr1_arms": ("ego_view",), "so101": ("front", "wrist")}  # cameras that each robot has

_SIZE = {"gr1_arms": (256, 256, 20.0), "so101": (640, 480, 30.0)}


class SyntheticSource(FrozenModel):
    """Demonstrations that are drawn here: an arm that carries an object to a plate.

    Examples:
        >>> spec = SyntheticSource(robot="so101", episodes=1)
        >>> spec.shown_cameras, spec.size, spec.rate
        (('front', 'wrist'), (640, 480), 30.0)
    """

    robot: Literal["gr1_arms", "so101"] = Field(
        default="gr1_arms", description="44 joint numbers in radians, or 6 in degrees"
    )
    episodes: int = Field(default=5, ge=1, le=10_000)
    min_frames: int = Field(default=130, ge=40, description="Rows of the shortest episode")
    max_frames: int = Field(default=190, le=10_000, description="Rows of the longest episode")
    width: int | None = Field(default=None, ge=64, le=1920, multiple_of=2, description="Pixels")
    height: int | None = Field(default=None, ge=64, le=1920, multiple_of=2, description="Pixels")
    fps: float | None = Field(default=None, ge=5, le=120, description="Rows per second")
    cameras: tuple[str, ...] | None = Field(default=None, min_length=1)
    seed: int = Field(default=0, ge=0, description="Of the scenes")
    kind: Literal["synthetic"] = Field(default="synthetic", description="What this source is")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_frames > self.max_frames:
            problem = f"min_frames {self.min_frames} is above max_frames {self.max_frames}"
            raise explained_error(problem)
        available = CAMERAS[self.robot]
        if unknown := [camera for camera in self.cameras or () if camera not in available]:
            problem = f"robot {self.robot} has no camera {', '.join(unknown)}"
            raise explained_error(f"{problem}; it has: {', '.join(available)}")
        return self

    @property
    def shown_cameras(self) -> tuple[str, ...]:
        """The cameras that are drawn."""
        return self.cameras or CAMERAS[self.robot]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width, height, _ = _SIZE[self.robot]
        return self.width or width, self.height or height

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.fps or _SIZE[self.robot][2]

    def digest(self) -> str:
        """16 hex digits over all that decides what is drawn."""
        content = self.model_dump(include={"robot", "episodes", "seed"}) | {
            "generator": GENERATOR_VERSION,
            "frames": [self.min_frames, self.max_frames],
            "size": self.size,
            "fps": self.rate,
            "cameras": self.shown_cameras,
        }
        return json_hash(content, 16)

    def describe(self) -> str:
        """The source in words."""
        return f"synthetic {self.robot}, seed {self.seed}"


_Noise = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class EnvironmentSource(FrozenModel):
    """Demonstrations of the expert of an environment, recorded here."""

    kind: Literal["environment"] = Field(default="environment", description="What this source is")
    environment: str = Field(
        min_length=1, description="Built in, or of data/environments.yaml; it offers an expert"
    )
    episodes: int = Field(default=100, ge=1, le=10_000, description="Demonstrations")
    seed: int = Field(default=0, ge=0, description="Of the first episode")
    noise: _Noise | tuple[_Noise, ...] = Field(
        default=0.0,
        description="Disturbance of the executed commands, in their units: of all, or of each",
    )

    def describe(self) -> str:
        """The source in words."""
        episodes = counted(self.episodes, "episode")
        return f"expert of {self.environment}, {episodes} from seed {self.seed}"


def _checked(pattern: str, expected: str) -> AfterValidator:
    """A text that a pattern matches as a whole."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value, re.DOTALL):
            raise ValueError(expected)
        return value

    return AfterValidator(check)


_NAME = r"[A-Za-z0-9][\w.-]*"
_Repository = Annotated[str, _checked(f"{_NAME}/{_NAME}", "a Hub repository is written owner/name")]
_Address = Annotated[str, _checked(r"[^-].*", "an address cannot begin with '-'")]
_Commit = Annotated[str, _checked(COMMIT.pattern, "expected a full commit hash, 40 hex digits")]
_Folder = Annotated[
    str,
    _checked(r"(?![/!-])(?!(.*/)?\.\.(/|\Z)).*", "expected a folder inside the repository"),
    AfterValidator(lambda path: path.strip("/")),
]


def _packaged(value: str | None) -> str | None:
    names = preset_names()
    if value is not None and value not in names:
        hint = did_you_mean(value, names)
        raise ValueError(f"there is no packaged modality file of this name; {hint}")
    return value


class HubSource(FrozenModel):
    """A dataset repository of the Hugging Face Hub."""

    kind: Literal["hub"] = Field(default="hub", description="What this source is")
    repo_id: _Repository = Field(description="owner/name")
    revision: str = Field(default="main", description="Branch, tag, or full commit hash")
    modality: Annotated[str | None, AfterValidator(_packaged)] = Field(
        default=None, description="Packaged modality.json that is put in place: so100_dualcam"
    )

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
    repository: _Address = Field(min_length=1, description="Address that git clone takes")
    revision: _Commit = Field(description="Full commit hash")
    path: _Folder = Field(default=".", description="Folder of the dataset inside the repository")

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
    SyntheticSource | EnvironmentSource | HubSource | GitSource | FolderSource,
    Field(discriminator="kind"),
]

SOURCE_KINDS: dict[str, type[BaseModel]] = {
    source.model_fields["kind"].default: source for source in get_args(get_args(Source)[0])
}


def without_credentials(text: str) -> str:
    """A text whose addresses have lost their user and password.

    Examples:
        >>> without_credentials("fatal: https://me:s@cret@host/repo not found")
        'fatal: https://host/repo not found'
    """
    return re.sub(r"(\w+://)[^/\s]+@", r"\1", text)
