"""What the board knows follows from the log: repeats change nothing, readers get each transition once."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gridbeacon.model import Delivery
from gridbeacon.reasons import HandlingState, Level
from tests.board import T0, Log, situation, tick
from web import view as module
from web.events import id_of, positions
from web.view import View, levels_by_cell

CELL, OTHER = "310101001002003", "310101001002004"


def messages() -> list[tuple[int, bytes]]:
    log = Log()
    found = log.say(CELL, situation(CELL, Level.YELLOW))
    found += log.say(OTHER, situation(OTHER, Level.RED), T0 + 1000)
    found += log.say(CELL, situation(CELL, Level.ORANGE), T0 + 2000)
    found += log.say(OTHER, None, T0 + 3000)
    return found


def test_the_most_urgent_is_first_and_what_is_over_is_gone() -> None:
    view = View()
    for offset, value in messages()[:3]:
        view.take(0, offset, value)
    assert [case.alert.level for case in view.open()] == [Level.RED, Level.ORANGE]
    assert levels_by_cell(view.open()) == {OTHER: Level.RED, CELL: Level.ORANGE}
    view.take(0, *messages()[3])
    assert [case.alert.cell for case in view.open()] == [CELL]
    assert [step.event for step in view.open()[0].steps] == ["opened", "level_raised"]
    assert view.open()[0].taken is None


@given(st.lists(st.integers(0, 3), max_size=12))
def test_repeats_change_nothing(repeated: list[int]) -> None:
    """However often and where a role says again what it has said, the view is that of each said once."""
    once, often = View(), View()
    said = messages()
    offset = 0
    for number, (_, value) in enumerate(said):
        once.take(0, number, value)
        often.take(0, offset, value)
        offset += 1
        for again in repeated:
            if again <= number:
                often.take(0, offset, said[again][1])
                offset += 1
    assert {k: (c.alert, list(c.steps)) for k, c in often.cases.items()} == {
        k: (c.alert, list(c.steps)) for k, c in once.cases.items()
    }
    assert len(often.entries) == len(once.entries) == len(said)


@given(st.integers(-1, 3))
def test_who_comes_back_gets_the_rest_and_nothing_twice(seen: int) -> None:
    """What a reader has seen and what it gets when it comes back are together everything, once."""
    view = View()
    for offset, value in messages():
        view.take(0, offset, value)
    rest = view.since({0: seen} if seen >= 0 else {})
    assert rest is not None
    assert [entry.offset for entry in rest] == list(range(seen + 1, 4))


def test_who_was_away_too_long_is_told_so(monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 2)
    view = View()
    for offset, value in messages():
        view.take(0, offset, value)
    assert view.since({0: 0}) is None
    assert [entry.offset for entry in view.since({0: 1}) or ()] == [2, 3]


def test_many_alerts_leave_room_for_those_that_count(monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_CASES", 10)
    view, log = View(), Log()
    offset = 0
    for number in range(30):
        cell = f"31010100100{number:04d}"
        for now in (situation(cell, Level.RED), None if number % 3 else situation(cell, Level.BLUE)):
            for _, value in log.say(cell, now, T0 + number):
                view.take(0, offset, value)
                offset += 1
    assert len(view.open()) == 10
    assert len(view.cases) <= 19


def test_alerts_older_than_the_log_are_put_in_and_never_take_back_what_is_newer() -> None:
    view, log = View(), Log()
    said = log.say(CELL, situation(CELL, Level.YELLOW))
    view.take(0, *said[0])
    newer = view.open()[0].alert
    view.remember([msgspec.structs.replace(newer, level=Level.RED, version=0)])
    assert view.open()[0].alert == newer
    old = msgspec.structs.replace(newer, alert_id="310101-old", handling_state=HandlingState.DISPATCHED)
    view.remember([old])
    assert {case.alert.alert_id for case in view.open()} == {newer.alert_id, "310101-old"}


def test_deliveries_find_their_alert_whichever_log_is_read_first() -> None:
    view, log = View(), Log()
    said = log.say(CELL, situation(CELL, Level.YELLOW))
    delivery = Delivery(
        notice_id="n",
        alert_id=log.alerts[CELL, "safety"].alert_id,
        sequence=1,
        endpoint="e",
        attempt=1,
        attempted_ms=T0,
        duration_ms=1.0,
        status=204,
        outcome="delivered",
    )
    view.deliver(0, 0, msgspec.json.encode(delivery))
    view.deliver(0, 0, msgspec.json.encode(delivery))
    view.take(0, *said[0])
    assert list(view.open()[0].deliveries) == [delivery]


def test_time_is_that_of_the_log() -> None:
    view = View()
    assert view.time_ms is None
    assert view.hear(tick(T0))
    assert not view.hear(tick(T0 - 5))
    assert view.time_ms == T0


@given(st.dictionaries(st.integers(0, 999), st.integers(0, 10**15), min_size=1, max_size=20))
def test_an_id_says_its_positions(seen: dict[int, int]) -> None:
    """Whatever positions an id names are read from it again."""
    assert positions(id_of(seen)) == seen
