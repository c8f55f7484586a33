"""The unit of work of ``observe``: a frame, hundreds of observations as columns, with what else its log carries."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gridbeacon.model import GridEvent, Lesson, Position, Sensor, Tick, Verdict
from gridbeacon.reasons import REASONS, Level, State
from gridbeacon.vocabulary import series_name

I4 = npt.NDArray[np.int32]
I8 = npt.NDArray[np.int64]
F4 = npt.NDArray[np.float32]
F8 = npt.NDArray[np.float64]
U1 = npt.NDArray[np.uint8]
U4 = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Rows:
    """Observations as columns of equal length n, in the order in which they are to be observed.

    ``source`` indexes ``sources``; ``metric`` indexes ``vocabulary.METRICS``; ``observed_ms`` is event time;
    ``value`` finite; ``coverage`` and ``confidence`` are 0..1 or NaN (unknown); ``surface`` and ``motion`` index
    ``vocabulary.SURFACES`` and ``MOTIONS``. (``topic`` indexing ``topics``, ``partition``, ``offset``, ``index``) is
    the position of the source record; rows of one source partition stand in ascending (offset, index).
    """

    sources: tuple[str, ...]
    topics: tuple[str, ...]
    source: I4
    metric: U1
    observed_ms: I8
    value: F8
    coverage: F4
    confidence: F4
    surface: U1
    motion: U1
    topic: U1
    partition: I4
    offset: I8
    index: I4

    def __len__(self) -> int:
        return len(self.value)


def no_rows() -> Rows:
    """Return a ``Rows`` of length 0."""
    return Rows(
        sources=(),
        topics=(),
        source=np.empty(0, np.int32),
        metric=np.empty(0, np.uint8),
        observed_ms=np.empty(0, np.int64),
        value=np.empty(0, np.float64),
        coverage=np.empty(0, np.float32),
        confidence=np.empty(0, np.float32),
        surface=np.empty(0, np.uint8),
        motion=np.empty(0, np.uint8),
        topic=np.empty(0, np.uint8),
        partition=np.empty(0, np.int32),
        offset=np.empty(0, np.int64),
        index=np.empty(0, np.int32),
    )


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of the ``observations`` log.

    ``sensors`` are definitions that apply from here on (the last one counts); ``events`` are grid events with their
    source positions; ``lessons`` are what people's feedback teaches; ``ticks`` hold after the rows; ``ingested_ms`` is
    the arrival of the frame's newest record.
    """

    ingested_ms: int
    rows: Rows = field(default_factory=no_rows)
    sensors: tuple[Sensor, ...] = ()
    events: tuple[GridEvent, ...] = ()
    ticks: tuple[Tick, ...] = ()
    lessons: tuple[Lesson, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """What ``observe`` says of each row of a frame, as columns of the same length; one row of it is a Verdict.

    ``state`` is a ``reasons.State``; ``reason`` indexes ``reasons.REASONS``; ``level`` a ``reasons.Level``;
    ``expected``, ``lower``, ``upper`` in the metric's unit and the scores ``alarm``, ``severity``, ``signal`` >= 0, all
    NaN when the learned layer had nothing to say; ``direction`` -1, 0, +1; ``confidence`` 0..1; ``history``
    observations behind it.
    """

    rows: Rows
    grid: tuple[str, ...]
    state: U1
    reason: U1
    level: U1
    expected: F8
    lower: F8
    upper: F8
    alarm: F8
    severity: F8
    signal: F8
    direction: npt.NDArray[np.int8]
    confidence: F4
    history: U4


def verdicts(judged: Judged) -> Iterator[Verdict]:
    """Yield the rows of a judged frame as values, in order."""
    r = judged.rows
    columns = zip(
        r.source.tolist(),
        r.metric.tolist(),
        r.observed_ms.tolist(),
        r.value.tolist(),
        r.topic.tolist(),
        r.partition.tolist(),
        r.offset.tolist(),
        r.index.tolist(),
        judged.grid,
        judged.state.tolist(),
        judged.reason.tolist(),
        judged.level.tolist(),
        judged.expected.tolist(),
        judged.lower.tolist(),
        judged.upper.tolist(),
        judged.alarm.tolist(),
        judged.severity.tolist(),
        judged.signal.tolist(),
        judged.direction.tolist(),
        judged.confidence.tolist(),
        judged.history.tolist(),
        strict=True,
    )
    for row in columns:
        source, metric, observed_ms, value, topic, partition, offset, index, cell = row[:9]
        state, reason, level, expected, lower, upper = row[9:15]
        alarm, severity, signal, direction, confidence, history = row[15:]
        yield Verdict(
            series=series_name(metric, r.sources[source]),
            cell=cell,
            observed_ms=observed_ms,
            value=value,
            state=State(state),
            reason=REASONS[reason],
            level=Level(level),
            expected=_or_none(expected),
            lower=_or_none(lower),
            upper=_or_none(upper),
            alarm=_or_none(alarm),
            severity=_or_none(severity),
            signal=_or_none(signal),
            direction=direction,
            confidence=confidence,
            history=history,
            lineage=Position(r.topics[topic], partition, offset, index),
        )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def chosen(rows: Rows, keep: Any) -> Rows:
    """Return the rows that are kept."""
    columns: dict[str, Any] = {
        f.name: getattr(rows, f.name)[keep] for f in fields(rows) if f.name not in ("sources", "topics")
    }
    return replace(rows, **columns)


def joined(first: Judged, second: Judged) -> Judged:
    """Return two judged frames as one."""
    a, b = first.rows, second.rows
    shifted: dict[str, Any] = {
        "sources": a.sources + b.sources,
        "topics": a.topics + b.topics,
        "source": np.concatenate([a.source, b.source + np.int32(len(a.sources))]),
        "topic": np.concatenate([a.topic, b.topic + np.uint8(len(a.topics))]),
    }
    other: dict[str, Any] = {
        f.name: np.concatenate([getattr(a, f.name), getattr(b, f.name)]) for f in fields(a) if f.name not in shifted
    }
    columns: dict[str, Any] = {
        f.name: np.concatenate([getattr(first, f.name), getattr(second, f.name)])
        for f in fields(first)
        if f.name not in ("rows", "grid")
    }
    return Judged(rows=replace(no_rows(), **shifted, **other), grid=first.grid + second.grid, **columns)
