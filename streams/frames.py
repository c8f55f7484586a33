"""Frames on the wire: one Arrow IPC stream of one record batch; what is not columns is JSON in the schema's metadata.

Any Arrow tool reads the columns (``pyarrow.ipc.open_stream(message).read_all()``).
"""

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from gridbeacon.errors import Fatal
from gridbeacon.frame import Frame, Judged, Rows
from gridbeacon.model import GridEvent, Lesson, Sensor, Tick

FORMAT = 2
HEADER = b"gridbeacon"
UNREADABLE = (pa.ArrowException, OSError, msgspec.DecodeError, StopIteration, KeyError)
"""What reading something else than a frame may raise; Arrow says OSError of a damaged stream."""

_ROW_FIELDS = (
    ("source", pa.int32()),
    ("metric", pa.uint8()),
    ("observed_ms", pa.int64()),
    ("value", pa.float64()),
    ("coverage", pa.float32()),
    ("confidence", pa.float32()),
    ("surface", pa.uint8()),
    ("motion", pa.uint8()),
    ("topic", pa.uint8()),
    ("partition", pa.int32()),
    ("offset", pa.int64()),
    ("index", pa.int32()),
)
_VERDICT_FIELDS = (
    ("grid", pa.int32()),
    ("state", pa.uint8()),
    ("reason", pa.uint8()),
    ("level", pa.uint8()),
    ("expected", pa.float64()),
    ("lower", pa.float64()),
    ("upper", pa.float64()),
    ("alarm", pa.float64()),
    ("severity", pa.float64()),
    ("signal", pa.float64()),
    ("direction", pa.int8()),
    ("history", pa.uint32()),
    ("trust", pa.float32()),
)


class FrameHeader(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a frame carries besides its columns."""

    format: int
    ingested_ms: int
    sources: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    sensors: tuple[Sensor, ...] = ()
    events: tuple[GridEvent, ...] = ()
    ticks: tuple[Tick, ...] = ()
    lessons: tuple[Lesson, ...] = ()


class ScoredHeader(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a message of ``scores`` carries besides its columns; its position is that of the observations message."""

    format: int
    partition: int
    offset: int
    previous: int = -1
    tick: Tick | None = None
    sensors: tuple[Sensor, ...] = ()
    sources: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    grids: tuple[str, ...] = ()
    events: tuple[GridEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Scored:
    """One message of ``scores``: all that was judged of the ``observations`` message at (``partition``, ``offset``).

    ``previous`` is the offset of the one that was sent before (-1: none); ``tick`` passes time on, ``sensors`` are the
    definitions that came with the message.
    """

    partition: int
    offset: int
    judged: Judged
    events: tuple[GridEvent, ...]
    previous: int = -1
    tick: Tick | None = None
    sensors: tuple[Sensor, ...] = ()


_frame_header = msgspec.json.Decoder(FrameHeader)
_scored_header = msgspec.json.Decoder(ScoredHeader)


def encode_columns(fields: tuple[tuple[str, pa.DataType], ...], columns: list[Any], header: bytes) -> bytes:
    """Return columns as one message, with ``header`` in its metadata."""
    schema = pa.schema(fields, metadata={HEADER: header})
    batch = pa.record_batch([pa.array(c, t) for c, (_, t) in zip(columns, fields, strict=True)], schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def decode_columns(raw: bytes) -> tuple[bytes, dict[str, Any]]:
    """Return header and columns of one message. Raises one of ``UNREADABLE``, or ``Fatal`` when it has no header."""
    with pa.ipc.open_stream(raw) as reader:
        header = (reader.schema.metadata or {}).get(HEADER)
        if header is None:
            raise Fatal("a message on one of Gridbeacon's own topics is not a frame: nothing else may write to them")
        batch = reader.read_next_batch()
    return header, {name: column.to_numpy() for name, column in zip(batch.schema.names, batch.columns, strict=True)}


def _rows(sources: tuple[str, ...], topics: tuple[str, ...], columns: dict[str, Any]) -> Rows:
    return Rows(sources=sources, topics=topics, **{name: columns[name] for name, _ in _ROW_FIELDS})


def encode_frame(frame: Frame) -> bytes:
    """Return a frame as one message of ``observations``."""
    rows = frame.rows
    header = FrameHeader(
        format=FORMAT,
        ingested_ms=frame.ingested_ms,
        sources=rows.sources,
        topics=rows.topics,
        sensors=frame.sensors,
        events=frame.events,
        ticks=frame.ticks,
        lessons=frame.lessons,
    )
    return encode_columns(_ROW_FIELDS, [getattr(rows, name) for name, _ in _ROW_FIELDS], msgspec.json.encode(header))


def decode_frame(raw: bytes) -> Frame:
    """Return the frame of one message of ``observations``; its arrays are read-only views.

    Raises ``Fatal`` when the message is not a frame of this format.
    """
    try:
        header_bytes, columns = decode_columns(raw)
        header = _frame_header.decode(header_bytes)
    except UNREADABLE as error:
        raise Fatal(f"unreadable message on the observations topic: {error}") from error
    return Frame(
        ingested_ms=header.ingested_ms,
        rows=_rows(header.sources, header.topics, columns),
        sensors=header.sensors,
        events=header.events,
        ticks=header.ticks,
        lessons=header.lessons,
    )


def encode_scored(scored: Scored) -> bytes:
    """Return what was judged of one message of ``observations`` as one message."""
    judged = scored.judged
    rows = judged.rows
    grids = tuple(dict.fromkeys(judged.grid))
    number = {grid: i for i, grid in enumerate(grids)}
    header = ScoredHeader(
        format=FORMAT,
        partition=scored.partition,
        offset=scored.offset,
        previous=scored.previous,
        tick=scored.tick,
        sensors=scored.sensors,
        sources=rows.sources,
        topics=rows.topics,
        grids=grids,
        events=scored.events,
    )
    columns = [getattr(rows, name) for name, _ in _ROW_FIELDS]
    columns += [
        np.fromiter((number[g] for g in judged.grid), np.int32, len(judged.grid)),
        judged.state,
        judged.reason,
        judged.level,
        judged.expected,
        judged.lower,
        judged.upper,
        judged.alarm,
        judged.severity,
        judged.signal,
        judged.direction,
        judged.history,
        judged.confidence,
    ]
    return encode_columns(_ROW_FIELDS + _VERDICT_FIELDS, columns, msgspec.json.encode(header))


def decode_scored(raw: bytes) -> Scored:
    """Return what one message of ``scores`` says. Raises ``Fatal`` when it is not one of this format."""
    try:
        header_bytes, c = decode_columns(raw)
        header = _scored_header.decode(header_bytes)
    except UNREADABLE as error:
        raise Fatal(f"unreadable message on the scores topic: {error}") from error
    grids = header.grids
    judged = Judged(
        rows=_rows(header.sources, header.topics, c),
        grid=tuple(grids[i] for i in c["grid"].tolist()),
        state=c["state"],
        reason=c["reason"],
        level=c["level"],
        expected=c["expected"],
        lower=c["lower"],
        upper=c["upper"],
        alarm=c["alarm"],
        severity=c["severity"],
        signal=c["signal"],
        direction=c["direction"],
        confidence=c["trust"],
        history=c["history"],
    )
    return Scored(header.partition, header.offset, judged, header.events, header.previous, header.tick, header.sensors)
