"""Jobs of Slurm: ``sbatch`` submits them, ``squeue`` and ``scontrol`` say what becomes of them.

No accounting database is needed: what Slurm forgets after ``MinJobAge`` the node has written into
the run directory. See sbatch(1), squeue(1), scancel(1), scontrol(1).
"""

import math
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby

from gr00t_assets import __version__
from gr00t_assets.core.errors import EngineError
from gr00t_assets.core.locks import Log
from gr00t_assets.core.project import Store
from gr00t_assets.engines.job import (
    EngineSilentError,
    JobRequest,
    JobState,
    node_script,
    submission_lock,
    submit_recorded,
)
from gr00t_assets.engines.job_record import JobRecord, new_job_name, unfinished_job
from gr00t_assets.experiments.engine_file import SlurmEngine
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import TrainingSpec

LARGEST_ARRAY = 1000
"""Jobs of one array; Slurm's own ``MaxArraySize`` is 1001 where nobody changed it."""

_TIMEOUT, _RESERVE = 60.0, 10
"""Seconds in which a command has to answer, and between a checkpoint's grace and the time limit."""

_SILENT = re.compile(
    r"Unable to contact slurm controller|Socket timed out|Connection refused|Zero Bytes were"
    r"|Transport endpoint|Communication connection failure|Slurm backup controller|Munge|munge"
    r"|Unexpected message received|Slurmdbd|temporarily unable to accept job"
)
_WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
_RUNNING = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "STAGE_OUT", "SIGNALING", "RESIZING"}

_MEANINGS = {
    "Resources": "for free resources in the partition",
    "Priority": "behind jobs of higher priority",
    "BeginTime": "for its begin time, as after a requeue",
    "Dependency": "for another job",
    "JobHeldUser": "held by its user: scontrol release",
    "JobHeldAdmin": "held by an administrator",
    "PartitionDown": "the partition is down",
    "PartitionTimeLimit": "time_limit is above the partition's: lower it in data/engines.yaml",
    "ReqNodeNotAvail": "the nodes that it needs are down, drained or reserved",
    "QOSMaxJobsPerUserLimit": "this user's jobs are at the limit of the QOS",
    "AssocMaxJobsLimit": "the account's jobs are at their limit",
    "launch failed requeued held": "its start failed on the node: scontrol release",
    "CANCELLED": "by scancel or an administrator",
    "TIMEOUT": "no checkpoint was complete in time: raise checkpoint_before in data/engines.yaml",
    "OUT_OF_MEMORY": "raise memory_gb in data/engines.yaml",
    "NODE_FAIL": "the node was lost",
}
"""Slurm's reasons for waiting, and states in which a job ends; see squeue(1), JOB REASON CODES."""

_REMEDIES = (
    (r"partition", "mend partition in data/engines.yaml", "%R"),
    (r"account", "mend account in data/engines.yaml", None),
    (r"gres|node configuration", "mend gpu_type, cpus or memory_gb in data/engines.yaml", "%G"),
    (r"time limit", "lower time_limit in data/engines.yaml", "%R %l"),
)
"""What to do about a refusal, by its words, and what of ``sinfo`` to list."""


class Slurm:
    """The jobs of one cluster; every method raises ``EngineSilentError`` where nobody answers."""

    label, most_lost = "Slurm job", 0  # Slurm starts a lost job again itself

    def __init__(self, settings: SlurmEngine) -> None:
        self.settings, self.grace = settings, float(settings.checkpoint_before + _RESERVE)

    def find(self, name: str, job: str | None) -> JobState | None:
        """The job of a unique name; of several that which lives, else the last, with its code."""
        own = self._jobs(name)
        if living := [state for state in own if state.phase != "ended"]:
            return next((state for state in living if state.id == job), living[-1])
        if not own:
            return None
        text = self._run("scontrol", "--oneliner", "show", "job", own[-1].id).stdout
        if match := re.search(r" ExitCode=(\d+):(\d+)", text):
            code, number = int(match[1]), int(match[2])
            return own[-1]._replace(code=128 + number if number else code)
        return own[-1]

    def submit(self, name: str, request: JobRequest) -> str:
        """Submit one job."""
        spec = request.spec
        script = _batch_script([_task_lines(name, request, self.settings)])
        options = [f"--comment={spec.experiment.name} {spec.config_hash}"]
        if request.priority < 0:
            options.append(f"--nice={-100 * request.priority}")
        settings = spec.experiment.hyperparameters
        return self.sbatch(name, settings.num_gpus, settings.nodes, options, script)

    def sbatch(self, name: str, gpus: int, nodes: int, options: Sequence[str], script: str) -> str:
        """Submit a script with the engine's resources on each of its nodes; the job's id.

        Raises:
            EngineError: Slurm refuses it; the message has Slurm's words and what there is instead.
        """
        settings, kind = self.settings, self.settings.gpu_type
        given = {
            "job-name": name,
            "partition": settings.partition,
            "account": settings.account,
            "gres": None if kind == "none" else ":".join(filter(None, ["gpu", kind, str(gpus)])),
            "nodes": nodes,
            "ntasks-per-node": 1,
            "cpus-per-task": settings.cpus,
            "mem": f"{settings.memory_gb * 1000:.0f}M",
            "time": math.ceil(settings.time_limit / 60),
            "signal": f"B:USR1@{settings.checkpoint_before}",
            "output": "/dev/null",
        }
        command = [f"--{key}={value}" for key, value in given.items() if value is not None]
        command += ["--parsable", "--requeue", *options, *settings.options]
        done = self._run("sbatch", *command, script=script)
        if done.returncode:
            raise self._refusal(done.stderr)
        return done.stdout.strip().split(";")[0]

    def interrupt(self, job: str) -> None:
        """SIGINT to the node's program alone, which stops its trainer."""
        self._run("scancel", "--batch", "--signal=INT", job)

    def cancel(self, job: str) -> None:
        """``scancel``; a job that has ended is let be."""
        self._run("scancel", "--quiet", job)

    def _jobs(self, name: str) -> list[JobState]:
        """This user's jobs of a name, those that ended lately too; an array's ends in the index."""
        names = ",".join(filter(None, [name, name.rpartition("_")[0]])) or "-"
        done = self._run(
            "squeue", "--me", "--array", "--noheader", "--states=all", "--format=%i|%j|%T|%N|%r",
            f"--name={names}",
        )  # fmt: skip
        if done.returncode:
            raise self._refusal(done.stderr)
        jobs = []
        for line in done.stdout.splitlines():
            job, job_name, state, node, reason = line.split("|", 4)
            phase = "waiting" if state in _WAITING else "running" if state in _RUNNING else "ended"
            words = _words(reason if phase == "waiting" else state)
            _, _, index = job.partition("_")
            if name == (f"{job_name}_{index}" if index else job_name):
                jobs.append(JobState(job, phase, words, node or None))
        return jobs

    def _refusal(self, words: str) -> EngineError:
        lines = [line.split("error: ")[-1] for line in words.strip().splitlines()]
        message = "; ".join(dict.fromkeys(lines)) or "it ended without a message"
        refused = f"Slurm refuses the job: {message}"
        for pattern, remedy, shown in _REMEDIES:
            if re.search(pattern, message, re.IGNORECASE):
                there = ""
                if shown:
                    names = self._run("sinfo", "--noheader", f"--format={shown}").stdout.split("\n")
                    there = f"; the cluster has: {', '.join(sorted({*filter(None, names)}))}"
                return EngineError(self.settings.name, f"{refused}.", [remedy + there])
        return EngineError(self.settings.name, f"{refused}.")

    def _run(self, *command: str, script: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a command of Slurm, which is refused where it is not on this machine."""
        silent = f"slurmctld does not answer {command[0]}"
        try:
            done = subprocess.run(
                command,
                input=script,
                stdin=None if script is not None else subprocess.DEVNULL,
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=_TIMEOUT,
                env=_environment(),
                check=False,
            )
        except FileNotFoundError as error:
            remedy = "install Slurm's client, such as: apt-get install slurm-client"
            raise EngineError(
                self.settings.name, f"{command[0]} is not on this machine.", [remedy]
            ) from error
        except subprocess.TimeoutExpired as error:
            problem = f"{silent} within {_TIMEOUT:.0f} s."
            raise EngineSilentError(self.settings.name, problem) from error
        if done.returncode and _SILENT.search(done.stderr):
            message = done.stderr.strip().splitlines()[-1].split("error: ")[-1]
            raise EngineSilentError(self.settings.name, f"{silent}: {message}.")
        return done


def _words(message: str) -> str:
    """What Slurm said, and what it means where that is known."""
    plain = message.strip("()")
    meaning = _MEANINGS.get(plain.split(",")[0])
    return f"{plain} ({meaning})" if meaning else plain


def _environment() -> Mapping[str, str]:
    """That of this process without what an allocation around it would have sbatch do."""
    return {
        name: value
        for name, value in os.environ.items()
        if name == "SLURM_CONF" or not name.startswith(("SLURM_", "SBATCH_", "SQUEUE_", "SCANCEL_"))
    }


def _task_lines(name: str, request: JobRequest, settings: SlurmEngine) -> str:
    """Shell lines that train one run; see ``node_script``."""
    return node_script(name, request, settings, max(1, settings.checkpoint_before - _RESERVE))


def _batch_script(tasks: Sequence[str]) -> str:
    """Of an array each index has its own lines."""
    lines = ["#!/bin/bash", f"# gr00t-assets {__version__}"]
    if len(tasks) == 1:
        return "\n".join([*lines, *tasks, ""])
    cases = [f"{index})\n{task}\n;;" for index, task in enumerate(tasks)]
    return "\n".join([*lines, 'case "$SLURM_ARRAY_TASK_ID" in', *cases, "esac", ""])


def submit_array(
    specs: Sequence[TrainingSpec], settings: SlurmEngine, store: Store, log: Log = print
) -> list[JobRecord]:
    """Submit runs as arrays, one for each number of GPUs and nodes, but those with a job already.

    Each run gets its ``job.json``, so that the run of Dagster that asks for it later attaches to
    its job. As many jobs of an array run at once as the engine says.

    Raises:
        EngineError: Slurm does not answer, or refuses an array; none of its runs has a job then.
    """

    def size(spec: TrainingSpec) -> tuple[int, int]:
        return spec.experiment.hyperparameters.num_gpus, spec.experiment.hyperparameters.nodes

    slurm = Slurm(settings)
    slurm.find("", None)
    submitted: list[JobRecord] = []
    for common, group in groupby(sorted(specs, key=size), key=size):
        ordered = sorted(group, key=lambda spec: -spec.experiment.priority)
        for start in range(0, len(ordered), LARGEST_ARRAY):
            with ExitStack() as locks:
                waiting = []
                for spec in ordered[start : start + LARGEST_ARRAY]:
                    place_spec(spec)
                    locks.enter_context(submission_lock(spec, log))
                    if unfinished_job(spec.run_directory) is None:
                        waiting.append(spec)
                if waiting:
                    submitted += _submit_array(waiting, common, slurm, store, log)
    return submitted


def _submit_array(
    specs: Sequence[TrainingSpec], size: tuple[int, int], slurm: Slurm, store: Store, log: Log
) -> list[JobRecord]:
    settings, sweep = slurm.settings, specs[0].experiment.sweep
    name = new_job_name(sweep)
    names = {spec.run_directory: f"{name}_{index}" for index, spec in enumerate(specs)}
    tasks = []
    for spec, own in zip(specs, names.values(), strict=True):
        command = trainer_named(spec.experiment.trainer).command(spec)
        tasks.append(_task_lines(own, JobRequest(command, spec, store), settings))
    options = [f"--array=0-{len(specs) - 1}%{settings.jobs_at_once}", f"--comment={sweep}"]

    def submit() -> list[str]:
        array = slurm.sbatch(name, *size, options, _batch_script(tasks))
        log(f"submitted {len(specs)} jobs as Slurm array {array} ({name})")
        return [f"{array}_{index}" for index in range(len(specs))]

    return submit_recorded(settings, names, submit)
