"""Days of a city: what was really announced, the overlay, and what nobody knows."""

from datetime import date, timedelta

import holidays
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gridbeacon.days import Day, Days
from gridbeacon.errors import ConfigError
from gridbeacon.reasons import DayType

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


@given(st.text(max_size=3))
def test_an_unknown_country_is_refused(country):
    assume(country and country not in holidays.list_supported_countries())
    with pytest.raises(ConfigError, match="no country that has a calendar; "):
        Days(country)
