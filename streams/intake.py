"""A batch of source records -> columnar frames: the fast path of ingest, with ``Decoder`` for whatever is unusual.

Rows are packed as bytes and become columns at the end of the batch. A record of known fields and a known source is
read at once; anything else goes through ``Decoder``, and both say the same (a property test holds them to
it).
"""

import struct
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from gridbeacon.config import Config
from gridbeacon.frame import Frame, Rows, no_rows
from gridbeacon.model import DeadLetter, GridEvent, Observation, Rejected, Sensor, Tick
from gridbeacon.places import partition_of
from gridbeacon.reasons import Rejection
from gridbeacon.registry import Registry
from gridbeacon.vocabulary import METRICS, MOTIONS, SURFACES, Kind
from streams.decode import KINDS, Decoder
from streams.decode.sensed import INTENSITY, MEASURED, base_source, with_density
from streams.decode.wire import Refused, period
from streams.shapes import Fast, Source, described

FRAME_ROWS = 20_000
"""Rows of a frame at most: about 1.3 MB."""
TOPICS = tuple(KINDS)
_ROW = struct.Struct("<iBqdffBBBiqi")
_FIELDS = np.dtype(
    [
        ("source", "<i4"),
        ("metric", "u1"),
        ("observed_ms", "<i8"),
        ("value", "<f8"),
        ("coverage", "<f4"),
        ("confidence", "<f4"),
        ("surface", "u1"),
        ("motion", "u1"),
        ("topic", "u1"),
        ("partition", "<i4"),
        ("offset", "<i8"),
        ("index", "<i4"),
    ]
)
_NAN = float("nan")
_parse = msgspec.json.Decoder().decode


@dataclass(slots=True)
class Batch:
    """One batch: ``frames`` by observations partition, in order; and counts that balance.

    ``records`` = ``observation_records`` + ``event_records`` + ``rejected_records`` + ``tick_records`` +
    ``mixed_records`` (arrays of several outcomes); ``objects`` = ``observation_objects`` + ``events`` +
    ``rejected_objects`` + ``ticks``. ``observations`` counts rows.
    """

    frames: dict[int, list[Frame]] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    records: int = 0
    objects: int = 0
    observations: int = 0
    observation_records: int = 0
    observation_objects: int = 0
    event_records: int = 0
    events: int = 0
    rejected_records: int = 0
    rejected_objects: int = 0
    rejected: Counter[Rejection] = field(default_factory=Counter)
    ignored_fields: Counter[str] = field(default_factory=Counter)
    tick_records: int = 0
    ticks: int = 0
    mixed_records: int = 0

    @classmethod
    def of_frames(cls, frames: Mapping[int, Frame]) -> "Batch":
        """Return a batch that holds nothing but frames."""
        return cls(frames={number: [frame] for number, frame in frames.items()})


class Intake:
    """Collects records between two calls of ``take``; remembers which sensors it has announced."""

    def __init__(self, config: Config, registry: Registry) -> None:
        self._config = config
        self._registry = registry
        self._decoder = Decoder(config, registry)
        self._partitions = config.topics.observations_partitions
        self._replay = config.clock == "event"
        self._max_bytes = config.ingest.max_record_bytes
        self._sources: dict[str, Source] = {}
        self._names: list[str] = []
        self._announced: dict[str, Sensor] = {}
        self._now_ms = -1
        self._oldest_ms = self._latest_ms = 0.0
        self._fast = {
            topic: (Fast(kind), number)
            for number, (topic, kind) in enumerate(KINDS.items())
            # An operator may refuse even the usual fields.
            if kind in MEASURED and not any(self._decoder.privacy.refuses(name) for name in Fast(kind).names)
        }
        self._begin()

    def definitions(self, now_ms: int) -> dict[int, Frame]:
        """Return every registered sensor as frames without rows, by observations partition; send them first."""
        split: dict[int, list[Sensor]] = defaultdict(list)
        for sensor in self._registry.sensors.values():
            split[partition_of(sensor.sensor_id, self._partitions)].append(sensor)
            self._announced[sensor.sensor_id] = sensor
        return {number: self._frame(now_ms, sensors=tuple(sensors)) for number, sensors in sorted(split.items())}

    def idle_frames(self, ingested_ms: int) -> dict[int, Frame]:
        """Return a frame with nothing but the time for every partition (live operation)."""
        return {number: self._frame(ingested_ms) for number in range(self._partitions)}

    def add(self, topic: str, partition: int, offset: int, raw: bytes | None, now_ms: int) -> None:
        """Take one record of a topic (name without prefix)."""
        if now_ms != self._now_ms:
            self._now_ms = now_ms
            self._oldest_ms, self._latest_ms = self._decoder.times(now_ms)
        self._batch.records += 1
        fast = self._fast.get(topic)
        if fast is not None and raw and len(raw) <= self._max_bytes:
            shape, where = fast
            if self._quick(shape, where, partition, offset, raw):
                return
        self._slow(topic, partition, offset, raw, now_ms)

    def take(self, ingested_ms: int) -> Batch:
        """Return what was collected as a batch, and begin anew."""
        batch = self._batch
        ticks = tuple(self._ticks.values())
        numbers = set(self._rows) | set(self._events) | set(self._sensors)
        if ticks:
            numbers |= set(range(self._partitions))
        for number in sorted(numbers):
            packed = self._rows.get(number, b"")
            count = len(packed) // _ROW.size
            batch.observations += count
            cuts = [*range(0, count, FRAME_ROWS), count] if count else [0, 0]
            frames = [
                Frame(ingested_ms=ingested_ms, rows=self._columns(packed, begin, end)) for begin, end in pairwise(cuts)
            ]
            first = frames[0]
            frames[0] = Frame(
                ingested_ms=ingested_ms, rows=first.rows, sensors=tuple(self._sensors.get(number, {}).values())
            )
            last = frames[-1]
            frames[-1] = self._frame(
                ingested_ms,
                rows=last.rows,
                sensors=last.sensors,
                events=tuple(self._events.get(number, ())),
                ticks=ticks,
            )
            batch.frames[number] = frames
        self._begin()
        return batch

    def _begin(self) -> None:
        self._batch = Batch()
        self._rows: dict[int, bytearray] = defaultdict(bytearray)
        self._events: dict[int, list[GridEvent]] = defaultdict(list)
        self._sensors: dict[int, dict[str, Sensor]] = defaultdict(dict)
        self._ticks: dict[str, Tick] = {}

    def _frame(
        self,
        ingested_ms: int,
        *,
        rows: Rows | None = None,
        sensors: tuple[Sensor, ...] = (),
        events: tuple[GridEvent, ...] = (),
        ticks: tuple[Tick, ...] = (),
    ) -> Frame:
        live = () if self._replay else (Tick("ingest", ingested_ms, 0),)
        return Frame(
            ingested_ms=ingested_ms, rows=rows or no_rows(), sensors=sensors, events=events, ticks=ticks + live
        )

    def _columns(self, packed: bytes | bytearray, begin: int, end: int) -> Rows:
        table = np.frombuffer(packed, _FIELDS, end - begin, begin * _ROW.size)
        numbers, source = np.unique(table["source"], return_inverse=True)
        columns = {name: np.ascontiguousarray(table[name]) for name in _FIELDS.names or () if name != "source"}
        return Rows(
            sources=tuple(self._names[n] for n in numbers.tolist()),
            topics=TOPICS,
            source=source.astype(np.int32),
            **columns,
        )

    def _quick(self, fast: Fast, where: int, partition: int, offset: int, raw: bytes) -> bool:  # noqa: C901 - the hot loop
        """Take a usual record of a registered source; return False, having done nothing, when it is not one."""
        try:
            record = _parse(raw)
            shape = fast.shape(record)
            if shape is None:
                return False
            fields = tuple(record.values())
            text = fields[shape.time]
            if type(text) is not str:
                return False
            begin_ms, observed_ms = period(text)
        except (msgspec.DecodeError, RecursionError, ValueError, OverflowError, TypeError):
            return False
        if not self._oldest_ms <= observed_ms <= self._latest_ms:
            return False
        if shape.kind >= 0 and fields[shape.kind] not in fast.types:
            return False
        values: list[tuple[int, float]] = []
        for at, number, low, high, boolean in shape.measured:
            value = fields[at]
            kind = type(value)
            if kind is not bool if boolean else kind is not float and kind is not int:
                return False
            if not low <= value <= high:
                return False
            values.append((number, float(value)))
        for at in shape.naming:
            kind = type(fields[at])
            if kind is not str and kind is not int:  # true equals 1 as a key, but is no name
                return False
        alone = shape.alone >= 0
        source = fast.sources.get(fields[shape.alone] if alone else tuple(map(record.get, fast.naming)))
        source = source or self._learn(fast, record, alone=alone)
        if source is None or not values:
            return False
        coverage, confidence, surface, motion = _NAN, _NAN, source.surface, 0
        if shape.described:
            told = described(record, source)
            if told is None:
                return False
            coverage, confidence, surface, motion = told
        if fast.kind is Kind.TRAFFIC:
            secs = (
                (observed_ms - begin_ms) / 1000
                if begin_ms is not None and begin_ms < observed_ms
                else source.interval_secs
            )
            values = [(m, v * 3600 / secs if m == INTENSITY else v) for m, v in values]
            if any(m == INTENSITY and v > METRICS[m].high for m, v in values):
                return False
        elif source.area_m2 is not None:
            values = with_density(values, source.area_m2)
        if len(values) > 1:
            values.sort()
        rows = self._rows[source.partition]
        for metric, value in values:
            rows += _ROW.pack(
                source.number,
                metric,
                observed_ms,
                value,
                coverage,
                confidence,
                surface,
                motion,
                where,
                partition,
                offset,
                metric,
            )
        batch = self._batch
        batch.objects += 1
        batch.observation_records += 1
        batch.observation_objects += 1
        return True

    def _learn(self, fast: Fast, record: dict[str, Any], *, alone: bool) -> Source | None:
        """Return the registered source of a record and remember it, or None when it is not one."""
        try:
            full, _ = base_source(record, fast.kind)
        except Refused:
            return None
        sensor = self._registry.sensors.get(full)
        if sensor is None or sensor.kind is not fast.kind:
            return None
        names = tuple(map(record.get, fast.naming))
        source = self._source(sensor)
        fast.sources[next(n for n in names if n is not None) if alone else names] = source
        return source

    def _source(self, sensor: Sensor) -> Source:
        found = self._sources.get(sensor.sensor_id)
        if found is None:
            found = self._sources[sensor.sensor_id] = Source(
                number=len(self._names),
                partition=partition_of(sensor.sensor_id, self._partitions),
                surface=SURFACES.index(sensor.surface),
                area_m2=sensor.area_m2,
                interval_secs=sensor.interval_secs,
            )
            self._names.append(sensor.sensor_id)
        return found

    def _slow(self, topic: str, partition: int, offset: int, raw: bytes | None, now_ms: int) -> None:
        batch = self._batch
        outcomes = {"observations": 0, "events": 0, "rejected": 0, "ticks": 0}
        for one in self._decoder.decode(topic, partition, offset, raw, now_ms):
            batch.objects += 1
            batch.ignored_fields.update(name[:64] for name in one.ignored)
            if one.rejected is not None:
                outcomes["rejected"] += 1
                batch.rejected[one.rejected.reason] += 1
                batch.dead_letters.append(self._letter(one.rejected, topic, partition, offset, raw or b"", now_ms))
            elif one.tick is not None:
                outcomes["ticks"] += 1
                held = self._ticks.get(one.tick.producer)
                if held is None or held.time_ms < one.tick.time_ms:
                    self._ticks[one.tick.producer] = one.tick
            elif one.event is not None:
                outcomes["events"] += 1
                self._events[partition_of(one.event.grid_id, self._partitions)].append(one.event)
            else:
                outcomes["observations"] += 1
                self._place(one.observations, one.sensor)
        batch.observation_objects += outcomes["observations"]
        batch.events += outcomes["events"]
        batch.rejected_objects += outcomes["rejected"]
        batch.ticks += outcomes["ticks"]
        found = [name for name, count in outcomes.items() if count]
        if len(found) > 1:
            batch.mixed_records += 1
        else:
            batch.observation_records += found == ["observations"]
            batch.event_records += found == ["events"]
            batch.rejected_records += found == ["rejected"]
            batch.tick_records += found == ["ticks"]

    def _place(self, observations: tuple[Observation, ...], sensor: Sensor | None) -> None:
        name = observations[0].source
        source = self._source(sensor or self._registry.sensors[name])
        if sensor is not None and self._announced.get(name) != sensor:
            self._announced[name] = sensor
            self._sensors[source.partition][name] = sensor
        for o in observations:
            self._rows[source.partition] += _ROW.pack(
                source.number,
                o.metric,
                o.observed_ms,
                o.value,
                o.coverage,
                o.count_confidence,
                SURFACES.index(o.surface),
                MOTIONS.index(o.motion),
                TOPICS.index(o.position.topic),
                o.position.partition,
                o.position.offset,
                o.position.index,
            )

    def _letter(
        self, rejected: Rejected, topic: str, partition: int, offset: int, raw: bytes, now_ms: int
    ) -> DeadLetter:
        # Another object of the same record, or a part that can't be read, may show a person too.
        hidden = (
            rejected.reason is Rejection.PRIVACY
            or len(raw) > self._config.ingest.max_dead_letter_bytes
            or not self._decoder.privacy.may_keep(raw)
        )
        return DeadLetter(
            reason=rejected.reason,
            stage=rejected.stage,
            detail=rejected.detail,
            topic=topic,
            partition=partition,
            offset=offset,
            index=rejected.index,
            rejected_ms=now_ms,
            body=b"" if hidden else raw,
            body_bytes=len(raw),
        )
