"""What the sensors of a place saw together, and what was expected of them: sums by place, class and slot of time.

A place is the beginning of a cell's code (``detect.area_digits``), and the cell itself. Sums are taken row by row in
the order of the log, so that it does not matter how that is cut into frames.
"""

from typing import Any

import msgspec
import numpy as np

from gridbeacon.frame import F8, I8
from gridbeacon.model import PlaceSum
from gridbeacon.vocabulary import METRICS

_FIRST = 64


class Sums:
    """The sums of one partition that are not closed yet."""

    def __init__(self, digits: tuple[int, ...], window_ms: int, grace_ms: int) -> None:
        self._digits, self._window_ms, self._grace_ms = digits, window_ms, grace_ms
        self._at: dict[tuple[int, str, int], int] = {}
        self._free: list[int] = []
        self._values: F8 = np.zeros((_FIRST, 4))
        self._sources: list[set[str]] = [set() for _ in range(_FIRST)]
        self._places: dict[str, tuple[str, ...]] = {}
        self._changed: set[int] = set()
        self._removed: set[int] = set()

    def add(
        self, times_ms: I8, cells: list[str], sources: list[str], metric: Any, sums: F8, clock_ms: int | None
    ) -> None:
        """Add rows: ``sums`` has (1, observed, expected, variance) of each. What comes after its slot is closed is not
        counted."""
        ends = (times_ms // self._window_ms + 1) * self._window_ms
        levels = len(self._digits) + 1
        index = np.full((len(ends), levels), -1, np.int64)
        for row, (end, cell, source, number) in enumerate(
            zip(ends.tolist(), cells, sources, metric.tolist(), strict=True)
        ):
            if clock_ms is not None and end + self._grace_ms <= clock_ms:
                continue
            self._changed.add(end)
            for level, place in enumerate(self._of(cell)):
                at = index[row, level] = self._entry(end, place, number)
                self._sources[at].add(source)
        for level in range(levels):
            keep = index[:, level] >= 0
            np.add.at(self._values, index[keep, level], sums[keep])

    def close(self, now_ms: int) -> list[PlaceSum]:
        """Return the sums whose slot and grace have passed, in order of time, place and class."""
        due = sorted(key for key in self._at if key[0] + self._grace_ms <= now_ms)
        found = []
        for key in due:
            at = self._at.pop(key)
            end_ms, place, number = key
            rows, observed, expected, variance = self._values[at].tolist()
            metric = METRICS[number]
            found.append(
                PlaceSum(
                    end_ms=end_ms,
                    place=place,
                    metric_class=f"{metric.kind}/{metric.name}",
                    is_cell=place in self._places,
                    rows=int(rows),
                    sources=len(self._sources[at]),
                    observed=observed,
                    expected=expected,
                    variance=variance,
                )
            )
            self._values[at] = 0.0
            self._sources[at] = set()
            self._free.append(at)
            self._changed.discard(end_ms)
            self._removed.add(end_ms)
        return found

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of the slots that changed since the last call."""
        records: list[tuple[bytes, bytes | None]] = []
        for end_ms in sorted(self._changed):
            part = [
                (place, number, self._values[at].tolist(), sorted(self._sources[at]))
                for (end, place, number), at in self._at.items()
                if end == end_ms
            ]
            records.append((b"a:%d" % end_ms, msgspec.msgpack.encode(part)))
        records += [(b"a:%d" % end_ms, None) for end_ms in sorted(self._removed)]
        self._changed.clear()
        self._removed.clear()
        return records

    def restore(self, key: bytes, value: bytes) -> None:
        """Take back one record of ``changed``."""
        end_ms = int(key.partition(b":")[2])
        for place, number, sums, sources in msgspec.msgpack.decode(value):
            at = self._entry(end_ms, place, number)
            self._values[at] = sums
            self._sources[at] = set(sources)

    def _of(self, cell: str) -> tuple[str, ...]:
        found = self._places.get(cell)
        if found is None:
            found = self._places[cell] = tuple(dict.fromkeys((*(cell[:digits] for digits in self._digits), cell)))
        return found

    def _entry(self, end_ms: int, place: str, number: int) -> int:
        key = (end_ms, place, number)
        at = self._at.get(key)
        if at is None:
            if self._free:
                at = self._free.pop()
            else:
                at = len(self._at)
                if at >= len(self._values):
                    more = len(self._values)
                    self._values = np.concatenate([self._values, np.zeros((more, 4))])
                    self._sources += [set() for _ in range(more)]
            self._at[key] = at
        return at
