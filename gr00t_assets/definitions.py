"""What Dagster loads: assets, checks, jobs, schedules and sensors, assembled and nothing else."""

import dagster as dg

from gr00t_assets.defs.assets.checkpoints import checkpoint
from gr00t_assets.defs.assets.comparison import loss_comparison
from gr00t_assets.defs.assets.datasets import dataset, frame_cache, modality_config
from gr00t_assets.defs.assets.evaluation import open_loop_evaluation
from gr00t_assets.defs.assets.journal import research_journal
from gr00t_assets.defs.assets.promoted_model import promoted_model
from gr00t_assets.defs.assets.training_environment import training_environment
from gr00t_assets.defs.checks import checkpoint_checks
from gr00t_assets.defs.dataset_checks import dataset_checks
from gr00t_assets.defs.environment_checks import environment_checks
from gr00t_assets.defs.jobs import jobs
from gr00t_assets.defs.recovery import watched_in_process_executor
from gr00t_assets.defs.resources import resources
from gr00t_assets.defs.schedules import schedules
from gr00t_assets.defs.sensors import sensors

defs = dg.Definitions(
    assets=[
        dataset,
        modality_config,
        frame_cache,
        training_environment,
        checkpoint,
        open_loop_evaluation,
        loss_comparison,
        promoted_model,
        research_journal,
    ],
    asset_checks=[*dataset_checks, *environment_checks, *checkpoint_checks],
    jobs=jobs,
    schedules=schedules,
    sensors=sensors,
    resources=resources(),
    executor=watched_in_process_executor,
)
