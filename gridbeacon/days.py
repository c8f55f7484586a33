"""The city's days: workday, weekend, holiday or make-up workday, from the package ``holidays`` and an overlay."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches

import holidays
from holidays import HolidayBase

from gridbeacon.errors import ConfigError
from gridbeacon.reasons import DayType

_SATURDAY = 5
_YEARS = (1950, 2100)
"""What the package covers, both included; outside it nobody knows of holidays."""


@dataclass(frozen=True, slots=True)
class Day:
    """What a date is; ``name`` says why where there is a reason, such as a holiday's name, else ''."""

    type: DayType
    name: str = ""


class Days:
    """Day types by civil date. The overlay wins over the package; without a country there are weekends alone."""

    def __init__(self, country: str = "", subdivision: str = "", overlay: Mapping[date, Day] | None = None) -> None:
        self._overlay = dict(overlay or {})
        self._known = _country(country, subdivision) if country else None

    def day(self, when: date) -> Day:
        """Return what a civil date is, with its name.

        >>> Days("CN").day(date(2024, 10, 1))
        Day(type=<DayType.HOLIDAY: 'holiday'>, name='National Day')
        """
        found = self._overlay.get(when)
        if found is not None:
            return found
        known = self._known
        if known is None or not _YEARS[0] <= when.year <= _YEARS[1]:
            return Day(DayType.WEEKEND if when.weekday() >= _SATURDAY else DayType.WORKDAY)
        if known.is_weekend(when):
            if known.is_working_day(when):
                return Day(DayType.MAKEUP_WORKDAY)
            name = known.get(when)
            return Day(DayType.WEEKEND) if name is None else Day(DayType.HOLIDAY, name)
        name = known.get(when)
        return Day(DayType.WORKDAY) if name is None else Day(DayType.HOLIDAY, name)

    def type_of(self, when: date) -> DayType:
        """Return the type of a civil date.

        >>> Days("CN").type_of(date(2024, 9, 14)), Days().type_of(date(2024, 9, 14))
        (<DayType.MAKEUP_WORKDAY: 'makeup_workday'>, <DayType.WEEKEND: 'weekend'>)
        """
        return self.day(when).type


def check_country(country: str) -> None:
    """Return when the package knows the country; raises ``ConfigError``, without a place, when it does not.

    >>> check_country("cn")
    Traceback (most recent call last):
    gridbeacon.errors.ConfigError: 'cn' is no country that has a calendar; did you mean CN?
    """
    known = holidays.list_supported_countries(include_aliases=True)
    if country not in known:
        near = [country.upper()] if country.upper() in known else get_close_matches(country, known, 1)
        fix = f"did you mean {near[0]}?" if near else "give a code of two letters (ISO 3166), such as CN"
        raise ConfigError(f"{country!r} is no country that has a calendar; {fix}")


def check_subdivision(country: str, subdivision: str) -> None:
    """Return when the country has the subdivision; raises ``ConfigError``, without a place, when it has not.

    >>> check_subdivision("DE", "BE")
    """
    try:
        holidays.country_holidays(country, subdiv=subdivision)
    except NotImplementedError:
        known = holidays.list_supported_countries(include_aliases=True).get(country, [])
        fix = f"it has {', '.join(known)}" if known else "it has none, remove the key"
        raise ConfigError(f"{subdivision!r} is no subdivision of {country}; {fix}") from None


def _country(country: str, subdivision: str) -> HolidayBase:
    check_country(country)
    if subdivision:
        check_subdivision(country, subdivision)
    # Left to itself the package names holidays in the language of the machine; a calendar is the same everywhere.
    languages = holidays.list_localized_countries(include_aliases=True).get(country, [])
    language = "en_US" if "en_US" in languages else languages[0] if languages else None
    return holidays.country_holidays(country, subdiv=subdivision or None, language=language)
