"""The cool-down watch: for a while after an alert has cleared, its cells and their neighbours are told of sooner.

What comes right after a crowd has dispersed is often its second act: people who were turned away meet at the next exit.
A situation that begins under watch is yellow at least, says which alert it follows, and its learned findings need no
budget. Pure.
"""

from collections.abc import Iterable
from heapq import heappop, heappush

import msgspec

COOLDOWN = "cooldown"
"""The kind of its keys in the state of situate, ``cooldown:CELL``."""


class Watched(msgspec.Struct, frozen=True):
    """One cell under watch: the alert that cleared, and until when."""

    alert_id: str
    until_ms: int


class Cooldown:
    """The cells under watch."""

    def __init__(self, lasts_ms: int) -> None:
        self._lasts_ms = lasts_ms
        self._cells: dict[str, Watched] = {}
        self._due: list[tuple[int, str]] = []
        self._changed: set[str] = set()

    def begin(self, alert_id: str, cells: Iterable[str], at_ms: int) -> None:
        """Watch the cells of an alert that has cleared, and their neighbours; the latest alert counts."""
        if self._lasts_ms:
            for cell in sorted(cells):
                self._watch(cell, Watched(alert_id, at_ms + self._lasts_ms))
                self._changed.add(cell)

    def of(self, cell: str, at_ms: int) -> str:
        """Return the alert that cleared in or next to a cell not long ago, '' for none."""
        watched = self._cells.get(cell)
        return watched.alert_id if watched is not None and at_ms < watched.until_ms else ""

    def expire(self, at_ms: int) -> None:
        """End what is due."""
        while (due_ms := self.next_ms()) is not None and due_ms <= at_ms:
            _, cell = heappop(self._due)
            del self._cells[cell]
            self._changed.add(cell)

    def next_ms(self) -> int | None:
        """Return when the next watch ends, or None."""
        while self._due:
            due_ms, cell = self._due[0]
            if cell in self._cells and self._cells[cell].until_ms == due_ms:
                return due_ms
            heappop(self._due)
        return None

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call; the value None removes the key."""
        records: list[tuple[bytes, bytes | None]] = []
        for cell in sorted(self._changed):
            kept = self._cells.get(cell)
            records.append((f"{COOLDOWN}:{cell}".encode(), None if kept is None else msgspec.json.encode(kept)))
        self._changed.clear()
        return records

    def restore(self, cell: str, value: bytes) -> None:
        """Take back one record of ``changed``."""
        self._watch(cell, msgspec.json.decode(value, type=Watched))

    def _watch(self, cell: str, watched: Watched) -> None:
        self._cells[cell] = watched
        heappush(self._due, (watched.until_ms, cell))
