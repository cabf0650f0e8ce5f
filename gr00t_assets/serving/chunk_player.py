"""Which action is due: chunks played in turn, replaced early, or averaged over time."""

import numpy as np


class ChunkPlayer:
    """Plays chunks of actions step by step.

    Without ``ensemble`` the newest chunk is played, and replaced after ``replan_every`` of its
    steps. With it every action is the weighted mean of what all chunks that reach so far say of
    its time, the oldest with weight 1 and each later one with exp(-ensemble) of the one before:
    the temporal ensembling of ACT (Zhao et al. 2023, arXiv 2304.13705), whose ``m`` is 0.01.

    Args:
        horizon: Steps of a chunk.
        replan_every: Steps after which another chunk is asked for, 1 to ``horizon``.
        ensemble: ACT's m, 0 or more; None to play the newest chunk alone.

    Raises:
        ValueError: A number is out of these bounds.

    Examples:
        >>> player = ChunkPlayer(horizon=4, replan_every=2)
        >>> player.add(np.arange(4.0)[:, None])
        >>> player.next(), player.next(), player.needs_chunk()
        (array([0.]), array([1.]), True)
    """

    def __init__(self, horizon: int, replan_every: int, ensemble: float | None = None) -> None:
        if not 1 <= replan_every <= horizon:
            raise ValueError(f"replan_every is from 1 to the horizon {horizon}, not {replan_every}")
        if ensemble is not None and not 0 <= ensemble < np.inf:
            raise ValueError(f"ensemble is 0 or more, not {ensemble}")
        self.horizon, self.replan_every, self.ensemble = horizon, replan_every, ensemble
        self.clear()

    def clear(self) -> None:
        """Forget every chunk, as when the robot was moved by another hand."""
        self._chunks: list[tuple[int, np.ndarray]] = []
        self._step = 0

    def needs_chunk(self) -> bool:
        """Whether a chunk of the present observation is to be added before ``next``."""
        return not self._chunks or self._step - self._chunks[-1][0] >= self.replan_every

    def add(self, chunk: np.ndarray) -> None:
        """Take a chunk, (horizon, numbers), whose first action is due now.

        Raises:
            ValueError: It is of another length.
        """
        if len(chunk) != self.horizon:
            raise ValueError(f"a chunk has {self.horizon} steps, not {len(chunk)}")
        older = self._chunks if self.ensemble is not None else []
        kept = [item for item in older if item[0] + self.horizon > self._step]
        self._chunks = [*kept, (self._step, np.asarray(chunk))]

    def next(self) -> np.ndarray:
        """The action that is due, (numbers,); the one after it is due next.

        Raises:
            ValueError: No chunk reaches so far.
        """
        due = [
            chunk[self._step - first]
            for first, chunk in self._chunks
            if self._step - first < self.horizon
        ]
        if not due:
            raise ValueError("no chunk reaches this step: add one where needs_chunk says so")
        self._step += 1
        if self.ensemble is None:
            return due[-1]
        weights = np.exp(-self.ensemble * np.arange(len(due)))
        return np.average(due, axis=0, weights=weights)
