"""The rollouts of a run: what is asked for, its ``rollouts/ENVIRONMENT.json`` and its videos."""

import io
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.core.files import published_directory
from gr00t_assets.core.text import counted
from gr00t_assets.datasets.catalog import project_catalog
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.environments.environment_file import Environment
from gr00t_assets.environments.episode_processes import EnvironmentProcesses
from gr00t_assets.evaluation.open_loop import spec_and_weights, weights_hash
from gr00t_assets.evaluation.rollouts import result
from gr00t_assets.evaluation.rollouts.agents import PolicyAgent, baseline_agents
from gr00t_assets.evaluation.rollouts.runner import PARALLEL, Rolled, Runner
from gr00t_assets.experiments.registry import trainer_named

Log = Callable[[str], object]

VIDEOS, MOST_VIDEOS = "videos", 3
"""Folder of ``rollouts`` with one of each environment; of successes, and as many of failures."""

MOST_BYTES = 150_000  # Of a video, which pages carry inside themselves
_HEIGHT, _LAST = 128, 1000  # Pixels, at most; milliseconds that the last frame stands, at least
_TRIES = ((70, 1), (50, 1), (50, 2), (35, 3), (25, 5), (15, 10))
"""Quality, and every how many frames one is kept: the first that is small enough is taken."""


def roll_out_run(
    run_directory: Path,
    environment: Environment,
    settings: result.RolloutSettings,
    step: int | None = None,
    *,
    log: Log = lambda line: None,
    parallel: int = PARALLEL,
) -> result.Rollouts:
    """Roll out weights of a run of any trainer, and the rules without a model, in one environment.

    Raises:
        Gr00tAssetsError: There are no such weights; or the environment cannot be opened, or differs
            from the data config.
    """
    began = time.monotonic()
    spec, weights = spec_and_weights(run_directory, step)
    catalog, name = project_catalog(), environment.name
    named = (x for x in spec.datasets if x.name in catalog and catalog[x.name].environment == name)
    dataset = next(named, spec.datasets[0])
    seeds = range(settings.first_seed, settings.first_seed + settings.episodes)
    parallel = min(parallel, settings.episodes)
    with EnvironmentProcesses(environment, parallel, [__name__]) as processes:
        runner = Runner(environment, processes, parallel)
        runner.require_fit(dataset.config, settings.first_seed)
        policy = trainer_named(spec.experiment.trainer).open_policy(weights)
        policy = policy.for_config(dataset.config).for_simulation()
        if settings.denoising_steps is not None:
            policy.denoising_steps = settings.denoising_steps
        log(f"{counted(settings.episodes, 'episode')} in {environment.name}, {parallel} at a time")
        rolled = runner.roll_out(PolicyAgent(policy, environment, settings), seeds, log)
        log(f"policy: {result.success_rate(list(rolled.outcomes.values())).words()}")
        files = LeRobotDataset.open(dataset.directory, dataset.name)
        baselines = {}
        for name, agent in baseline_agents(dataset.config, environment, files).items():
            baselines[name] = tuple(runner.roll_out(agent, seeds).outcomes.values())
            log(f"{name}: {result.success_rate(baselines[name]).words()}")
        videos = _write_videos(runner, rolled, run_directory, step, log)
    rollouts = result.Rollouts(
        experiment=spec.experiment.name,
        config_hash=spec.config_hash,
        model_hash=weights_hash(weights),
        step=step,
        trainer=spec.experiment.trainer,
        environment=environment.name,
        environment_hash=environment.content_hash(),
        package_version=environment.package_version(),
        settings=settings,
        policy=tuple(rolled.outcomes.values()),
        baselines=baselines,
        videos=videos,
        device=policy.device,
        wall_seconds=round(time.monotonic() - began, 2),
        rolled_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds_by_part={part: round(value, 3) for part, value in rolled.seconds.items()},
    )
    result.save_rollouts(rollouts, run_directory)
    return rollouts


def current_rollouts(
    run_directory: Path,
    environment: Environment,
    settings: result.RolloutSettings,
    step: int | None = None,
) -> result.Rollouts | None:
    """Rollouts of the same weights in the same environment with the same settings, if there are."""
    _, weights = spec_and_weights(run_directory, step)
    path = result.rollouts_file(run_directory, environment.name, step)
    try:
        stored = result.read_rollouts(path) if path.is_file() else None
    except EvaluationError:
        return None
    asked = (environment.content_hash(), environment.package_version(), settings)
    if (
        stored is None
        or (stored.environment_hash, stored.package_version, stored.settings) != asked
    ):
        return None
    return stored if stored.model_hash == weights_hash(weights) else None


def _write_videos(
    runner: Runner, rolled: Rolled, run_directory: Path, step: int | None, log: Log
) -> tuple[str, ...]:
    """Videos of the first successes and failures, done once more; their paths below the run."""
    file = result.rollouts_file(run_directory, runner.environment.name, step)
    folder = file.parent / VIDEOS / file.stem
    names: list[str] = []
    with published_directory(folder, replace=True) as partial:
        for success in (True, False):
            played = [outcome for outcome in rolled.outcomes.values() if outcome.steps]
            chosen = [outcome for outcome in played if outcome.success == success]
            for outcome in chosen[:MOST_VIDEOS]:
                actions = list(rolled.actions[outcome.seed])
                if outcome.end in ("time limit", "error"):
                    actions.pop()  # that is where it failed
                images, again = runner.recorded(outcome.seed, actions)
                if not images or again != success:
                    log(f"seed {outcome.seed}: it does not go the same way twice; no video")
                    continue
                frames = [side_by_side(shown) for shown in images]
                names.append(f"seed-{outcome.seed}-{outcome.end.replace(' ', '-')}.webp")
                (partial / names[-1]).write_bytes(animated_webp(frames, runner.environment.fps))
    return tuple((folder / video).relative_to(run_directory).as_posix() for video in names)


def animated_webp(frames: Sequence[np.ndarray], fps: float, most_bytes: int = MOST_BYTES) -> bytes:
    """Frames, (H, W, 3) uint8 of one size, as an animated WebP of about so many bytes at most.

    Quality, then frames are given up for the size; the smallest try is taken anyway.
    """
    from PIL import Image

    images, content = [Image.fromarray(frame) for frame in frames], b""
    for quality, every in _TRIES:
        # The last frame, which shows how it ended, is always there.
        first, *others = images[::-1][::every][::-1]
        milliseconds = round(1000 * every / fps)
        duration = [*[milliseconds] * len(others), max(milliseconds, _LAST)]
        options = {"append_images": others, "duration": duration, "quality": quality, "method": 4}
        file = io.BytesIO()
        first.save(file, "WEBP", save_all=True, loop=0, **options)
        content = file.getvalue()
        if len(content) <= most_bytes:
            break
    return content


def side_by_side(images: dict[str, np.ndarray]) -> np.ndarray:
    """The images of one step beside one another, (H, W, 3) uint8, none higher than a thumbnail."""
    from PIL import Image

    height = min(_HEIGHT, *(len(image) for image in images.values()))
    small = [
        np.asarray(Image.fromarray(image).resize((image.shape[1] * height // len(image), height)))
        for image in images.values()
    ]
    return np.concatenate(small, axis=1)
