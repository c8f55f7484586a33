"""Areas: what is weak in every sensor and plain in the sum. A city that empties, a street that fills.

The sums of the detect partitions (``sums``) are added up per place, class and slot; z = (observed - expected) / sqrt of
the variances' sum is a series of its own, ``area/PLACE/KIND.METRIC``, judged by the default detector. It has no unit, so
a sensor that is missing changes little. Its findings wait for the alarm budget as all others do.
"""

import math
from typing import Any

import msgspec
import numpy as np

from detectors.civil import CivilHours
from detectors.episodes import CALM, CALM_BELOW
from detectors.judge_bank import JudgeBank
from gridbeacon.config import Config
from gridbeacon.errors import Fatal
from gridbeacon.model import Born, PlaceSum, Position, Signal, SignalBatch
from gridbeacon.places import AREA, pool_of
from gridbeacon.reasons import Level, Reason
from gridbeacon.tails import FLOOR
from gridbeacon.vocabulary import Kind
from gridbeacon.watermark import Watermark

LEAST_SOURCES, LEAST_CELLS = 3, 2
CARRIERS = 3


class Track(msgspec.Struct):
    """One area's series: its number in the bank, when it began, and its episode."""

    number: int
    first_ms: int
    episode: int = 0
    calm: int = 0


class Held(msgspec.Struct):
    """What does not belong to one series: the time, and the sums of slots that are still open, by producer."""

    clock: Watermark = msgspec.field(default_factory=Watermark)
    open: dict[int, dict[str, dict[int, PlaceSum]]] = msgspec.field(default_factory=dict)


class Areas:
    """The areas of one ``signals`` partition: messages in, the findings of areas out."""

    def __init__(self, config: Config) -> None:
        self._budget = config.alarm_budget
        self._grace_ms = round(config.detect.event_grace_secs * 1000)
        self._warm_up_ms = round(config.detect.warm_up_days * 86_400_000)
        self._hours = CivilHours(config.timezone)
        self._bank = JudgeBank()
        self._tracks: dict[str, Track] = {}
        self._held = Held()
        self._changed: set[str] = set()

    def take(self, batch: SignalBatch, offset: int) -> SignalBatch:
        """Return the message with the findings that are due at its time, and the area series that are new."""
        for one in batch.sums:
            slot = self._held.open.setdefault(one.end_ms, {})
            slot.setdefault(f"{one.place} {one.metric_class}", {})[batch.partition] = one
        if batch.tick is None or not self._held.clock.hear(batch.tick):
            return batch
        now_ms = self._held.clock.time_ms
        signals: list[Signal] = []
        born: list[Born] = []
        assert now_ms is not None  # noqa: S101 - it has just been heard
        for end_ms in sorted(end for end in self._held.open if end + self._grace_ms <= now_ms):
            whole = {key: _added(parts) for key, parts in sorted(self._held.open.pop(end_ms).items())}
            for one in whole.values():
                cells = [w for w in whole.values() if _within(w, one)]
                if one.sources < LEAST_SOURCES or len(cells) < LEAST_CELLS:
                    continue
                born += self._new(one)
                signals += self._judge(one, cells, Position("signals", batch.partition, offset, len(signals)))
        pools = tuple((b.time_ms, pool_of(self._budget, b.cell, b.metric_class), 1) for b in born)
        numbered = (msgspec.structs.replace(s, index=len(batch.signals) + n) for n, s in enumerate(signals))
        return msgspec.structs.replace(
            batch, signals=(*batch.signals, *numbered), born=(*batch.born, *born), pools=(*batch.pools, *pools)
        )

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call."""
        records: list[tuple[bytes, bytes | None]] = [(b"areas", msgspec.msgpack.encode(self._held))]
        for name in sorted(self._changed):
            track = self._tracks[name]
            row = next(iter(self._bank.pack(np.array([track.number]))))
            records.append((b"area:" + name.encode(), msgspec.msgpack.encode((track, row))))
        self._changed.clear()
        return records

    def restore(self, key: bytes, value: bytes) -> None:
        """Take back one record of ``changed``. Raises ``Fatal`` on the state of another version."""
        if key == b"areas":
            self._held = msgspec.msgpack.decode(value, type=Held)
            return
        track, row = msgspec.msgpack.decode(value, type=tuple[Track, bytes])
        track.number = self._bank.add()
        self._tracks[key.decode().partition(":")[2]] = track
        try:
            self._bank.restore(track.number, row)
        except ValueError as error:
            raise Fatal(f"the state of an area was saved by another version of Gridbeacon ({error})") from error

    def _new(self, one: PlaceSum) -> list[Born]:
        name = f"{one.place} {one.metric_class}"
        if name in self._tracks:
            return []
        self._tracks[name] = Track(self._bank.add(), one.end_ms)
        return [Born(one.end_ms, one.place, f"{AREA}/{one.metric_class.replace('/', '.')}", 1)]

    def _judge(self, one: PlaceSum, cells: list[PlaceSum], at: Position) -> list[Signal]:
        name = f"{one.place} {one.metric_class}"
        track = self._tracks[name]
        self._changed.add(name)
        z = (one.observed - one.expected) / math.sqrt(max(one.variance, 1e-12))
        times = np.array([one.end_ms])
        said: Any = self._bank.judge(
            np.array([track.number]), np.array([z]), times, self._hours.since_monday(times), np.ones(1, np.uint8)
        )[0]
        known = one.end_ms - track.first_ms >= self._warm_up_ms and not said["young"] and said["confidence"] > 0
        way = 1 if z > said["expected"] else -1
        worth = float(said["signal"]) if known else 0.0
        found = []
        if worth >= FLOOR:
            if track.episode and track.episode != way:
                found.append(self._signal(one, cells, at, track.episode, 0.0))
            found.append(self._signal(one, cells, at, way, worth))
            track.episode, track.calm = way, 0
        elif track.episode and said["severity"] >= CALM_BELOW:
            track.calm = 0
        elif track.episode and track.calm + 1 < CALM:
            track.calm += 1
        elif track.episode:
            found.append(self._signal(one, cells, at, track.episode, 0.0))
            track.episode = track.calm = 0
        return found

    def _signal(self, one: PlaceSum, cells: list[PlaceSum], at: Position, way: int, worth: float) -> Signal:
        kind, _, metric = one.metric_class.partition("/")
        carrying = sorted(cells, key=lambda c: (-way * (c.observed - c.expected), c.place))[:CARRIERS]
        carrying = [c for c in carrying if way * (c.observed - c.expected) > 0]
        share = (one.observed - one.expected) / max(one.expected, 1e-9)
        text = (
            f"area {one.place}: {metric} of {one.sources} sensors is {share:+.0%} of what is expected at this hour; "
            f"most of it in {', '.join(c.place for c in carrying)}"
        )
        parents = [name.partition(" ")[0] for name in self._tracks]
        near = [place for place in parents if place != one.place and one.place.startswith(place)]
        return Signal(
            cell=one.place,
            layer="learned",
            series=f"{AREA}/{one.place}/{kind}.{metric}",
            reason=Reason.ABOVE_EXPECTED if way > 0 else Reason.BELOW_EXPECTED,
            level=Level.BLUE if worth else Level.NONE,
            time_ms=one.end_ms + self._grace_ms,
            lineage=at,
            kind=Kind(kind),
            value=one.observed,
            expected=one.expected,
            score=worth or None,
            near=tuple(dict.fromkeys([*near, *(c.place for c in carrying)])),
            text=text if worth >= FLOOR else "",
        )


def _added(parts: dict[int, PlaceSum]) -> PlaceSum:
    """Return the sums of all producers as one, added in the order of their numbers."""
    first, *others = (parts[number] for number in sorted(parts))
    rows, sources = first.rows, first.sources
    observed, expected, variance = first.observed, first.expected, first.variance
    for other in others:
        rows, sources = rows + other.rows, sources + other.sources
        observed, expected = observed + other.observed, expected + other.expected
        variance += other.variance
    return msgspec.structs.replace(
        first, rows=rows, sources=sources, observed=observed, expected=expected, variance=variance
    )


def _within(cell: PlaceSum, area: PlaceSum) -> bool:
    """Return whether this is the sum of a cell (nothing is longer than a cell's code) that belongs to the area."""
    return (
        cell.metric_class == area.metric_class
        and len(cell.place) > len(area.place)
        and cell.is_cell
        and cell.place.startswith(area.place)
    )
