"""The series of one partition as forecasts need them: numbered in the order in which they were first heard."""

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from gridbeacon.config import Limits
from gridbeacon.crossings import limits_of
from gridbeacon.frame import F8, I8, U1, Judged
from gridbeacon.model import Sensor
from gridbeacon.reasons import REASON_NUMBER, Reason
from gridbeacon.vocabulary import METRICS, MOTIONS, SURFACES, series_name

CHUNK = 256
"""Series of one record of the state."""
DOUBTED = np.array(
    sorted(
        REASON_NUMBER[reason]
        for reason in (
            Reason.LATE,
            Reason.DUPLICATE,
            Reason.STUCK,
            Reason.IMPOSSIBLE_JUMP,
            Reason.LOW_COVERAGE,
            Reason.LOW_CONFIDENCE,
        )
    )
)
"""Verdicts of observations that nothing is learned from; ``sinks.history`` leaves out the same."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One series: its metric's number, its source, and what its limits depend on."""

    metric: int
    source: str
    cell: str
    surface: int = 0
    motion: int = 0
    capacity: float | None = None

    @property
    def name(self) -> str:
        """Its name, ``kind/source/metric``."""
        return series_name(self.metric, self.source)


@dataclass(frozen=True, slots=True)
class Seen:
    """The rows of a frame that count: number of the series, event time, value, limit level, place in the frame."""

    number: I8
    observed_ms: I8
    value: F8
    level: U1
    row: I8


class Known:
    """Entries, the latest value of each, and the limits of those that have some (N × 4, infinite where none)."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.entries: list[Entry] = []
        self.numbers: dict[str, int] = {}
        self.latest = np.full(0, np.nan)
        self.latest_ms = np.zeros(0, np.int64)
        self.limits = np.full((0, 4), np.inf)
        self._capacity: dict[str, float] = {}
        self._surface = np.zeros(0, np.uint8)
        self._motion = np.zeros(0, np.uint8)
        self._of: dict[str, list[int]] = {}
        self._at: dict[tuple[str, int], int] = {}
        self._changed: set[int] = set()
        self._moved = self._defined = False

    def __len__(self) -> int:
        return len(self.entries)

    def define(self, sensor: Sensor) -> None:
        """Take the attributes of a source; its limits follow them."""
        if sensor.capacity is not None:
            self._defined = self._defined or self._capacity.get(sensor.sensor_id) != sensor.capacity
            self._capacity[sensor.sensor_id] = sensor.capacity
        elif self._capacity.pop(sensor.sensor_id, None) is not None:
            self._defined = True
        for number in self._of.get(sensor.sensor_id, ()):
            old = self.entries[number]
            new = Entry(old.metric, old.source, sensor.grid_id, old.surface, old.motion, sensor.capacity)
            if new != old:
                self._put(number, new)

    def see(self, judged: Judged) -> Seen:
        """Take the rows of a frame; return those that count for forecasts."""
        rows = judged.rows
        counts = LEARNED[rows.metric] & ~np.isin(judged.reason, DOUBTED)
        row = np.flatnonzero(counts)
        code = rows.source[row].astype(np.int64) * len(METRICS) + rows.metric[row]
        _, first, back = np.unique(code, return_index=True, return_inverse=True)
        found = np.empty(len(first), np.int64)
        for place in np.argsort(first, kind="stable").tolist():  # numbered in the order in which they are heard
            i = int(row[first[place]])
            found[place] = self._number(rows.sources[int(rows.source[i])], int(rows.metric[i]), judged.grid[i])
        number = found[back] if len(row) else np.zeros(0, np.int64)
        seen = Seen(number, rows.observed_ms[row], rows.value[row], judged.level[row], row)
        self._conditions(number, rows.surface[row], rows.motion[row])
        newer = seen.observed_ms >= self.latest_ms[number]
        self.latest[number[newer]], self.latest_ms[number[newer]] = seen.value[newer], seen.observed_ms[newer]
        self._moved = self._moved or bool(newer.any())
        return seen

    def _conditions(self, number: I8, surface: U1, motion: U1) -> None:
        """Note surface and motion of the last row of each series, where they changed."""
        if not ((surface != self._surface[number]) | (motion != self._motion[number])).any():
            return
        last = dict(zip(number.tolist(), range(len(number)), strict=True))
        for n, place in last.items():
            entry, now = self.entries[n], (int(surface[place]), int(motion[place]))
            if (entry.surface, entry.motion) != now:
                self._put(n, Entry(entry.metric, entry.source, entry.cell, *now, entry.capacity))

    def _number(self, source: str, metric: int, cell: str) -> int:
        number = self._at.get((source, metric))
        if number is None:
            number = len(self.entries)
            self.entries.append(Entry(metric, source, cell, capacity=self._capacity.get(source)))
            self._grow(number + 1)
            self._put(number, self.entries[number])
        return number

    def _grow(self, count: int) -> None:
        more = count - len(self.latest)
        if more > 0:
            self.latest = np.concatenate([self.latest, np.full(more, np.nan)])
            self.latest_ms = np.concatenate([self.latest_ms, np.zeros(more, np.int64)])
            self.limits = np.concatenate([self.limits, np.full((more, 4), np.inf)])
            self._surface = np.concatenate([self._surface, np.zeros(more, np.uint8)])
            self._motion = np.concatenate([self._motion, np.zeros(more, np.uint8)])

    def _put(self, number: int, entry: Entry) -> None:
        self.entries[number] = entry
        if (entry.source, entry.metric) not in self._at:
            self._at[entry.source, entry.metric] = number
            self._of.setdefault(entry.source, []).append(number)
            self.numbers[entry.name] = number
        self._surface[number], self._motion[number] = entry.surface, entry.motion
        surface, motion = SURFACES[entry.surface], MOTIONS[entry.motion]
        self.limits[number] = limits_of(self._limits, entry.metric, surface, motion, entry.capacity)
        self._changed.add(number // CHUNK)

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of what changed since the last call."""
        found: list[tuple[bytes, bytes | None]] = []
        for chunk in sorted(self._changed):
            entries = self.entries[chunk * CHUNK : (chunk + 1) * CHUNK]
            found.append((b"n:%d" % chunk, msgspec.msgpack.encode(entries)))
        if self._moved:
            found.append((b"l:", msgspec.msgpack.encode((self.latest.tobytes(), self.latest_ms.tobytes()))))
        if self._defined:
            found.append((b"c:", msgspec.msgpack.encode(self._capacity)))
        self._changed.clear()
        self._moved = self._defined = False
        return found

    def restore(self, records: dict[bytes, bytes]) -> None:
        """Take back the records of ``changed``, all at once."""
        if b"c:" in records:
            self._capacity = msgspec.msgpack.decode(records[b"c:"], type=dict[str, float])
        chunks = sorted((int(key[2:]), value) for key, value in records.items() if key[:2] == b"n:")
        for _, value in chunks:
            for entry in msgspec.msgpack.decode(value, type=list[Entry]):
                self.entries.append(entry)
                self._grow(len(self.entries))
                self._put(len(self.entries) - 1, entry)
        if b"l:" in records:
            latest, latest_ms = msgspec.msgpack.decode(records[b"l:"], type=tuple[bytes, bytes])
            values, times = np.frombuffer(latest, np.float64), np.frombuffer(latest_ms, np.int64)
            self.latest[: len(values)], self.latest_ms[: len(times)] = values, times
        self._changed.clear()


LEARNED: Any = np.array([metric.learned for metric in METRICS])
