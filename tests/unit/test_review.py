"""The review is a function of its figures: nothing comes from elsewhere, nothing breaks it, each figure has its SQL."""

import re
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbeacon import charts
from gridbeacon.lessons import counterfactuals, lessons
from gridbeacon.reasons import Level
from gridbeacon.review import Figures, page
from sinks.review import INCIDENT, QUESTIONS

HOUR = 3_600_000
NOTHING = {name: [] for name in QUESTIONS}
SQL = {name: f"SELECT '{name}'" for name in QUESTIONS | INCIDENT}
HOSTILE = "<script>alert(1)</script>\"'&"


def alert(number: int, level: Level = Level.ORANGE, **more) -> dict:
    row = {"alert_id": f"a-{number}", "opened_ms": number * HOUR, "cleared_ms": number * HOUR + HOUR, "rule": "safety"}
    row |= {"cell": "310101001001001", "place": "Square", "level": int(level), "raised_after_minutes": 10.0}
    row |= {"acknowledged_after_minutes": 1.0, "dispatched_after_minutes": None, "resolved_after_minutes": None}
    return row | {"notices": 2, "escalations": 0, "disposition": "", "headline": "Square: 4.2 people/m²"} | more


def evidence(number: int, value: float, layer: str = "learned", series: str = "crowd/CAM-1/people_count") -> dict:
    return {"alert_id": f"a-{number}", "series": series, "layer": layer, "reason": "short_departure", "value": value}


def shown(answers: dict, alert_id: str | None = None) -> str:
    return page(Figures(NOTHING | answers, SQL), 0, 240 * HOUR, "Asia/Shanghai", alert_id)


def test_a_time_without_anything_is_a_page_that_says_so_and_never_all_clear() -> None:
    text = shown({})
    assert text.count("Nothing in this time.") >= 7
    assert "nothing here means all clear" in text
    assert "The figures suggest nothing." in text


def test_every_figure_has_its_sql() -> None:
    incident = {name: [] for name in INCIDENT}
    text = shown(incident, "a-1")
    assert set(re.findall(r"<summary>SQL: (\w+)</summary>", text)) == set(QUESTIONS) | set(INCIDENT)


def test_it_is_self_contained_and_hostile_words_stay_words() -> None:
    answers = {
        "alerts": [alert(1, headline=HOSTILE, place=HOSTILE, disposition="NOT_ANOMALY")],
        "evidence": [evidence(1, 5.0, series=HOSTILE)],
        "refused": [{"reason": HOSTILE, "topic": HOSTILE, "records": 9, "example": HOSTILE}],
        "story": [
            {
                "at_ms": HOUR,
                "event": "opened",
                "level": "red",
                "reason": HOSTILE,
                "actor": HOSTILE,
                "handling_to": "new",
            }
            | {"note": HOSTILE, "held": ""}
        ],
        "reports": [
            {"at_ms": HOUR, "service_code": HOSTILE, "description": HOSTILE, "verification": "x", "reporter_role": "y"}
        ],
        "series": [{"at_ms": HOUR, "value": 1.0, "expected": None, "lower": None, "upper": None}],
        "told": [],
    }
    text = shown(answers, HOSTILE)
    assert "<script" not in text
    assert not re.search(r"(?:src|href)=|@import|url\(|https?://(?!www\.w3\.org)", text)


@pytest.mark.parametrize("count", [1, 10_000])
def test_a_worst_night_is_still_one_page(count: int) -> None:
    alerts = [alert(n % 200, Level(1 + n % 4), alert_id=f"a-{n}", place=f"Place {n % 500}") for n in range(count)]
    text = shown({"alerts": alerts, "observations": [{"kind": "crowd", "observations": 5, "sources": 1}]})
    assert len(text) < 400_000
    assert f"{count} alerts" in text
    assert ("less grave ones are left out" in text) == (count > 200)


def test_what_a_bar_above_a_false_alarm_would_have_done_is_counted() -> None:
    answers = {
        "alerts": [
            alert(1, disposition="NOT_ANOMALY"),
            alert(2, disposition="ANOMALY"),
            alert(3, disposition="ANOMALY"),
            alert(4),
            alert(5, disposition="ANOMALY"),
        ],
        "evidence": [
            evidence(1, 5.0),
            evidence(2, 4.0),
            evidence(3, 9.0),
            evidence(4, 3.0),
            evidence(5, 2.0, series="crowd/CAM-9/density_max_per_m2"),
        ],
    }
    (one,) = counterfactuals(NOTHING | answers)
    assert (one["alert"], one["spared"], one["lost"], one["unknown"]) == ("a-1", 3, 1, 1)
    assert "learned: may be raised by a step" in shown(answers)
    limit = {**answers, "evidence": [evidence(1, 5.0, layer="limit")]}
    assert "a safety limit: never moved by feedback" in shown(limit)


def test_what_to_change_stands_on_numbers_and_says_nothing_of_a_good_week() -> None:
    good = {"alerts": [alert(n, acknowledged_after_minutes=1.0, disposition="ANOMALY") for n in range(5)]}
    assert list(lessons(NOTHING | good)) == []
    bad = {
        "alerts": [
            alert(1, Level.RED, acknowledged_after_minutes=None, raised_after_minutes=0.0, disposition="NOT_ANOMALY"),
            alert(2, Level.RED, acknowledged_after_minutes=9.0, disposition="NOT_ANOMALY"),
        ],
        "evidence": [evidence(1, 5.0), evidence(2, 5.0)],
        "deliveries": [{"endpoint": "hook", "notices": 4, "delivered": 3, "failed_attempts": 9, "p99_ms": 9.0}],
        "forecasts": [
            {"lead_minutes": 60, "model": "m", "forecasts": 500, "wrong_by": 3.0, "standing_still_by": 2.0}
            | {"inside_80": 0.5, "inside_95": 0.7}
        ],
        "outages": [
            {
                "source": "CAM-1",
                "kind": "crowd",
                "cell": "c",
                "silent_minutes": 300,
                "longest_minutes": 200,
                "since_ms": 0,
            }
        ],
        "refused": [{"reason": "not_json", "topic": "crowd.metrics", "records": 7, "example": "x"}],
    }
    found = list(lessons(NOTHING | bad))
    for words in (
        "2 of 2 red alerts were not taken within 2 minutes, 1 of them never",
        "1 of 2 alerts that reached orange were told less than 5 minutes",
        "2 of 2 judged alerts of crowd/CAM-1/people_count were called false",
        "1 of 4 notices did not reach hook",
        "held 50% in the band that should hold 80 %",
        "worse than saying that nothing changes (3 against 2)",
        "CAM-1 for 300 minutes in all",
        "7 records of crowd.metrics were refused (not_json)",
    ):
        assert any(words in one for one in found), words
    assert len(found) == 8


@given(
    st.lists(st.tuples(st.integers(0, 10), st.floats(0, 1e6)), max_size=30),
    st.integers(0, 5),
    st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_a_picture_of_anything_is_well_formed(points, begin, end) -> None:
    """Whatever the points and the span, the SVG holds finite numbers alone and closes what it opens."""
    line = charts.Line("a & b", "#123456", [(at, value) for at, value in points])
    text = charts.lines(
        [line], [(at, v / 2, v) for at, v in points], [(3, "#654321", "<")], (begin, end), ZoneInfo("UTC")
    )
    root = ET.fromstring(text)
    assert root.tag == "svg"
    assert "nan" not in text
    assert "inf" not in text
    bar = charts.Bar("r", begin, end, "#e0b400", "▲", "t & u")
    assert ET.fromstring(charts.time_line([bar], begin, end, ZoneInfo("UTC"))).tag == "svg"
    pieces = [("n & m", [(value, "#123456", "<w>") for _, value in points])]
    assert ET.fromstring(charts.bars(pieces, "min")).tag == "svg"
