"""What situate makes of what is foreseen: a forecast alone, one that is taken back, one that comes true."""

import msgspec
import pytest

from gridbeacon.assessor import Assessor
from gridbeacon.config import Config, Situate
from gridbeacon.model import Foreseen, Position, Signal, SignalBatch, Tick, Transition
from gridbeacon.reasons import Certainty, Level, Reason, SituationKind, Tier
from gridbeacon.vocabulary import Kind

NOW_MS = 1_700_000_000_000
MINUTE_MS = 60_000
SERIES = "crowd/CAM-1/density_max_per_m2"
CONFIG = Config(situate=Situate(min_notice_level="blue", clear_after_secs=60.0))
FORECASTS = CONFIG.topics.observations_partitions


class Desk:
    """One partition of situate, told what detect and forecast say, minute by minute."""

    def __init__(self) -> None:
        self.assessor = Assessor(CONFIG, 0)
        self._last = {0: -1, FORECASTS: -1}
        self._offset = 0
        self.told: list[Transition] = []

    def say(self, minute: int, *signals: Signal, producer: int = FORECASTS) -> "Desk":
        previous, self._last[producer] = self._last[producer], self._last[producer] + 1
        batch = SignalBatch(
            partition=producer,
            offset=previous + 1,
            previous=previous,
            signals=signals,
            tick=Tick(f"p/{producer}", NOW_MS + minute * MINUTE_MS),
        )
        self.told += self.assessor.assess(batch, self._offset)
        self._offset += 1
        return self

    def events(self) -> list[tuple[str, str]]:
        return [(one.event.event, one.event.level_to.word) for one in self.told]


def foreseen(tier: Tier, level: Level, minute: int = 0, in_minutes: int = 90, cell: str = "310101001002003") -> Signal:
    at_ms = NOW_MS + minute * MINUTE_MS
    seen = Foreseen(
        tier=tier,
        expected_ms=at_ms + in_minutes * MINUTE_MS,
        from_ms=at_ms + 60 * MINUTE_MS,
        until_ms=at_ms + 120 * MINUTE_MS,
        probability=0.7,
    )
    reason = Reason.FORECAST_WARNING if tier is Tier.WARNING else Reason.FORECAST_WATCH
    return Signal(
        cell=cell,
        layer="forecast",
        series=SERIES,
        reason=reason,
        level=level,
        time_ms=at_ms,
        lineage=Position("scores", 0, minute),
        kind=Kind.CROWD,
        threshold=4.0,
        text=f"{SERIES}: will pass 4 people/m² at about 23:43 (80 %: 23:13-00:13)",
        foreseen=seen,
    )


def over(reason: Reason, minute: int) -> Signal:
    gone = foreseen(Tier.WARNING, Level.NONE, minute)
    return msgspec.structs.replace(gone, reason=reason, text="", foreseen=None)


def limit(level: Level, minute: int) -> Signal:
    return Signal(
        cell="310101001002003",
        layer="limit",
        series=SERIES,
        reason=Reason.DENSITY,
        level=level,
        time_ms=NOW_MS + minute * MINUTE_MS,
        lineage=Position("crowd.metrics", 0, minute),
        kind=Kind.CROWD,
        value=4.2,
        threshold=4.0,
        text=f"{SERIES}: 4.20 people/m², limit 4",
    )


@pytest.mark.parametrize(
    ("tier", "level", "certainty"),
    [(Tier.WATCH, Level.BLUE, Certainty.POSSIBLE), (Tier.WARNING, Level.YELLOW, Certainty.LIKELY)],
)
def test_a_forecast_alone_opens_an_alert_that_says_when(tier: Tier, level: Level, certainty: Certainty) -> None:
    (opened,) = Desk().say(0, foreseen(tier, level)).told
    alert = opened.alert
    assert alert is not None
    assert (alert.level, alert.certainty, alert.kind) == (level, certainty, SituationKind.FORECAST)
    assert "will pass 4 people/m² at about 23:43" in alert.headline
    assert opened.notice is not None
    body = msgspec.json.decode(opened.notice.body)["data"]
    assert body["cap"]["urgency"] == "Future"
    (evidence,) = body["evidence"]
    assert evidence["foreseen"] == {
        "tier": tier.word,
        "expected_at": "2023-11-14T23:43:20Z",
        "from": "2023-11-14T23:13:20Z",
        "until": "2023-11-15T00:13:20Z",
        "probability": 0.7,
    }


def test_what_is_due_within_the_hour_is_expected() -> None:
    (opened,) = Desk().say(0, foreseen(Tier.WARNING, Level.YELLOW, in_minutes=45)).told
    assert opened.notice is not None
    assert msgspec.json.decode(opened.notice.body)["data"]["cap"]["urgency"] == "Expected"


def test_a_crossing_that_is_withdrawn_ends_the_finding_and_the_alert_clears() -> None:
    desk = Desk().say(0, foreseen(Tier.WARNING, Level.YELLOW)).say(30, over(Reason.FORECAST_FADED, 30)).say(40)
    assert desk.events() == [("opened", "yellow"), ("cleared", "none")]


def test_a_watch_that_becomes_a_warning_is_one_finding() -> None:
    desk = Desk().say(0, foreseen(Tier.WATCH, Level.BLUE)).say(15, foreseen(Tier.WARNING, Level.YELLOW, 15))
    assert desk.events() == [("opened", "blue"), ("level_raised", "yellow")]
    alert = desk.told[-1].alert
    assert alert is not None
    assert len(alert.evidence) == 1
    assert alert.evidence[0].since_ms == NOW_MS


def test_a_crossing_that_comes_true_is_one_alert_observed_and_the_forecast_stood_before_it() -> None:
    desk = Desk().say(0, foreseen(Tier.WARNING, Level.YELLOW))
    desk.say(80, limit(Level.ORANGE, 80), producer=0).say(81, over(Reason.FORECAST_CAME_TRUE, 80))
    assert desk.events()[:2] == [("opened", "yellow"), ("level_raised", "orange")]
    raised = desk.told[1].alert
    assert raised is not None
    assert raised.certainty is Certainty.OBSERVED
    assert {one.layer for one in raised.evidence} == {"limit", "forecast"}
    assert "cleared" not in [event for event, _ in desk.say(90).events()]


def test_forecasts_of_two_places_do_not_raise_each_other() -> None:
    """A watch is blue however many there are: what two forecasts expect is still not there."""
    desk = Desk().say(0, foreseen(Tier.WATCH, Level.BLUE))
    other = msgspec.structs.replace(
        foreseen(Tier.WATCH, Level.BLUE), series="crowd/CAM-2/density_max_per_m2", lineage=Position("scores", 0, 9)
    )
    assert max(level for _, level in desk.say(1, other).events()) == "blue"
