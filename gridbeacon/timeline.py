"""Files of records in wire format -> one time line in the order of event time, with ticks. For replay and backtest.

A file holds one JSON record a line (``*.jsonl``, ``*.jsonl.gz``). Its topic is told by its name where that begins
with one (``crowd.metrics-day1.jsonl``), else by each record (its type, or the fields of a service request).
"""

import gzip
import heapq
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gridbeacon.errors import UsageError
from gridbeacon.model import Tick

TOPICS = ("crowd.metrics", "traffic.counts", "grid.events")
_TOPIC_OF_TYPE = {"CrowdFlowObserved": TOPICS[0], "TrafficFlowObserved": TOPICS[1]}
_TIME_FIELDS = ("dateObserved", "dateObservedTo", "requested_datetime", "reported_at", "occurred_at")
_SHIFTED_FIELDS = (*_TIME_FIELDS, "dateObservedFrom", "updated_datetime", "expected_datetime")
_NAME_FIELDS = ("sensor_id", "camera_id", "id", "grid_id", "service_request_id")
_parse = msgspec.json.Decoder().decode


class Line(NamedTuple):
    """One record of a time line: event time, topic (without prefix), key (of its source, '' when unknown), bytes."""

    time_ms: int
    topic: str
    key: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Span:
    """What a set of files holds: how many records, from when to when (event time; None without any)."""

    records: int
    first_ms: int | None
    last_ms: int | None


def rfc3339(time_ms: int) -> str:
    """Return a time as it is written on the wire.

    >>> rfc3339(1_672_484_400_000)
    '2022-12-31T11:00:00.000Z'
    """
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03d}Z"


def tick_record(tick: Tick) -> bytes:
    """Return a tick as a record in wire format."""
    return msgspec.json.encode({"type": "Tick", "time": rfc3339(tick.time_ms)})


def survey(files: list[Path]) -> Span:
    """Return what the files hold. Raises ``UsageError`` naming file and line when one can't be read."""
    times = [line.time_ms for file in files for line in _lines(file)]
    return Span(len(times), min(times, default=None), max(times, default=None))


def timeline(files: list[Path], tick_ms: int, shift_ms: int = 0) -> Iterator[Line | Tick]:
    """Yield all records in order of event time (equal times: in the order of files and lines), with ticks between.

    A tick says that everything up to its time has been; one comes before a record when ``tick_ms`` have passed since
    the last one, and one at the end. ``shift_ms`` is added to every time. A line that is no record keeps its place.
    Raises ``UsageError`` when a file can't be read.
    """
    with closing(heapq.merge(*(iter(_sorted(file)) for file in files), key=lambda line: line.time_ms)) as merged:
        yield from ticked((_moved_line(line, shift_ms) for line in merged) if shift_ms else merged, tick_ms)


def ticked(lines: Iterable[Line], tick_ms: int) -> Iterator[Line | Tick]:
    """Yield records in order of event time with ticks between, as ``timeline`` does."""
    told: int | None = None
    last: int | None = None
    for line in lines:
        if told is None:
            told = line.time_ms
        elif line.time_ms - told >= tick_ms and last is not None and last < line.time_ms:
            told = line.time_ms
            yield Tick("timeline", told - 1)
        last = line.time_ms
        yield line
    if last is not None:
        yield Tick("timeline", last)


def _moved_line(line: Line, by_ms: int) -> Line:
    return line._replace(time_ms=line.time_ms + by_ms, raw=shifted(line.raw, by_ms))


def shifted(raw: bytes, by_ms: int) -> bytes:
    """Return a record with all its times moved; what is no record is returned as it is.

    >>> shifted(b'{"id":"a","dateObserved":"2022-12-31T11:00:00Z"}', 1000)
    b'{"id":"a","dateObserved":"2022-12-31T11:00:01.000Z"}'
    """
    try:
        record = _parse(raw)
    except (msgspec.DecodeError, RecursionError):
        return raw
    for one in record if isinstance(record, list) else [record]:
        for name in _SHIFTED_FIELDS if isinstance(one, dict) else ():
            value = one.get(name)
            holder, key = (value, "value") if isinstance(value, dict) else (one, name)
            text = holder.get(key)
            if isinstance(text, str):
                holder[key] = "/".join(_moved(part, by_ms) for part in text.split("/"))
    return msgspec.json.encode(record)


def _moved(text: str, by_ms: int) -> str:
    time_ms = _time_ms(text)
    return text if time_ms is None else rfc3339(time_ms + by_ms)


def _sorted(file: Path) -> Iterator[Line] | list[Line]:
    """Return the lines of a file in order of time; only a file that is not in order is held in memory."""
    before = None
    for line in _lines(file):
        if before is not None and line.time_ms < before:
            return sorted(_lines(file), key=lambda line: line.time_ms)
        before = line.time_ms
    return _lines(file)


def _lines(file: Path) -> Iterator[Line]:
    named = next((topic for topic in TOPICS if file.name.startswith(topic)), None)
    time_ms = 0
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
            for number, raw in enumerate(lines, 1):
                text = raw.strip()
                if not text:
                    continue
                told_ms, told_topic, key = _look(text)
                topic = named or told_topic
                if topic is None:
                    raise UsageError(
                        f"{file}:{number}: this record does not say what it is; give it a type (CrowdFlowObserved, "
                        f"TrafficFlowObserved) or let the file's name begin with one of: {', '.join(TOPICS)}"
                    )
                time_ms = time_ms if told_ms is None else told_ms
                yield Line(time_ms, topic, key, text)
    except (OSError, EOFError) as error:
        raise UsageError(f"{file} can't be read: {getattr(error, 'strerror', None) or error}") from error


def _look(raw: bytes) -> tuple[int | None, str | None, str]:
    """Return event time, topic and key of a record as far as it says them."""
    try:
        record = _parse(raw)
    except (msgspec.DecodeError, RecursionError):
        return None, None, ""
    if isinstance(record, dict) and isinstance(record.get("data"), list):
        record = record["data"]
    if isinstance(record, list):
        record = record[0] if record else None
    if not isinstance(record, dict):
        return None, None, ""
    topic = _TOPIC_OF_TYPE.get(_plain(record.get("type")))
    if topic is None and "service_code" in record:
        topic = TOPICS[2]
    times = (_time_ms(_plain(record.get(name)).rpartition("/")[2]) for name in _TIME_FIELDS)
    key = next((found for name in _NAME_FIELDS if (found := _plain(record.get(name)))), "")
    return next((t for t in times if t is not None), None), topic, key


def _plain(attribute: Any) -> str:
    if isinstance(attribute, dict):
        attribute = attribute.get("value")
    return attribute if isinstance(attribute, str) else ""


def _time_ms(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
