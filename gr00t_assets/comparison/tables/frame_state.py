"""Whether the images of an imported run are known to be the right ones.

``torchvision_av`` in Isaac-GR00T returned the key frame before the asked time where one timestamp
was asked for, as in training: on ``robot_sim.PickNPlace`` 2091 of 2096 frames were wrong, 112
frames late on average. It was mended upstream on 2025-09-18.
"""

from datetime import datetime

from gr00t_assets.comparison.contrasts.observation import Frames

WRONG_BACKEND = "torchvision_av"
MENDED = "2025-10"
"""A run of ``torchvision_av`` that began in this month or later may have had the mended reader."""


def frame_state(video_backend: object, started_at: str, verified: bool | None) -> Frames:
    """What is known of the frames.

    Args:
        video_backend: What decoded them; None where it is not known.
        started_at: ISO 8601, as exact as it is known; '' where it is not.
        verified: Proof, such as a comparison with the frames decoded in order; None without one.

    Example:
        >>> frame_state("torchvision_av", "2025-06-15T01:11", None)
        'known wrong'
        >>> frame_state("decord", "2025-06-15", None), frame_state("decord", "", True)
        ('not verified', 'verified')
    """
    if verified:
        return "verified"
    if video_backend == WRONG_BACKEND and (not started_at or started_at[:7] < MENDED):
        return "known wrong"
    return "not verified"


def is_date(text: str) -> bool:
    """Whether a text is a date, or a date and a time, in ISO 8601.

    Example:
        >>> is_date("2025-06-14T23:58"), is_date("14 June 2025")
        (True, False)
    """
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
