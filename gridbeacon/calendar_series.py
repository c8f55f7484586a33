"""Windows that recur: rules of iCalendar (RFC 5545) -> occurrences, in civil time, so that 18:00 stays 18:00."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice, takewhile
from typing import Any, cast

import recurring_ical_events
from icalendar import Calendar as Ics
from icalendar import Event, vRecur

from gridbeacon.calendar import Occurrence, Window
from gridbeacon.civil import civil_ms, start_of_day_ms, utc
from gridbeacon.errors import ConfigError

FIRST, LAST = date(1900, 1, 1), date(2100, 12, 31)
"""Windows lie between these days; a rule without an end stops at the last, so that no rule is searched for ever."""
MAX_A_YEAR = 10_000
"""Room for one an hour. More is a mistake, and would make every question about its time slow."""
MAX_RECURRING = timedelta(days=366)
"""A window that recurs is no longer than this, so that only a few of its occurrences are ever open together."""

_MARK = "X-GRIDBEACON-NUMBER"
FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY")
_ONE_VALUE = ("FREQ", "UNTIL", "COUNT", "INTERVAL", "WKST")
_RANGES = {
    "BYSECOND": (0, 59),
    "BYMINUTE": (0, 59),
    "BYHOUR": (0, 23),
    "BYMONTHDAY": (-31, 31),
    "BYYEARDAY": (-366, 366),
    "BYWEEKNO": (-53, 53),
    "BYMONTH": (1, 12),
    "BYSETPOS": (-366, 366),
}
_YEAR = timedelta(days=366)
_SEARCHED_FROM = 9960
"""Before this year, and as close to it as 400 years allow, a rule is searched for its first time."""
_MARGIN_MS = 2 * 86_400_000
"""Asked for on both sides of a span, because the library compares civil times of different zones."""


class Series:
    """One window that recurs, with its exceptions.

    ``events`` are the iCalendar events of one UID, whose rules are ``checked_rule``s; each goes with the window at
    the same place, or with None when it is cancelled. Times without a zone are civil times of ``zone``.
    Raises ``ConfigError``, without a place, when they yield nothing, too much, or what can't be expanded.
    """

    def __init__(self, events: Sequence[Event], windows: Sequence[Window | None], zone: tzinfo) -> None:
        self._windows = tuple(windows)
        self._zone = zone
        try:
            self._query = _query(events)
            for series in self._query.series:
                _check_number(series)
            known = list(self.between(*_year_from(_first_ms(events, zone))))
        except ConfigError:
            raise
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError) as error:
            raise ConfigError(f"its times can't be expanded ({_short(error)}); correct its rule and dates") from error
        self.first_ms = min((one.start_ms for one in known), default=_first_ms(events, zone))

    def between(self, from_ms: int, to_ms: int) -> Iterator[Occurrence]:
        """Yield every occurrence that overlaps [from, to), in no order.

        One that lies wholly in the hour that the clock skips does not happen.
        """
        for event in self._query.between(utc(from_ms - _MARGIN_MS), utc(to_ms + _MARGIN_MS)):
            window = self._windows[int(event[_MARK])]
            start_ms, end_ms = moment_ms(event["DTSTART"].dt, self._zone), moment_ms(event["DTEND"].dt, self._zone)
            if window is not None and start_ms < end_ms and start_ms < to_ms and end_ms > from_ms:
                yield Occurrence(start_ms, end_ms, window)


def _query(events: Sequence[Event]) -> Any:
    calendar = Ics()
    for number, event in enumerate(events):
        marked: Any = deepcopy(event)
        marked[_MARK] = str(number)
        calendar.add_component(marked)
    return recurring_ical_events.of(calendar)


def _check_number(series: Any) -> None:
    """The rules are walked by their own iterators, one by one: a list of all would be without bounds."""
    if not series.recurrence.has_core:
        return
    start = series.recurrence.start
    for rule in series.recurrence.rrules:
        if len(list(islice(takewhile(lambda at: at < start + _YEAR, rule), MAX_A_YEAR + 1))) > MAX_A_YEAR:
            raise ConfigError(f"it recurs more than {MAX_A_YEAR} times a year; make it rarer")


def _year_from(first_ms: int) -> tuple[int, int]:
    return first_ms, first_ms + _YEAR // timedelta(milliseconds=1)


def _first_ms(events: Sequence[Event], zone: tzinfo) -> int:
    return min(moment_ms(event.start, zone) for event in events)


def moment_ms(value: date | datetime, zone: tzinfo) -> int:
    """Return a date (its beginning), a civil time or a time with a zone in milliseconds UTC; ``zone`` is the city's.

    >>> moment_ms(datetime(2026, 1, 1, tzinfo=UTC), UTC) == moment_ms(date(2026, 1, 1), UTC)
    True
    """
    if not isinstance(value, datetime):
        return start_of_day_ms(value, zone)
    return civil_ms(value.replace(tzinfo=None), value.tzinfo or zone)


def rule_from(text: str) -> vRecur:
    """Return the rule that a text holds, such as ``FREQ=WEEKLY;BYDAY=SA``.

    Raises ``ConfigError``, without a place, when it holds anything else.
    """
    parts = [part.partition("=") for part in text.removeprefix("RRULE:").strip().split(";")]
    names = [name.strip().upper() for name, _, _ in parts]
    if not all(name and value for name, _, value in parts):
        raise ConfigError(f"{text!r} is no rule; write parts such as FREQ=WEEKLY;BYDAY=SA")
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise ConfigError(f"{twice[0]} stands twice in the rule; remove one")
    try:
        return cast("vRecur", vRecur.from_ical(text.removeprefix("RRULE:").strip()))
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise ConfigError(f"{text!r} is no rule ({_short(error)}); correct it") from error


def checked_rule(rule: vRecur, start: date | datetime, zone: tzinfo) -> vRecur:
    """Return a rule that can be expanded, for a window that first opens at ``start``.

    ``UNTIL`` is written as ``start`` is; a date takes in the whole day. A rule without an end gets the last day of
    2100. Raises ``ConfigError``, without a place, when the rule is broken or yields nothing.
    """
    values = {str(name).upper(): value if isinstance(value, list) else [value] for name, value in rule.items()}
    for name, value in values.items():
        _check_part(name, value)
    if not values.get("FREQ"):
        raise ConfigError(f"the rule does not say how often; give FREQ, one of {', '.join(FREQUENCIES)}")
    if "COUNT" in values and "UNTIL" in values:
        raise ConfigError("the rule has both COUNT and UNTIL; remove one")
    last = until(values.get("UNTIL", [LAST])[0], start, zone)
    if last < start:
        raise ConfigError(f"the rule ends (UNTIL) before its first time, {start}; correct one of them")
    first = first_of(vRecur(values), start)
    if first is None or until(first, start, zone) > last:
        raise ConfigError("the rule yields no time at all; correct it")
    return vRecur(values if "COUNT" in values else values | {"UNTIL": [last]})


def _check_part(name: str, values: list[Any]) -> None:
    if name not in (*_ONE_VALUE, "BYDAY", *_RANGES):
        raise ConfigError(f"{name[:40]!r} is no part of a rule that is supported; remove it")
    if name in _ONE_VALUE and len(values) != 1:
        raise ConfigError(f"{name} takes one value, not {len(values)}; remove the others")
    for value in values:
        if name == "FREQ" and str(value).upper() not in FREQUENCIES:
            raise ConfigError(f"FREQ={value} is too often for a calendar; give one of {', '.join(FREQUENCIES)}")
        if name in ("COUNT", "INTERVAL") and not 1 <= int(value) <= 1_000_000:
            raise ConfigError(f"{name}={value} must be at least 1 and at most 1000000; correct it")
        low, high = _RANGES.get(name, (0, 0))
        # str, because the leap months of other calendars are numbers here, written 5L.
        if name in _RANGES and not (
            low <= int(value) <= high and (low >= 0 or int(value) != 0) and str(value) == str(int(value))
        ):
            raise ConfigError(f"{name}={value} must be from {low} to {high}{', not 0' * (low < 0)}; correct it")


def until(value: date | datetime, start: date | datetime, zone: tzinfo) -> date | datetime:
    """Return the last time of a rule as its ``start`` is written: a date, a civil time, or a time in UTC.

    >>> until(date(2026, 1, 31), datetime(2026, 1, 3, 18), UTC)
    datetime.datetime(2026, 1, 31, 23, 59, 59)
    """
    if not isinstance(start, datetime):
        if isinstance(value, datetime):
            return (value.astimezone(zone) if value.tzinfo else value).date()
        return value
    moment = value if isinstance(value, datetime) else datetime.combine(value, time(23, 59, 59))
    if start.tzinfo is None:
        return moment if moment.tzinfo is None else moment.astimezone(zone).replace(tzinfo=None)
    return (moment if moment.tzinfo else moment.replace(tzinfo=start.tzinfo)).astimezone(UTC)


def first_of(rule: vRecur, start: date | datetime) -> datetime | None:
    """Return the first time, on the clock of ``start``, that a rule yields from there on; None without any.

    The library looks for it until the year 9999. So it looks from as close to that as it can: days and weekdays
    repeat every 400 years.

    >>> first_of(rule_from("FREQ=WEEKLY;BYDAY=SU"), datetime(2026, 1, 3, 18))
    datetime.datetime(2026, 1, 4, 18, 0)
    """
    civil = start.replace(tzinfo=None) if isinstance(start, datetime) else datetime.combine(start, time())
    years = (_SEARCHED_FROM - civil.year) // 400 * 400
    later = civil.replace(year=civil.year + years)
    endless = vRecur({name: value for name, value in rule.items() if name not in ("COUNT", "UNTIL")})
    try:
        series = _query([event_of(later, later, endless)]).series[0]
        found = next((at for expanded in series.recurrence.rrules[1:] for at in expanded), None)
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
        raise ConfigError(f"the rule can't be expanded ({_short(error)}); correct it") from error
    return None if found is None else cast("datetime", found.replace(year=found.year - years))


def event_of(start: date | datetime, end: date | datetime, rule: vRecur) -> Event:
    """Return the iCalendar event that begins at ``start``, ends at ``end`` and recurs by a rule."""
    event: Any = Event()
    event.add("UID", "0")
    event.add("DTSTART", start)
    event.add("DTEND", end)
    event["RRULE"] = rule
    return cast("Event", event)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
