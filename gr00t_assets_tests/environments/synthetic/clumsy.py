"""An environment for tests whose expert gives up at odd seeds, and one without an expert."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from gr00t_assets.environments.synthetic.pick import So101Pick, expert_action

CLUMSY, ALONE = "gr00t_assets_tests/Clumsy-v0", "gr00t_assets_tests/Alone-v0"


class Clumsy(So101Pick):
    """Its expert does nothing at odd seeds; at all of them where ``never`` is set."""

    def __init__(self, never: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.never, self.seeds = never, []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        self.seeds.append(seed)
        return super().reset(seed=seed, options=options)

    def expert(self) -> Callable[[So101Pick], np.ndarray]:
        def action(env: So101Pick) -> np.ndarray:
            return env._state if self.never or self.seeds[-1] % 2 else expert_action(env)

        return action


class Alone(So101Pick):
    """The same scene without an expert."""

    @property
    def expert(self) -> Any:  # type: ignore[override]
        """There is none."""
        raise AttributeError("expert")


gymnasium.register(CLUMSY, f"{__name__}:Clumsy", max_episode_steps=60)
gymnasium.register(ALONE, f"{__name__}:Alone", max_episode_steps=60)
