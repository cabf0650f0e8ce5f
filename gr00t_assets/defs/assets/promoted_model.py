"""The asset ``promoted_model``: a model that has passed everything, with its card."""

import dagster as dg

from gr00t_assets.defs.assets.datasets import OWNERS
from gr00t_assets.defs.assets.evaluation import open_loop_evaluation
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.metadata import in_store, readable, table
from gr00t_assets.defs.partitions import EXPERIMENTS, experiment_partitions
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.reporting.promotion.hub import pushes
from gr00t_assets.reporting.promotion.promote import promote
from gr00t_assets.reporting.promotion.record import CARD


@dg.asset(
    partitions_def=experiment_partitions,
    deps=[open_loop_evaluation],
    group_name="promotion",
    kinds={"huggingface"},
    owners=OWNERS,
    code_version="1",
)
@explained
def promoted_model(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    """Weights, model card and record of a model that is finished, checked and evaluated.

    Anything else is refused, with every reason. What was promoted stays as it is. Pushing to the
    Hub is asked for on a terminal: `gr00t-assets model promote EXPERIMENT --push OWNER/NAME`.
    """
    record = promote(EXPERIMENTS[context.partition_key], store)
    folder = store.promoted_model(record.experiment, record.config_hash)
    hubs = {push.url: push.commit for push in pushes(folder)}
    return dg.MaterializeResult(
        data_version=dg.DataVersion("-".join(sorted(record.weights.values()))[:64]),
        metadata={
            "experiment": record.experiment,
            "model_card": dg.MetadataValue.md((folder / CARD).read_text(encoding="utf-8")),
            "loss": readable(record.loss),
            "loss_se": readable(record.loss_standard_error),
            "promoted_at": record.promoted_at,
            "commit": record.commit or "none",
            "weights": table(["file", "sha256"], record.weights.items()),
            "pushed": table(["repository", "commit"], hubs.items()) if hubs else "not pushed",
            "folder": in_store(folder, store),
            "config_hash": record.config_hash,
        },
    )
