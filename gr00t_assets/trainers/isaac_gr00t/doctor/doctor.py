"""Whether Isaac-GR00T can be trained with on this machine, and what is missing where it cannot."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.core.project import Store
from gr00t_assets.gpu.devices import GPUS
from gr00t_assets.trainers.isaac_gr00t.doctor.check_checkout import check_checkout
from gr00t_assets.trainers.isaac_gr00t.doctor.check_machine import (
    check_accounts,
    check_base_model,
    check_gpus,
    check_host,
)
from gr00t_assets.trainers.isaac_gr00t.doctor.check_packages import check_packages
from gr00t_assets.trainers.isaac_gr00t.doctor.commits import Revision
from gr00t_assets.trainers.isaac_gr00t.doctor.findings import Collector, Findings, write_findings
from gr00t_assets.trainers.isaac_gr00t.doctor.probe import Probe, probe
from gr00t_assets.trainers.isaac_gr00t.environment import CHECKOUT_NAME, IsaacEnvironment

BASE_MODEL = "nvidia/GR00T-N1.5-3B"


@dataclass(frozen=True)
class Examination:
    """The findings, and what they were drawn from.

    Attributes:
        findings: One for each thing that was looked at.
        revision: What is known of the checkout's commit.
        python: Version of its Python; empty where there is none.
        packages: Version by package; empty where there is no Python.
    """

    findings: Findings
    revision: Revision
    python: str
    packages: Mapping[str, str]


def examine(
    environment: IsaacEnvironment,
    *,
    gpu: bool,
    store: Store,
    base_model: str = BASE_MODEL,
) -> Findings:
    """Look at everything that a training with Isaac-GR00T needs; nothing is changed.

    torch is imported neither here nor there: the checkout's Python is asked for versions alone.

    Args:
        environment: Checkout and Python; neither need exist.
        gpu: Whether it is to train on a GPU. Without one a small model is trained: GPU, CUDA,
            flash-attn, and the memory and disk of the released weights are not asked for.
        store: Where checkpoints go.
        base_model: Hub id or folder of the weights to start from.

    Returns:
        A finding for each thing looked at. No fault of the environment is raised as an exception.
    """
    return examination(environment, gpu=gpu, store=store, base_model=base_model).findings


def examination(
    environment: IsaacEnvironment,
    *,
    gpu: bool,
    store: Store,
    base_model: str = BASE_MODEL,
) -> Examination:
    """As :func:`examine`, with what the findings were drawn from."""
    collector = Collector()
    folder = environment.checkout.parent if environment.checkout.name == CHECKOUT_NAME else "DIR"
    setup = f"gr00t-assets isaac setup {folder}"
    answer = probe(environment.python)
    revision = check_checkout(collector, environment, setup)
    check_packages(collector, environment, answer, setup, gpu)
    if gpu:
        check_gpus(collector, answer)
        check_host(collector, store)
    check_accounts(collector)
    if gpu:
        check_base_model(collector, base_model)
    python, packages = (answer.python, answer.packages) if isinstance(answer, Probe) else ("", {})
    return Examination(collector.findings(), revision, python, packages)


def wants_gpu() -> bool:
    """Whether this machine is to train on a GPU: unless ``GR00T_ASSETS_GPUS`` names none."""
    return os.environ.get(GPUS) is None or bool(os.environ[GPUS].strip())


def run_doctor(directory: Path | None, as_json: bool, gpu: bool | None) -> int:
    """Examine an environment and print the findings.

    Args:
        directory: What ``isaac setup`` made; what the environment names where left out.
        as_json: JSON in place of lines for people.
        gpu: As for :func:`examine`; :func:`wants_gpu` where left out.

    Returns:
        Exit code: 1 where there is an error, else 0.
    """
    environment = (
        IsaacEnvironment.from_environment()
        if directory is None
        else IsaacEnvironment.in_directory(directory)
    )
    chosen = wants_gpu() if gpu is None else gpu
    findings = examine(environment, gpu=chosen, store=Store.from_environment())
    return write_findings(findings, str(environment.checkout), as_json)
