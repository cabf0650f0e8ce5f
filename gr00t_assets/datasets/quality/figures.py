"""Figures of a dataset's quality; thresholds are in ``thresholds.py``."""

from enum import StrEnum

from pydantic import Field

from gr00t_assets.core.files import FrozenModel


class Measure(StrEnum):
    """What is measured, by the name that tables and warnings have for it."""

    LENGTHS = "episode lengths"
    IDLE_START = "idle start"
    IDLE_END = "idle end"
    COPIES = "action equal to state"
    OUTSIDE = "outside q01 to q99"
    STRETCHED = "range and q01 to q99"
    JUMPS = "jumps"
    STUCK = "stuck joints"
    LIMITS = "values at their limit"
    LAG = "action to state lag"
    JERK = "jerk"
    REPEATS = "repeated episodes"
    LANGUAGE = "instructions"
    EXPOSURE = "brightness"
    FLICKER = "flicker"
    FROZEN = "frozen video"
    FREEZES = "camera freezes"
    BLACK = "black frames"
    SCORES = "score of the episodes"


class QualityWarning(FrozenModel):
    """A threshold that was passed."""

    measure: Measure = Field(description="The row of the table that it belongs to")
    subject: str = Field(default="", description="Column or camera, where there are several")
    message: str = Field(description="What was found and what it does to a policy")


class Lengths(FrozenModel):
    """Rows of the episodes."""

    rows: tuple[int, ...] = Field(description="By position in the dataset")
    shortest: int
    median: float
    longest: int
    outliers: tuple[int, ...] = Field(description="Indices of episodes far from the median")


class Idle(FrozenModel):
    """Rows in which no joint is further than ``IDLE_MOVE`` from where it starts or ends."""

    start: tuple[int, ...] = Field(description="Rows at rest before the first move, by episode")
    end: tuple[int, ...] = Field(description="Rows at rest after the last move, by episode")
    start_share: float = Field(description="Of all rows")
    end_share: float = Field(description="Of all rows")


class Vector(FrozenModel):
    """A column of state or action; tuples by dimension."""

    column: str
    labels: tuple[str, ...] = Field(description="Key of modality.json and number in it")
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    q01: tuple[float, ...]
    q99: tuple[float, ...]
    stored: bool = Field(description="The quantiles are those of meta/stats.json")
    outside: tuple[float, ...] = Field(description="Share of rows outside q01..q99")
    largest_step: tuple[float, ...] = Field(description="As a share of the range; 0 of a switch")
    steps: int = Field(description="Steps between successive rows")
    jumps: int = Field(description="Steps in which some dimension jumps")
    first_jump: str | None = Field(default=None, description="Episode, row and dimension of one")
    jumps_by_episode: dict[int, int] = Field(default={}, description="Of those that have some")

    @property
    def constant(self) -> tuple[bool, ...]:
        """Dimensions that never change."""
        return tuple(high <= low for low, high in zip(self.minimum, self.maximum, strict=True))

    @property
    def stretch(self) -> tuple[float, ...]:
        """Range in units of q01..q99; 1 of a constant dimension, infinite of rare values alone."""
        bounds = zip(self.minimum, self.maximum, self.q01, self.q99, strict=True)
        return tuple(
            1.0 if high <= low else (high - low) / (q99 - q01) if q99 > q01 else float("inf")
            for low, high, q01, q99 in bounds
        )


class Copy(FrozenModel):
    """A key that is in both state and action."""

    key: str
    share: float | None = Field(description="Of rows whose action is the state; None if constant")
    moving_share: float | None = Field(description="Of rows after which the state changes, if any")


class AtLimit(FrozenModel):
    """Rows of a column at the least or the largest value of a dimension; tuples by dimension."""

    column: str
    labels: tuple[str, ...]
    shares: tuple[float, ...] = Field(description="Of rows in motion, over episodes with motion")
    episodes: tuple[tuple[int, ...], ...] = Field(description="Above the threshold, by index")


class Motion(FrozenModel):
    """How the joints move."""

    stuck: dict[str, tuple[int, ...]] = Field(
        description="By dimension of the state: episodes in which it is told to move and does not"
    )
    limits: tuple[AtLimit, ...] = Field(description="By column")
    lags: dict[str, float | None] = Field(
        description="Milliseconds from action to state by key, median of the episodes where clear"
    )
    jerk: tuple[float, ...] = Field(
        description="By position in the dataset, as ``root_mean_square_jerk``; empty without joints"
    )
    jerk_median: float
    jerk_outliers: tuple[int, ...] = Field(description="Indices of episodes far above the median")


class Repeat(FrozenModel):
    """An episode that repeats an earlier one."""

    episode: int
    original: int
    distance: float = Field(description="Root mean square, as a share of the ranges; 0 to the bit")


class Freeze(FrozenModel):
    """Frames that stay the same while the robot moves."""

    episode: int
    row: int = Field(description="First of the rows")
    seconds: float


class EpisodeScore(FrozenModel):
    """What an episode is worth, of 100."""

    episode: int
    score: int
    reasons: tuple[str, ...] = Field(description="What it lost points for, in words, with how many")


class Language(FrozenModel):
    """Instructions, counted by rows."""

    column: str = Field(description="Column of task indices")
    shares: dict[str, float] = Field(description="Share of rows by instruction, commonest first")
    distinct: int
    empty_share: float = Field(description="Rows without an instruction, or with a placeholder")
    placeholders: tuple[str, ...] = Field(description="Texts that are no instruction")


class Camera(FrozenModel):
    """Frames of one camera, of whole episodes; grey levels are of 255."""

    camera: str
    episode: tuple[float, ...] = Field(description="Position in the dataset, fraction included")
    luminance: tuple[float, ...] = Field(description="Mean grey level of some of the frames")
    frames: int = Field(description="Frames that were looked at")
    mean: float
    dark_share: float
    bright_share: float
    flicker_share: float = Field(description="Of pairs of successive frames")
    identical_share: float = Field(description="Pairs of the same frame")
    frozen_share: float = Field(description="The same, of pairs in which a joint moves")
    freezes: tuple[Freeze, ...] = Field(description="In the order of the episodes")
    black: dict[int, float] = Field(description="Share of black frames of episodes that have some")


class Quality(FrozenModel):
    """What was measured, and what passed a threshold."""

    dataset: str
    fps: float
    lengths: Lengths
    idle: Idle | None = Field(description="None without a state or action that moves")
    vectors: tuple[Vector, ...]
    copies: tuple[Copy, ...]
    motion: Motion
    repeats: tuple[Repeat, ...]
    language: Language | None
    cameras: tuple[Camera, ...] = Field(description="Empty without a frame cache")
    scores: tuple[EpisodeScore, ...] = Field(default=(), description="In the dataset's order")
    warnings: tuple[QualityWarning, ...] = ()

    def messages(self) -> list[str]:
        """The warnings as text."""
        return [
            ": ".join(filter(None, (warning.measure, warning.subject, warning.message)))
            for warning in self.warnings
        ]
