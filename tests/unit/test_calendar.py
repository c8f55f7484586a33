"""The calendar: windows by the city's clock, and their overlaps, as properties."""

from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbeacon.calendar import NOTHING, Calendar, Occurrence, Scope, Window, effect_of
from gridbeacon.calendar_series import Series, checked_rule, event_of, rule_from
from gridbeacon.civil import civil_ms, start_of_day_ms, utc
from gridbeacon.errors import ConfigError
from gridbeacon.reasons import CalendarMode
from gridbeacon.vocabulary import METRICS, Kind

CELL = "310101001002003"
ZONES = ["Europe/Berlin", "Pacific/Auckland", "Asia/Shanghai", "America/St_Johns", "Australia/Lord_Howe", "UTC"]
BERLIN = ZoneInfo("Europe/Berlin")
FAIR = Window("fair", CalendarMode.MUTE)


def series(start: datetime, minutes: int, rule: str, zone: ZoneInfo, window: Window = FAIR) -> Series:
    checked = checked_rule(rule_from(rule), start, zone)
    return Series([event_of(start, start + timedelta(minutes=minutes), checked)], [window], zone)


def spans(calendar: Calendar, zone: str = "Europe/Berlin", year: int = 2026, name: str | None = None) -> list[str]:
    """Return the occurrences of a year by the city's clock, ``03-28 18:00+01/5h``: start, offset, real length."""
    at = ZoneInfo(zone)
    found = calendar.active(civil_ms(datetime(year, 1, 1), at), civil_ms(datetime(year + 1, 1, 1), at))
    return [
        f"{utc(one.start_ms).astimezone(at):%m-%d %H:%M%z}/{(one.end_ms - one.start_ms) / 3_600_000:g}h"
        for one in found
        if name in (None, one.window.name)
    ]


# --- time


@given(
    st.sampled_from(ZONES),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(
        lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
    ),
)
def test_a_civil_time_is_when_the_clock_first_shows_it_or_the_moment_at_which_it_is_skipped(zone, moment):
    at = ZoneInfo(zone)
    when = utc(civil_ms(moment, at)).astimezone(at)
    shown = when.replace(tzinfo=None)
    if shown == moment:
        assert when.fold == 0
    else:
        before = (when.astimezone(UTC) - timedelta(seconds=1)).astimezone(at).replace(tzinfo=None)
        assert before < moment < shown


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=SA,SU,WE", "FREQ=DAILY;INTERVAL=3", "FREQ=MONTHLY;BYDAY=-1SU"]),
    st.integers(0, 24 * 60 - 1),
    st.integers(1, 30 * 60),
    st.lists(st.integers(0, 365 * 24 * 60), min_size=20, max_size=20),
)
def test_a_time_is_in_a_window_that_recurs_just_when_the_clock_says_so(zone, rule, minute, minutes, asked):
    at = ZoneInfo(zone)
    day = {"FREQ=DAILY": 1, "FREQ=WEEKLY;BYDAY=SA,SU,WE": 3, "FREQ=DAILY;INTERVAL=3": 1}.get(rule, 25)
    start = datetime(2026, 1, day) + timedelta(minutes=minute)
    calendar = Calendar(repeating=[series(start, minutes, rule, at)])

    def opens(civil_day: date) -> bool:
        if civil_day < start.date():
            return False
        if rule.startswith("FREQ=WEEKLY"):
            return civil_day.weekday() in (2, 5, 6)
        if rule.startswith("FREQ=MONTHLY"):
            return civil_day.weekday() == 6 and (civil_day + timedelta(days=7)).month != civil_day.month
        return (civil_day - start.date()).days % (3 if "INTERVAL" in rule else 1) == 0

    changes = [datetime(2026, month, day) for month, day in ((4, 5), (10, 25), (11, 1))]
    for minute_of_year in asked:
        time_ms = civil_ms(datetime(2026, 1, 1), at) + minute_of_year * 60_000
        shown = utc(time_ms).astimezone(at).replace(tzinfo=None)
        if any(abs(shown - change) < timedelta(hours=40) for change in changes):
            continue  # an hour comes twice; the tests below say what then
        expected = any(
            opens(begin.date()) and begin <= shown < begin + timedelta(minutes=minutes)
            for back in range(3)
            for begin in [datetime.combine(shown.date() - timedelta(days=back), start.time())]
        )
        assert (calendar.at(time_ms, CELL, Kind.CROWD, "people_count") is not NOTHING) == expected, shown


windows = st.builds(
    Window,
    name=st.sampled_from("abcd"),
    mode=st.sampled_from(CalendarMode),
    scope=st.builds(
        Scope,
        cells=st.sampled_from([(), ("31",), ("310102", "310101"), ("32",)]),
        kind=st.sampled_from([None, *Kind]),
        metric=st.sampled_from(["", "people_count", "occupancy"]),
    ),
    factor=st.sampled_from([1.0, 1.5, 4.0]),
    expected=st.sampled_from([1.0, 2.0, 3.0]),
    up_to=st.sampled_from([None, 5.0, 7.0]),
)
DAY_MS = 86_400_000
occurrences = st.builds(
    lambda start, length, window: Occurrence(start, start + length, window),
    st.integers(-100 * DAY_MS, 100 * DAY_MS),
    st.integers(1, 60 * DAY_MS),
    windows,
)
RECURRING = [
    series(datetime(1970, 1, 1, 6), 90, "FREQ=DAILY;COUNT=40", BERLIN, Window("daily", CalendarMode.TRAIN_MASK)),
    series(datetime(1970, 1, 3, 20), 700, "FREQ=WEEKLY", BERLIN, Window("weekly", CalendarMode.MUTE, Scope(("31",)))),
    series(datetime(1969, 12, 31), 9 * 1440, "FREQ=MONTHLY;BYMONTHDAY=-1", BERLIN, Window("long", CalendarMode.MUTE)),
]
times = st.integers(-120 * DAY_MS, 120 * DAY_MS)


@settings(max_examples=150, deadline=None)
@given(st.lists(occurrences, max_size=12), st.booleans(), st.lists(times, min_size=1, max_size=12), st.data())
def test_a_time_is_in_a_window_just_when_it_is_in_an_occurrence(once, recurring, asked, data):
    repeating = RECURRING if recurring else []
    calendar = Calendar(once=once, repeating=repeating)
    everything = Calendar(once=once, repeating=repeating).active(-300 * DAY_MS, 300 * DAY_MS)
    edges = [edge for one in once for edge in (one.start_ms - 1, one.start_ms, one.end_ms - 1, one.end_ms)]
    for time_ms in [*asked, *edges]:
        metric = data.draw(st.sampled_from(METRICS))
        cell = data.draw(st.sampled_from([CELL, "310102001002003", "320101001002003"]))
        expected = [
            one.window
            for one in everything
            if one.start_ms <= time_ms < one.end_ms and one.window.scope.covers(cell, metric.kind, metric.name)
        ]
        assert calendar.at(time_ms, cell, metric.kind, metric.name) == effect_of(expected)


@settings(max_examples=150, deadline=None)
@given(st.lists(occurrences, max_size=12), times, st.integers(-DAY_MS, 90 * DAY_MS))
def test_what_is_active_in_a_span_is_each_occurrence_that_overlaps_it_once(once, from_ms, length):
    found = Calendar(once=once, repeating=RECURRING).active(from_ms, from_ms + length)
    everything = [*once, *(one for each in RECURRING for one in each.between(-300 * DAY_MS, 300 * DAY_MS))]
    expected = [one for one in everything if one.start_ms < from_ms + length and one.end_ms > from_ms and length > 0]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
    assert [one.start_ms for one in found] == sorted(one.start_ms for one in found)


def test_an_occurrence_ends_before_its_end():
    (one,) = RECURRING[1].between(0, 5 * DAY_MS)
    assert list(RECURRING[1].between(one.end_ms, one.end_ms + DAY_MS)) == []
    assert list(RECURRING[1].between(one.end_ms - 1, one.end_ms)) == [one]
    assert list(RECURRING[1].between(one.start_ms - DAY_MS, one.start_ms)) == []


def test_an_empty_calendar_answers_about_any_time():
    calendar = Calendar(repeating=RECURRING)
    for time_ms in (-(10**18), -(10**14), 10**14, 10**18):
        assert calendar.at(time_ms, CELL, Kind.CROWD, "people_count") is NOTHING
    assert Calendar().active(-(10**18), 10**18) == ()


def test_answers_do_not_depend_on_what_was_asked_before():
    asked = [date(2026, month, 3) for month in range(1, 13)]
    one = Calendar(repeating=[series(datetime(2026, 1, 3, 18), 300, "FREQ=WEEKLY", BERLIN)])
    other = Calendar(repeating=[series(datetime(2026, 1, 3, 18), 300, "FREQ=WEEKLY", BERLIN)])
    for calendar, days in ((one, asked), (other, reversed(asked))):
        for day in days:
            calendar.at(start_of_day_ms(day, BERLIN), CELL, Kind.CROWD, "people_count")
    assert spans(one) == spans(other)
    assert len(spans(one)) == 52


# --- both changes of the clock


def test_every_saturday_evening_stays_at_18_in_berlin():
    calendar = Calendar(repeating=[series(datetime(2026, 1, 3, 18), 300, "FREQ=WEEKLY;BYDAY=SA", BERLIN)])
    found = spans(calendar)
    assert {text[6:] for text in found} == {"18:00+0100/5h", "18:00+0200/5h"}
    assert "03-28 18:00+0100/5h" in found
    assert "04-04 18:00+0200/5h" in found
    assert "10-24 18:00+0200/5h" in found
    assert "10-31 18:00+0100/5h" in found


@pytest.mark.parametrize(
    ("zone", "spring", "autumn"), [("Europe/Berlin", "03-28", "10-24"), ("Pacific/Auckland", "09-26", "04-04")]
)
def test_a_night_over_the_change_ends_at_its_hour_and_is_one_shorter_or_longer(zone, spring, autumn):
    calendar = Calendar(repeating=[series(datetime(2026, 1, 3, 22), 480, "FREQ=WEEKLY", ZoneInfo(zone))])
    found = dict(text.split(" ") for text in spans(calendar, zone))
    assert found[spring].endswith("/7h")
    assert found[autumn].endswith("/9h")
    assert {text.split("/")[1] for day, text in found.items() if day not in (spring, autumn)} == {"8h"}


@pytest.mark.parametrize(
    ("zone", "spring", "autumn"), [("Europe/Berlin", "03-29", "10-25"), ("Pacific/Auckland", "09-27", "04-05")]
)
def test_what_the_clock_skips_does_not_happen_and_of_what_it_shows_twice_the_first_counts(zone, spring, autumn):
    at = ZoneInfo(zone)
    inside = dict(
        text.split(" ")
        for text in spans(Calendar(repeating=[series(datetime(2026, 1, 1, 2, 10), 40, "FREQ=DAILY", at)]), zone)
    )
    assert spring not in inside
    assert len(inside) == 364
    over = dict(
        text.split(" ")
        for text in spans(Calendar(repeating=[series(datetime(2026, 1, 1, 2, 30), 60, "FREQ=DAILY", at)]), zone)
    )
    assert over[spring].startswith("03:00")
    assert over[spring].endswith("/0.5h")
    # 02:30 first comes before the clock goes back, 03:30 after it.
    assert over[autumn].endswith("/2h")
    assert {text.split("/")[1] for day, text in over.items() if day not in (spring, autumn)} == {"1h"}


# --- rules


parts = st.one_of(
    st.sampled_from(["FREQ=HOURLY", "FREQ=DAILY", "FREQ=WEEKLY", "FREQ=MONTHLY", "FREQ=YEARLY", "FREQ=SECONDLY"]),
    st.sampled_from(
        ["COUNT", "INTERVAL", "BYHOUR", "BYMINUTE", "BYMONTH", "BYMONTHDAY", "BYSETPOS", "BYYEARDAY"]
    ).flatmap(
        lambda name: st.lists(st.integers(-3, 12), min_size=1, max_size=3).map(
            lambda values: f"{name}={','.join(map(str, values))}"
        )
    ),
    st.sampled_from(["UNTIL=20260120", "UNTIL=20260120T010203Z", "BYDAY=SA,-1SU", "BYDAY=MO", "WKST=SU", "BYWEEKNO=2"]),
    st.text("FREQ=;,BYDAY0123456789-", max_size=8),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(parts, min_size=1, max_size=3), st.sampled_from(["FREQ=DAILY;", "FREQ=YEARLY;", ""]))
def test_any_rule_recurs_within_bounds_or_is_refused(found, begin):
    start = datetime(2026, 1, 3, 18)
    try:
        calendar = Calendar(repeating=[series(start, 10, begin + ";".join(found), BERLIN)])
    except ConfigError as error:
        told = str(error)
    else:
        told = "; "
        assert 1 <= len(calendar.active(0, civil_ms(start, BERLIN) + 366 * DAY_MS)) <= 10_002
    assert "; " in told


# --- overlaps


@given(st.lists(windows, max_size=4))
def test_what_windows_amount_to_does_not_depend_on_their_order_nor_on_repeats(found):
    effect = effect_of(found)
    assert all(effect_of(order) == effect for order in permutations(found))
    assert effect_of([*found, *found]) == effect
    assert effect.mute == any(window.mode is CalendarMode.MUTE for window in found)
    assert effect.train != any(window.mode is CalendarMode.TRAIN_MASK for window in found)
    assert effect.factor == max([1.0, *(window.factor for window in found)])
    assert effect.expected == max([1.0, *(window.expected for window in found)])
    assert len(effect.names) == len(effect.reasons)
    assert set(zip(effect.names, effect.reasons, strict=True)) == {(window.name, window.mode) for window in found}


def test_several_windows_at_once():
    open_all = [
        Window("a", CalendarMode.RAISE_THRESHOLD, factor=2.0),
        Window("b", CalendarMode.RAISE_THRESHOLD, Scope(("3101",)), factor=3.0),
        Window("c", CalendarMode.EXPECTED_LOAD, Scope(kind=Kind.CROWD), expected=1.5),
        Window("d", CalendarMode.EXPECTED_LOAD, Scope(metric="people_count"), up_to=50.0),
        Window("e", CalendarMode.MUTE, Scope(("3102",))),
        Window("f", CalendarMode.TRAIN_MASK, Scope(kind=Kind.TRAFFIC)),
    ]
    calendar = Calendar(once=[Occurrence(0, 10, window) for window in open_all])
    effect = calendar.at(5, CELL, Kind.CROWD, "people_count")
    assert (effect.mute, effect.factor, effect.expected, effect.up_to, effect.train) == (False, 3.0, 1.5, 50.0, True)
    assert effect.names == ("a", "b", "c", "d")
    other = calendar.at(9, "310201001002003", Kind.TRAFFIC, "intensity_per_h")
    assert (other.mute, other.factor, other.train, other.names) == (True, 2.0, False, ("a", "e", "f"))
