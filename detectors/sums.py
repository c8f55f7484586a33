"""What the sensors of a place saw together, and what was expected of them: by place and class, by cell and kind, in
slots of time.

Sums are kept by series while their slot is open, and added up by place when it is over, in the order of the series'
names: neither how the log is cut into frames nor how sources interleave on it changes a digit.
"""

from collections.abc import Iterable

import msgspec
import numpy as np

from detectors.grouping import Groups, added
from detectors.kernel import add_rows
from detectors.states import States
from gridbeacon.frame import F8, I8, U1
from gridbeacon.model import CellResidual, PlaceSum

MOST = 2000
"""Sums that one message carries at most, and one record of state: either stays well below a megabyte."""
CARRIERS = 3
"""Cells named in a sum, of those above what is expected of them, and of those below."""
MOST_Z = 8.0
"""A residual in spreads counts no more than this for its cell."""

Kept = tuple[bytes, float, float, float, float, float]


class Sums:
    """The sums of one partition that have not been sent yet. ``digits`` is the length of the places' codes, 0: no
    places; ``cells`` asks for those of cells."""

    def __init__(self, states: States, digits: int, window_ms: int, grace_ms: int, *, cells: bool = False) -> None:
        self._states, self._digits, self._window_ms, self._grace_ms = states, digits, window_ms, grace_ms
        self._with_cells = cells
        self._cells: list[CellResidual] = []
        self._closed_ms = -1
        self._moved = False
        self._open: dict[int, F8] = {}
        self._over: list[PlaceSum] = []
        self._changed: set[int] = set()
        self._later: list[tuple[int, list[Kept]]] = []
        self._pieces: dict[bytes, int] = {}
        self._groups = Groups(states, digits)

    def add(self, at_series: I8, times_ms: I8, observed: F8, expected: F8, spread: F8, learned: U1) -> None:
        """Add rows, by the number of their series. What comes after its slot was closed is not counted."""
        ends = (times_ms // self._window_ms + 1) * self._window_ms
        for end in sorted(set(ends.tolist())):
            if end > self._closed_ms:
                add_rows(self._slot(end), end, at_series, ends, observed, expected, spread, learned)
                self._changed.add(end)

    def close(self, now_ms: int) -> None:
        """Close the slots whose end and grace have passed."""
        last = (now_ms - self._grace_ms) // self._window_ms * self._window_ms
        self._moved = self._moved or last > self._closed_ms
        self._closed_ms = max(self._closed_ms, last)
        for end in sorted(end for end in self._open if end <= self._closed_ms):
            at = self._touched(end)
            self._over += self._added(end, at) if self._digits else []
            self._cells += self._residuals(end, at) if self._with_cells else []
            del self._open[end]
            self._changed.add(end)

    def take(self) -> tuple[tuple[PlaceSum, ...], tuple[CellResidual, ...]]:
        """Return the next sums to send, in order of slot, place and class, and of cell and kind: not more of each than
        a message carries."""
        sums, self._over = self._over[:MOST], self._over[MOST:]
        cells, self._cells = self._cells[:MOST], self._cells[MOST:]
        return tuple(sums), tuple(cells)

    def until(self, now_ms: int) -> int:
        """Return the time that may be passed on: not past a slot of which there are still sums to send."""
        return min([now_ms, *(one[0].end_ms + self._grace_ms - 1 for one in (self._over, self._cells) if one)])

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all that changed since the last call; None removes a key."""
        records: list[tuple[bytes, bytes | None]] = []
        if self._moved:
            records.append((b"a:", msgspec.msgpack.encode(self._closed_ms)))
        for end in sorted(self._changed):
            records += self._cut(b"a:%d" % end, self._kept(end) if end in self._open else [])
        records += self._cut(b"a:over", self._over)
        records += self._cut(b"a:cells", self._cells)
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
        elif whole == b"a:cells":
            self._cells += msgspec.msgpack.decode(value, type=list[CellResidual])
            self._cells.sort(key=lambda one: (one.end_ms, one.cell, one.kind))
        else:
            self._later.append((int(whole[2:]), msgspec.msgpack.decode(value, type=list[Kept])))

    def settle(self) -> None:
        """Finish restoring, once all series are here."""
        number = {key: n for n, key in enumerate(self._states.keys)} if self._later else {}
        for end, kept in self._later:
            self._slot(end)[[number[key] for key, *_ in kept]] = [sums for _, *sums in kept]
        self._later.clear()

    def _slot(self, end: int) -> F8:
        """Return the sums of a slot by series, as ``kernel.add_rows`` keeps them."""
        found = self._open.get(end)
        if found is None or len(found) < len(self._states):
            grown = np.zeros((max(len(self._states) * 5 // 4, 64), 5))
            if found is not None:
                grown[: len(found)] = found
            found = self._open[end] = grown
        return found

    def _kept(self, end: int) -> list[Kept]:
        values = self._open[end]
        at = np.flatnonzero(values[:, 0])
        return [(self._states.keys[n], *sums) for n, sums in zip(at.tolist(), values[at].tolist(), strict=True)]

    def _cut(
        self, name: bytes, what: list[Kept] | list[PlaceSum] | list[CellResidual]
    ) -> list[tuple[bytes, bytes | None]]:
        """Return the records of a list, in pieces, and those that it no longer needs."""
        count = -(-len(what) // MOST)
        records = [
            (b"%s:%d" % (name, n), msgspec.msgpack.encode(what[n * MOST : (n + 1) * MOST]) if n < count else None)
            for n in range(max(count, self._pieces.pop(name, 0)))
        ]
        if count:
            self._pieces[name] = count
        return records

    def _touched(self, end: int) -> I8:
        """Return the series that have something in a slot, in order of their names."""
        self._groups.refresh()
        values, order = self._open[end], self._groups.order
        at = order[order < len(values)]
        return np.asarray(at[values[at, 0] > 0], np.int64)

    def _residuals(self, end: int, at: I8) -> list[CellResidual]:
        """Return the residuals of a slot by cell and kind, in that order."""
        values = self._open[end][at]
        z = np.clip((values[:, 2] - values[:, 3]) / np.sqrt(np.maximum(values[:, 4], 1e-12)), -MOST_Z, MOST_Z)
        found, sums = added(self._groups.in_cell[at], np.column_stack([np.ones(len(at)), z, values[:, 1]]))
        return [
            CellResidual(end_ms=end, cell=cell, kind=kind, series=int(series), z=one, masked=int(masked))
            for (cell, kind), (series, one, masked) in zip(
                (self._groups.cells[n] for n in found.tolist()), sums.tolist(), strict=True
            )
        ]

    def _added(self, end: int, at: I8) -> list[PlaceSum]:
        """Return the sums of a slot by place and class, in that order."""
        groups = self._groups
        found, by_cell = added(groups.in_place[at], np.column_stack([np.ones(len(at)), self._open[end][at]]))
        whole, sums = added(groups.whole[found], by_cell)
        begins = np.searchsorted(groups.whole[found], whole).tolist()
        names = [groups.places[n] for n in found.tolist()]
        beyond = (by_cell[:, 3] - by_cell[:, 4]).tolist()
        made = []
        for begin, stop, total in zip(begins, [*begins[1:], len(names)], sums.tolist(), strict=True):
            sources, rows, masked, observed, expected, variance = total
            cells = [cell for _, _, cell in names[begin:stop]]
            made.append(
                PlaceSum(
                    end_ms=end,
                    place=names[begin][0],
                    metric_class=names[begin][1],
                    rows=int(rows),
                    masked=int(masked),
                    sources=int(sources),
                    cells=len(cells),
                    observed=observed,
                    expected=expected,
                    variance=variance,
                    carriers=carriers(zip(cells, beyond[begin:stop], strict=True)),
                )
            )
        return made


def carriers(beyond: Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Return the cells that are furthest below and above what is expected of them, the lowest first.

    >>> carriers([("A", 4.0), ("B", -1.0), ("C", 9.0), ("D", 5.0), ("E", 0.0), ("F", 6.0)])
    (('B', -1.0), ('D', 5.0), ('F', 6.0), ('C', 9.0))
    """
    ranked = sorted(beyond, key=lambda pair: (pair[1], pair[0]))
    below = [pair for pair in ranked if pair[1] < 0]
    above = [pair for pair in ranked if pair[1] > 0]
    return (*below[:CARRIERS], *above[-CARRIERS:])
