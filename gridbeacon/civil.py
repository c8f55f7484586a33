"""Civil time (what a clock in the city shows) -> milliseconds UTC, over both changes of the clock."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - counted from without a zone, so that no zone bends the count
_NONE = timedelta(0)


def civil_ms(moment: datetime, zone: tzinfo) -> int:
    """Return when a clock in ``zone`` shows ``moment`` (without a zone), in milliseconds UTC.

    In the hour that comes twice it is the first pass. A time that the clock skips is the moment of the change, so
    that a span from one civil time to another is exactly what lies between them on the clock.

    >>> from zoneinfo import ZoneInfo
    >>> berlin = ZoneInfo("Europe/Berlin")
    >>> civil_ms(datetime(2026, 3, 29, 2, 30), berlin) == civil_ms(datetime(2026, 3, 29, 3, 0), berlin)
    True
    >>> civil_ms(datetime(2026, 10, 25, 3, 0), berlin) - civil_ms(datetime(2026, 10, 25, 2, 0), berlin)
    7200000
    """
    before = moment.replace(tzinfo=zone, fold=0).utcoffset() or _NONE
    after = moment.replace(tzinfo=zone, fold=1).utcoffset() or _NONE
    if after <= before:
        return _ms(moment - before)
    return _change_ms(_ms(moment - after), _ms(moment - before), after, zone)


def start_of_day_ms(day: date, zone: tzinfo) -> int:
    """Return when a civil day begins, in milliseconds UTC; where midnight is skipped, that is the change.

    >>> from zoneinfo import ZoneInfo
    >>> start_of_day_ms(date(2026, 10, 1), ZoneInfo("Asia/Shanghai"))
    1790784000000
    """
    return civil_ms(datetime.combine(day, time()), zone)


def utc(time_ms: int) -> datetime:
    """Return a time as a ``datetime`` with the zone UTC.

    >>> utc(1_790_784_000_000).isoformat()
    '2026-09-30T16:00:00+00:00'
    """
    return (_EPOCH + timedelta(milliseconds=time_ms)).replace(tzinfo=UTC)


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _change_ms(low_ms: int, high_ms: int, after: timedelta, zone: tzinfo) -> int:
    """Return the first second in (low, high] at which the clock is ``after`` ahead of UTC."""
    while high_ms - low_ms > 1000:
        middle_ms = (low_ms + high_ms) // 2000 * 1000
        if middle_ms <= low_ms:  # the bounds need not be whole seconds
            middle_ms += 1000
        if utc(middle_ms).astimezone(zone).utcoffset() == after:
            high_ms = middle_ms
        else:
            low_ms = middle_ms
    return high_ms // 1000 * 1000
