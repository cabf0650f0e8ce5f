"""What the drawings of an evaluation share: colours, the episode, its title."""

from gr00t_assets.evaluation.result import Evaluation, PartName, Trajectory

RECORDED, PREDICTED, HOLD, MEAN = "#5f6773", "#0072B2", "#D55E00", "#009E73"
"""Okabe and Ito's blue, vermillion and green, which the colour-blind can tell apart."""

RULES = {"hold": (HOLD, "dash"), "mean action": (MEAN, "dot")}
"""Colour and dash of each baseline."""


def trajectory_of(evaluation: Evaluation, part: PartName | None = None) -> Trajectory:
    """The drawn episode of a part; of the part to rank by where left out."""
    wanted = part or evaluation.main.part
    return next(each for each in evaluation.trajectories if each.part == wanted)


def trajectory_title(evaluation: Evaluation, trajectory: Trajectory) -> str:
    """What a drawing of it is called.

    It names the episode and whether it was trained on.
    """
    return f"{evaluation.experiment}, episode {trajectory.episode}, {trajectory.part}"
