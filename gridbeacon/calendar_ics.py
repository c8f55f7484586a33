"""Reads windows from iCalendar (RFC 5545): each event is one, its X-GRIDBEACON properties say what it asks for."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import x_wr_timezone
from icalendar import Calendar as Ics
from icalendar import Event, vRecur

from gridbeacon.calendar import Occurrence, Window
from gridbeacon.calendar_series import FIRST, LAST, MAX_RECURRING, Series, checked_rule, moment_ms
from gridbeacon.calendar_windows import FieldError, Given, Kept, window_of
from gridbeacon.config import CalendarFile
from gridbeacon.errors import ConfigError
from gridbeacon.reasons import CalendarMode

Property = dict[str, str]
_OURS = "X-GRIDBEACON-"
NAMES = ("MODE", "CELLS", "VENUE", "KIND", "METRIC", "FACTOR", "UP-TO")
_ONCE = ("DTSTART", "DTEND", "DURATION", "RRULE", "UID", "RECURRENCE-ID", *(_OURS + name for name in NAMES))
_TIMES = ("DTSTART", "DTEND", "RECURRENCE-ID", "EXDATE", "RDATE")
_LONGEST = LAST - FIRST
_MAX_DATES = 10_000
"""Dates that one event may list (RDATE, EXDATE): a year of hours."""


def load_ics(
    path: Path, file: CalendarFile, zone: tzinfo, venues: Mapping[str, tuple[str, ...]], pattern: str
) -> Iterator[Kept]:
    """Yield the windows of an iCalendar file, those of one UID together.

    Times without a zone are civil times of ``zone``, or of the file's ``X-WR-TIMEZONE``. Cancelled events open
    nothing; an event that replaces one occurrence of another (``RECURRENCE-ID``) says for itself whatever it says,
    the rest is the other's. Raises ``ConfigError`` that names the file, the event's summary and UID, and the fix.
    """
    for calendar in _calendars(path):
        local = _zone_of(path, calendar) or zone
        groups: dict[str, list[Any]] = defaultdict(list)
        for number, event in enumerate(calendar.walk("VEVENT")):
            where = _where(path, event)
            try:
                _check_form(event)
                _check_times(event)
                groups[str(event.get("UID", f"event {number}"))].append(event)
            except ConfigError as error:
                raise ConfigError(f"{where}: {error}") from None
        for events in groups.values():
            where = _where(path, events[0])
            try:
                yield from _group(where, events, file, local, venues, pattern)
            except FieldError as error:
                name = "SUMMARY" if error.name == "name" else f"{_OURS}{error.name.upper().replace('_', '-')}"
                name = name.replace("EXPECTED", "FACTOR")
                raise ConfigError(f"{where}: {name}: {error}") from None
            except ConfigError as error:
                raise ConfigError(f"{where}: {error}") from None


def _calendars(path: Path) -> list[Any]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: it can't be read ({error.strerror}); correct its path or rights") from error
    except ValueError as error:
        raise ConfigError(f"{path}: it is not UTF-8 text; save it as UTF-8") from error
    try:
        found = Ics.from_ical(text, multiple=True)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ConfigError(f"{path}: it is no iCalendar file ({_short(error)}); export it again") from error
    if not found or any(not isinstance(each, Ics) for each in found):
        raise ConfigError(f"{path}: it holds no calendar from BEGIN:VCALENDAR to END:VCALENDAR; export it again")
    for each in found:
        for _, problem in each.errors:
            raise ConfigError(f"{path}: {_short(problem)}; correct this line")
    return list(found)


def _zone_of(path: Path, calendar: Any) -> tzinfo | None:
    """Return the zone that a calendar names for all of its times, and give its events their times in it."""
    name = calendar.get("X-WR-TIMEZONE")
    if name is None:
        return None
    try:
        zone = ZoneInfo(str(name))
    except (LookupError, ValueError, OSError):
        raise ConfigError(f"{path}: X-WR-TIMEZONE: {str(name)[:60]!r} is no time zone; give an IANA name") from None
    for event in calendar.walk("VEVENT"):
        try:
            _check_form(event)
        except ConfigError as error:
            raise ConfigError(f"{_where(path, event)}: {error}") from None
    calendar.subcomponents = x_wr_timezone.to_standard(calendar).subcomponents
    return zone


def _where(path: Path, event: Any) -> str:
    summary, uid = _text(event, "SUMMARY"), _text(event, "UID")
    return f"{path}: event {summary[:60] or '(no summary)'!r}" + (f" (UID {uid[:80]})" if uid else "")


def _text(event: Any, name: str) -> str:
    value = event.get(name, "")
    return " ".join(str(value[0] if isinstance(value, list) else value).split())


def _check_form(event: Any) -> None:
    """What the library left out because it could not read it is told, not forgotten."""
    for name, problem in event.errors:
        raise ConfigError(f"{name + ': ' if name else ''}{_short(problem)}; correct it")
    for name in _ONCE:
        if isinstance(event.get(name), list):
            raise ConfigError(f"{name} is given more than once; keep one")
    if "DTSTART" not in event:
        raise ConfigError("it has no DTSTART; say when it begins")
    for name in _TIMES:
        for value in _each(event, name):
            zone = value.params.get("TZID")
            times = [one.dt for one in value.dts] if hasattr(value, "dts") else [value.dt]
            if zone is not None and any(isinstance(one, datetime) and one.tzinfo is None for one in times):
                raise ConfigError(f"{name}: the time zone {str(zone)[:60]!r} is unknown; give an IANA name")
            if len(times) > _MAX_DATES:
                raise ConfigError(f"{name}: it lists {len(times)} dates; {_MAX_DATES} are the most")
    if "EXRULE" in event:
        raise ConfigError("EXRULE is not supported; list the dates as EXDATE")
    for name in event:
        if name.startswith(_OURS) and not _text(event, name).strip(" ,;\\"):
            raise ConfigError(f"{name} is empty, which would mean everything; give a value or remove it")
        if name.startswith(_OURS) and name.removeprefix(_OURS) not in NAMES:
            near = get_close_matches(name, [_OURS + known for known in NAMES], 1)
            raise ConfigError(f"{name} is unknown; " + (f"did you mean {near[0]}?" if near else "remove it"))


def _each(event: Any, name: str) -> Sequence[Any]:
    value = event.get(name)
    return [] if value is None else value if isinstance(value, list) else [value]


def _check_times(event: Any) -> None:
    start = event["DTSTART"].dt
    if not isinstance(start, date) or not FIRST.year <= start.year <= LAST.year:
        raise ConfigError(f"DTSTART is no date or time between {FIRST} and {LAST}; correct it")
    end = _end(event)
    if not isinstance(end, date) or isinstance(start, datetime) != isinstance(end, datetime):
        raise ConfigError("DTSTART and DTEND must both be dates, or both times; correct them")
    if isinstance(start, datetime) and (start.tzinfo is None) != (cast("datetime", end).tzinfo is None):
        raise ConfigError("DTSTART and DTEND must both have a time zone, or none; correct them")
    if end.year > LAST.year + 1:
        raise ConfigError(f"it ends at {end}, after all time that a calendar knows; correct it")
    if end <= start:
        raise ConfigError(f"it ends at {end}, which is not after its start, {start}; correct DTEND or DURATION")


def _end(event: Any) -> Any:
    start = event["DTSTART"].dt
    if "DTEND" in event:
        return event["DTEND"].dt
    if "DURATION" in event:
        length = event["DURATION"].dt
        if not isinstance(length, timedelta):
            raise ConfigError("DURATION is no length of time; write one such as PT5H")
        if abs(length) > _LONGEST:
            raise ConfigError("DURATION is longer than all time that a calendar knows; correct it")
        return start + length
    return start if isinstance(start, datetime) else start + timedelta(days=1)


def _group(
    where: str,
    events: list[Any],
    file: CalendarFile,
    zone: tzinfo,
    venues: Mapping[str, tuple[str, ...]],
    pattern: str,
) -> Iterator[Kept]:
    main = next((event for event in events if "RECURRENCE-ID" not in event), events[0])
    said = _said(main)
    windows = [
        None
        if _text(event, "STATUS").upper() == "CANCELLED"
        else _window(event, (said if "RECURRENCE-ID" in event else {}) | _said(event), file, venues, pattern)
        for event in events
    ]
    window = next((each for each in windows if each is not None), None)
    if window is None:
        return
    if not any(name in event for event in events for name in ("RRULE", "RDATE", "RECURRENCE-ID")) and len(events) == 1:
        yield Kept(where, window, (_once(main, window, zone),))
        return
    for event in events:
        if "RRULE" in event:
            if _end(event) - event["DTSTART"].dt > MAX_RECURRING:
                raise ConfigError(f"it recurs and lasts longer than {MAX_RECURRING.days} days; make it shorter")
            event["RRULE"] = checked_rule(cast("vRecur", event["RRULE"]), event["DTSTART"].dt, zone)
    yield Kept(where, window, (), Series(cast("list[Event]", events), windows, zone))


def _once(event: Any, window: Window, zone: tzinfo) -> Occurrence:
    start, end = event["DTSTART"].dt, _end(event)
    start_ms, end_ms = moment_ms(start, zone), moment_ms(end, zone)
    if end_ms <= start_ms:
        raise ConfigError(f"from {start} to {end} is no time at all: the clock skips it; correct DTSTART or DTEND")
    return Occurrence(start_ms, end_ms, window)


def _said(event: Any) -> Property:
    """Return what the event itself says: the X-GRIDBEACON properties, and the mode of its categories."""
    said = {name: _text(event, _OURS + name) for name in NAMES if _OURS + name in event}
    if "MODE" not in said:
        modes = {_mode_word(str(word)) for value in _each(event, "CATEGORIES") for word in value.cats}
        found = sorted(modes & set(CalendarMode))
        if len(found) > 1:
            raise ConfigError(f"CATEGORIES name more than one mode, {' and '.join(found)}; keep one")
        if found:
            said["MODE"] = found[0]
    return said


def _mode_word(text: str) -> str:
    return "_".join(text.lower().replace("-", " ").replace("_", " ").split())


def _window(
    event: Any, said: Property, file: CalendarFile, venues: Mapping[str, tuple[str, ...]], pattern: str
) -> Window:
    word = _mode_word(said.get("MODE", file.mode))
    if word not in tuple(CalendarMode):
        raise ConfigError(f"{_OURS}MODE: {word[:60]!r} is no mode; give one of {', '.join(CalendarMode)}")
    mode = CalendarMode(word)
    return window_of(
        Given(
            name=_text(event, "SUMMARY") or _text(event, "UID"),
            mode=mode,
            cells=_cells(said.get("CELLS", "")),
            venue=said.get("VENUE", ""),
            kind=said.get("KIND", ""),
            metric=said.get("METRIC", ""),
            numbers=_numbers(mode, said, file.factor),
        ),
        venues,
        pattern,
    )


def _cells(text: str) -> tuple[str, ...]:
    parts = text.replace("\\", "").replace(";", ",").split(",")
    return tuple(part.strip() for part in parts if part.strip())


def _numbers(mode: CalendarMode, said: Property, default: float) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name, key in (("FACTOR", "expected" if mode is CalendarMode.EXPECTED_LOAD else "factor"), ("UP-TO", "up_to")):
        if name in said:
            try:
                numbers[key] = float(said[name])
            except ValueError:
                raise ConfigError(f"{_OURS}{name}: {said[name][:60]!r} is no number; correct it") from None
    if not numbers and mode in (CalendarMode.EXPECTED_LOAD, CalendarMode.RAISE_THRESHOLD):
        numbers["expected" if mode is CalendarMode.EXPECTED_LOAD else "factor"] = default
    return numbers


def _short(problem: object) -> str:
    return " ".join(str(problem).split())[:200]
