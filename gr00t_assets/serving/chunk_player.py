"""Which action is due: chunks played in turn, replaced early, or averaged over time."""

import numpy as np


class ChunkPlayer:
    """Plays chunks of ``horizon`` actions; the newest is replaced after ``replan_every`` of them.

    With ``ensemble``, 0 or more, every action is the weighted mean of what all chunks say of its
    time, the oldest with weight 1 and each later one with exp(-ensemble) of the one before: the
    temporal ensembling of ACT (Zhao et al. 2023, arXiv 2304.13705), whose ``m`` is 0.01.

    Raises:
        ValueError: ``replan_every`` is not from 1 to ``horizon``, or ``ensemble`` is below 0.

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
        """Take a chunk, (horizon, numbers), whose first action is due now."""
        if len(chunk) != self.horizon:
            raise ValueError(f"a chunk has {self.horizon} steps, not {len(chunk)}")
        self._chunks = [*([] if self.ensemble is None else self._chunks), (self._step, chunk)]

    def next(self) -> np.ndarray:
        """The action that is due, (numbers,); the one after it is due next."""
        reaching = [item for item in self._chunks if self._step - item[0] < self.horizon]
        if not reaching:
            raise ValueError("no chunk reaches this step: add one where needs_chunk says so")
        due = [chunk[self._step - first] for first, chunk in reaching]
        self._chunks, self._step = reaching, self._step + 1
        weights = np.exp(-(self.ensemble or 0.0) * np.arange(len(due)))
        return np.average(due, axis=0, weights=weights)
