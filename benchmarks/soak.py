"""Many short experiments while something dies every few seconds, to the end.

``python benchmarks/soak.py [--experiments N] [--native N] [--every SECONDS] [--seed N]`` trains
them through a real ``gr00t-assets dev``: page, daemon, queue, slots, guards, and the sensor that
asks again for runs that died. A process is drawn every few seconds and killed with -9: a run
worker, a guard, a trainer, or what a trainer started. Most experiments count by the trainer of the
tests, which writes checkpoints; ``--native`` of them are real trainings on a drawn dataset.

At the end it holds the store against what must be: all finished, every step once in the final
history with the loss of an unbroken run, no process left, no slot held, every experiment ranked.
``--by-hand`` does the same with ``gr00t-assets train`` and a loop in place of Dagster.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The trainer and the page are those of the tests. In place of this folder, whose queue.py would
# stand for the standard library's.
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

from benchmarks.small_data import ENTRY, prepare
from benchmarks.soak_faults import REAL, soak_faults
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.sweeps import load_sweep
from gr00t_assets.modality.config import save_modality_config
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import current_config_hash, make_spec
from gr00t_assets_tests.defs import faults
from gr00t_assets_tests.defs.project import Project, make_project
from gr00t_assets_tests.defs.specs import a_modality_config

STEPS = 16
SETTINGS = {"max_steps": STEPS, "batch_size": 1, "save_steps": 4, "logging_steps": 1}
NATIVE = {"max_steps": 8, "batch_size": 2, "save_steps": 2, "logging_steps": 1}
STYLES: tuple[tuple[str, ...], ...] = ((), ("worker",), (), ("daemon",), ("stubborn",))
"""What trainers of the tests do besides, in turn."""

WORKER = """
import sys
from gr00t_assets.cli.main import main
from gr00t_assets.trainers.native.trainer import NativeTrainer
from gr00t_assets_tests.defs.fault_trainer import instead_of
NativeTrainer.command = instead_of(NativeTrainer.command)
sys.argv[1:] = ["train", *sys.argv[1:]]
main()
"""


@dataclass
class Soak:
    """One soak: its project, its experiments, and what was killed.

    Attributes:
        project: With a store of its own.
        experiments: By name.
        draw: Where every random choice comes from.
        slots: Trainings at once.
        struck: Kills by kind of process.
    """

    project: Project
    experiments: dict[str, Experiment]
    draw: random.Random
    slots: int
    struck: Counter[str] = field(default_factory=Counter)

    def finished(self) -> list[str]:
        """Experiments that are trained to their end."""
        store = self.project.store
        names = []
        for experiment in self.experiments.values():
            directory = store.run_directory(experiment.name, current_config_hash(experiment, store))
            manifest = load_manifest(directory)
            if manifest is not None and manifest.status == "finished":
                names.append(experiment.name)
        return names

    def strike(self) -> None:
        """Kill one process of the system with -9, a kind drawn first, then one of that kind."""
        trainers, guards = faults.trainers(self.project), faults.guards(self.project)
        counted = {process.pid for process in [*trainers, *guards]}
        kinds = {
            "run worker": faults.run_workers(self.project),
            "guard": guards,
            "trainer": trainers,
            "trainer's own": [
                process for process in faults.training(self.project) if process.pid not in counted
            ],
        }
        present = [kind for kind, processes in kinds.items() if processes]
        # A slot is drawn, and one that is free is spared: the last experiments have no more kills
        # each than the others, or none that needs longer than the time between two would end.
        at_work = max(len(trainers), len(kinds["run worker"])) / self.slots
        if present and self.draw.random() < at_work:
            kind = self.draw.choice(present)
            with suppress(ProcessLookupError):
                os.kill(self.draw.choice(kinds[kind]).pid, signal.SIGKILL)
                self.struck[kind] += 1

    def until_finished(self, every: float, kills: int, tend: Callable[[], object]) -> None:
        """Kill something every so many seconds until all is trained; ``tend`` is called often."""
        next_kill = time.monotonic() + every
        printed = -1
        while len(done := self.finished()) < len(self.experiments):
            tend()
            if time.monotonic() >= next_kill and sum(self.struck.values()) < kills:
                self.strike()
                next_kill = time.monotonic() + self.draw.uniform(0.5, 1.5) * every
            if len(done) // 5 > printed:
                printed = len(done) // 5
                print(f"{len(done):>4} finished, {sum(self.struck.values()):>4} kills", flush=True)
            time.sleep(0.3)


def make_soak(root: Path, experiments: int, native: int, slots: int, seed: int) -> Soak:
    """A project with so many experiments, of which the first are real trainings."""
    entries = []
    for number in range(experiments):
        entry = {"name": f"soak-{number:02d}"}
        if number < native:
            settings, tags = NATIVE, (REAL,)
        else:
            settings, tags = SETTINGS, STYLES[number % len(STYLES)]
        entries.append(
            {**entry, "tags": list(tags), "hyperparameters": {**settings, "seed": number}}
        )
    defaults = {"dataset": ENTRY.name, "report_to": "none"}
    entry = ENTRY.model_dump(mode="json", exclude={"name"}, exclude_none=True)
    sweep = {"defaults": defaults, "experiments": entries, "max_retries": 1000}
    bare = make_project(root, {ENTRY.name: entry}, {"soak": sweep})
    variables = {
        "NOOP_STEP_SECONDS": "0.2",
        "GR00T_ASSETS_CPU_SLOTS": str(slots),
        "GR00T_ASSETS_STOP_GRACE": "3",
        "WANDB_MODE": "disabled",
        faults.SENSORS: "1",
    }
    project = Project(bare.root, variables)
    faults.watch_often(project)
    if native:
        prepare(project.store)
    else:
        save_modality_config(
            a_modality_config().model_copy(update={"dataset": ENTRY.name}), project.store
        )
    catalog = load_catalog(root / "data" / "datasets.yaml")
    loaded = load_sweep(root / "data" / "sweeps" / "soak.yaml", catalog)
    return Soak(
        project,
        {experiment.name: experiment for experiment in loaded.experiments},
        random.Random(seed),
        slots,
    )


def through_dagster(soak: Soak, every: float, kills: int) -> None:
    """Launch one after the other on the page; the daemon and its sensor do the rest."""
    with faults.dev(soak.project) as page:
        asked = iter(soak.experiments)

        def ask_for_one_more() -> None:
            name = next(asked, None)
            if name is not None:
                page.launch(name)

        soak.until_finished(every, kills, ask_for_one_more)


def by_hand(soak: Soak, every: float, kills: int) -> None:
    """Keep ``gr00t-assets train`` going for whatever is not finished and has no process."""
    store, going = soak.project.store, {}
    waiting_for = list(soak.experiments)

    def tend() -> None:
        for name, process in list(going.items()):
            if process.poll() is not None:
                del going[name]
                if name not in soak.finished():
                    waiting_for.append(name)
        while waiting_for and len(going) < 4:
            name = waiting_for.pop(0)
            spec_file = place_spec(make_spec(soak.experiments[name], store))
            going[name] = subprocess.Popen(
                [sys.executable, "-c", WORKER, str(spec_file)],
                env=soak.project.environment(),
                cwd=soak.project.root,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    try:
        soak.until_finished(every, kills, tend)
        for process in going.values():
            process.wait(120)
    finally:
        for process in going.values():
            process.kill()
            process.wait()


def soaked(
    root: Path,
    *,
    experiments: int,
    native: int = 0,
    slots: int = 4,
    every: float = 3.0,
    kills: int = 10**6,
    seed: int = 0,
    dagster: bool = True,
) -> tuple[Soak, list[str]]:
    """Make a soak and run it to its end; what is wrong then."""
    soak = make_soak(root, experiments, native, slots, seed)
    try:
        (through_dagster if dagster else by_hand)(soak, every, kills)
        return soak, soak_faults(soak.project, soak.experiments.values())
    finally:
        faults.end_all(soak.project)


def main() -> None:
    """Run the soak and print what it came to; exit with 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--experiments", type=int, default=60)
    parser.add_argument("--native", type=int, default=6)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two kills")
    parser.add_argument("--kills", type=int, default=10**6, help="at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--by-hand", action="store_true")
    options = parser.parse_args()
    # So that nothing of it is left where it is told to stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        soak, problems = soaked(
            Path(folder),
            experiments=options.experiments,
            native=options.native,
            slots=options.slots,
            every=options.every,
            kills=options.kills,
            seed=options.seed,
            dagster=not options.by_hand,
        )
    struck = ", ".join(f"{count} {kind}" for kind, count in soak.struck.most_common())
    print(
        f"{options.experiments} experiments in {time.monotonic() - began:.0f} s; killed: {struck}"
    )
    print("\n".join(problems) or "all finished, each step once, nothing left")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
