"""The calendar's files: every mistake is one sentence with its place and fix, and nothing else comes of any bytes."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridbeacon.calendar import Calendar
from gridbeacon.calendar_file import load_calendar
from gridbeacon.cli.checks import check_all
from gridbeacon.config import Calendar as Files
from gridbeacon.config import CalendarFile, Config
from gridbeacon.errors import ConfigError
from gridbeacon.vocabulary import Kind

MISTAKES = Path(__file__).parent / "calendar_mistakes"
YAML, ICS = sorted(MISTAKES.glob("*.yaml")), sorted(MISTAKES.glob("*.ics"))


def config_of(*names: str, overlay: str = "") -> Config:
    files = Files(files=tuple(CalendarFile(path=name) for name in names), overlay=overlay)
    return Config(calendar=files, timezone="Europe/Berlin")


def test_there_are_mistakes_to_try():
    assert len(YAML) >= 40
    assert len(ICS) >= 30


@pytest.mark.parametrize("file", YAML, ids=lambda file: file.stem)
def test_a_mistake_in_yaml_is_told_with_line_key_and_fix(file):
    first, second, *_ = file.read_text(encoding="utf-8").split("\n")
    expected, line = first.removeprefix("# expect: "), second.removeprefix("# line: ")
    with pytest.raises(ConfigError) as caught:
        load_calendar(config_of(file.name), MISTAKES)
    text = str(caught.value)
    assert text.startswith(f"{file}:{line}: ")
    assert expected in text
    assert "; " in text
    assert "\n" not in text


@pytest.mark.parametrize("file", ICS, ids=lambda file: file.stem)
def test_a_mistake_in_icalendar_is_told_with_the_event_and_the_fix(file):
    (expected,) = re.findall(r"X-EXPECT:([^\r\n<]*)", file.read_bytes().decode())
    with pytest.raises(ConfigError) as caught:
        load_calendar(config_of(file.name), MISTAKES)
    text = str(caught.value)
    assert text.startswith(f"{file}: ")
    assert expected in text
    assert "; " in text
    assert "\n" not in text


def test_check_reads_the_calendar():
    with pytest.raises(ConfigError, match=re.escape("rule-broken.yaml:7: windows[0].rule")):
        check_all(config_of("rule-broken.yaml"), MISTAKES)


@pytest.mark.parametrize("name", ["none.yaml", "none.ics", "folder.yaml", "folder.ics", "bytes.yaml", "bytes.ics"])
def test_a_file_that_is_no_readable_text_is_named(tmp_path, name):
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "folder.ics").mkdir()
    (tmp_path / "bytes.yaml").write_bytes(b"windows: []\n\xff\n")
    (tmp_path / "bytes.ics").write_bytes(b"BEGIN:VCALENDAR\n\xff\n")
    with pytest.raises(ConfigError, match=rf"{re.escape(str(tmp_path / name))}.*(can't be read|not UTF-8)"):
        load_calendar(config_of(name), tmp_path)


OVERLAYS = [
    ("type-unknown.csv", "date,type\n2026-01-01,feast\n", "2: type: 'feast' is not one of workday, weekend, holiday"),
    ("date-broken.csv", "date,type\n1.1.2026,holiday\n", "2: date: '1.1.2026' is no time; write 2026-10-01"),
    ("date-of-no-month.csv", "date,type\n2026-02-30,holiday\n", "2: date: '2026-02-30' is no time (day is out of"),
    ("time-of-day.csv", "date,type\n2026-01-01 12:00,holiday\n", "2: date: '2026-01-01 12:00' has a time of day"),
    ("twice.csv", "date,type\n2026-01-01,holiday\n\n2026-01-01,workday\n", "4: date: 2026-01-01 is given twice"),
    ("type-missing.csv", "date,type\n2026-01-01\n", "2: type is missing"),
    ("column-unknown.csv", "date,type,why\n2026-01-01,holiday,rest\n", "2: the column 'why' is unknown"),
    ("empty.csv", "", "1: the first line must name the columns"),
    ("type-unknown.yaml", "days:\n  - {date: 2026-01-01, type: feast}\n", "2: days[0].type: 'feast' is not one of"),
    ("date-missing.yaml", "days:\n  - {type: holiday}\n", "2: days[0].date: it is missing"),
    ("key-unknown.yaml", "dates: []\n", "1: dates: this key is unknown; did you mean days?"),
]


@pytest.mark.parametrize(("name", "body", "told"), OVERLAYS, ids=lambda value: str(value)[:24])
def test_a_mistake_in_an_overlay_is_told_with_its_line(tmp_path, name, body, told):
    (tmp_path / name).write_text(body, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_calendar(config_of(overlay=name), tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / name}:{told}")


@pytest.mark.parametrize("name", ["none.csv", "none.yaml"])
def test_an_overlay_that_is_missing_is_named(tmp_path, name):
    with pytest.raises(ConfigError, match=f"{name}: it can't be read"):
        load_calendar(config_of(overlay=name), tmp_path)


def test_no_file_and_empty_files_are_an_empty_calendar(tmp_path):
    (tmp_path / "a.yaml").write_text("")
    (tmp_path / "b.ics").write_bytes(b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nEND:VCALENDAR\r\n")
    for config in (Config(), config_of("a.yaml", "b.ics")):
        assert load_calendar(config, tmp_path).active(0, 4_000_000_000_000) == ()


parts = st.sampled_from(
    [
        "windows:\n",
        "  - name: a\n",
        "    mode: mute\n",
        "    start: 2026-01-01\n",
        "    end: 2026-01-02\n",
        "venues:\n",
        "    rule: FREQ=DAILY\n",
        "    duration_minutes: 5\n",
        "    cells: ['3']\n",
        "\n",
        ":",
        "    start: ${A}\n",
    ]
)
lines = st.sampled_from(
    [
        "BEGIN:VEVENT",
        "END:VEVENT",
        "UID:1",
        "SUMMARY:a",
        "DTSTART:20260101T100000",
        "DTSTART;VALUE=DATE:20260101",
        "DTSTART;TZID=Europe/Berlin:20260101T100000",
        "DTEND:20260101T110000Z",
        "DTEND;VALUE=DATE:20260103",
        "DURATION:PT1H",
        "DURATION:-PT1H",
        "DURATION:P999999999D",
        "RRULE:FREQ=DAILY;COUNT=3",
        "RRULE:FREQ=WEEKLY",
        "RRULE:FREQ=DAILY;UNTIL=20260105",
        "EXDATE:20260102T100000",
        "RDATE;VALUE=PERIOD:20260102T100000Z/PT1H",
        "RDATE:20260102T100000",
        "RECURRENCE-ID:20260102T100000",
        "RECURRENCE-ID;RANGE=THISANDFUTURE:20260102T100000Z",
        "STATUS:CANCELLED",
        "SEQUENCE:2",
        "SEQUENCE:x",
        "X-WR-TIMEZONE:Asia/Tokyo",
        "DTSTART:99991231T235959",
        "X-GRIDBEACON-MODE:mute",
        "X-GRIDBEACON-FACTOR:2",
        "CATEGORIES:mute",
        "BEGIN:VALARM",
        "END:VALARM",
        "EXDATE:x",
        "DTSTART:20260329T023000",
        "DTEND;TZID=Europe/Berlin:20260101T110000",
        "BEGIN:VTIMEZONE",
        "END:VTIMEZONE",
    ]
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.tuples(st.just("a.yaml"), st.lists(parts, max_size=14).map("".join) | st.text(max_size=40)),
        st.tuples(st.just("a.ics"), st.lists(lines, max_size=12).map("\r\n".join) | st.text(max_size=40)),
        st.tuples(
            st.just("b.ics"),
            st.lists(st.lists(lines, max_size=6), min_size=1, max_size=3).map(
                lambda events: "\r\n".join(
                    line
                    for event in events
                    for line in ["BEGIN:VEVENT", "UID:1", "SUMMARY:a", "DTSTART:20260101T100000", *event, "END:VEVENT"]
                )
            ),
        ),
    )
)
def test_any_content_is_a_calendar_or_a_configuration_error(tmp_path, case):
    name, body = case
    if name.endswith(".ics"):
        body = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{body}\r\nEND:VCALENDAR\r\n"
    (tmp_path / name).write_bytes(body.encode("utf-8", "surrogatepass"))
    try:
        found = load_calendar(config_of(name), tmp_path)
    except ConfigError as error:
        told = str(error)
    else:
        told = str(tmp_path / name)
        assert isinstance(found, Calendar)
        found.active(1_700_000_000_000, 1_900_000_000_000)
        found.at(1_767_300_000_000, "310101001002003", Kind.CROWD, "people_count")
    assert told.startswith(str(tmp_path / name))
    assert "\n" not in told
