"""Whether Isaac-GR00T can train on this machine, and what is missing where it cannot."""

import os
from pathlib import Path

from gr00t_assets.core.files import FileStamp, file_stamp
from gr00t_assets.core.finding import Findings
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.devices import GPUS
from gr00t_assets.trainers.base import EnvironmentReport
from gr00t_assets.trainers.isaac_gr00t.commits import Revision, revision_of
from gr00t_assets.trainers.isaac_gr00t.doctor import check_machine as machine
from gr00t_assets.trainers.isaac_gr00t.doctor.diagnosis import Diagnosis
from gr00t_assets.trainers.isaac_gr00t.doctor.packages import PackageChecks, Probe, probe
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment

_PACKAGES = (
    "python", "torch", "torchvision", "transformers", "flash-attn", "accelerate", "peft", "numpy",
    "pipablepytorch3d", "decord", "torchcodec",
)  # fmt: skip
"""Packages of the checkout's Python that can change a loss, and the Python itself."""

_PROBES: dict[FileStamp, Probe] = {}
"""Answers of Pythons that this process has asked, by what changes with their packages."""


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
    diagnosis, fixes = Diagnosis(environment), environment.generation.fixes
    answer = _ask(environment.python)
    revision = Revision(None, "unknown", {fix.code: None for fix in fixes})
    if environment.script.is_file():
        revision = revision_of(environment.checkout)
    diagnosis.check_checkout(revision)
    PackageChecks(diagnosis, answer).run(gpu)
    if gpu:
        machine.check_gpus(diagnosis, answer.cuda)
        machine.check_host(diagnosis, store)
    machine.check_accounts(diagnosis)
    if gpu:
        machine.check_base_model(diagnosis, base_model or environment.generation.base_model)
    findings = diagnosis.findings()
    installed = {"python": answer.python, **answer.packages}
    return EnvironmentReport(
        findings=findings,
        code_findings=Findings([item for item in findings if item.subject == "checkout"]),
        versions={name: installed[name] for name in _PACKAGES if installed.get(name)},
        source={
            "commit": revision.commit or "",
            **{fix.code: str(revision.fixed[fix.code]) for fix in fixes},
        },
    )


def wants_gpu() -> bool:
    """Whether this machine is to train on a GPU: unless ``GR00T_ASSETS_GPUS`` names none."""
    return os.environ.get(GPUS) is None or bool(os.environ[GPUS].strip())


def _ask(python: Path) -> Probe:
    """The answer of a Python, kept for as long as its files are the same."""
    packages = list(python.parents[1].glob("lib/python3*/site-packages"))
    torch = [folder / "torch" / "version.py" for folder in packages]
    stamp = file_stamp([python, *packages, *torch])
    answer = _PROBES.get(stamp) or probe(python)
    if not answer.problem:
        _PROBES[stamp] = answer
    return answer
