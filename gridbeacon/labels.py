"""What is known to have happened: labelled spans of time from a CSV file with the columns start, end and name."""

import csv
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from gridbeacon.errors import UsageError


class Label(msgspec.Struct, frozen=True):
    """Something that happened in [start, end], ms since 1970 UTC."""

    start_ms: int
    end_ms: int
    name: str


def read_labels(file: Path, zone: ZoneInfo) -> list[Label]:
    """Return the labels of a file in order of time; times without an offset are the clock's of ``zone``.

    Raises ``UsageError`` with file and line.
    """
    found = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, strict=True)
            missing = [name for name in ("start", "end", "name") if name not in (reader.fieldnames or ())]
            if missing:
                raise UsageError(f"{file}: there is no column {missing[0]!r}; the columns are start, end and name")
            for row in reader:
                where = f"{file}:{reader.line_num}"
                start_ms, end_ms = (time_of(row[name] or "", zone, f"{where}: {name}") for name in ("start", "end"))
                if end_ms < start_ms:
                    raise UsageError(f"{where}: the end is before the start; exchange them")
                found.append(Label(start_ms, end_ms, row["name"] or f"line {reader.line_num}"))
    except OSError as error:
        raise UsageError(f"{file} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8 text; save it as UTF-8") from None
    except csv.Error as error:
        raise UsageError(f"{file}: not CSV ({error}); mend or leave out the line") from None
    return sorted(found, key=lambda label: (label.start_ms, label.end_ms, label.name))


def time_of(text: str, zone: ZoneInfo, where: str) -> int:
    """Return a time as ms since 1970 UTC. Raises ``UsageError`` that says ``where``.

    >>> time_of("1970-01-02", ZoneInfo("Europe/Berlin"), "--from")
    82800000
    """
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{where}: {text!r} is no time; write 2026-11-23 18:05:00, or 2026-11-23T18:05:00Z") from None
    aware = at if at.tzinfo is not None else at.replace(tzinfo=zone)
    return round(aware.astimezone(UTC).timestamp() * 1000)
