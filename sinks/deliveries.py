"""Deliveries as values: an attempt to make, how it ended, and what is kept of an alert until all have its notices.

``outbox.Outbox`` decides with them, ``webhook.WebhookSender`` makes the attempts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from gridbeacon.config_notify import Notify, Webhook
from gridbeacon.model import Delivery, Notice
from gridbeacon.notices import ESCALATED, REPEATED
from gridbeacon.reasons import DeliveryOutcome, Level, Mode
from sinks.bodies.message import Sent

# Client errors that say "not now" instead of "never": time-out, too early, too many requests.
RETRIED_STATUS = frozenset({408, 425, 429})
# Up to a fifth later than planned, so that the notices that one outage held up don't come back in step.
JITTER_SHARE = 0.2
# A warning refers to the earlier ones of its alert; a long case must not make every message longer.
EARLIER_MAX = 20


class Attempt(NamedTuple):
    """One request to make now: send ``notice`` to the endpoint of this name; ``number`` counts from 1; ``earlier``
    are the notices of the same alert before it."""

    endpoint: str
    notice: Notice
    number: int
    earlier: tuple[Sent, ...] = ()


class Result(NamedTuple):
    """How a request ended: the HTTP status (0: no answer), what to tell the reader of ``deliveries``, how long the
    receiver asked us to wait (None: it did not), when it was made and how long it took. ``outcome`` where the status
    alone does not tell what it means."""

    status: int
    detail: str
    retry_after_secs: float | None
    attempted_ms: int
    duration_ms: float
    outcome: DeliveryOutcome | None = None

    @property
    def meaning(self) -> DeliveryOutcome:
        """What it means for the notice."""
        return outcome_of(self.status) if self.outcome is None else self.outcome


class Pending(msgspec.Struct, frozen=True):
    """A notice that at least one endpoint still has to get; ``queued_ms`` is when this role took it, ``earlier`` what
    it refers to."""

    notice: Notice
    queued_ms: int
    earlier: tuple[Sent, ...] = ()


class Line(msgspec.Struct):
    """What one endpoint still has to get of one alert: sequences in order; ``attempts`` made for the first of them,
    the next one at ``due_ms``, and by the receiver's own word (``Retry-After``) never before ``not_before_ms``;
    ``step`` is the place in the retry plan, which starts anew when a further notice joins; all sequences from
    ``oldest`` to ``newest`` have joined.

    A line without sequences says that the endpoint was told of the alert.
    """

    sequences: list[int] = msgspec.field(default_factory=list)
    attempts: int = 0
    step: int = 0
    due_ms: int = 0
    not_before_ms: int = 0
    oldest: int = 0
    newest: int = 0


class AlertDeliveries(msgspec.Struct):
    """All deliveries of one alert: notices by sequence, lines by endpoint, the latest notices, when it was over
    (event time; None while it is not), whether nothing more can come of it, its mode, and the highest level
    of its notices."""

    pending: dict[int, Pending] = msgspec.field(default_factory=dict)
    lines: dict[str, Line] = msgspec.field(default_factory=dict)
    notices: list[Sent] = msgspec.field(default_factory=list)
    over_ms: int | None = None
    done: bool = False
    mode: Mode = Mode.LIVE
    highest: Level = Level.NONE


class Disabled(msgspec.Struct, frozen=True):
    """An endpoint that answered 410 Gone at the address of this digest; another name or address revives it."""

    address: str = ""
    since_ms: int = 0


def outcome_of(status: int) -> DeliveryOutcome:
    """Return what an HTTP status (0: no answer at all) means for the notice.

    >>> [str(outcome_of(status)) for status in (204, 0, 503, 429, 302, 400, 410)]
    ['delivered', 'retry', 'retry', 'retry', 'permanent', 'permanent', 'disabled']
    """
    if 200 <= status < 300:
        return DeliveryOutcome.DELIVERED
    if status == 410:
        return DeliveryOutcome.DISABLED
    if status < 200 or status >= 500 or status in RETRIED_STATUS:
        return DeliveryOutcome.RETRY
    return DeliveryOutcome.PERMANENT


def earlier_of(notices: Iterable[Sent]) -> tuple[Sent, ...]:
    """Return those of an alert's earlier notices, in order, that a new one refers to: the latest ``EARLIER_MAX``."""
    return tuple(notices)[-EARLIER_MAX:]


def wait_ms(attempt: Attempt, plan_secs: Sequence[float], step: int, asked_secs: float) -> int:
    """Return how long to wait after a failed attempt: the plan's ``step`` (the last one repeats) or what the receiver
    asked for, whichever is longer, and up to ``JITTER_SHARE`` more, a function of the attempt."""
    secs = max(plan_secs[min(step, len(plan_secs) - 1)], asked_secs)
    seed = sha256(f"{attempt.notice.notice_id}|{attempt.endpoint}|{attempt.number}".encode()).digest()
    return int(secs * 1000 * (1 + JITTER_SHARE * seed[0] / 255))


def address_of(endpoint: Webhook) -> str:
    """Return a digest of where an endpoint is: its URL may hold a token, which no topic is to keep."""
    return sha256(endpoint.url.encode()).hexdigest()[:16]


def leading_to(name: str, config: Notify) -> Iterator[str]:
    """Yield the names of the webhooks whose chain of fallbacks comes to ``name``."""
    for webhook in config.webhooks:
        if webhook.fallback == name:
            yield webhook.name
            yield from leading_to(webhook.name, config)


class _Why(msgspec.Struct):
    reason: str = ""


class _Body(msgspec.Struct):
    data: _Why = msgspec.field(default_factory=_Why)


_body = msgspec.json.Decoder(_Body)


def reason_of(notice: Notice) -> str:
    """Return why a notice is sent, as its body says it; empty when it does not."""
    try:
        return _body.decode(notice.body).data.reason
    except msgspec.MsgspecError:
        return ""


def row(attempt: Attempt, result: Result, outcome: DeliveryOutcome, profile: str) -> Delivery:
    """Return the row of ``deliveries`` for an attempt; number 0 is one that was not made."""
    return Delivery(
        notice_id=attempt.notice.notice_id,
        alert_id=attempt.notice.alert_id,
        sequence=attempt.notice.sequence,
        type=attempt.notice.type,
        reason=reason_of(attempt.notice),
        endpoint=attempt.endpoint,
        profile=profile,
        attempt=attempt.number,
        attempted_ms=result.attempted_ms,
        duration_ms=result.duration_ms,
        status=result.status,
        outcome=outcome,
        detail=result.detail,
    )


def not_sent(notice: Notice, endpoint: str, profile: str, now_ms: int) -> Delivery:
    """Return the row of a notice that a disabled endpoint does not get."""
    nothing = Result(0, "not sent: the endpoint answered 410 Gone and is disabled", None, now_ms, 0.0)
    return row(Attempt(endpoint, notice, 0), nothing, DeliveryOutcome.DISABLED, profile)


def stand_down(
    held: AlertDeliveries, under_way: Mapping[str, set[str]], profile: Callable[[str], str], now_ms: int
) -> list[Delivery]:
    """Take out the calls of an alert that somebody has taken, but for those that are being sent; return their rows."""
    rows: list[Delivery] = []
    for name, line in held.lines.items():
        first = line.sequences[:1]
        if first and held.pending[first[0]].notice.alert_id not in under_way.get(name, ()):
            first = []
        calls = [s for s in line.sequences[len(first) :] if held.pending[s].notice.type in (ESCALATED, REPEATED)]
        if not calls:
            continue
        if calls[0] == line.sequences[0]:
            line.attempts = 0
        line.sequences = [s for s in line.sequences if s not in calls]
        why = Result(0, "somebody has taken the alert", None, now_ms, 0.0)
        attempts = [Attempt(name, held.pending[s].notice, 0) for s in calls]
        rows += [row(attempt, why, DeliveryOutcome.SUPERSEDED, profile(name)) for attempt in attempts]
    return rows


def enabled_row(endpoint: str, profile: str, now_ms: int, why: str) -> Delivery:
    """Return the row, of no notice, that says that an endpoint which was disabled gets notices again."""
    return Delivery(
        notice_id="",
        alert_id="",
        sequence=0,
        endpoint=endpoint,
        attempt=0,
        attempted_ms=now_ms,
        duration_ms=0.0,
        status=0,
        outcome=DeliveryOutcome.ENABLED,
        detail=why,
        profile=profile,
    )
