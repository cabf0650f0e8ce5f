"""New sweep files: a commented one to start from, a copy, or a given text; none is overwritten."""

import tempfile
from pathlib import Path
from string import Template
from textwrap import fill
from typing import Any

import yaml

from gr00t_assets.core.errors import SweepError
from gr00t_assets.core.files import create_file
from gr00t_assets.core.project import project_root
from gr00t_assets.core.text import name_problem
from gr00t_assets.core.yaml_files import load_yaml, shown_path
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.experiments.registry import DEFAULT_TRAINER, trainer_named, trainer_names
from gr00t_assets.experiments.sweeps import Sweep, load_sweep
from gr00t_assets.modality.data_config import data_configs

_STARTER = Path(__file__).with_name("starter_sweep.yaml")  # a template of string.Template
_EDIT = "edit it, or choose another name; gr00t-assets sweep plan {} shows it"


def new_sweep(
    name: str, dataset: str | None = None, trainer: str | None = None, source: str | None = None
) -> Sweep:
    """Write a file to start from, ``data/sweeps/NAME.yaml``, and read it.

    It is for the first dataset of the catalog and the default trainer where those are left out;
    or a copy of the sweep ``source``, with its experiments renamed and without its schedule.

    Raises:
        SweepError: The name cannot be a sweep's, the file is there, or a name in it is taken.
        CatalogError: There is no such dataset.
    """
    project = read_project()
    catalog = project.datasets
    _refuse_name(name, _EDIT.format(name))
    if trainer is not None:
        trainer_named(trainer)
    if not catalog:
        raise SweepError(name, "data/datasets.yaml has no dataset to train on.", ["add one first"])
    if dataset is not None:
        dataset = catalog[dataset].name  # or a CatalogError
    if source is None:
        chosen = dataset or next(iter(catalog))
        text = _starter_text(name, chosen, trainer or DEFAULT_TRAINER, list(catalog))
    else:
        text = _copied(project.sweeps[source], name, dataset, trainer)
    return load_sweep(write_sweep(name, text), catalog)


def generations_sweep(name: str, dataset: str, other: str) -> Sweep:
    """Write a file that trains two generations of GR00T on datasets of the same demonstrations.

    Three seeds each, so that their rollouts and open-loop errors can be told apart; read it. It
    raises as ``new_sweep``, and where the data configs of both are of one generation.
    """
    catalog, configs = read_project().datasets, data_configs()
    _refuse_name(name, _EDIT.format(name))
    by_generation = {
        configs[catalog[item].data_config].generation: item for item in (dataset, other)
    }
    if len(by_generation) < 2:
        problem = f"the data configs of {dataset} and {other} are of one generation."
        remedy = "give one of them a data config of its own with generation: n1.7"
        raise SweepError(name, problem, [remedy])
    trainer = trainer_named(DEFAULT_TRAINER)
    content = {
        "description": "Is the newer generation of GR00T better on these demonstrations?",
        "tags": [name],
        "defaults": {
            "trainer": DEFAULT_TRAINER,
            "hyperparameters": {"batch_size": 8, **trainer.starter_settings},
        },
        "experiments": [
            {
                "name": f"{name}-{generation}",
                "hypothesis": f"{generation.upper()} does the task more often.",
                "dataset": by_generation[generation],
                "base_model": base_model,
            }
            for generation, base_model in (("n1.5", "tiny"), ("n1.7", "tiny-n1.7"))
        ],
        "seeds": [1, 2, 3],
    }
    head = f"""\
# {name}: two generations of GR00T. Their losses are of different classes: hold their rollouts
# against each other, and their open-loop errors in units. With a GPU, base_model is
# nvidia/GR00T-N1.5-3B and nvidia/GR00T-N1.7-3B.
"""
    return load_sweep(write_sweep(name, head + sweep_yaml(content)), catalog)


def write_sweep(name: str, text: str) -> Path:
    """Write ``data/sweeps/NAME.yaml``, once it has been read without a problem; the file.

    Raises:
        SweepError: The name cannot be a sweep's, the file is there, or it would not load.
    """
    hint = "choose another name; a sweep file is never overwritten"
    _refuse_name(name, hint)
    _try_text(name, text)
    if not create_file(file := _sweep_path(name), text):
        _refuse_name(name, hint)
    return file


def sweep_yaml(content: object) -> str:
    """Content of a sweep file as YAML, in its order."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=96)


def _sweep_path(name: str) -> Path:
    return project_root() / "data" / "sweeps" / f"{name}.yaml"


def _refuse_name(name: str, hint: str) -> None:
    """Refuse a name that cannot be a new sweep's; ``hint`` is for one whose file is there."""
    if problem := name_problem(name):
        raise SweepError(name or "sweep", f"{problem}.")
    if name.endswith((".yaml", ".yml")):
        raise SweepError(name, "give the name without its ending.", [name.rpartition(".")[0]])
    file = _sweep_path(name)
    if file.exists():
        raise SweepError(shown_path(file), "this file is there already.", [hint])


def _starter_text(name: str, dataset: str, trainer: str, datasets: list[str]) -> str:
    chosen = trainer_named(trainer)
    settings = {"batch_size": 8, **chosen.starter_settings}
    return Template(_STARTER.read_text(encoding="utf-8")).substitute(
        name=name,
        dataset=dataset,
        trainer=trainer,
        trainers=" or ".join(trainer_names()),
        base_model=chosen.default_base_model,
        datasets=fill(
            f"one of {', '.join(datasets)}", 92, subsequent_indent="  # ", break_on_hyphens=False
        ),
        settings="".join(f"    {key}: {value}\n" for key, value in settings.items()),
        vram=f"{chosen.starter_vram_gb:g}",
    )


def _copied(source: Sweep, name: str, dataset: str | None, trainer: str | None) -> str:
    content: dict[str, Any] = dict(load_yaml(source.file, SweepError).data)
    schedule = content.pop("schedule", None)
    defaults = dict(content.get("defaults") or {})
    if dataset is not None:
        defaults["dataset"] = dataset
    if trainer is not None and trainer != defaults.get("trainer", DEFAULT_TRAINER):
        defaults |= {"trainer": trainer, "base_model": trainer_named(trainer).default_base_model}
        defaults.pop("base_model_revision", None)
    content["defaults"] = defaults

    def renamed(old: str) -> str:
        own = old.startswith(source.name)
        return f"{name}{old.removeprefix(source.name)}" if own else f"{name}-{old}"

    for entry in content.get("experiments") or ():
        for field in {"name", "continue_from"} & set(entry):
            entry[field] = renamed(entry[field])
    for block in filter(None, (content.get("grid"), content.get("random"))):
        block["name"] = renamed(block["name"])
        if hypotheses := block.pop("hypotheses", None):
            block["hypotheses"] = {renamed(key): text for key, text in hypotheses.items()}
    if "tags" in content:
        content["tags"] = [name if tag == source.name else tag for tag in content["tags"]]
    lines = [f"# {name}: a copy of {source.name} with other names."]
    if schedule is not None:
        lines += ["# Its schedule was left out:", f'#schedule: "{schedule}"']
    return "\n".join(lines) + "\n" + sweep_yaml(content)


def _try_text(name: str, text: str) -> None:
    """Read a file before it stands among the others."""
    project = read_project()
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / f"{name}.yaml"
        trial.write_text(text, encoding="utf-8")
        try:
            sweep = load_sweep(trial, project.datasets)
        except SweepError as error:
            subject = error.subject.replace(f"{shown_path(trial.parent)}/", "the new ")
            details = (*error.details, "nothing was written")
            raise SweepError(subject, error.problem, details) from error
    owners = {name: item.sweep for name, item in project.experiments.items()}
    owners |= {name: file.stem for name, file in project.sweeps.lost.items()}
    for experiment in sweep.experiments:
        if other := owners.get(experiment.name):
            problem = f"its experiment '{experiment.name}' is already one of {other}."
            raise SweepError(name, problem, ["choose another name"])
