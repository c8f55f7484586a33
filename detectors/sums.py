"""What the sensors of a place saw together, and what was expected of them: sums by place, class and slot of time.

Sums are kept by series while their slot is open, and added up by place when it is over, in the order of the series'
names: neither how the log is cut into frames nor how sources interleave on it changes a digit.
"""

from collections import defaultdict
from collections.abc import Iterable

import msgspec
import numpy as np

from detectors.kernel import add_rows
from detectors.states import States
from gridbeacon.frame import F8, I8
from gridbeacon.model import PlaceSum
from gridbeacon.vocabulary import METRICS

MOST = 2000
"""Sums that one message carries at most, and one record of state: either stays well below a megabyte."""
CARRIERS = 3
"""Cells named in a sum, of those above what is expected of them, and of those below."""

Kept = tuple[bytes, float, float, float, float]


class Sums:
    """The sums of one partition that have not been sent yet. ``digits`` is the length of the places' codes."""

    def __init__(self, states: States, digits: int, window_ms: int, grace_ms: int) -> None:
        self._states, self._digits, self._window_ms, self._grace_ms = states, digits, window_ms, grace_ms
        self._closed_ms = -1
        self._moved = False
        self._open: dict[int, F8] = {}
        self._over: list[PlaceSum] = []
        self._changed: set[int] = set()
        self._later: list[tuple[int, list[Kept]]] = []
        self._pieces: dict[bytes, int] = {}
        self._order: I8 = np.zeros(0, np.int64)

    def add(self, at_series: I8, times_ms: I8, observed: F8, expected: F8, spread: F8) -> None:
        """Add rows, by the number of their series. What comes after its slot was closed is not counted."""
        ends = (times_ms // self._window_ms + 1) * self._window_ms
        for end in sorted(set(ends.tolist())):
            if end > self._closed_ms:
                add_rows(self._slot(end), end, at_series, ends, observed, expected, spread)
                self._changed.add(end)

    def close(self, now_ms: int) -> None:
        """Close the slots whose end and grace have passed."""
        last = (now_ms - self._grace_ms) // self._window_ms * self._window_ms
        self._moved = self._moved or last > self._closed_ms
        self._closed_ms = max(self._closed_ms, last)
        for end in sorted(end for end in self._open if end <= self._closed_ms):
            self._over += self._added(end)
            del self._open[end]
            self._changed.add(end)

    def take(self) -> tuple[PlaceSum, ...]:
        """Return the next sums to send, in order of slot, place and class: not more than a message carries."""
        found, self._over = self._over[:MOST], self._over[MOST:]
        return tuple(found)

    def until(self, now_ms: int) -> int:
        """Return the time that may be passed on: not past a slot of which there are still sums to send."""
        return min(now_ms, self._over[0].end_ms + self._grace_ms - 1) if self._over else now_ms

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all that changed since the last call; None removes a key."""
        records: list[tuple[bytes, bytes | None]] = []
        if self._moved:
            records.append((b"a:", msgspec.msgpack.encode(self._closed_ms)))
        for end in sorted(self._changed):
            records += self._cut(b"a:%d" % end, self._kept(end) if end in self._open else [])
        records += self._cut(b"a:over", self._over)
        self._changed.clear()
        self._moved = False
        return records

    def restore(self, key: bytes, value: bytes) -> None:
        """Take back one record of ``changed``, in any order; ``settle`` ends it."""
        if key == b"a:":
            self._closed_ms = msgspec.msgpack.decode(value, type=int)
            return
        whole, _, piece = key.rpartition(b":")
        self._pieces[whole] = max(self._pieces.get(whole, 0), int(piece) + 1)
        if whole == b"a:over":
            self._over += msgspec.msgpack.decode(value, type=list[PlaceSum])
            self._over.sort(key=lambda one: (one.end_ms, one.place, one.metric_class))
        else:
            self._later.append((int(whole[2:]), msgspec.msgpack.decode(value, type=list[Kept])))

    def settle(self) -> None:
        """Finish restoring, once all series are here."""
        number = {key: n for n, key in enumerate(self._states.keys)} if self._later else {}
        for end, kept in self._later:
            self._slot(end)[[number[key] for key, *_ in kept]] = [sums for _, *sums in kept]
        self._later.clear()

    def _slot(self, end: int) -> F8:
        """Return the sums of a slot, (rows, observed, expected, variance) by series."""
        found = self._open.get(end)
        if found is None or len(found) < len(self._states):
            grown = np.zeros((max(len(self._states) * 5 // 4, 64), 4))
            if found is not None:
                grown[: len(found)] = found
            found = self._open[end] = grown
        return found

    def _kept(self, end: int) -> list[Kept]:
        values = self._open[end]
        at = np.flatnonzero(values[:, 0])
        return [(self._states.keys[n], *sums) for n, sums in zip(at.tolist(), values[at].tolist(), strict=True)]

    def _cut(self, name: bytes, what: list[Kept] | list[PlaceSum]) -> list[tuple[bytes, bytes | None]]:
        """Return the records of a list, in pieces, and those that it no longer needs."""
        count = -(-len(what) // MOST)
        records = [
            (b"%s:%d" % (name, n), msgspec.msgpack.encode(what[n * MOST : (n + 1) * MOST]) if n < count else None)
            for n in range(max(count, self._pieces.pop(name, 0)))
        ]
        if count:
            self._pieces[name] = count
        return records

    def _added(self, end: int) -> list[PlaceSum]:
        """Return the sums of a slot by place and class, in that order."""
        states, values = self._states, self._open[end]
        if len(self._order) != len(states):
            self._order = np.array(sorted(range(len(states)), key=states.keys.__getitem__), np.int64)
        at = self._order[self._order < len(values)]
        at = at[values[at, 0] > 0]
        places: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0] * 5))
        for number, (rows, observed, expected, variance) in zip(at.tolist(), values[at].tolist(), strict=True):
            source, metric = states.series_keys[number]
            cell, named = states.cells[source], METRICS[metric]
            one = places[cell[: self._digits], f"{named.kind}/{named.name}"][cell]
            one[0] += rows
            one[1] += 1
            one[2] += observed
            one[3] += expected
            one[4] += variance
        return [_place_sum(end, *key, places[key]) for key in sorted(places)]


def _place_sum(end_ms: int, place: str, metric_class: str, cells: dict[str, list[float]]) -> PlaceSum:
    rows, sources, observed, expected, variance = (sum(cells[cell][n] for cell in sorted(cells)) for n in range(5))
    return PlaceSum(
        end_ms=end_ms,
        place=place,
        metric_class=metric_class,
        rows=int(rows),
        sources=int(sources),
        cells=len(cells),
        observed=observed,
        expected=expected,
        variance=variance,
        carriers=carriers((cell, sums[2] - sums[3]) for cell, sums in cells.items()),
    )


def carriers(beyond: Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Return the cells that are furthest below and above what is expected of them, the lowest first.

    >>> carriers([("A", 4.0), ("B", -1.0), ("C", 9.0), ("D", 5.0), ("E", 0.0), ("F", 6.0)])
    (('B', -1.0), ('D', 5.0), ('F', 6.0), ('C', 9.0))
    """
    ranked = sorted(beyond, key=lambda pair: (pair[1], pair[0]))
    below = [pair for pair in ranked if pair[1] < 0]
    above = [pair for pair in ranked if pair[1] > 0]
    return (*below[:CARRIERS], *above[-CARRIERS:])
