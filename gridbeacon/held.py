"""One alert of the book: the record, what was told of it and to whom, and when something happens to it by itself."""

from typing import NamedTuple

import msgspec

from gridbeacon.config import Situate
from gridbeacon.config_routing import Routing
from gridbeacon.lifecycle import DONE, C, Event, H, event_of
from gridbeacon.model import Alert, AlertEvent, Notice, Silence
from gridbeacon.notices import NEWS, Telling
from gridbeacon.reasons import Level, Reason
from gridbeacon.routes import Router


class Step(NamedTuple):
    """One thing that happened: the alert afterwards (None when it is about no alert that is known), the event, the
    notice that dispatchers get, and the silence that began or ended. ``fresh`` is False for an answer that is given
    again."""

    alert: Alert | None
    event: AlertEvent
    notice: Notice | None = None
    silence: Silence | None = None
    fresh: bool = True


class Held(msgspec.Struct, omit_defaults=True):
    """An alert that is kept.

    ``key`` is its situation; ``notices`` of its own went out; ``told`` are the webhooks that have heard of it, at
    ``told_ms`` for the last time, ``told_level`` the highest level that was said. It clears at ``clear_at_ms`` unless
    something comes back. While nobody acknowledges, the next of ``escalation`` is called at ``call_at_ms``; ``calls``
    were made. ``is_muted`` by a silence (until ``release_at_ms``) or by a graver alert, it is told when that is over.
    ``closed_level`` is the level at which people closed it, ``answers`` what was answered to their actions, by id.
    """

    key: str
    alert: Alert
    notices: int = 0
    told: tuple[str, ...] = ()
    told_level: Level = Level.NONE
    told_ms: int = 0
    again_count: int = 0
    clear_at_ms: int | None = None
    escalation: str = ""
    calls: int = 0
    call_at_ms: int | None = None
    is_muted: bool = False
    release_at_ms: int | None = None
    closed_level: Level = Level.NONE
    answers: dict[str, AlertEvent] = msgspec.field(default_factory=dict)

    def next_ms(self, settings: Situate) -> int | None:
        """Return when something happens to it without a further message, or None."""
        if self.alert.condition_state is C.CLEARED:
            return self.kept_until_ms(settings)
        times = (self.clear_at_ms, self.call_at_ms, self.release_at_ms)
        return min((time for time in times if time is not None), default=None)

    def kept_until_ms(self, settings: Situate) -> int:
        """Return until when an alert whose condition is over is left to people."""
        secs = settings.review_within_secs if self.alert.handling_state in DONE else settings.close_after_secs
        return self.alert.changed_ms + int(secs * 1000)

    def again(self, event: Event, reason: Reason, at_ms: int, note: str = "") -> AlertEvent:
        """Return the event of telling of it again, or late: a row of its own, though it changes nothing."""
        self.again_count += 1
        name = f"{event}-{self.again_count}"
        return msgspec.structs.replace(
            event_of(self.alert, self.alert, event, reason, at_ms), action_id=name, note=note
        )

    def hear(self, telling: Telling, routing: Routing) -> None:
        """Note who has heard what, and until when somebody must have acknowledged."""
        at_ms, level = telling.event.at_ms, self.alert.level
        self.told = tuple(dict.fromkeys((*self.told, *(telling.endpoints or ()))))
        self.told_level = max(self.told_level, level)
        self.told_ms = at_ms
        if telling.event.event not in NEWS or not telling.escalation or self.alert.handling_state is not H.NEW:
            return
        self.escalation = telling.escalation
        due_ms = at_ms + acknowledge_ms(routing, level)
        self.call_at_ms = due_ms if self.call_at_ms is None else min(due_ms, self.call_at_ms)


def telling_of(held: Held, event: AlertEvent) -> Telling:
    """Return an event of an alert with what was told of it before."""
    return Telling(
        alert=held.alert,
        event=event,
        notices=held.notices,
        told=held.told,
        told_level=held.told_level,
        told_ms=held.told_ms,
    )


def acknowledge_ms(routing: Routing, level: Level) -> int:
    """Return how long people have to acknowledge an alert of a level."""
    return int(getattr(routing.acknowledge_within_secs, (level or Level.BLUE).word) * 1000)


def call(held: Held, router: Router, routing: Routing, at_ms: int) -> Telling | None:
    """Return the call of the next of an alert's escalation, or of its last one again; None when there is none.

    Also says when the one after that is due.
    """
    steps, number = router.steps(held.escalation), held.calls
    held.call_at_ms = None
    if not steps:  # it is no longer configured
        return None
    waits_ms = acknowledge_ms(routing, held.alert.level) if number + 1 < steps else int(routing.repeat_secs * 1000)
    held.call_at_ms = at_ms + waits_ms
    held.calls += 1
    return called(held, router, at_ms)


def called(held: Held, router: Router, at_ms: int) -> Telling | None:
    """Return the call that an alert's escalation has come to, None when the escalation is no longer configured."""
    steps = router.steps(held.escalation)
    if not steps or not held.calls:
        return None
    what = Event.ESCALATED if held.calls <= steps else Event.REPEATED
    address = router.called(held.escalation, min(held.calls, steps) - 1, held.alert, at_ms)
    event = held.again(what, Reason.NOT_ACKNOWLEDGED, at_ms, f"call {held.calls}, to {', '.join(address.receivers)}")
    return msgspec.structs.replace(telling_of(held, event), endpoints=address.webhooks, receivers=address.receivers)
