"""The sensor that tells people what happened, over the channels of ``data/notifications.yaml``."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import dagster as dg
from pydantic import BaseModel

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Channel, Notifications, load_notifications
from gr00t_assets.defs.notified_events import Event, Lab, Message
from gr00t_assets.defs.resources import StoreResource, running_sensor
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.reporting.notifier import send

_OVERLAP, _FIRST_LOOKS_BACK = 300.0, 3600.0
"""Seconds that a tick looks back beyond the one before, and that a new channel's first does."""

_RETRIED_FOR, _LONGEST_PAUSE = 24 * 3600.0, 900.0
"""Seconds that a message which is not taken is tried again for, and between two attempts."""

_MOST_AT_ONCE = 20
"""Events that one message tells."""


class ChannelCursor(BaseModel):
    """What one channel was told; times are seconds since 1970.

    Events before ``since`` were told, and of those after it the ones whose keys are ``told``; what
    happened before ``summary`` was summed up. Since ``failing`` it has taken no message.
    """

    since: float
    summary: float
    told: list[str] = []
    failing: float | None = None
    tried: float = 0.0

    @property
    def next_try(self) -> float:
        """From when on it is tried again: the longer it fails, the longer the pause."""
        failed_for = self.tried - self.failing if self.failing else 0.0
        return self.tried + min(failed_for, _LONGEST_PAUSE)


class NotificationsCursor(BaseModel):
    """What was told, by channel."""

    channels: dict[str, ChannelCursor] = {}


def tell(settings: Notifications, lab: Lab, cursor: NotificationsCursor, now: float) -> list[str]:
    """Send each channel one message with all that it was not told yet, to all at the same time.

    ``cursor`` is brought up to date. What a channel did not take stays new to it for a day. One
    message is what a kill between sending and the keeping of the cursor has sent twice.

    Returns:
        A line for each channel that was told something or fails.
    """
    first = ChannelCursor(since=now - _FIRST_LOOKS_BACK, summary=now)
    cursor.channels = {
        name: cursor.channels.get(name, first).model_copy() for name in settings.channels
    }
    ready = {name: state for name, state in cursor.channels.items() if state.next_try <= now}
    for state in ready.values():
        state.since = max(state.since, now - _RETRIED_FOR)
    since = min((state.since for state in ready.values()), default=now)
    events = list(lab.events(since)) if ready else []
    due = settings.summary_due(now)
    messages = {
        name: message
        for name, state in ready.items()
        if (message := _message(settings.channels[name], state, lab, events, due))
    }

    def problem_of(name: str) -> str | None:
        message = messages[name]
        return send(settings.channels[name].url, message.title, "\n".join(message.lines))

    with ThreadPoolExecutor(max_workers=len(settings.channels)) as pool:
        problems = dict(zip(messages, pool.map(problem_of, messages), strict=True))
    lines = []
    for name, channel in settings.channels.items():
        state = cursor.channels[name]
        if problem := problems.get(name):
            state.failing, state.tried = state.failing or now, now
            lines.append(f"channel {name} is tried again: {problem}")
        elif name not in ready:
            lines.append(f"channel {name} is tried again in {state.next_try - now:.0f} s")
        else:
            state.told = [event.key for event in _of_channel(channel, state, events)]
            state.since, state.failing = max(state.since, now - _OVERLAP), None
            state.summary = now if due > state.summary else state.summary
            lines += [f"{name}: {messages[name].title}"] if name in messages else []
    return lines


def _of_channel(channel: Channel, state: ChannelCursor, events: Sequence[Event]) -> list[Event]:
    return [x for x in events if x.when > state.since and channel.takes(x.kind, x.sweep)]


def _message(
    channel: Channel, state: ChannelCursor, lab: Lab, events: Sequence[Event], due: float
) -> Message | None:
    """All that is new to a channel in one message; ``None`` where nothing is."""
    new = [event for event in _of_channel(channel, state, events) if event.key not in state.told]
    parts = [event.message() for event in new[:_MOST_AT_ONCE]]
    if due > state.summary and "summary" in channel.on:
        summary = lab.summary(state.summary, lambda sweep: channel.takes("summary", sweep))
        parts += [summary] if summary else []
    if not parts:
        return None
    more = [f"and {len(new) - _MOST_AT_ONCE} more"] * (len(new) > _MOST_AT_ONCE)
    if len(parts) == 1:
        return Message(f"gr00t-assets: {parts[0].title}", parts[0].lines)
    lines = [line for part in parts for line in (part.title, *part.lines, "")]
    return Message(f"gr00t-assets: {parts[0].title}, and {len(parts) - 1} more", [*lines, *more])


@running_sensor(
    description=(
        "Tells the channels of data/notifications.yaml of failed and stalled trainings and of "
        "finished sweeps, each once, and sends a summary in the morning."
    )
)
def notifications(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """One tick; see ``tell``."""
    cursor = NotificationsCursor.model_validate_json(context.cursor or "{}")
    try:
        settings = load_notifications()
        if settings is None:
            lines = ["nobody is told: there is no data/notifications.yaml"]
        else:
            sweeps = read_project().sweeps
            lines = settings.unknown_sweeps(sweeps)
            lines += tell(
                settings, Lab(sweeps, store, context.instance, settings.page), cursor, time.time()
            )
    except Gr00tAssetsError as error:
        lines = [error.explain()]
    text = "\n".join(lines) or "nothing is new"
    if lines:
        context.log.info(text)
    return dg.SensorResult(skip_reason=dg.SkipReason(text), cursor=cursor.model_dump_json())
