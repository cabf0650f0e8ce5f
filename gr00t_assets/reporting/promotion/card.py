"""The model card of a promoted model: front matter for the Hub, and what a person must know."""

from collections.abc import Iterable, Sequence

from gr00t_assets.comparison.classes import manifest_class
from gr00t_assets.comparison.contrasts.class_words import class_id
from gr00t_assets.comparison.formatting import shown_setting
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.sources.source_kinds import FolderSource, HubSource
from gr00t_assets.evaluation.words import PART_HEAD, baseline_sentence, group_rows, part_sentence
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.experiments.trainer_limits import BUILT_IN_MODEL
from gr00t_assets.reporting.promotion.base_license import base_license
from gr00t_assets.reporting.promotion.fitness import Fit
from gr00t_assets.trainers.base_model_files import looks_like_path

LIBRARY = "gr00t-assets"

_NATIVE = """\
```python
from pathlib import Path

from gr00t_assets.trainers.native.devices import choose_device
from gr00t_assets.trainers.native.policy import Policy

policy = Policy(Path("FOLDER_WITH_THESE_FILES"), choose_device())
actions = policy.normalised_actions(frames, states, ["{prompt}"])
print(policy.in_units(actions))
```
"""

_ISAAC = """\
The files are laid out as Isaac-GR00T's policy reads them:

```python
from gr00t.experiment.data_config import DATA_CONFIG_MAP
from gr00t.model.policy import Gr00tPolicy

data_config = DATA_CONFIG_MAP["{data_config}"]
policy = Gr00tPolicy(
    model_path="FOLDER_WITH_THESE_FILES",
    modality_config=data_config.modality_config(),
    modality_transform=data_config.transform(),
    embodiment_tag="{embodiment_tag}",
)
```
"""


def model_card(fit: Fit, dataset: CatalogEntry | None) -> str:
    """The whole of ``README.md``; no path of this machine is in it.

    Args:
        fit: The run.
        dataset: Of the catalog; None where it is not in it any more.
    """
    manifest = fit.manifest
    head = _front_matter(fit, dataset)
    sections = (
        f"# {manifest.experiment}\n\n{_opening(fit)}",
        "## Data\n\n" + _data(fit, dataset),
        "## Training\n\n" + _training(fit),
        "## Open-loop evaluation\n\n" + _evaluation(fit),
        "## Limits\n\n" + _listed(_limits(fit)),
        "## How to load it\n\n" + _loading(fit),
        "## Licence\n\n" + _license(fit),
    )
    return f"---\n{head}---\n\n" + "\n\n".join(part.strip() for part in sections) + "\n"


def _front_matter(fit: Fit, dataset: CatalogEntry | None) -> str:
    from huggingface_hub import ModelCardData

    manifest = fit.manifest
    license_ = base_license(manifest.base_model)
    source = dataset.source if dataset else None
    data = ModelCardData(
        license=license_.identifier,
        license_name=license_.name,
        license_link=license_.link,
        base_model=_hub_id(manifest.base_model),
        datasets=[source.repo_id] if isinstance(source, HubSource) else None,
        library_name=LIBRARY,
        pipeline_tag="robotics",
        tags=["robotics", "gr00t", "gr00t_n1_5", "lerobot", manifest.trainer, manifest.data_config],
    )
    return data.to_yaml(line_break="\n") + "\n"


def _opening(fit: Fit) -> str:
    manifest, hypothesis = fit.manifest, fit.spec.experiment.hypothesis
    text = (
        f"GR00T N1.5, fine-tuned on `{manifest.dataset}` from {_base(fit)} by the trainer "
        f"`{manifest.trainer}`. Configuration `{manifest.config_hash}` of the sweep "
        f"`{manifest.sweep}`."
    )
    return f"{text}\n\nExpected before it ran: {hypothesis}" if hypothesis else text


def _data(fit: Fit, dataset: CatalogEntry | None) -> str:
    manifest, modality = fit.manifest, fit.spec.modality_config
    rows = [
        ("dataset", f"{manifest.dataset}, version `{manifest.dataset_version}`"),
        ("source", _source(dataset)),
        ("data config", manifest.data_config),
        ("embodiment tag", modality.embodiment_tag),
        ("frames trained on", f"{manifest.dataset_frames:,}, verified to be the right ones"),
        ("episodes held out", ", ".join(map(str, modality.held_out_episodes)) or "none"),
        ("action horizon", f"{len(modality.action_indices)} steps"),
    ]
    return _table(("", ""), rows)


def _training(fit: Fit) -> str:
    manifest = fit.manifest
    window = manifest.final_loss
    settings = fit.spec.experiment.hyperparameters
    words = manifest_class(manifest, settings)
    loss = (
        f"{window.mean:.4g} ± {window.standard_error:.2g}, mean and standard error over the last "
        f"{window.steps} steps"
        if window
        else "none"
    )
    rows = [
        ("training loss", loss),
        ("steps", f"{manifest.steps:,}"),
        ("samples seen", f"{manifest.samples_seen:,}, {manifest.epochs:.2f} epochs"),
        ("trainer", f"{manifest.trainer} {manifest.trainer_revision}"),
        ("device", manifest.device),
        ("comparability class", f"`{class_id(words)}`"),
        *((f"class: {name}", _plain(value)) for name, value in words.items()),
    ]
    defaults = Hyperparameters().model_dump()
    config = [
        (
            name,
            shown_setting(value),
            "" if value == defaults[name] else shown_setting(defaults[name]),
        )
        for name, value in settings.model_dump().items()
    ]
    return (
        _table(("", ""), rows)
        + "\n\nLosses may be set side by side within one comparability class only.\n\n"
        + _table(("setting", "value", "default, where it is another"), config)
    )


def _evaluation(fit: Fit) -> str:
    parts = []
    for part in fit.evaluation.parts:
        rules = [baseline_sentence(rule) for rule in part.baselines]
        parts.append(
            f"{part_sentence(part)}\n\n{_listed(rules)}\n\n{_table(PART_HEAD, group_rows(part))}"
        )
    settings = fit.evaluation.settings
    how = f"{settings.draws} denoising draws a window, seed {settings.seed}."
    used = f"Whether the prompt is used: {fit.evaluation.language_used}."
    return "\n\n".join([*parts, f"{how} {used}"])


def _limits(fit: Fit) -> list[str]:
    return [
        *fit.evaluation.limits,
        "A low training loss is not a low error on new episodes.",
        f"It was trained for the embodiment tag {fit.spec.modality_config.embodiment_tag} and the "
        f"cameras {', '.join(camera.key for camera in fit.spec.modality_config.video) or 'none'}; "
        "another robot needs its own fine-tuning.",
    ]


def _loading(fit: Fit) -> str:
    modality = fit.spec.modality_config
    text = "With gr00t-assets installed:\n\n" + _NATIVE.format(prompt="pick up the apple")
    if fit.manifest.trainer == "isaac-gr00t":
        words = {"data_config": modality.data_config, "embodiment_tag": modality.embodiment_tag}
        return _ISAAC.format(**words) + "\n" + text
    return text


def _license(fit: Fit) -> str:
    license_ = base_license(fit.manifest.base_model)
    name = license_.name or license_.identifier
    link = f" ({license_.link})" if license_.link else ""
    return f"{name}{link}. {license_.note}".strip()


def _base(fit: Fit) -> str:
    manifest = fit.manifest
    if manifest.base_model == BUILT_IN_MODEL:
        return f"the built-in model `{BUILT_IN_MODEL}`, drawn at random"
    revision = manifest.base_model_revision
    return f"`{_plain(manifest.base_model)}`" + (f" at `{revision}`" if revision else "")


def _plain(text: str) -> str:
    """A base model's folder by its name alone: where it lies is nobody's business."""
    return text.rstrip("/").rpartition("/")[2] if looks_like_path(text) else text


def _hub_id(base_model: str) -> str | None:
    known = "/" in base_model and not looks_like_path(base_model)
    return base_model if known else None


def _source(dataset: CatalogEntry | None) -> str:
    if dataset is None:
        return "not in the catalog any more"
    if isinstance(dataset.source, FolderSource):
        return "a folder"
    return dataset.source.describe()


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _listed(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)
