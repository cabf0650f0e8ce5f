"""What Dagster materialises by itself: the comparison, whenever a checkpoint arrives."""

import dagster as dg

_ARRIVED = dg.AutomationCondition.any_deps_updated()


def _remembering(label: str) -> dg.AutomationCondition:
    """True from when something of what the asset reads is new until it has been asked for."""
    until = (dg.AutomationCondition.newly_requested() & ~_ARRIVED) | (
        dg.AutomationCondition.initial_evaluation()
    )
    return (_ARRIVED.since(until) & ~dg.AutomationCondition.in_progress()).with_label(label)


FOLLOW_CHECKPOINTS = _remembering(
    "a checkpoint or an evaluation has arrived since the comparison was last asked for"
)
"""Asks for the comparison as soon as any experiment has a new checkpoint or evaluation.

``AutomationCondition.eager`` waits for every partition of ``checkpoint``, and while any of them
trains: overnight that is until the morning. A checkpoint that arrives while a comparison is at
work is remembered and asks for another one after it: the comparison that is just being written has
not read it. So only a request ends the remembering, and since Dagster tells of a request one tick
late, not where a checkpoint has arrived within that tick.
"""

FOLLOW_COMPARISON = _remembering("the comparison has been written since this was last asked for")
"""Asks for what is written from the comparison whenever there is a new one."""

automation_sensor = dg.AutomationConditionSensorDefinition(
    "default_automation_condition_sensor",
    target=dg.AssetSelection.groups("analysis"),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Compares again whenever a checkpoint has arrived. It needs seconds and no GPU.",
)
