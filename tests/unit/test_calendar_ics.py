"""What the calendar's files mean: times, zones, exceptions, cancelled and moved events, contradictions."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gridbeacon.calendar import Calendar, Scope, Window
from gridbeacon.calendar_file import load_calendar
from gridbeacon.civil import civil_ms, utc
from gridbeacon.config import Calendar as Files
from gridbeacon.config import CalendarFile, Config
from gridbeacon.errors import ConfigError
from gridbeacon.reasons import CalendarMode
from gridbeacon.vocabulary import Kind

CELL = "310101001002003"
BERLIN = ZoneInfo("Europe/Berlin")


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


def test_a_whole_day_of_the_city_has_23_hours_or_25_when_the_clock_changes(tmp_path):
    one = ["UID:1", "SUMMARY:day", "DTSTART;VALUE=DATE:20260101", "RRULE:FREQ=DAILY;UNTIL=20261231"]
    found = spans(read(tmp_path, a_ics=ics(one)))
    assert len(found) == 365
    odd = [text for text in found if not text.endswith("/24h")]
    assert odd == ["03-29 00:00+0100/23h", "10-25 00:00+0200/25h"]


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
