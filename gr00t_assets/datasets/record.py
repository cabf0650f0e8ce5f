"""What is known of the current version of a dataset in the store."""

from pathlib import Path

from pydantic import Field

from gr00t_assets.core.checksums import load_sealed, sealed
from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import FrozenModel, write_json
from gr00t_assets.core.project import Store, materialize_command
from gr00t_assets.datasets.curation import Curated
from gr00t_assets.datasets.lerobot.features import Feature


class Camera(FrozenModel):
    """One camera of a dataset, by the column name that LeRobot gives it."""

    original_key: str = Field(description="LeRobot's feature name: observation.images.ego_view")
    height: int = Field(description="Pixels")
    width: int = Field(description="Pixels")
    fps: float = Field(description="Frames per second of the video")
    codec: str = Field(description="As FFmpeg names it: h264, hevc, av1, vp9")

    @classmethod
    def declared(cls, feature: Feature, fps: float, codec: str | None = None) -> "Camera":
        """A camera as ``meta/info.json`` declares it, by the dataset's rate where it gives none.

        A codec that was found takes the place of what is declared.
        """
        height, width = feature.size or (0, 0)
        rate = feature.video_fps if feature.is_video else None
        return cls(
            original_key=feature.name,
            height=height,
            width=width,
            fps=rate or fps,
            codec=codec or feature.video_codec or "unknown",
        )


class DatasetRecord(FrozenModel):
    """A dataset in the store, complete and readable.

    ``version`` is the content hash: the first 16 hex digits of a SHA-256 over every file's path
    and content.
    """

    name: str
    version: str
    source: str = Field(description="Where it was taken from, in words, with the revision")
    revision: str | None = Field(description="Commit of the source, where it has one")
    codebase_version: str = Field(description="LeRobot's format: v2.0 or v2.1")
    robot_type: str
    episodes: int
    frames: int
    fps: float
    cameras: tuple[Camera, ...]
    tasks: tuple[str, ...]
    size_bytes: int
    warnings: tuple[str, ...] = Field(default=(), description="Odd, and yet usable")
    curated: Curated | None = Field(
        default=None, description="How its episodes differ from the source's; none if they do not"
    )

    @property
    def hours(self) -> float:
        """Length of all episodes together."""
        return self.frames / self.fps / 3600

    def directory(self, store: Store) -> Path:
        """Where this version's files are."""
        return store.dataset_directory(self.name, self.version)


def save_record(record: DatasetRecord, store: Store) -> None:
    """Make ``record`` the current version of its dataset."""
    write_json(store.dataset_record(record.name), sealed(record.model_dump(mode="json")))


def load_record(name: str, store: Store) -> DatasetRecord:
    """The current version of a dataset.

    Raises:
        DatasetError: It was never materialised, or its files are gone.
    """
    command = f"run: {materialize_command('dataset', name)}"
    path = store.dataset_record(name)
    if not path.is_file():
        raise DatasetError(name, "this dataset is not in the store.", [command])
    problem = f"{path} cannot be read."
    record = load_sealed(
        path, DatasetRecord, lambda why: DatasetError(name, problem, [why, command])
    )
    if not record.directory(store).is_dir():
        raise DatasetError(name, f"version {record.version} is gone from the store.", [command])
    return record
