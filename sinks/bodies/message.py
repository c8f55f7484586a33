"""What a notice says, as values: its own body read back, the one source of every other profile.

A repeat is made from the same notice and so has the same bytes, after a restart too: nothing but the notice is kept.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from gridbeacon.config_notify import Webhook
from gridbeacon.model import Notice
from gridbeacon.reasons import Level

OPENED = "alert.opened"
CLEARED = "alert.cleared"
#: Whoever is on the way home is not called again: these end an incident in the systems that count incidents.
OVER = frozenset({CLEARED, "alert.resolved", "alert.closed"})


class Sent(msgspec.Struct, frozen=True):
    """An earlier notice of the same alert that somebody was sent: its id and when it was decided (event time)."""

    notice_id: str
    at_ms: int


class Finding(msgspec.Struct, frozen=True):
    """One finding behind the alert, as the standard body says it."""

    series: str = ""
    layer: str = ""
    reason: str = ""
    level: str = "none"
    value: float | None = None
    expected: float | None = None
    threshold: float | None = None
    since: str = ""
    text: str = ""


class Cap(msgspec.Struct, frozen=True, rename="camel"):
    """The words of CAP 1.2."""

    status: str = "Actual"
    msg_type: str = "Update"
    scope: str = "Restricted"
    category: tuple[str, ...] = ("Safety",)
    response_type: tuple[str, ...] = ()
    urgency: str = "Unknown"
    severity: str = "Unknown"
    certainty: str = "Unknown"


class Member(msgspec.Struct, frozen=True):
    """Another alert that the same notice tells of."""

    alert_id: str = ""
    level: str = "none"
    cell: str = ""
    headline: str = ""


class Data(msgspec.Struct, frozen=True):
    """``data`` of the standard body. What a notice does not say has the default: new fields may come, none goes."""

    alert_id: str = ""
    sequence: int = 1
    event: str = ""
    reason: str = ""
    level: str = "none"
    previous_level: str = "none"
    highest_level: str = "none"
    headline: str = ""
    kind: str = ""
    trend: str = ""
    cell: str = ""
    centre: str = ""
    cells: tuple[str, ...] = ()
    area: str = ""
    rule: str = ""
    mode: str = "live"
    condition_state: str = "active"
    handling_state: str = "new"
    actor: str = ""
    note: str = ""
    group_count: int = 0
    group: tuple[Member, ...] = ()
    opened_at: str = ""
    cleared_at: str | None = None
    cap: Cap = Cap()
    evidence_count: int = 0
    evidence: tuple[Finding, ...] = ()


class _Body(msgspec.Struct, frozen=True):
    timestamp: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A notice with its body read: ``raw_data`` is the JSON of ``data`` as it stands there, to the byte."""

    notice_id: str
    type: str
    timestamp: str
    at_ms: int
    data: Data
    raw_data: bytes
    body: bytes
    earlier: tuple[Sent, ...] = ()

    @property
    def place(self) -> str:
        """The cell where it is worst."""
        return self.data.centre or self.data.cell

    @property
    def level(self) -> Level:
        """The level that the notice is about: that before it when nothing stands any more."""
        data = self.data
        return Level[(data.level if data.level != "none" else data.previous_level).upper()]


class Setting(msgspec.Struct, frozen=True):
    """What a body needs to know of the house: its name in machines' messages, and the city's civil time zone."""

    sender: str = "gridbeacon"
    timezone: str = "UTC"


_body = msgspec.json.Decoder(_Body)
_data = msgspec.json.Decoder(Data)


def message_of(notice: Notice, earlier: Sequence[Sent] = ()) -> Message:
    """Return what a notice says. Raises ``msgspec.MsgspecError`` when its body is not one of ours."""
    body = _body.decode(notice.body)
    return Message(
        notice_id=notice.notice_id,
        type=notice.type,
        timestamp=body.timestamp,
        at_ms=notice.at_ms,
        data=_data.decode(body.data),
        raw_data=bytes(body.data),
        body=notice.body.encode(),
        earlier=tuple(earlier),
    )


def utc(time_ms: int) -> str:
    """Return an instant in whole seconds as CAP writes it.

    >>> utc(1_672_484_640_000)
    '2022-12-31T11:04:00-00:00'
    """
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S-00:00")


def standard(message: Message, hook: Webhook, setting: Setting) -> bytes:  # noqa: ARG001 - as every profile
    """Return the notice's own JSON."""
    return message.body
