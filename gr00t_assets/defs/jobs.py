"""Jobs: what a schedule, ``dagster job launch`` and ``dagster job backfill`` start by name."""

import dagster as dg

from gr00t_assets.defs.assets.checkpoints import checkpoint
from gr00t_assets.defs.assets.comparison import loss_comparison
from gr00t_assets.defs.assets.datasets import dataset, frame_cache, modality_config
from gr00t_assets.defs.assets.evaluation import open_loop_evaluation
from gr00t_assets.defs.assets.journal import research_journal
from gr00t_assets.defs.queue import GPU

prepare_data = dg.define_asset_job(
    "prepare_data",
    selection=dg.AssetSelection.assets(dataset, modality_config, frame_cache),
    description="Datasets, their modality configs and frame caches, by dataset.",
)

sweep = dg.define_asset_job(
    "sweep",
    selection=dg.AssetSelection.assets(checkpoint),
    description="Checkpoints and their checks, by experiment; the data must be there.",
    tags={GPU: "true"},
)

evaluation = dg.define_asset_job(
    "evaluation",
    selection=dg.AssetSelection.assets(open_loop_evaluation),
    description="Open-loop evaluation of what was trained, by experiment.",
    tags={GPU: "true"},
)

analysis = dg.define_asset_job(
    "analysis",
    selection=dg.AssetSelection.assets(loss_comparison, research_journal),
    description="The comparison of every experiment and the journal, with whatever was trained.",
)

jobs = [prepare_data, sweep, evaluation, analysis]
