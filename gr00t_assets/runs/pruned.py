"""Giving up a hopeless run while it trains, where its sweep asks for that."""

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.pruning import Pruning
from gr00t_assets.runs.halving import Decision, decide
from gr00t_assets.runs.manifest import Manifest
from gr00t_assets.runs.metrics import Metric, read_metrics
from gr00t_assets.runs.rivals import losses_at, rival_losses
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.reporting import Reporter
from gr00t_assets.trainers.stopping import StopRequest

HOW_TO_GO_ON = "take pruning out of its sweep file and materialise it again to have it go on"


def over(manifest: Manifest | None, experiment: Experiment) -> bool:
    """Whether there is nothing left to train: finished, or pruned and still to be pruned."""
    if manifest is None:
        return False
    pruned = manifest.status == "pruned" and experiment.pruning is not None
    return pruned or manifest.status == "finished"


def prune_hopeless(spec: TrainingSpec, reporter: Reporter, stop: StopRequest) -> None:
    """Ask a run to stop at the first rung where it is hopeless; nothing where none is asked for.

    What was decided before the run was interrupted is not decided again. Where the other runs
    cannot be read it goes on, and says so.
    """
    pruning = spec.experiment.pruning
    if pruning is not None:
        watch = _Watch(spec, pruning, reporter, stop)
        reporter.listen(watch.hear)


class _Watch:
    def __init__(
        self, spec: TrainingSpec, pruning: Pruning, reporter: Reporter, stop: StopRequest
    ) -> None:
        self._spec, self._pruning = spec, pruning
        self._reporter, self._stop = reporter, stop
        self._rungs = pruning.rungs(spec.experiment.hyperparameters.max_steps)
        metrics = read_metrics(spec.run_directory)
        self._decided = metrics[-1].step if metrics else 0

    def hear(self, metric: Metric) -> None:
        """Decide about every rung that this line has passed."""
        passed = [rung for rung in self._rungs if self._decided < rung <= metric.step]
        if not passed or self._stop.asked:
            return
        self._decided = metric.step
        rung = passed[-1]
        try:
            below = [each for each in self._rungs if each <= rung]
            own = losses_at(self._spec.run_directory, below)
            decision = decide(own, rival_losses(self._spec, below), self._pruning)
        except (Gr00tAssetsError, OSError, ValueError, LookupError, ImportError) as error:
            self._reporter.say(f"pruning: step {rung} is not decided about: {error}")
            return
        text = _words(rung, own[rung], decision)
        self._reporter.say(f"pruning: {text}")
        if decision.hopeless:
            self._stop.prune(f"{text}; {HOW_TO_GO_ON}")


def _words(rung: int, loss: float, decision: Decision) -> str:
    end = "hopeless" if decision.hopeless else "it goes on"
    return (
        f"at step {rung} its loss {loss:.4g} is number {decision.place} of {decision.runs}: {end}"
    )
