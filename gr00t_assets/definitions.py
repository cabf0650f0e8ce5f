"""What Dagster loads: assets, checks, jobs, schedules and sensors, assembled and nothing else."""

import dagster as dg

from gr00t_assets.core.text import escape_output
from gr00t_assets.defs import checks, notifications, project_checks, resources, schedules, sensors
from gr00t_assets.defs.assets import analysis, data, evaluation, training

escape_output()

defs = dg.Definitions(
    assets=[
        project_checks.project_files,
        data.dataset,
        data.modality_config,
        data.frame_cache,
        training.experiment,
        training.training_environment,
        training.checkpoint,
        evaluation.open_loop_evaluation,
        evaluation.rollouts,
        analysis.loss_comparison,
        analysis.promoted_model,
        analysis.research_journal,
    ],
    asset_checks=[
        project_checks.files_have_no_fault,
        *checks.checks,
        project_checks.scheduled_sweeps_are_in_time,
    ],
    jobs=schedules.jobs,
    schedules=schedules.schedules,
    sensors=[*sensors.sensors, project_checks.project_files_sensor, notifications.notifications],
    resources=resources.resources,
    executor=dg.in_process_executor,
)
