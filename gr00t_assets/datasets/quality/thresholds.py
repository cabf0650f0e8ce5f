"""Where a figure of a dataset's quality becomes a warning, and how the figures are taken."""

IDLE_MOVE = 0.01
"""Share of its range that a joint may move and still count as at rest."""

IDLE_SHARE = 0.10
"""Share of all rows at rest at the starts, or at the ends, of episodes: a policy learns to wait."""

COPY_SLACK = 1e-5
"""Share of its range by which an action may differ from the state and be called equal."""

COPY_SHARE = 0.5
"""Share of the rows in which a key moves whose action is the present state: a policy learns to stay
where it is."""

OUTSIDE_SHARE = 0.05
"""Share of rows outside q01..q99, of which 0.02 is expected: the statistics are of other data."""

STRETCH = 4.0
"""Range of a dimension in units of q01..q99: min-max normalisation, which GR00T uses, then leaves
the bulk of the values less than a quarter of the scale."""

JUMP = 0.4
"""Share of its range that a dimension moves from one row to the next. Switches, with three values
or fewer, are let off."""

JUMP_ROWS = 0.001
"""Share of steps with a jump."""

SWITCH_VALUES = 3

NOISE_STEP = 0.5
"""Median step between rows over the distance of the quartiles, 0.7 of white noise, above which a
dimension is noise and no motion."""

LENGTH_FACTOR = 3.0
"""An episode is an outlier where it is so many times shorter or longer than the median."""

COMMONEST_SHARE = 0.95
"""Share of rows of the commonest instruction, where there are several."""

PLACEHOLDERS = frozenset(
    [
        *("valid", "invalid", "none", "null", "nan", "n/a", "na", "unknown", "untitled", "default"),
        *("todo", "tbd", "test", "task", "tasks", "dummy", "placeholder", "demo", "episode", "xxx"),
        *("instruction", "prompt", "text", "string", "language", "foo"),
    ]
)
"""Texts, in lower case, that are no instruction; so is one without a letter."""

DARK = 40.0
"""Mean grey level of 255 below which a frame is too dark."""

BRIGHT = 215.0
"""Mean grey level above which a frame is too bright."""

EXPOSURE_SHARE = 0.05
"""Share of sampled frames that are too dark, or too bright."""

FLICKER = 10.0
"""Change of the mean grey level from one frame to the next: a lamp or an exposure that jumps."""

FLICKER_SHARE = 0.02
"""Share of sampled pairs of successive frames that flicker."""

MOVING = 0.003
"""Share of its range that a joint moves in one step, so that its video should change as well."""

FROZEN_SHARE = 0.10
"""Share of sampled pairs of successive frames that are identical while a joint moves."""

FREEZE_LEVELS = 0.02
"""Largest difference of any pixel, as a share of the range of grey levels of a frame, at which two
frames are the same: codecs add as much."""

FREEZE_SECONDS = 0.5
"""A camera is frozen where its frames stay the same for so long while the robot moves."""

BLACK = 10.0
"""Mean grey level of 255 below which a frame is black: a covered lens, a dead feed."""

STUCK = 0.001
"""Share of its range below which a joint has not moved in an episode."""

COMMANDED = 0.05
"""Share of its range from which on a dimension has moved in an episode."""

USUALLY = 0.8
"""Share of episodes that a joint without an action of its own moves in, where it should in all."""

LIMIT_SLACK = 0.001
"""Share of its range by which a value may differ from the least or largest one and be at it."""

LIMIT_SHARE = 0.3
"""Share of the rows of an episode in which the robot moves that a dimension may be at its limit."""

ENDS_MEANT = ("gripper", "hand", "finger", "claw", "jaw")
"""In the names of dimensions whose limits are where they belong: open and closed."""

LAG_SECONDS = 1.0
"""Largest lag that is looked for, to both sides."""

LAG_CORRELATION = 0.5
"""Correlation from which on a state clearly follows its action."""

LAG_LATE = 250.0
"""Milliseconds by which a state may follow its action."""

OUTLIER = 3.5
"""Modified z-score of an outlier, as Iglewicz and Hoaglin recommend."""

JERK_FACTOR = 1.5
"""An episode's jerk is an outlier where it is also so many times the median."""

FEWEST_EPISODES = 5
"""Episodes from which on one of them can be unlike the others."""

REPEAT_POINTS = 16
"""Rows that an episode is resampled to, to be compared with others."""

REPEAT_DISTANCE = 0.005
"""Root mean square difference, as a share of the ranges, below which an episode nearly repeats
another; a person who demonstrates a task twice differs by ten times as much."""

REPEAT_LENGTHS = 0.1
"""Share by which the lengths of the two may differ."""

PENALTIES = {
    "repeat": 60,
    "near repeat": 40,
    "stuck": 40,
    "freeze": 40,
    "black": 40,
    "jumps": 20,
    "jerk": 20,
    "length": 20,
    "limit": 15,
    "rest": 30,
}
"""Points of 100 that an episode loses, once for each kind; of rest the share of rows, at most."""

SAMPLED_ROWS = 200_000
"""Rows that quantiles are computed from where ``meta/stats.json`` has none."""

SCANNED_FRAMES = 10_000
"""Frames of each camera that are looked at, in whole episodes, evenly spread."""

SHOWN_FRAMES = 400
"""Frames of each camera whose brightness is plotted."""
