"""The model card of a promoted model: front matter for the Hub, and what a person must know."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from gr00t_assets.comparison.all_runs import manifest_class
from gr00t_assets.core.errors import ServingError
from gr00t_assets.core.text import printable, shown_setting
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.source_kinds import FolderSource, HubSource
from gr00t_assets.evaluation import wording
from gr00t_assets.evaluation.result import Evaluation
from gr00t_assets.evaluation.rollouts.result import Rollouts
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.reporting.markdown import template_environment
from gr00t_assets.reporting.promotion.gate import Gate
from gr00t_assets.reporting.promotion.record import Promotion
from gr00t_assets.runs.final_loss import LossWindow
from gr00t_assets.runs.manifest import MIXTURE_HEAD, Manifest, mixture_rows
from gr00t_assets.runs.model_reference import ModelReference
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.serving.client import Latency, load_latency
from gr00t_assets.trainers.base import ModelLicense, Trainer
from gr00t_assets.trainers.base_model_files import looks_like_path, model_path

LIBRARY = "gr00t-assets"


class Promotable(NamedTuple):
    """Weights of a run that fulfils every requirement but for those of the gate."""

    model: ModelReference  # Its ``why``: where the best checkpoint was asked for
    spec: TrainingSpec
    manifest: Manifest  # Of a checkpoint as if the run had ended with it
    final_loss: LossWindow  # Training loss at the step of the weights
    evaluation: Evaluation  # Of the weights, open loop
    checks: dict[str, bool]  # Outcome of every check by name
    rollouts: Sequence[Rollouts]  # Of the weights, by environment
    gate: Gate
    datasets: Sequence[CatalogEntry | None]  # None of one that is not in the catalog any more

    @property
    def success_rows(self) -> list[tuple[str, str, str]]:
        """Environment, who acted, and successes with their interval; the policy first."""
        return [
            (item.environment, who, rate.words())
            for item in self.rollouts
            for who, rate in (
                ("this policy", item.rate),
                *((name, item.baseline_rate(name)) for name in item.baselines),
            )
        ]

    @property
    def latency(self) -> Latency | None:
        """What was measured of these weights; None where nothing was, or it cannot be read."""
        try:
            return load_latency(self.model.directory)
        except ServingError:
            return None


def model_card(run: Promotable, promotion: Promotion) -> str:
    """The whole of ``README.md``, without a path of this machine."""
    manifest, settings = run.manifest, run.spec.experiment.hyperparameters
    trainer: Trainer = trainer_named(manifest.trainer)
    comparability = manifest_class(manifest, settings)
    license_ = base_license(manifest.base_model, trainer)
    template = template_environment(wording).get_template("model_card.md.j2")
    return template.render(
        front_matter=_front_matter(run, trainer, license_),
        run=run,
        promotion=promotion,
        trainer=trainer,
        license=license_,
        base_model=_base_model(manifest, trainer),
        source="; ".join(dict.fromkeys(_source(dataset) for dataset in run.datasets)),
        mixture_head=MIXTURE_HEAD,
        mixture=mixture_rows(manifest),
        class_rows=[
            (f"class: {name}", _without_folder(value)) for name, value in comparability.items()
        ],
        settings=list(_settings(settings)),
    ) + "\n"  # fmt: skip


def base_license(base_model: str, trainer: Trainer) -> ModelLicense:
    """The licence that a fine-tuned model inherits from its base model.

    Of a base model that the trainer does not know, a folder is asked for the front matter of its
    ``README.md``, which a download from the Hub may have. What is not stated is said to be unknown
    and never guessed.
    """
    if base_model in trainer.licenses:
        return trainer.licenses[base_model]
    stated = _front_matter_of(model_path(base_model) / "README.md")
    names = ("license", "license_name", "license_link")
    identifier, name, link = (str(stated[key]) if key in stated else None for key in names)
    if identifier is None:
        unknown = "The licence of the base model is not known here."
        return ModelLicense("other", "unknown", None, unknown)
    return ModelLicense(identifier, name, link, "The licence is that of the base model.")


def _front_matter_of(card: Path) -> dict:
    try:
        content = card.read_text(encoding="utf-8").split("---\n")[1]
        fields = yaml.load(content, yaml.BaseLoader)  # whose values are texts, no dates
    except (OSError, IndexError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _front_matter(run: Promotable, trainer: Trainer, license_: ModelLicense) -> str:
    from huggingface_hub import ModelCardData

    manifest = run.manifest
    configs = dict.fromkeys(dataset.config.data_config for dataset in run.spec.datasets)
    sources = [dataset.source for dataset in run.datasets if dataset]
    _, names = trainer.model_names(run.spec.modality_config)
    on_hub = "/" in manifest.base_model and not looks_like_path(manifest.base_model)
    data = ModelCardData(
        license=license_.identifier,
        license_name=license_.name,
        license_link=license_.link,
        base_model=manifest.base_model if on_hub else None,
        datasets=[item.repo_id for item in sources if isinstance(item, HubSource)] or None,
        library_name=LIBRARY,
        pipeline_tag="robotics",
        tags=["robotics", *names, "lerobot", trainer.name, *configs],
    )
    return data.to_yaml(line_break="\n")


def _settings(hyperparameters: Hyperparameters) -> Iterable[tuple[str, str, str]]:
    """Name, value, and the default where it is another."""
    for name, field in type(hyperparameters).model_fields.items():
        value = getattr(hyperparameters, name)
        default = field.get_default(call_default_factory=True)
        yield name, shown_setting(value), "" if value == default else shown_setting(default)


def _base_model(manifest: Manifest, trainer: Trainer) -> str:
    if manifest.base_model in trainer.built_in_models:
        return f"the built-in model `{manifest.base_model}`, drawn at random"
    name = printable(_without_folder(manifest.base_model), lines=False).replace("`", "'")
    revision = manifest.base_model_revision
    return f"`{name}` at `{revision}`" if revision else f"`{name}`"


def _without_folder(text: str) -> str:
    """A base model's folder by its name alone: the card is public, and the folder is not."""
    return text.rstrip("/").rpartition("/")[2] if looks_like_path(text) else text


def _source(dataset: CatalogEntry | None) -> str:
    if dataset is None:
        return "not in the catalog any more"
    return "a folder" if isinstance(dataset.source, FolderSource) else dataset.source.describe()
