"""From the end of a trainer's log and its exit code to one message for people."""

import re
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeGuard

import yaml

from gr00t_assets.core.errors import Gr00tAssetsError, TrainingError
from gr00t_assets.core.processes import signal_of
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.failures.failure_pattern import (
    RESUMES,
    ExceptionChain,
    Explanation,
    FailurePattern,
    clean_lines,
    cut,
    find_exceptions,
    load_patterns,
)
from gr00t_assets.trainers.failures.gpu_memory import out_of_memory

_PATTERNS = Path(__file__).with_name("patterns")

FATAL_ERROR = re.compile(r"^Fatal Python error: (?P<error>.*)$", re.MULTILINE)
"""Line of Python's fault handler."""

MAX_LOG_LINES = 200  # lines of a log's end that are read

MAX_MESSAGE_LINES = 10  # lines of an unknown exception's message that are shown below its first

_OUTSIDE_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals from outside: whatever the log says was there before and did not end the process."""


def failure_patterns(trainer: str) -> tuple[FailurePattern, ...]:
    """Every pattern that is tried for a trainer; of several that match the first is reported."""
    files = (_PATTERNS / f"{name}.yaml" for name in ("processes", "gpus", "machine", "models"))
    processes, gpus, machine, models = map(load_patterns, files)
    return (*processes, *gpus, *machine, *trainer_named(trainer).failure_patterns(), *models)


def names_of(spec: TrainingSpec) -> dict[str, str]:
    """What the texts of patterns may name of a spec."""
    experiment = spec.experiment
    backend = trainer_named(experiment.trainer).video_backend(experiment)
    option = f" --video-backend {backend}" if backend else ""
    checks = [
        f"gr00t-assets dataset check {dataset.name} --data-config {dataset.config.data_config} "
        f"--embodiment-tag {dataset.config.embodiment_tag}{option}"
        for dataset in spec.datasets
    ]
    return {
        "experiment": experiment.name,
        "dataset": spec.data.name,
        "data_config": spec.data.data_config,
        "base_model": experiment.base_model,
        "batch_size": str(experiment.hyperparameters.batch_size),
        "workers": str(getattr(experiment.hyperparameters, "dataloader_num_workers", 0)),
        "check": "; ".join(checks),
    }


def explain(lines: Sequence[str], code: int, spec: TrainingSpec) -> Explanation:
    """Match the end of a log and the exit code against the failure patterns.

    Of the lines of this attempt the last 200 are read; the code is 128 + n or -n for signal n.
    """
    log = clean_lines(lines[-MAX_LOG_LINES:])
    patterns = failure_patterns(spec.experiment.trainer)
    printed = find_exceptions(log)
    chains = [chain for chain in printed if not chain.is_wrapper]
    if len(chains) == len(printed) and len({chain.rank for chain in chains}) == 1:
        chains = chains[-1:]  # One process survived the exceptions before its last.
    consequences = [pattern for pattern in patterns if pattern.consequence]
    causes = [
        chain for chain in chains if all(item.match(chain.text) is None for item in consequences)
    ]
    # A cause is reported rather than what follows from it; what no pattern matches may be one.
    tried = [pattern for pattern in patterns if not (causes and pattern.consequence)]
    number, explanation = signal_of(code), None
    if number not in _OUTSIDE_SIGNALS:
        explanation = _recognise(log, chains, tried, spec)
    if explanation is None and number is not None:
        explanation = explain_signal(number)
    explanation = explanation or _unrecognised(log, code, [*causes, *chains])
    return replace(explanation, tail=tuple(line for line in log if line.strip()))


def explain_signal(number: int, process: str = "the trainer") -> Explanation:
    """The explanation of a process that a signal ended."""
    name = signal.Signals(number).name
    known = yaml.safe_load((_PATTERNS / "signals.yaml").read_text(encoding="utf-8"))
    entry = known.get(name, {"problem": f"was ended by {name}"})
    details = (*entry.get("details", ()), RESUMES)
    return Explanation(f"{process} {entry['problem']}.", details, "signal")


def is_explained(message: str | None) -> TypeGuard[str]:
    """Whether a manifest's failure is an error of this package, which is explained already."""
    return bool(message) and message.split(":")[0] in _error_names(Gr00tAssetsError)


def as_explained(message: str, subject: str, tail: Sequence[str], log: str) -> TrainingError:
    """The failure that a trainer wrote into its manifest, with the end of its log below.

    The trainer printed that failure last; it is not shown twice.
    """
    first, *others = message.split("\n")
    problem = first.split(": ", 1)[-1].removeprefix(f"{subject}: ")
    printed = {line.rstrip() for line in (first, *others)}
    before = [line for line in tail if line not in printed]
    details = [line.removeprefix("  ") for line in others]
    return Explanation(problem, details, tail=before).error(subject, log)


def _recognise(
    log: list[str],
    chains: Sequence[ExceptionChain],
    patterns: Sequence[FailurePattern],
    spec: TrainingSpec,
) -> Explanation | None:
    """The failure that the log ends in; consequences of others are tried last."""
    exceptions, everything = [chain.text for chain in chains], "\n".join(log)
    for pattern in sorted(patterns, key=lambda pattern: pattern.consequence):
        for text in [*exceptions, *([everything] if pattern.anywhere else [])]:
            if (groups := pattern.match(text)) is not None:
                if pattern.name in ("gpu-memory", "gpu-memory-library"):
                    found = out_of_memory(groups.get("message", ""), spec)
                elif pattern.name == "rank-signal":
                    process = f"process {groups['rank']} of it"
                    found = explain_signal(int(groups["signal"]), process)
                else:
                    found = pattern.explanation({**groups, **names_of(spec)})
                return replace(found, name=pattern.name)
    return None


def _unrecognised(lines: list[str], code: int, chains: Sequence[ExceptionChain]) -> Explanation:
    """The exception as it was printed; a fatal error of Python; or that there is neither."""
    for chain in chains:
        if chain.message:
            first, *others = chain.message.split("\n")
            details = tuple(cut(line) for line in others[:MAX_MESSAGE_LINES])
            return Explanation(f"training failed: {cut(first)}", details, "exception")
    if fatal := FATAL_ERROR.search("\n".join(lines)):
        return Explanation(f"training failed: {fatal['error']}", name="exception")
    printed = [line for line in lines if line.strip() and not line.startswith((" ", "\t"))]
    last = (f"its last words: {printed[-1]}",) if printed else ()
    problem = f"the trainer ended with code {code} and no exception in its log."
    return Explanation(problem, (*last, RESUMES), "silent")


def _error_names(error: type[Exception]) -> set[str]:
    names = (_error_names(subclass) for subclass in error.__subclasses__())
    return {error.__name__}.union(*names)
