"""A notice of nothing: what ``gridbeacon webhook test`` sends, made as the real ones are, in mode test."""

from hashlib import sha256

from gridbeacon.model import Alert, AlertEvent, Evidence, Notice, Position
from gridbeacon.notices import OPENED, notice_id_of, standard_body
from gridbeacon.reasons import Certainty, ConditionState, HandlingState, Level, Mode, Reason

HEADLINE = "Test of Gridbeacon's notices: nothing has happened, nobody has to go"
CELL = "000000000000000"


def sample_notice(now_ms: int, level: Level = Level.BLUE) -> Notice:
    """Return an ``alert.opened`` of a test, another one at every instant; CAP status Test."""
    alert_id = f"test-{sha256(str(now_ms).encode()).hexdigest()[:16]}"
    finding = Evidence(
        series="crowd/TEST/density_max_per_m2",
        layer="limit",
        reason=Reason.DENSITY,
        level=level,
        since_ms=now_ms,
        lineage=Position("test", 0, 0),
        text=HEADLINE,
    )
    alert = Alert(
        alert_id=alert_id,
        fingerprint=alert_id[5:],
        rule="test",
        cell=CELL,
        area="test",
        version=1,
        level=level,
        highest_level=level,
        condition_state=ConditionState.ACTIVE,
        handling_state=HandlingState.NEW,
        certainty=Certainty.POSSIBLE,
        mode=Mode.TEST,
        opened_ms=now_ms,
        changed_ms=now_ms,
        cleared_ms=None,
        headline=HEADLINE,
        evidence=(finding,),
    )
    event = AlertEvent(
        alert_id=alert_id,
        version=1,
        event="opened",
        reason=Reason.DENSITY,
        at_ms=now_ms,
        actor="gridbeacon",
        level_from=Level.NONE,
        level_to=level,
        condition_from=None,
        condition_to=ConditionState.ACTIVE,
        handling_from=None,
        handling_to=HandlingState.NEW,
    )
    return Notice(
        notice_id=notice_id_of(alert_id, 1),
        alert_id=alert_id,
        sequence=1,
        type=OPENED,
        level=level,
        at_ms=now_ms,
        body=standard_body(alert, event, 1),
    )
