"""Where a figure of a dataset's quality becomes a warning, and how the figures are taken.

A range is what lies between the least and the largest value of a number in the whole dataset; grey
levels are of 255.
"""

# Rows at rest
IDLE_MOVE = 0.01  # of its range that a joint may move and still count as at rest
IDLE_SHARE = 0.10  # of all rows, at the starts or at the ends of episodes: a policy learns to wait

# Actions that are the present state: a policy learns to stay where it is
COPY_SLACK = 1e-5  # of its range by which an action may differ from the state and be called equal
COPY_SHARE = 0.5  # of the rows in which the key moves

# Ranges and normalisation; GR00T uses min-max
OUTSIDE_SHARE = 0.05  # of rows outside q01..q99, of which 0.02 is expected: other data's statistics
STRETCH = 4.0  # range over q01..q99: the bulk of the values has less than a quarter of the scale
SAMPLED_ROWS = 200_000  # that quantiles are computed from where meta/stats.json has none
NOISE_STEP = 0.5  # median step over the distance of the quartiles, 0.7 of white noise: no motion

# Jumps from one row to the next
JUMP = 0.4  # of its range that a dimension moves
JUMP_ROWS = 0.001  # of steps with a jump
SWITCH_VALUES = 3  # or fewer of a dimension: a switch, whose jumps are let off

# Instructions
COMMONEST_SHARE = 0.95  # of rows of the commonest, where there are several
PLACEHOLDERS = frozenset(
    [
        *("valid", "invalid", "none", "null", "nan", "n/a", "na", "unknown", "untitled", "default"),
        *("todo", "tbd", "test", "task", "tasks", "dummy", "placeholder", "demo", "episode", "xxx"),
        *("instruction", "prompt", "text", "string", "language", "foo"),
    ]
)
"""Texts, in lower case, that are no instruction; so is one without a letter."""

# Cameras
SCANNED_FRAMES = 10_000  # of each camera that are looked at, in whole episodes, evenly spread
SHOWN_FRAMES = 400  # of each camera whose brightness is plotted
DARK = 40.0  # mean grey level below which a frame is too dark
BRIGHT = 215.0  # mean grey level above which a frame is too bright
EXPOSURE_SHARE = 0.05  # of frames that are too dark, or too bright
FLICKER = 10.0  # change of the mean grey level from one frame to the next: lamp or exposure jump
FLICKER_SHARE = 0.02  # of pairs of successive frames
MOVING = 0.003  # of its range that a joint moves in one step, so that its video should change too
FROZEN_SHARE = 0.10  # of pairs of successive frames that are identical while a joint moves
FREEZE_LEVELS = 0.02  # of a frame's range of grey levels that a pixel of the same frame may differ
FREEZE_SECONDS = 0.5  # for which the same frame is shown while the robot moves
BLACK = 10.0  # mean grey level below which a frame is black: a covered lens, a dead feed

# Joints that are stuck, and values at their limit
STUCK = 0.001  # of its range below which a joint has not moved in an episode
COMMANDED = 0.05  # of its range from which on a dimension has moved in an episode
USUALLY = 0.8  # of episodes that a joint without an action of its own moves in: it should in all
LIMIT_SLACK = 0.001  # of its range by which a value may differ from the limit and be at it
LIMIT_SHARE = 0.3  # of an episode's rows in motion that a dimension may be at its limit
ENDS_MEANT = ("gripper", "hand", "finger", "claw", "jaw")
"""In the names of dimensions whose limits are where they belong: open and closed."""

# Lag from action to state
LAG_SECONDS = 1.0  # that is looked for, to both sides
LAG_CORRELATION = 0.5  # from which on a state clearly follows its action
LAG_LATE = 250.0  # milliseconds by which a state may follow

# Episodes unlike the others
LENGTH_FACTOR = 3.0  # times shorter or longer than the median
OUTLIER = 3.5  # modified z-score, as Iglewicz and Hoaglin recommend
JERK_FACTOR = 1.5  # times the median jerk that an outlier's is at least
FEWEST_EPISODES = 5  # from which on one of them can be unlike the others

# Episodes that repeat another
REPEAT_POINTS = 16  # rows that an episode is resampled to, to be compared with others
REPEAT_DISTANCE = 0.005  # root mean square, in ranges; of a person who repeats a task ten times it
REPEAT_LENGTHS = 0.1  # by which the lengths of the two may differ

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
