"""``docs/calendar.md``: its files are read, and say what the page says of them."""

import re
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gridbeacon import calendar_ics, calendar_series
from gridbeacon.calendar import Calendar, Effect
from gridbeacon.calendar_file import DayEntry, WindowEntry, load_calendar
from gridbeacon.config_file import load
from gridbeacon.days import Days
from gridbeacon.errors import ConfigError
from gridbeacon.reasons import CalendarMode, DayType
from gridbeacon.vocabulary import Kind

DOC = (Path(__file__).resolve().parents[2] / "docs" / "calendar.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`([\w.]+)`:\n\n```\w+\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL))


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table that begins with these columns."""
    _, _, rest = DOC.partition(f"| {heading} |\n")
    assert rest, heading
    table = rest.partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in re.split(r"\s*\|\s?", line)[1:-1]] for line in table]


def read(folder: Path, files: dict[str, str]) -> Calendar:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return load_calendar(load(folder / "gridbeacon.yaml", {}), folder)


@pytest.fixture(scope="module")
def city(tmp_path_factory) -> Calendar:
    assert sorted(FILES) == ["city.yaml", "days.csv", "gridbeacon.yaml", "stadium.ics"]
    return read(tmp_path_factory.mktemp("city"), FILES)


def in_words(effect: Effect) -> str:
    parts = ["mute"] if effect.mute else []
    parts += [f"factor {effect.factor:g}"] if effect.factor != 1 else []
    parts += [f"expected {effect.expected:g}"] if effect.expected != 1 else []
    return ", ".join(parts + ([] if effect.train else ["no training"]))


@pytest.mark.parametrize("row", rows("time | cell | open | amounts to"), ids=lambda row: " ".join(row[:2]))
def test_the_files_say_what_the_table_says(city: Calendar, row: list[str]) -> None:
    time, cell, names, words = row
    moment = datetime.fromisoformat(time).replace(tzinfo=ZoneInfo("Europe/Berlin"))
    effect = city.at(int(moment.timestamp() * 1000), cell, Kind.CROWD, "people_count")
    assert (", ".join(effect.names), in_words(effect)) == (names, words)


@pytest.mark.parametrize("row", rows("country | date | day"), ids=lambda row: " ".join(row[:2]))
def test_the_days_are_those_of_the_table(city: Calendar, row: list[str]) -> None:
    country, when, words = row
    day = city.day(date.fromisoformat(when)) if "overlay" in country else Days("CN").day(date.fromisoformat(when))
    assert (f"{day.type}: {day.name}" if day.name else str(day.type)) == words


def test_the_overlay_in_yaml_says_the_same(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```yaml\n(days:.*?)^```", DOC, re.MULTILINE | re.DOTALL)
    config = FILES["gridbeacon.yaml"].replace("days.csv", "days.yaml")
    calendar = read(tmp_path, FILES | {"gridbeacon.yaml": config, "days.yaml": shown})
    assert calendar.day(date(2026, 3, 30)).name == "State funeral"


@pytest.mark.parametrize("row", rows("written | told"), ids=lambda row: row[0])
def test_the_mistakes_are_told_as_they_stand_here(tmp_path: Path, row: list[str]) -> None:
    written, told = (cell.strip("`") for cell in row)
    key = written.partition(":")[0]
    market = "windows:" + FILES["city.yaml"].partition("windows:")[2].partition("  - name: evac")[0]
    given, times = re.subn(rf"(?m)^    {key}: .*$", f"    {written}", market)
    changed = given if times else f"{given.rstrip()}\n    {written}\n"
    config = "calendar: {files: [{path: city.yaml}]}\n"
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, {"gridbeacon.yaml": config, "city.yaml": changed})
    assert re.match(rf"{re.escape(str(tmp_path / 'city.yaml'))}:\d+: ", str(caught.value))
    assert told in str(caught.value)


def test_every_mode_day_type_key_and_property_is_named_and_no_other() -> None:
    assert [row[0] for row in rows("mode | while the window is open | number")] == [f"`{m}`" for m in CalendarMode]
    for word in (*DayType, *WindowEntry.__struct_fields__, *DayEntry.__struct_fields__):
        assert re.search(rf"\b{word}\b", DOC), word
    said = [row[0].strip("`") for row in rows("property | says")]
    assert said == [f"X-GRIDBEACON-{name}" for name in calendar_ics.NAMES]


def test_numbers_are_those_of_the_code() -> None:
    assert f"More than {calendar_series.MAX_A_YEAR}\n" in DOC
    assert calendar_series.LAST.year == 2100
    frequencies = re.findall(r"`([A-Z]+LY)`", DOC)
    assert sorted(frequencies) == sorted(calendar_series.FREQUENCIES)
