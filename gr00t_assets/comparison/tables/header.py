"""The header of a table of runs: what each column is, by the names that people give it."""

import difflib
import re
from collections.abc import Sequence
from functools import lru_cache

from gr00t_assets.comparison.columns import COLUMNS
from gr00t_assets.core.text import nearest
from gr00t_assets.experiments.registry import all_hyperparameters

_OTHER_NAMES = {
    "run_id": "id",
    "name": "experiment experiment_name",
    "status": "state",
    "note": "notes comment",
    "started_at": "created created_at start_time",
    "base_model": "base_model_path model_name_or_path",
    "dataset": "dataset_name",
    "loss": "train/loss training/loss training_loss final_loss",
    "logged_step": "train/global_step global_step",
    "learning_rate": "lr",
    "batch_size": "bs batch per_device_train_batch_size per_device_batch_size",
    "max_steps": "steps training_steps max_train_steps num_training_steps",
    "weight_decay": "wd",
    "lr_scheduler_type": "lr_scheduler scheduler",
    "gradient_accumulation_steps": "grad_accum accumulate_grad_batches",
    "num_gpus": "gpus world_size",
    "num_train_epochs": "num_epochs",
    "loss_se": "loss_sem loss_stderr",
}
"""Names of W&B, ``transformers.TrainingArguments`` and people, by those of this package."""

_GROUPS = re.compile(
    r"^(?:(?:args|config|cfg|hparams|hyperparameters|params|training_args|summary)[./])+", re.I
)
"""What W&B and others put before the name of a setting."""

_MEASURED = re.compile(
    r"_.*|(?:train|training|eval|val|valid|validation|test|system|perf|timing|unnamed)\s*[/:].*"
    r"|(?:.*[_ ./-])?(?:loss|accuracy|acc|success|success_rate|reward|score|mse|mae|perplexity"
    r"|runtime|flos|per_second)(?:[_ ](?:std|sd|var|min|max|mean|err|error|ci.*|\d+))?"
    r"|epoch|grad_norm",
    re.I,
)
"""Results, and columns that W&B and pandas add; none of them is a setting."""

_OTHER = re.compile(
    r"(?:\b|_)(?:eval|val|valid|validation|test|first|best|min|max|std|sd|var|err|ci\d*)(?:\b|_)",
    re.I,
)
"""Parts of names of losses that are not the training loss at the end."""

_LABELS = re.compile(
    r"user|tags|runtime|updated|endtime|(?:host|run)?name|host|description|github|commit|path|url"
    r"|jobtype|group|(?:output|logging)dir|os|problems|(?:python|wandb)version|[gc]pu(?:type|count)"
    r"|run|trial|replicate|repeat|index"
)
"""Where, by whom and under which label a run was made, which is no setting either."""


def _squashed(name: str) -> str:
    return re.sub(r"[\s_-]", "", name.lower())


@lru_cache(64)
def column_meanings(labels: tuple[str, ...]) -> tuple[tuple[str | None, ...], tuple[str, ...]]:
    """The column or setting that each label stands for, and what was taken for another name.

    None are columns that say nothing of how a run was made or what came out: other results,
    labels of W&B, and what is derived when a table is exported.

    Raises:
        ValueError: No column can be the loss; the message names the closest.
    """
    names = [_meaning(label) for label in labels]
    if "epochs" in labels and "remark" not in labels:  # that of an export is derived
        names[labels.index("epochs")] = "num_train_epochs"
    said: list[str] = []
    known = list(dict.fromkeys(filter(None, _names().values())))
    for place, (label, name) in enumerate(zip(labels, names, strict=True)):
        if name is None or name in known:
            continue
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.88)
        if close and close[0] not in names:
            names[place] = close[0]
            said.append(f"Column '{label}' is read as {close[0]}.")
    if "loss" not in names:
        place = _likely_loss(labels)
        names[place] = "loss"
        said.append(f"Column '{labels[place]}' is read as loss.")
    return tuple(names), tuple(said)


def _likely_loss(labels: Sequence[str]) -> int:
    """The place of the one column that can only be the training loss."""
    losses = [label for label in labels if re.search("loss(?!_(?:se|samples|kind))", label, re.I)]
    results = [label for label in losses if _MEASURED.fullmatch(label) and not _OTHER.search(label)]
    trained = [label for label in results if "train" in label.lower()]
    for likely in (trained, results):
        if len(likely) == 1:
            return labels.index(likely[0])
    closest = results or losses or [*filter(None, [nearest("loss", labels)])]
    hint = f"the closest are {', '.join(closest[:9])}"
    if not closest:
        hint = f"it has {', '.join(labels[:9])}"
    raise ValueError(
        f"there is no column loss; {hint}; rename the one with the training loss at the end to loss"
    )


def _meaning(label: str) -> str | None:
    name = _GROUPS.sub("", label.strip())
    if (known := _names().get(_squashed(name))) is not None:
        return known or None
    says_nothing = not name or label.startswith("summary.") or _LABELS.fullmatch(_squashed(name))
    return None if says_nothing or _MEASURED.fullmatch(name) else label.strip()


@lru_cache(1)
def _names() -> dict[str, str]:
    """Names by all that stands for them, without case, spaces and underscores; '' if derived."""
    others = [(name, (name, *words.split())) for name, words in _OTHER_NAMES.items()]
    names = {_squashed(word): name for name, words in others for word in words}
    names |= {_squashed(name): name for name in all_hyperparameters()}
    return names | {_squashed(item.name): "" if item.derived else item.name for item in COLUMNS}
