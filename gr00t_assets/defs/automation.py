"""What Dagster materialises by itself: the comparison, whenever a checkpoint arrives."""

import dagster as dg

_ARRIVED = dg.AutomationCondition.any_deps_updated()

FOLLOW_CHECKPOINTS = (
    _ARRIVED.since(
        (dg.AutomationCondition.newly_requested() & ~_ARRIVED)
        | dg.AutomationCondition.initial_evaluation()
    )
    & ~dg.AutomationCondition.in_progress()
).with_label("a checkpoint has arrived since the comparison was last asked for")
"""Asks for the comparison as soon as any experiment has a new checkpoint.

``AutomationCondition.eager`` waits for every partition of ``checkpoint``, and while any of them
trains: overnight that is until the morning. A checkpoint that arrives while a comparison is at
work is remembered and asks for another one after it: the comparison that is just being written has
not read it. So only a request ends the remembering, and since Dagster tells of a request one tick
late, not where a checkpoint has arrived within that tick.
"""

automation_sensor = dg.AutomationConditionSensorDefinition(
    "default_automation_condition_sensor",
    target=dg.AssetSelection.groups("analysis"),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Compares again whenever a checkpoint has arrived. It needs seconds and no GPU.",
)
