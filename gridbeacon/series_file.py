"""Series of recorded values from CSV files: a time, a value and, where there are several, a name on each line."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gridbeacon.errors import UsageError


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns; without ``series`` a file is one series, called like the file."""

    time: str = "timestamp"
    value: str = "value"
    series: str | None = None


@dataclass(slots=True)
class Series:
    """One series: times as written and as ms since 1970 UTC, with finite values.

    ``late`` counts the lines whose time goes back behind one before them; ``first_late`` says where the first is.
    """

    name: str
    texts: list[str] = field(default_factory=list)
    time_ms: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    newest_ms: int | None = None
    late: int = 0
    first_late: str = ""

    def add(self, text: str, time_ms: int, value: float, where: str) -> None:
        """Take one line."""
        self.texts.append(text)
        self.time_ms.append(time_ms)
        self.values.append(value)
        if self.newest_ms is not None and time_ms < self.newest_ms:
            self.late += 1
            self.first_late = self.first_late or where
        self.newest_ms = time_ms if self.newest_ms is None else max(self.newest_ms, time_ms)


_NOTHING = ("", "nan")
LATE_SHARE = 0.05
"""Above this a file is taken to be out of order."""


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone. Raises ``UsageError`` when nobody knows it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"--timezone {name!r} is unknown; give an IANA name such as Europe/Berlin") from None


def read_series(file: Path, columns: Columns, zone: ZoneInfo, *, gaps: bool = False) -> list[Series]:
    """Return the series of one file, in the order in which they begin.

    Times without an offset are the clock's of ``zone``; of an hour that the clock shows twice, lines that go back
    mean the second pass. With ``gaps`` a line without a value, or with the value nan, says that nothing was measured:
    the series is known, the line is left out. A few lines that come late are counted; many, and whatever else is
    wrong, raise ``UsageError`` with file and line.
    """
    found: dict[str, Series] = {}
    aware: bool | None = None
    for line, row in _rows(file, columns):
        where = f"{file}:{line}"
        at = _time(row[columns.time], where)
        if aware is not None and (at.tzinfo is not None) != aware:
            raise UsageError(f"{where}: some times have an offset and some have none; write all of them the same way")
        aware = at.tzinfo is not None
        name = row[columns.series] if columns.series else file.stem
        series = found.setdefault(name, Series(name))
        if gaps and row[columns.value].strip().lower() in _NOTHING:
            continue
        time_ms = _ms(at, zone)
        if series.newest_ms is not None and time_ms < series.newest_ms and not aware:
            time_ms = _ms(at.replace(fold=1), zone)
        series.add(row[columns.time], time_ms, _value(row[columns.value], where, columns.value), where)
    for series in found.values():
        if series.late > LATE_SHARE * len(series.values):
            raise UsageError(
                f"{series.first_late}: the time goes back in series {series.name!r}, and {series.late:,} of "
                f"{len(series.values):,} lines come late; sort the file by {columns.time!r}, or name the column of the "
                "series"
            )
    return list(found.values())


def _rows(file: Path, columns: Columns) -> Iterator[tuple[int, dict[str, str]]]:
    wanted = [name for name in (columns.time, columns.value, columns.series) if name]
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, strict=True)
            missing = next((name for name in wanted if name not in (reader.fieldnames or ())), None)
            if missing is not None:
                there = ", ".join(reader.fieldnames or ()) or "none"
                raise UsageError(f"{file}: there is no column {missing!r} (columns: {there}); name it with an option")
            for row in reader:
                if any(row[name] is None for name in wanted):
                    raise UsageError(f"{file}:{reader.line_num}: the line is too short; write a value in every column")
                yield reader.line_num, row
    except OSError as error:
        raise UsageError(f"{file} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8 text; save it as UTF-8") from None
    except csv.Error as error:
        raise UsageError(f"{file}: not CSV ({error}); mend or leave out the line") from None


def _time(text: str, where: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{where}: {text!r} is no time; write 2026-11-23 18:05:00, or 2026-11-23T18:05:00Z") from None


def _ms(at: datetime, zone: ZoneInfo) -> int:
    aware = at if at.tzinfo is not None else at.replace(tzinfo=zone)
    return round(aware.astimezone(UTC).timestamp() * 1000)


def _value(text: str, where: str, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(
            f"{where}: {column} is {text!r}, no finite number; leave out the line where nothing was measured"
        )
    return value
