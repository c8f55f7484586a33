"""Made notices of one alert's life, with the bodies that the engine gives them."""

from gridbeacon.model import Alert, AlertEvent, Evidence, Notice, Position
from gridbeacon.notices import notice_id_of, standard_body
from gridbeacon.reasons import Certainty, ConditionState, HandlingState, Level, Mode, Reason
from sinks.bodies.message import Message, Sent, message_of
from sinks.deliveries import earlier_of

T0 = 1_672_484_400_000  # 2022-12-31T11:00:00Z
A, U, C = ConditionState.ACTIVE, ConditionState.UNKNOWN, ConditionState.CLEARED
#: (event, type of its notice, level, condition)
LIFE = (
    ("opened", "alert.opened", Level.YELLOW, A),
    ("level_raised", "alert.level_raised", Level.ORANGE, A),
    ("data_lost", "alert.unknown", Level.ORANGE, U),
    ("data_back", "alert.active", Level.ORANGE, A),
    ("level_raised", "alert.level_raised", Level.RED, A),
    ("cleared", "alert.cleared", Level.NONE, C),
)


def notices(
    headline: str = "CAM-0012: 4.2 people/m², limit 4",
    text: str = "CAM-0012: 4.2 people/m², limit 4",
    *,
    mode: Mode = Mode.LIVE,
    findings: int = 1,
) -> list[Notice]:
    """Return the notices of ``LIFE``, two minutes apart."""
    made: list[Notice] = []
    before, highest = Level.NONE, Level.NONE
    for number, (event, kind, level, condition) in enumerate(LIFE, start=1):
        at_ms = T0 + 120_000 * (number - 1)
        highest = max(highest, level)
        evidence = tuple(
            Evidence(
                series=f"crowd/CAM-{n + 12:04d}/density_max_per_m2",
                layer="limit",
                reason=Reason.DENSITY,
                level=max(level, Level.BLUE),
                since_ms=at_ms,
                lineage=Position("crowd.metrics", 3, 41_877, n),
                value=4.2,
                threshold=4.0,
                text=text,
            )
            for n in range(findings)
        )
        alert = Alert(
            alert_id="310101-86dbc79844f6ede2",
            fingerprint="86dbc79844f6ede2",
            rule="safety",
            cell="310101001002003",
            area="310101",
            version=number,
            level=level,
            highest_level=highest,
            condition_state=condition,
            handling_state=HandlingState.NEW,
            certainty=Certainty.OBSERVED,
            mode=mode,
            opened_ms=T0,
            changed_ms=at_ms,
            cleared_ms=at_ms if condition is C else None,
            headline=headline,
            evidence=evidence,
        )
        step = AlertEvent(
            alert_id=alert.alert_id,
            version=number,
            event=event,
            reason=Reason.DENSITY,
            at_ms=at_ms,
            actor="gridbeacon",
            level_from=before,
            level_to=level,
            condition_from=A,
            condition_to=condition,
            handling_from=None,
            handling_to=HandlingState.NEW,
        )
        before = level
        made.append(
            Notice(
                notice_id=notice_id_of(alert.alert_id, number),
                alert_id=alert.alert_id,
                sequence=number,
                type=kind,
                level=level,
                at_ms=at_ms,
                body=standard_body(alert, step, number),
            )
        )
    return made


def messages(**settings: object) -> list[Message]:
    """Return the same as messages, each with those before it."""
    sent: list[Sent] = []
    made: list[Message] = []
    for notice in notices(**settings):
        made.append(message_of(notice, earlier_of(sent)))
        sent.append(Sent(notice.notice_id, notice.at_ms))
    return made
