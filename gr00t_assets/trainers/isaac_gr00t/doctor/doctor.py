"""Whether Isaac-GR00T can train on this machine, and what is missing where it cannot."""

import os
from pathlib import Path

from gr00t_assets.core.finding import Collector, FaultCatalogue, Findings
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.devices import GPUS
from gr00t_assets.trainers.base import EnvironmentReport
from gr00t_assets.trainers.isaac_gr00t.commits import Revision, revision_of
from gr00t_assets.trainers.isaac_gr00t.doctor.check_accounts import check_accounts, check_base_model
from gr00t_assets.trainers.isaac_gr00t.doctor.check_machine import check_gpus, check_host
from gr00t_assets.trainers.isaac_gr00t.doctor.check_packages import PackageChecks
from gr00t_assets.trainers.isaac_gr00t.doctor.packages import Probe, probe
from gr00t_assets.trainers.isaac_gr00t.environment import CHECKOUT_NAME, IsaacEnvironment

_FAULTS = FaultCatalogue(Path(__file__).parents[1] / "doctor_faults.yaml")
_MAX_SHOWN = 5
_PACKAGES = (
    "python", "torch", "torchvision", "transformers", "flash-attn", "accelerate", "peft", "numpy",
    "pipablepytorch3d", "decord", "torchcodec",
)  # fmt: skip
"""Packages of the checkout's Python that can change a loss, and the Python itself."""

_PROBES: dict[object, Probe] = {}
"""Answers of environments that this process has asked, by ``_content``."""


def examine(
    environment: IsaacEnvironment, *, gpu: bool, store: Store, base_model: str | None = None
) -> EnvironmentReport:
    """Look at everything that a training with Isaac-GR00T needs; nothing is changed.

    torch is imported neither here nor there: the checkout's Python is asked for versions alone.
    It is asked once for the same files; memory, disk and accounts are looked at each time.

    Args:
        environment: Checkout and Python; neither need exist.
        gpu: Whether it is to train on a GPU. Without one a small model is trained: GPU, CUDA,
            flash-attn, and the memory and disk of the released weights are not asked for.
        store: Where checkpoints go.
        base_model: Hub id or folder of the weights to start from; NVIDIA's own where left out.

    Returns:
        A finding for each thing looked at, versions of packages, the checkout's commit and whether
        it has each of ``FIXES``. No fault of the environment is raised as an exception.
    """
    collector = Collector(_FAULTS, ordered=False)
    folder = environment.checkout.parent if environment.checkout.name == CHECKOUT_NAME else "DIR"
    setup, facts = environment.setup_command(folder), environment.generation
    answer = _ask(environment.python)
    revision = Revision(None, "unknown", {fix.code: None for fix in facts.fixes})
    if environment.script.is_file():
        revision = revision_of(environment.checkout)
    _check_checkout(collector, environment, revision, setup)
    PackageChecks(collector, environment, answer, setup).run(gpu)
    if gpu:
        check_gpus(collector, answer, facts)
        check_host(collector, store, facts)
    check_accounts(collector)
    if gpu:
        check_base_model(collector, base_model or facts.base_model)
    findings = collector.findings()
    installed = {"python": answer.python, **answer.packages} if isinstance(answer, Probe) else {}
    fixed = {fix.code: str(revision.fixed[fix.code]) for fix in facts.fixes}
    return EnvironmentReport(
        findings=findings,
        code_findings=Findings([item for item in findings if item.subject == "checkout"]),
        versions={name: installed[name] for name in _PACKAGES if name in installed},
        source={"commit": revision.commit or "", **fixed},
    )


def wants_gpu() -> bool:
    """Whether this machine is to train on a GPU: unless ``GR00T_ASSETS_GPUS`` names none."""
    return os.environ.get(GPUS) is None or bool(os.environ[GPUS].strip())


def _ask(python: Path) -> Probe | str:
    """The answer of a Python, kept for as long as its files are the same."""
    content = _content(python)
    answer = _PROBES.get(content) or probe(python)
    if isinstance(answer, Probe):
        _PROBES[content] = answer
    return answer


def _content(python: Path) -> tuple[tuple[object, ...], ...]:
    """Changes with every package that is installed, removed or upgraded in an environment."""
    packages = list(python.parents[1].glob("lib/python3*/site-packages"))
    paths = [python, *packages, *(folder / "torch" / "version.py" for folder in packages)]
    states = [(path, path.stat()) for path in paths if path.exists()]
    return tuple((path, state.st_mtime_ns, state.st_size) for path, state in states)


def _check_checkout(
    collector: Collector, environment: IsaacEnvironment, revision: Revision, setup: str
) -> None:
    checkout = environment.checkout
    if not environment.script.is_file():
        facts = environment.generation
        there = f"no {facts.script} in" if checkout.is_dir() else "no folder"
        texts = {"setup": setup, "line": facts.title, "variable": facts.variable}
        collector.report("checkout", "checkout", f"{there} {checkout}", **texts)
        return
    collector.ok("checkout", "checkout", str(checkout))
    _check_commit(collector, environment, revision, setup)
    for fix in environment.generation.fixes:
        fixed = revision.fixed[fix.code]
        if fixed:
            done = f"fixed in this source, as by {fix.commit[:7]} ({fix.date})"
            collector.ok(fix.code, "checkout", done)
            continue
        fault = fix.fault if fixed is False else f"whether it is fixed is not known: {fix.fault}"
        collector.report(fix.code, "checkout", fault, commit=fix.commit, date=fix.date)


def _check_commit(
    collector: Collector, environment: IsaacEnvironment, revision: Revision, setup: str
) -> None:
    checkout, facts = environment.checkout, environment.generation
    fault, found = "commit-of-another-line", revision.sentence()
    if revision.commit is None:
        has_git = (checkout / ".git").exists()
        fault = "commit-unreadable" if has_git else "commit-missing"
        found = "git cannot read the checkout" if has_git else "the folder is no clone"
        found += ", so runs do not record their commit"
    elif revision.line == "unknown":
        fault = "commit-unknown"
    if revision.line == facts.line:
        collector.ok("commit", "checkout", found)
    else:
        texts = {"checkout": checkout, "setup": setup, "pinned": facts.pinned}
        texts["line"] = facts.title
        collector.report(fault, "checkout", found, **texts)
    if revision.changed:
        more = len(revision.changed) - _MAX_SHOWN
        names = ", ".join(line.strip() for line in revision.changed[:_MAX_SHOWN])
        found = f"files differ from the commit: {names}{f' and {more} more' if more > 0 else ''}"
        collector.report("changed-files", "checkout", found, checkout=checkout)
