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

SAMPLED_ROWS = 200_000
"""Rows that quantiles are computed from where ``meta/stats.json`` has none."""

SAMPLED_EPISODES = 48
"""Episodes whose frames are looked at, evenly spread."""

SAMPLED_PAIRS = 8
"""Pairs of successive frames of each of these episodes and of each camera."""
