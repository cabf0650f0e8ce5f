"""``gr00t-assets sweep new``: a commented sweep file to start from, which loads as it is."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml

from gr00t_assets.core.errors import SweepError
from gr00t_assets.core.names import did_you_mean, name_problem
from gr00t_assets.core.project import project_root
from gr00t_assets.core.yaml_files import load_yaml, shown_path
from gr00t_assets.datasets.catalog import CatalogEntry, find_entry, load_catalog
from gr00t_assets.experiments.experiment import Trainer
from gr00t_assets.experiments.sweeps import Sweep, find_sweep, load_sweep, load_sweeps
from gr00t_assets.experiments.trainer_limits import BUILT_IN_MODEL, RELEASED_MODEL

BASE_MODELS = {"native": BUILT_IN_MODEL, "isaac-gr00t": RELEASED_MODEL}
"""What each trainer starts from in a new file."""

_STARTER = """\
# {name}: gr00t-assets sweep plan {name} shows what it would run.
#
# Everything that is left out has the default of gr00t_finetune.py. A line that begins with # and no
# blank, and those below it, work once the # is taken away.
description: What is to be found out, in one sentence
tags: [{name}]

# Requests what is missing or stale at these times (UTC), once switched on on the page.
#schedule: "0 20 * * *"

# Times that an experiment is requested again after its run died of a crash.
#max_retries: 3

# Gives up, at 100 steps and at 300, what is not among the best third of the runs so far.
#pruning: {{min_steps: 100, reduction_factor: 3}}

defaults:
  # {datasets}
  dataset: {dataset}
  # native or isaac-gr00t
  trainer: {trainer}
  base_model: {base_model}
  # Higher ones leave the queue first; GPU memory in GB that a run needs on each device.
  #priority: 10
  #vram_gb: {vram}
  hyperparameters:
    max_steps: {steps}
    save_steps: {save}
    batch_size: 8
{needs}
# Single experiments. The hypothesis is written before it runs.
experiments:
  - name: {name}-baseline
    hypothesis: The defaults learn the task; everything below is compared with this one.

# Every combination of the values.
grid:
  name: {name}-b{{batch_size}}-lr{{learning_rate}}
  hypothesis: With batch size {{batch_size}} a learning rate of {{learning_rate}} is still stable.
  tags: [grid]
  hyperparameters:
    batch_size: [8, 16]
    learning_rate: [3e-4, 1e-3]

# Samples. Raising the count keeps those that there are, and their names.
#random:
#  name: {name}-random-{{index}}
#  count: 8
#  seed: 0
#  hyperparameters:
#    learning_rate: {{distribution: log_uniform, low: 1e-5, high: 1e-3}}
#    warmup_ratio: {{distribution: uniform, low: 0.0, high: 0.1}}
#    save_total_limit: {{distribution: int_uniform, low: 2, high: 8}}
#    lr_scheduler_type: [cosine, constant]

# Every experiment once for each seed: what differs between seeds is noise.
#seeds: [1, 2, 3]
"""


def new_sweep(
    name: str,
    dataset: str | None = None,
    trainer: str | None = None,
    source: str | None = None,
) -> Sweep:
    """Write ``data/sweeps/NAME.yaml`` and read it.

    Args:
        name: The sweep's name, which its experiments begin with.
        dataset: Of the catalog; its first one where left out.
        trainer: ``native`` where left out.
        source: An existing sweep to copy, experiments renamed and without its schedule.

    Raises:
        SweepError: The name cannot be a sweep's, the file is there, or a name in it is taken.
        CatalogError: There is no such dataset.
    """
    catalog = load_catalog()
    file = project_root() / "data" / "sweeps" / f"{name}.yaml"
    _refuse(name, file, trainer, catalog)
    if dataset is not None:
        find_entry(dataset, catalog)
    sweeps = load_sweeps(datasets=catalog)
    if source is None:
        text = _started(name, dataset or next(iter(catalog)), trainer or "native", catalog)
    else:
        text = _copied(find_sweep(source, sweeps), name, dataset, trainer)
    try_text(name, text, catalog, sweeps)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("x", encoding="utf-8") as opened:
        opened.write(text)
    return load_sweep(file, catalog)


def _refuse(
    name: str, file: Path, trainer: str | None, catalog: Mapping[str, CatalogEntry]
) -> None:
    if problem := name_problem(name):
        raise SweepError(name or "sweep new", f"{problem}.")
    if name.endswith((".yaml", ".yml")):
        raise SweepError(name, "give the name without its ending.", [name.rpartition(".")[0]])
    if file.exists():
        hint = f"edit it, or choose another name; gr00t-assets sweep plan {name} shows it"
        raise SweepError(shown_path(file), "this file is there already.", [hint])
    if trainer is not None and trainer not in get_args(Trainer):
        hint = did_you_mean(trainer, get_args(Trainer))
        raise SweepError(trainer, "there is no trainer of this name.", [hint])
    if not catalog:
        raise SweepError(name, "data/datasets.yaml has no dataset to train on.", ["add one first"])


def _started(name: str, dataset: str, trainer: str, catalog: Mapping[str, CatalogEntry]) -> str:
    tiny = trainer == "native"
    return _STARTER.format(
        name=name,
        dataset=dataset,
        trainer=trainer,
        base_model=BASE_MODELS[trainer],
        datasets=_wrapped("one of ", list(catalog)),
        steps=300 if tiny else 2000,
        save=100 if tiny else 500,
        vram=8 if tiny else 24,
        needs="    augmentation: none\n" if tiny else "    num_gpus: 1\n",
    )


def _wrapped(lead: str, names: list[str]) -> str:
    """A comment of names that is no wider than a line."""
    lines = [lead]
    for index, name in enumerate(names):
        word = name + (", " if index + 1 < len(names) else "")
        if len(lines[-1]) + len(word) > 92:
            lines.append("")
        lines[-1] += word
    return "\n  # ".join(line.rstrip() for line in lines)


def _copied(source: Sweep, name: str, dataset: str | None, trainer: str | None) -> str:
    content: dict[str, Any] = dict(load_yaml(source.file, SweepError).data)
    schedule = content.pop("schedule", None)
    defaults = dict(content.get("defaults") or {})
    if dataset is not None:
        defaults["dataset"] = dataset
    if trainer is not None and trainer != defaults.get("trainer", "native"):
        defaults |= {"trainer": trainer, "base_model": BASE_MODELS[trainer]}
        defaults.pop("base_model_revision", None)
    content["defaults"] = defaults
    renamed = _renaming(source.name, name)
    for entry in content.get("experiments") or ():
        for field in {"name", "continue_from"} & set(entry):
            entry[field] = renamed(entry[field])
    for block in (content.get("grid"), content.get("random")):
        if block:
            block["name"] = renamed(block["name"])
            said = block.get("hypotheses") or {}
            block["hypotheses"] = {renamed(key): text for key, text in said.items()}
            if not block["hypotheses"]:
                del block["hypotheses"]
    if "tags" in content:
        content["tags"] = [name if tag == source.name else tag for tag in content["tags"]]
    lines = [f"# {name}: a copy of {source.name} with other names."]
    if schedule is not None:
        lines += ["# Its schedule was left out:", f'#schedule: "{schedule}"']
    body = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=96)
    return "\n".join(lines) + "\n" + body


def _renaming(old: str, new: str) -> Callable[[str], str]:
    """Names that begin with the sweep's name begin with the new one; others have it before them."""
    return lambda name: (
        f"{new}{name.removeprefix(old)}" if name.startswith(old) else f"{new}-{name}"
    )


def try_text(
    name: str, text: str, catalog: Mapping[str, CatalogEntry], sweeps: Mapping[str, Sweep]
) -> None:
    """Read a file before it stands among the others, where a wrong one stops them all.

    Raises:
        SweepError: It is wrong, or a name in it is taken.
    """
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / f"{name}.yaml"
        trial.write_text(text, encoding="utf-8")
        try:
            made = load_sweep(trial, catalog)
        except SweepError as error:
            subject = error.subject.replace(f"{shown_path(trial.parent)}/", "the new ")
            details = (*error.details, "nothing was written")
            raise SweepError(subject, error.problem, details) from error
    taken = {item.name: sweep for sweep in sweeps.values() for item in sweep.experiments}
    for experiment in made.experiments:
        if experiment.name in taken:
            raise SweepError(
                name,
                f"its experiment '{experiment.name}' is already one of "
                f"{taken[experiment.name].name}.",
                ["choose another name"],
            )
