"""Reads the calendar's files: windows from YAML and iCalendar, days from an overlay. Mistakes name file, line, fix."""

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from gridbeacon.calendar import Calendar, Occurrence, Window
from gridbeacon.calendar_series import (
    FIRST,
    LAST,
    MAX_RECURRING,
    Series,
    checked_rule,
    event_of,
    first_of,
    moment_ms,
    rule_from,
)
from gridbeacon.calendar_windows import FieldError, Given, Kept, check_modes, check_prefixes, window_of
from gridbeacon.config import Config
from gridbeacon.config_file import Reader
from gridbeacon.config_section import Section
from gridbeacon.config_values import say
from gridbeacon.days import Day, Days
from gridbeacon.errors import ConfigError
from gridbeacon.reasons import CalendarMode, DayType
from gridbeacon.registry_file import csv_rows

T = TypeVar("T", bound=Section)
_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:[T ](?P<time>\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?) ?(?P<zone>Z|[+-]\d\d:\d\d)?)?"
)
_LONGEST_MINUTES = MAX_RECURRING // timedelta(minutes=1)


class VenueEntry(Section, frozen=True):
    """A place by name: the prefixes of its cells."""

    name: str
    cells: tuple[str, ...]


class WindowEntry(Section, frozen=True):
    """One window. Times are of the city unless they say otherwise; a date alone means the whole day."""

    name: str
    mode: CalendarMode
    start: str
    end: str = ""
    """When it ends; for one that does not recur."""
    duration_minutes: Annotated[int, Meta(ge=1, le=_LONGEST_MINUTES)] = 1
    """How long it lasts on the clock; for one that recurs."""
    rule: str = ""
    """How it recurs (RRULE of iCalendar)."""
    cells: tuple[str, ...] = ()
    venue: str = ""
    kind: str = ""
    metric: str = ""
    factor: float = 1.0
    expected: float = 1.0
    up_to: float = 0.0


class WindowFile(Section, frozen=True):
    """A YAML file of windows."""

    venues: tuple[VenueEntry, ...] = ()
    windows: tuple[WindowEntry, ...] = ()


class DayEntry(Section, frozen=True):
    """One day of the overlay."""

    date: str
    type: DayType
    name: str = ""


class DayFile(Section, frozen=True):
    """A YAML file of days."""

    days: tuple[DayEntry, ...] = ()


def load_calendar(config: Config, base: Path) -> Calendar:
    """Return the calendar that the configuration names, its files relative to ``base``.

    Raises ``ConfigError`` for the first mistake: ``file:line: key: what is wrong; the fix`` in YAML and CSV, the file
    and the event's summary and UID in iCalendar.
    """
    section, zone = config.calendar, ZoneInfo(config.timezone)
    days = Days(section.country, section.subdivision, _overlay(base / section.overlay) if section.overlay else None)
    readers = {}
    venues: dict[str, tuple[str, ...]] = {}
    for file in section.files:
        if not _is_ics(file.path):
            reader = Reader(base / file.path, {})
            readers[file.path] = reader, _read(reader, base / file.path, WindowFile)
            _take_venues(reader, readers[file.path][1], venues, config.grid.pattern)
    kept: list[Kept] = []
    for file in section.files:
        if _is_ics(file.path):
            from gridbeacon.calendar_ics import load_ics  # takes half a second to load: only for who has such files

            kept += load_ics(base / file.path, file, zone, venues, config.grid.pattern)
        else:
            kept += _windows(*readers[file.path], zone, venues, config.grid.pattern)
    check_modes(kept)
    once = [one for each in kept for one in each.once]
    return Calendar(days, once, [each.series for each in kept if each.series is not None])


def _is_ics(path: str) -> bool:
    return path.lower().endswith((".ics", ".ical"))


def _read(reader: Reader, path: Path, kind: type[T]) -> T:
    return msgspec.convert(reader.tree(path, kind), kind)


def _take_venues(reader: Reader, file: WindowFile, venues: dict[str, tuple[str, ...]], pattern: str) -> None:
    for number, venue in enumerate(file.venues):
        key = f"venues[{number}]"
        if not venue.name or venue.name in venues:
            raise reader.error((f"{key}.name",), f"{venue.name!r} must be a name that no other venue has; change it")
        if not venue.cells:
            raise reader.error((f"{key}.cells",), "a venue needs cells; give at least one prefix of a grid code")
        try:
            check_prefixes(venue.cells, pattern)
        except ConfigError as error:
            raise reader.error((f"{key}.cells",), str(error)) from None
        venues[venue.name] = venue.cells


def _windows(
    reader: Reader, file: WindowFile, zone: ZoneInfo, venues: dict[str, tuple[str, ...]], pattern: str
) -> Iterator[Kept]:
    for number, entry in enumerate(file.windows):
        key = f"windows[{number}]"
        for name in ("cells", "venue", "kind", "metric"):
            if reader.has(key, name) and not getattr(entry, name):
                text = "it is empty, which would mean everything; give a value or remove the key"
                raise reader.error((f"{key}.{name}",), text)
        given = Given(
            name=entry.name,
            mode=entry.mode,
            cells=entry.cells,
            venue=entry.venue,
            kind=entry.kind,
            metric=entry.metric,
            numbers={name: getattr(entry, name) for name in ("factor", "expected", "up_to") if reader.has(key, name)},
        )
        try:
            window = window_of(given, venues, pattern)
        except FieldError as error:
            raise reader.error((f"{key}.{error.name}",), str(error)) from None
        place = reader.place(key)
        if entry.rule:
            yield Kept(place, window, (), _series(reader, key, entry, window, zone))
        else:
            yield Kept(place, window, (_once(reader, key, entry, window, zone),), None)


def _once(reader: Reader, key: str, entry: WindowEntry, window: Window, zone: ZoneInfo) -> Occurrence:
    if reader.has(key, "duration_minutes"):
        raise reader.error((f"{key}.duration_minutes",), "it is for windows with a rule; give end instead")
    if not entry.end:
        raise reader.error((key,), "the window has no end; give end, or rule and duration_minutes")
    start, end = _moment(reader, f"{key}.start", entry.start), _moment(reader, f"{key}.end", entry.end)
    start_ms = moment_ms(start, zone)
    # "to the 7th" takes in the 7th: so people say it.
    end_ms = moment_ms(end if isinstance(end, datetime) else end + timedelta(days=1), zone)
    if end_ms <= start_ms:
        raise reader.error((f"{key}.end",), f"{entry.end} is not after the start, {entry.start}; correct one of them")
    return Occurrence(start_ms, end_ms, window)


def _series(reader: Reader, key: str, entry: WindowEntry, window: Window, zone: ZoneInfo) -> Series:
    if entry.end:
        raise reader.error((f"{key}.end",), "a window with a rule lasts duration_minutes; give that instead of end")
    if not reader.has(key, "duration_minutes"):
        raise reader.error((key,), "the window has a rule but no length; give duration_minutes")
    start = _moment(reader, f"{key}.start", entry.start)
    start = start if isinstance(start, datetime) else datetime.combine(start, time())
    if start.tzinfo is not None:
        raise reader.error((f"{key}.start",), "a rule follows the city's clock; write the time without Z or offset")
    try:
        rule = checked_rule(rule_from(entry.rule), start, zone)
        first = first_of(rule, start)
        if first != start:
            raise ConfigError(f"the start, {entry.start}, is not one of its times; start at the first, {first}")
        return Series([event_of(start, start + timedelta(minutes=entry.duration_minutes), rule)], [window], zone)
    except ConfigError as error:
        raise reader.error((f"{key}.rule",), str(error)) from None


def _moment(reader: Reader, key: str, text: str) -> date | datetime:
    try:
        return parse_moment(text)
    except ConfigError as error:
        raise reader.error((key,), str(error)) from None


def parse_moment(text: str) -> date | datetime:
    """Return a date, a civil time, or a time with its offset. Raises ``ConfigError``, without a place.

    >>> parse_moment("2026-10-01"), parse_moment("2026-10-01 18:00")
    (datetime.date(2026, 10, 1), datetime.datetime(2026, 10, 1, 18, 0))
    """
    found = _TIME.fullmatch(text)
    if found is None or not text.isascii():
        raise ConfigError(f"{text[:60]!r} is no time; write 2026-10-01, 2026-10-01 18:00 or 2026-10-01T18:00:00+08:00")
    try:
        day = date.fromisoformat(found["day"])
        moment = None if found["time"] is None else datetime.combine(day, time.fromisoformat(found["time"]))
        if moment is not None and found["zone"] is not None:
            moment = datetime.fromisoformat(moment.isoformat() + found["zone"])
    except ValueError as error:
        raise ConfigError(f"{text!r} is no time ({error}); correct it") from None
    if not FIRST <= day <= LAST:
        raise ConfigError(f"{text!r} is not between {FIRST} and {LAST}; correct it")
    return day if moment is None else moment


def _overlay(path: Path) -> dict[date, Day]:
    found: dict[date, tuple[Day, str]] = {}
    for where, entry in _csv_days(path) if path.suffix.lower() == ".csv" else _yaml_days(path):
        try:
            day = parse_moment(entry.date)
        except ConfigError as error:
            raise ConfigError(f"{where}: date: {error}") from None
        if isinstance(day, datetime):
            raise ConfigError(f"{where}: date: {entry.date!r} has a time of day; give the date alone")
        if day in found:
            raise ConfigError(f"{where}: date: {entry.date} is given twice, first at {found[day][1]}; remove one")
        found[day] = Day(entry.type, entry.name), where
    return {day: kept for day, (kept, _) in found.items()}


def _yaml_days(path: Path) -> Iterator[tuple[str, DayEntry]]:
    reader = Reader(path, {})
    for number, entry in enumerate(_read(reader, path, DayFile).days):
        yield reader.place(f"days[{number}]"), entry


def _csv_days(path: Path) -> Iterator[tuple[str, DayEntry]]:
    known = DayEntry.__struct_fields__
    try:
        for where, values in csv_rows(path):
            for name in values:
                if name not in known:
                    raise ConfigError(f"{where}: the column {name!r} is unknown; the columns are {', '.join(known)}")
            for name in ("date", "type"):
                if name not in values:
                    raise ConfigError(f"{where}: {name} is missing; give it")
            if values["type"] not in tuple(DayType):
                raise ConfigError(f"{where}: type: {values['type']!r} is not {say(DayType)}; correct it")
            yield where, DayEntry(date=values["date"], type=DayType(values["type"]), name=values.get("name", ""))
    except OSError as error:
        raise ConfigError(f"{path}: it can't be read ({error.strerror}); correct its path or rights") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: it is not UTF-8 text; save it as UTF-8") from error
