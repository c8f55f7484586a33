"""The calendar: windows by the city's clock, their overlaps, and days. Properties, and what was really announced."""

from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gridbeacon.calendar import NOTHING, Calendar, Occurrence, Scope, Window, effect_of
from gridbeacon.calendar_file import load_calendar
from gridbeacon.calendar_series import Series, checked_rule, event_of, rule_from
from gridbeacon.civil import civil_ms, start_of_day_ms, utc
from gridbeacon.config import Calendar as Files
from gridbeacon.config import CalendarFile, Config
from gridbeacon.days import Day, Days
from gridbeacon.errors import ConfigError
from gridbeacon.reasons import CalendarMode, DayType
from gridbeacon.vocabulary import METRICS, Kind

CELL = "310101001002003"
ZONES = ["Europe/Berlin", "Pacific/Auckland", "Asia/Shanghai", "America/St_Johns", "Australia/Lord_Howe", "UTC"]
BERLIN = ZoneInfo("Europe/Berlin")
FAIR = Window("fair", CalendarMode.MUTE)


def series(start: datetime, minutes: int, rule: str, zone: ZoneInfo, window: Window = FAIR) -> Series:
    checked = checked_rule(rule_from(rule), start, zone)
    return Series([event_of(start, start + timedelta(minutes=minutes), checked)], [window], zone)


def read(folder: Path, zone: str = "Europe/Berlin", **files: str) -> Calendar:
    """Return the calendar of texts: ``a_yaml`` is the file ``a.yaml``."""
    names = [name.replace("_", ".") for name in files]
    for name, text in zip(names, files.values(), strict=True):
        (folder / name).write_text(text, encoding="utf-8")
    config = Config(timezone=zone, calendar=Files(files=tuple(CalendarFile(path=name) for name in names)))
    return load_calendar(config, folder)


def ics(*events: list[str], head: tuple[str, ...] = ()) -> str:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//EN", *head]
    for event in events:
        lines += ["BEGIN:VEVENT", *event, "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""])


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
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(second=0, microsecond=0)),
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


def test_a_whole_day_of_the_city_has_23_hours_or_25_when_the_clock_changes(tmp_path):
    one = ["UID:1", "SUMMARY:day", "DTSTART;VALUE=DATE:20260101", "RRULE:FREQ=DAILY;UNTIL=20261231"]
    found = spans(read(tmp_path, a_ics=ics(one)))
    assert len(found) == 365
    odd = [text for text in found if not text.endswith("/24h")]
    assert odd == ["03-29 00:00+0100/23h", "10-25 00:00+0200/25h"]


# --- files


def test_times_of_the_city_and_times_with_an_offset(tmp_path):
    text = """
windows:
  - {name: a, mode: mute, start: 2026-07-01 18:00, end: "2026-07-01 19:00:30"}
  - {name: b, mode: mute, start: 2026-07-02T18:00:00+08:00, end: 2026-07-02T12:00:00Z}
  - {name: c, mode: mute, start: 2026-07-03, end: 2026-07-03}
  - {name: d, mode: expected_load, up_to: 400, metric: people_count, start: 2026-07-05 12:00, end: 2026-07-05}
"""
    calendar = read(tmp_path, a_yaml=text)
    assert spans(calendar) == [
        "07-01 18:00+0200/1.00833h",
        "07-02 12:00+0200/2h",
        "07-03 00:00+0200/24h",
        "07-05 12:00+0200/12h",
    ]
    effect = calendar.at(civil_ms(datetime(2026, 7, 5, 13), BERLIN), CELL, Kind.CROWD, "people_count")
    assert (effect.up_to, effect.names, effect.reasons) == (400.0, ("d",), (CalendarMode.EXPECTED_LOAD,))


def test_until_a_date_takes_in_that_day(tmp_path):
    rule = "FREQ=DAILY;UNTIL=20260103"
    yaml = f"windows: [{{name: a, mode: mute, start: 2026-01-01 18:00, rule: {rule}, duration_minutes: 60}}]"
    zoned = ["UID:1", "SUMMARY:b", "DTSTART;TZID=Asia/Tokyo:20260101T180000", "DURATION:PT1H", f"RRULE:{rule}"]
    calendar = read(tmp_path, a_yaml=yaml, b_ics=ics(zoned))
    assert len(spans(calendar, name="a")) == 3
    assert spans(calendar, name="b") == [f"01-0{day} 10:00+0100/1h" for day in (1, 2, 3)]


WEEKLY = ["UID:w", "SUMMARY:training", "DTSTART;TZID=Europe/Berlin:20260301T180000", "DURATION:PT2H"]


def test_exceptions_are_left_out_and_dates_are_added(tmp_path):
    more = ["RRULE:FREQ=WEEKLY;COUNT=6", "EXDATE;TZID=Europe/Berlin:20260308T180000,20260329T180000"]
    calendar = read(tmp_path, a_ics=ics([*WEEKLY, *more, "RDATE;TZID=Europe/Berlin:20260311T120000"]))
    assert spans(calendar) == [
        "03-01 18:00+0100/2h",
        "03-11 12:00+0100/2h",
        "03-15 18:00+0100/2h",
        "03-22 18:00+0100/2h",
        "04-05 18:00+0200/2h",
    ]


def test_an_occurrence_that_was_moved_or_cancelled(tmp_path):
    moved = ["UID:w", "SUMMARY:moved", "RECURRENCE-ID;TZID=Europe/Berlin:20260308T180000"]
    moved += ["DTSTART;TZID=Europe/Berlin:20260610T090000", "DURATION:PT1H", "X-GRIDBEACON-MODE:mute"]
    off = ["UID:w", "SUMMARY:training", "RECURRENCE-ID;TZID=Europe/Berlin:20260315T180000", "STATUS:CANCELLED"]
    off += ["DTSTART;TZID=Europe/Berlin:20260315T180000", "DURATION:PT2H"]
    core = [*WEEKLY, "RRULE:FREQ=WEEKLY;COUNT=4", "X-GRIDBEACON-CELLS:3101", "X-GRIDBEACON-FACTOR:5"]
    calendar = read(tmp_path, a_ics=ics([*core, "CATEGORIES:Raise threshold"], off, moved[:-1]))
    assert spans(calendar) == ["03-01 18:00+0100/2h", "03-22 18:00+0100/2h", "06-10 09:00+0200/1h"]
    first, _, last = calendar.active(0, 2_000_000_000_000)
    assert first.window == Window("training", CalendarMode.RAISE_THRESHOLD, Scope(("3101",)), factor=5.0)
    assert last.window == Window("moved", CalendarMode.RAISE_THRESHOLD, Scope(("3101",)), factor=5.0)
    core.remove("X-GRIDBEACON-FACTOR:5")
    _, _, last = read(tmp_path, a_ics=ics(core, off, moved)).active(0, 2_000_000_000_000)
    assert last.window == Window("moved", CalendarMode.MUTE, Scope(("3101",)))


def test_a_change_of_this_occurrence_and_those_that_follow(tmp_path):
    later = ["UID:w", "SUMMARY:training", "RECURRENCE-ID;TZID=Europe/Berlin;RANGE=THISANDFUTURE:20260315T180000"]
    later += ["DTSTART;TZID=Europe/Berlin:20260315T190000", "DURATION:PT1H"]
    calendar = read(tmp_path, a_ics=ics([*WEEKLY, "RRULE:FREQ=WEEKLY;COUNT=5"], later))
    assert [text[:11] for text in spans(calendar)] == [
        "03-01 18:00",
        "03-08 18:00",
        "03-15 19:00",
        "03-22 19:00",
        "03-29 19:00",
    ]


def test_a_cancelled_event_opens_nothing(tmp_path):
    assert spans(read(tmp_path, a_ics=ics([*WEEKLY, "STATUS:CANCELLED"]))) == []
    assert spans(read(tmp_path, a_ics=ics([*WEEKLY, "STATUS:CONFIRMED"]))) == ["03-01 18:00+0100/2h"]


def test_zones_of_an_icalendar_file(tmp_path):
    own = ["BEGIN:VTIMEZONE", "TZID:Own zone", "BEGIN:STANDARD", "DTSTART:19700101T000000"]
    own += ["TZOFFSETFROM:+0300", "TZOFFSETTO:+0300", "TZNAME:OWN", "END:STANDARD", "END:VTIMEZONE"]
    events = [
        ["UID:1", "SUMMARY:own", "DTSTART;TZID=Own zone:20260701T180000", "DURATION:PT1H"],
        ["UID:2", "SUMMARY:windows", "DTSTART;TZID=China Standard Time:20260702T180000", "DURATION:PT1H"],
        ["UID:3", "SUMMARY:floating", "DTSTART:20260703T180000", "DURATION:PT1H"],
        ["UID:4", "SUMMARY:utc", "DTSTART:20260704T180000Z", "DURATION:PT1H"],
    ]
    assert spans(read(tmp_path, a_ics=ics(*events, head=tuple(own)))) == [
        "07-01 17:00+0200/1h",
        "07-02 12:00+0200/1h",
        "07-03 18:00+0200/1h",
        "07-04 20:00+0200/1h",
    ]


def test_the_zone_of_a_whole_file(tmp_path):
    events = [
        ["UID:1", "SUMMARY:day", "DTSTART;VALUE=DATE:20260701"],
        ["UID:2", "SUMMARY:floating", "DTSTART:20260703T180000", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=2"],
        ["UID:3", "SUMMARY:utc", "DTSTART:20260303T100000Z", "DURATION:PT1H", "RRULE:FREQ=MONTHLY;COUNT=3"],
    ]
    calendar = read(tmp_path, zone="Asia/Tokyo", a_ics=ics(*events, head=("X-WR-TIMEZONE:Europe/Berlin",)))
    assert spans(calendar) == [
        "03-03 11:00+0100/1h",
        "04-03 11:00+0200/1h",
        "05-03 11:00+0200/1h",
        "07-01 00:00+0200/24h",
        "07-03 18:00+0200/1h",
        "07-04 18:00+0200/1h",
    ]


def test_windows_of_one_name_may_differ_in_mode_when_they_never_meet(tmp_path):
    text = """
windows:
  - {name: fair, mode: mute, start: 2026-01-03 18:00, rule: FREQ=WEEKLY, duration_minutes: 60}
  - {name: fair, mode: train_mask, start: 2026-01-03 19:00, rule: FREQ=WEEKLY, duration_minutes: 60}
  - {name: fair, mode: train_mask, cells: ["31"], start: 2026-01-03 18:00, end: 2026-01-03 20:00}
"""
    assert len(spans(read(tmp_path, a_yaml=text))) == 105


def test_contradictions_are_found_over_files(tmp_path):
    text = "windows: [{name: training, mode: mute, start: 2027-03-21 19:59, end: 2027-03-21 21:00}]"
    event = ics([*WEEKLY, "RRULE:FREQ=WEEKLY", "CATEGORIES:train_mask"])
    with pytest.raises(ConfigError, match=r"a\.yaml:1: 'training' is mute here and train_mask at .*b\.ics: event"):
        read(tmp_path, a_yaml=text, b_ics=event)
    assert spans(read(tmp_path, a_yaml=text.replace("19:59", "20:00"), b_ics=event), year=2027)


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


# --- days

# As the State Council announced them.
MAKEUP = ["2024-02-04", "2024-02-18", "2024-04-07", "2024-04-28", "2024-05-11", "2024-09-14", "2024-09-29"]
MAKEUP += ["2024-10-12", "2025-01-26", "2025-02-08", "2025-04-27", "2025-09-28", "2025-10-11"]
OFF = ["2024-02-16", "2024-02-12", "2024-10-07", "2025-01-28", "2025-02-04", "2025-05-05", "2025-10-08"]


def test_the_makeup_workdays_of_china_are_those_that_were_announced():
    days = Days("CN")
    first = date(2024, 1, 1)
    every = [first + timedelta(days=number) for number in range(731)]
    assert [str(day) for day in every if days.type_of(day) is DayType.MAKEUP_WORKDAY] == MAKEUP
    assert [day for day in OFF if days.type_of(date.fromisoformat(day)) is not DayType.HOLIDAY] == []
    assert days.type_of(date(2024, 9, 30)) is DayType.WORKDAY


def test_every_type_agrees_with_whether_people_work():
    import holidays

    known, days = holidays.country_holidays("CN"), Days("CN")
    for number in range(3 * 365):
        day = date(2023, 6, 1) + timedelta(days=number)
        works = days.type_of(day) in (DayType.WORKDAY, DayType.MAKEUP_WORKDAY)
        assert works == known.is_working_day(day), day


def test_the_overlay_wins_over_the_package():
    overlay = {date(2024, 10, 1): Day(DayType.WORKDAY), date(2024, 10, 12): Day(DayType.HOLIDAY, "flood")}
    days = Days("CN", "", overlay)
    assert days.type_of(date(2024, 10, 1)) is DayType.WORKDAY
    assert days.day(date(2024, 10, 12)) == Day(DayType.HOLIDAY, "flood")
    assert days.type_of(date(2024, 10, 2)) is DayType.HOLIDAY


def test_a_weekend_is_that_of_the_country_and_a_subdivision_has_days_of_its_own():
    assert Days("AE").type_of(date(2010, 6, 4)) is DayType.WEEKEND  # a Friday
    assert Days().type_of(date(2010, 6, 4)) is DayType.WORKDAY
    assert Days("DE", "BE").type_of(date(2027, 3, 8)) is DayType.HOLIDAY
    assert Days("DE", "BY").type_of(date(2027, 3, 8)) is DayType.WORKDAY


@pytest.mark.parametrize("day", [date.min, date(1949, 12, 31), date(2101, 1, 1), date.max])
def test_a_date_beyond_what_is_known_is_a_workday_or_a_weekend(day):
    assert Days("CN").type_of(day) is (DayType.WEEKEND if day.weekday() >= 5 else DayType.WORKDAY)


@pytest.mark.parametrize("language", ["zh_CN", "de", "C"])
def test_names_of_holidays_do_not_depend_on_the_language_of_the_machine(monkeypatch, language):
    monkeypatch.setenv("LANGUAGE", language)
    assert Days("CN").day(date(2024, 10, 1)).name == "National Day"


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(st.text(max_size=3))
def test_an_unknown_country_is_refused(country):
    import holidays

    assume(country and country not in holidays.list_supported_countries())
    with pytest.raises(ConfigError, match="no country that has a calendar; "):
        Days(country)
