"""Hold back: a transition of an alert -> the notice that dispatchers get, or the reason why they get none.

``STAGES`` is read top to bottom. Each takes a telling and gives it back, or says why it is held.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from gridbeacon.config import Config
from gridbeacon.lifecycle import DONE, Event
from gridbeacon.model import Alert, Notice, Silence
from gridbeacon.notices import NEWS, NOTICE_TYPES, Telling, notice_of
from gridbeacon.reasons import ConditionState, HandlingState, HoldReason, Level
from gridbeacon.roll import DATA_HEALTH
from gridbeacon.routes import Router, common, matches

CALLS = (Event.ESCALATED, Event.REPEATED)
"""What is said because nobody has acknowledged."""
CALL = "call"
"""How the names of groups of these begin."""


class Around(Protocol):
    """What the stages must know beside the telling itself."""

    config: Config
    router: Router

    def silence_over(self, alert: Alert, at_ms: int) -> Silence | None:
        """Return the silence that an alert falls under, None when it falls under none."""

    def others(self) -> Iterable[Alert]:
        """Return the alerts whose condition is not over."""

    def group_ms(self, key: str) -> int | None:
        """Return when the last notice of a group went out, None when none did."""


Stage = Callable[[Telling, Around], Telling | HoldReason]


def hold_back(telling: Telling, around: Around, *, grouping: bool = True) -> Notice | HoldReason:
    """Return the notice of a transition, or the reason why it is held. Without ``grouping`` it does not wait."""
    kept = consider(telling, around, grouping=grouping)
    return kept if isinstance(kept, HoldReason) else notice_of(kept)


def consider(telling: Telling, around: Around, *, grouping: bool = True) -> Telling | HoldReason:
    """Return a telling that passes all stages with who is told, or the reason why it is held."""
    for stage in STAGES:
        if stage is group and not grouping:
            continue
        kept = stage(telling, around)
        if isinstance(kept, HoldReason):
            return kept
        telling = kept
    return telling


def worth(telling: Telling, around: Around) -> Telling | HoldReason:
    """Hold what nobody needs to hear.

    News is told from ``min_notice_level`` on; who was told of an alert is also told when its data stop, come back, or
    it ends. Findings about data are the duty officer's. Of what people do, others hear that an alert was
    acknowledged, was resolved, or was closed before it was over.
    """
    alert, event = telling.alert, telling.event
    if event.refusal is not None:
        return HoldReason.REFUSED
    if event.action and event.event not in NOTICE_TYPES:
        return HoldReason.FOR_THE_RECORD
    if event.event == Event.CLOSED and alert.condition_state is ConditionState.CLEARED:
        return HoldReason.FOR_THE_RECORD
    if alert.rule == DATA_HEALTH:
        return HoldReason.NOT_FOR_DISPATCH
    if event.event not in NOTICE_TYPES:
        return HoldReason.LEVEL_LOWERED
    if alert.handling_state in DONE and event.event in (*NEWS, Event.DATA_LOST, Event.DATA_BACK):
        return HoldReason.CLOSED
    if event.event in NEWS and alert.condition_state is not ConditionState.CLEARED:
        if alert.level < Level[around.config.situate.min_notice_level.upper()]:
            return HoldReason.BELOW_MIN_LEVEL
    elif not telling.is_known:
        return HoldReason.BELOW_MIN_LEVEL
    return telling


def silence(telling: Telling, around: Around) -> Telling | HoldReason:
    """Hold news of alerts, and calls, that people do not want to hear of; never that one was taken or is over."""
    if telling.event.event not in (*NEWS, *CALLS) or telling.alert.condition_state is ConditionState.CLEARED:
        return telling
    found = around.silence_over(telling.alert, telling.event.at_ms)
    return telling if found is None else HoldReason.SILENCED


def inhibit(telling: Telling, around: Around) -> Telling | HoldReason:
    """Hold news of an alert, and calls, while a graver one with the same labels is open."""
    alert, rules = telling.alert, around.config.routing.inhibit
    if telling.event.event not in (*NEWS, *CALLS) or alert.condition_state is ConditionState.CLEARED:
        return telling
    for rule in rules:
        if not matches(rule.hold, alert):
            continue
        ours = common(rule.equal, alert)
        for other in around.others():
            # An alert that would itself be held by this rule does not hold others: two would hold one another.
            if (
                other.alert_id != alert.alert_id
                and matches(rule.when, other)
                and not matches(rule.hold, other)
                and common(rule.equal, other) == ours
            ):
                return HoldReason.INHIBITED
    return telling


def group(telling: Telling, around: Around) -> Telling | HoldReason:
    """Hold what another notice of its group went out shortly before: it becomes part of the next. Red never waits."""
    wait_ms = int(around.config.routing.group_wait_secs * 1000)
    key = group_of(telling, around.config)
    if not wait_ms or key is None:
        return telling
    last_ms = around.group_ms(key)
    return HoldReason.GROUPED if last_ms is not None and telling.event.at_ms < last_ms + wait_ms else telling


def dedup(telling: Telling, around: Around) -> Telling | HoldReason:
    """Hold news of a level that was told not long ago: that it had fallen in between was not told either."""
    if telling.event.event not in NEWS or telling.alert.condition_state is ConditionState.CLEARED:
        return telling
    recent = telling.event.at_ms < telling.told_ms + int(around.config.routing.repeat_secs * 1000)
    known = telling.is_known and telling.alert.level <= telling.told_level
    return HoldReason.ALREADY_TOLD if known and recent else telling


def repeat(telling: Telling, around: Around) -> Telling | HoldReason:  # noqa: ARG001 - a stage like the others
    """Hold calls for an alert that somebody has acknowledged, or that is over."""
    alert = telling.alert
    answered = alert.handling_state is not HandlingState.NEW or alert.condition_state is ConditionState.CLEARED
    return HoldReason.ANSWERED if telling.event.event in CALLS and answered else telling


def address(telling: Telling, around: Around) -> Telling | HoldReason:
    """Say who is told: of news those of the route, and whoever has heard of it; of the rest whoever has heard of it."""
    if telling.endpoints is not None:  # a call says itself whom it is for
        return telling
    if telling.event.event not in NEWS or telling.alert.condition_state is ConditionState.CLEARED:
        return msgspec.structs.replace(telling, endpoints=telling.told)
    found = around.router.address(telling.alert, telling.event.at_ms)
    webhooks = tuple(dict.fromkeys((*telling.told, *found.webhooks)))
    return msgspec.structs.replace(telling, endpoints=webhooks, receivers=found.receivers, escalation=found.escalation)


STAGES: tuple[Stage, ...] = (worth, silence, inhibit, group, dedup, repeat, address)
"""What a transition passes on its way to becoming a notice, in this order."""


def group_of(telling: Telling, config: Config) -> str | None:
    """Return the name of the group that a telling is part of, None when it waits for no other."""
    alert, event = telling.alert, telling.event
    if max(alert.level, event.level_from) is Level.RED:
        return None
    over = alert.condition_state is ConditionState.CLEARED
    what = CALL if event.event in CALLS else "end" if over else "news"
    if event.event not in (*NEWS, *CALLS, Event.CLEARED, Event.MERGED):
        return None
    return "|".join((what, alert.mode, *common(config.routing.group_by, alert)))
