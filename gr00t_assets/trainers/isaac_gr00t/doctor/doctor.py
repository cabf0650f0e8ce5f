"""Whether Isaac-GR00T can train on this machine, and what is missing where it cannot."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.core.finding import Collector, Findings
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.devices import GPUS
from gr00t_assets.trainers.isaac_gr00t.commits import (
    FIXES,
    FUTURE_TOKENS,
    PINNED,
    RESUME,
    TORCHVISION_AV,
    Revision,
    revision_of,
)
from gr00t_assets.trainers.isaac_gr00t.doctor.check_accounts import (
    check_accounts,
    check_base_model,
)
from gr00t_assets.trainers.isaac_gr00t.doctor.check_machine import check_gpus, check_host
from gr00t_assets.trainers.isaac_gr00t.doctor.check_packages import check_packages
from gr00t_assets.trainers.isaac_gr00t.doctor.packages import Probe, probe
from gr00t_assets.trainers.isaac_gr00t.environment import CHECKOUT, CHECKOUT_NAME, IsaacEnvironment

BASE_MODEL = "nvidia/GR00T-N1.5-3B"

_MAX_SHOWN = 5

_REMEDIES = {
    FUTURE_TOKENS.code: "compare such runs with each other alone, or take a later commit",
    RESUME.code: "nothing here, as the launcher works around it; a later commit for runs by hand",
    TORCHVISION_AV.code: "keep frame_source: cache, or use decord, or take a later commit",
}

_PROBES: dict[str, Probe] = {}
"""Answers of environments that this process has asked, by :func:`_content_hash`."""


@dataclass(frozen=True)
class Examination:
    """The findings, and what they were drawn from.

    Attributes:
        findings: One for each thing that was looked at.
        revision: What is known of the checkout's commit.
        probe: Answer of the checkout's Python; ``None`` where there is none to ask.
    """

    findings: Findings
    revision: Revision
    probe: Probe | None


def examine(
    environment: IsaacEnvironment,
    *,
    gpu: bool,
    store: Store,
    base_model: str = BASE_MODEL,
) -> Examination:
    """Look at everything that a training with Isaac-GR00T needs; nothing is changed.

    torch is imported neither here nor there: the checkout's Python is asked for versions alone.
    It is asked once for the same files; memory, disk and accounts are looked at each time.

    Args:
        environment: Checkout and Python; neither need exist.
        gpu: Whether it is to train on a GPU. Without one a small model is trained: GPU, CUDA,
            flash-attn, and the memory and disk of the released weights are not asked for.
        store: Where checkpoints go.
        base_model: Hub id or folder of the weights to start from.

    Returns:
        A finding for each thing looked at. No fault of the environment is raised as an exception.
    """
    collector = Collector(ordered=False)
    folder = environment.checkout.parent if environment.checkout.name == CHECKOUT_NAME else "DIR"
    setup = f"gr00t-assets isaac setup {folder}"
    answer = _ask(environment.python)
    revision = Revision(None, "unknown", {fix.code: None for fix in FIXES})
    if environment.script.is_file():
        revision = revision_of(environment.checkout)
    _check_checkout(collector, environment, revision, setup)
    check_packages(collector, environment, answer, setup, gpu)
    if gpu:
        check_gpus(collector, answer)
        check_host(collector, store)
    check_accounts(collector)
    if gpu:
        check_base_model(collector, base_model)
    return Examination(
        collector.findings(), revision, answer if isinstance(answer, Probe) else None
    )


def wants_gpu() -> bool:
    """Whether this machine is to train on a GPU: unless ``GR00T_ASSETS_GPUS`` names none."""
    return os.environ.get(GPUS) is None or bool(os.environ[GPUS].strip())


def _ask(python: Path) -> Probe | str:
    """The answer of a Python, kept for as long as its files are the same."""
    content = _content_hash(python)
    if content not in _PROBES:
        answer = probe(python)
        if isinstance(answer, str):
            return answer
        _PROBES[content] = answer
    return _PROBES[content]


def _content_hash(python: Path) -> str:
    """Changes with every package that is installed, removed or upgraded in an environment."""
    packages = list(python.parents[1].glob("lib/python3*/site-packages"))
    torch = [folder / "torch" / "version.py" for folder in packages]
    states = []
    for path in [python, *packages, *torch]:
        try:
            state = path.stat()
            states.append([str(path), state.st_mtime_ns, state.st_size])
        except OSError:
            states.append([str(path), None, None])
    return hashlib.sha256(json.dumps(states).encode()).hexdigest()


def _check_checkout(
    collector: Collector, environment: IsaacEnvironment, revision: Revision, setup: str
) -> None:
    checkout = environment.checkout
    if not environment.script.is_file():
        there = "no scripts/gr00t_finetune.py in" if checkout.is_dir() else "no folder"
        collector.error(
            "checkout",
            "checkout",
            f"{there} {checkout}",
            "a checkout of Isaac-GR00T of the N1.5 line",
            f"{setup}, or name one with {CHECKOUT}",
        )
        return
    collector.ok("checkout", "checkout", str(checkout))
    _check_commit(collector, environment, revision, setup)
    for fix in FIXES:
        fixed = revision.fixed[fix.code]
        if fixed:
            done = f"fixed in this source, as by {fix.commit[:7]} ({fix.date})"
            collector.ok(fix.code, "checkout", done)
            continue
        fault = fix.fault if fixed is False else f"whether it is fixed is not known: {fix.fault}"
        expected = f"commit {fix.commit[:7]} ({fix.date}) or later"
        collector.warn(fix.code, "checkout", fault, expected, _REMEDIES[fix.code])


def _check_commit(
    collector: Collector, environment: IsaacEnvironment, revision: Revision, setup: str
) -> None:
    checkout = environment.checkout
    expected = f"a commit of the N1.5 line, such as {PINNED[:7]}"
    if revision.commit is None and (checkout / ".git").exists():
        collector.warn(
            "commit",
            "checkout",
            "git cannot read the checkout, so runs do not record their commit",
            expected,
            f"see: git -C {checkout} log -1; where it is another user's: "
            f"git config --global --add safe.directory {checkout}",
        )
    elif revision.commit is None:
        collector.warn(
            "commit",
            "checkout",
            "the folder is no clone, so runs do not record their commit",
            expected,
            f"clone it: {setup}",
        )
    elif revision.line in ("N1", "N1.6 or later"):
        collector.error(
            "commit",
            "checkout",
            revision.sentence(),
            expected,
            f"{setup} in a new folder, or check out {PINNED}",
        )
    elif revision.line == "unknown":
        collector.warn(
            "commit",
            "checkout",
            revision.sentence(),
            expected,
            "nothing where it is a commit of your own on the N1.5 line",
        )
    else:
        collector.ok("commit", "checkout", revision.sentence())
    if revision.changed:
        more = len(revision.changed) - _MAX_SHOWN
        names = ", ".join(line.strip() for line in revision.changed[:_MAX_SHOWN])
        collector.warn(
            "changed-files",
            "checkout",
            f"files differ from the commit: {names}{f' and {more} more' if more > 0 else ''}",
            "the commit as it is, since runs record the commit alone",
            f"commit them in the checkout, or: git -C {checkout} checkout -- .",
        )
