"""What Dagster loads: assets, checks, jobs, schedules and sensors, assembled and nothing else."""

import dagster as dg

from gr00t_assets.core.text import escape_output
from gr00t_assets.defs.assets.analysis import loss_comparison, promoted_model, research_journal
from gr00t_assets.defs.assets.data import dataset, frame_cache, modality_config
from gr00t_assets.defs.assets.training import (
    checkpoint,
    experiment,
    open_loop_evaluation,
    rollouts,
    training_environment,
)
from gr00t_assets.defs.checks import checks
from gr00t_assets.defs.notifications import notifications
from gr00t_assets.defs.project_checks import (
    files_have_no_fault,
    project_files,
    project_files_sensor,
    scheduled_sweeps_are_in_time,
)
from gr00t_assets.defs.resources import resources
from gr00t_assets.defs.schedules import jobs, schedules
from gr00t_assets.defs.sensors import sensors

escape_output()

defs = dg.Definitions(
    assets=[
        project_files,
        dataset,
        modality_config,
        frame_cache,
        experiment,
        training_environment,
        checkpoint,
        open_loop_evaluation,
        rollouts,
        loss_comparison,
        promoted_model,
        research_journal,
    ],
    asset_checks=[files_have_no_fault, *checks, scheduled_sweeps_are_in_time],
    jobs=jobs,
    schedules=schedules,
    sensors=[*sensors, project_files_sensor, notifications],
    resources=resources,
    executor=dg.in_process_executor,
)
