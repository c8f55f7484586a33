"""Grid events in windows of event time: a count per cell, category and window, zeros included, closed by time."""

from typing import NamedTuple

import msgspec

from gridbeacon.model import GridEvent

MOST_ZEROS_MS = 7 * 86_400_000
"""After a longer pause of the clock, only this much of it is filled with zeros."""
_IGNORED = ("rejected", "duplicate")


class Closed(NamedTuple):
    """One closed window: ``end_ms`` in event time, reports counted."""

    end_ms: int
    cell: str
    category: str
    reports: int
    near: tuple[str, ...] = ()


class Windows(msgspec.Struct):
    """One (cell, category): where the window that closes next begins, and the requests reported in each open window.

    A report that is published again (its status has changed) still counts once.
    """

    cell: str
    category: str
    next_ms: int
    requests: dict[int, set[str]] = msgspec.field(default_factory=dict)
    near: tuple[str, ...] = ()


def category_of(event: GridEvent) -> str:
    """Return what an event counts as: its categories, or its service code where it has none.

    >>> event = GridEvent(service_request_id="1", service_code="fire", grid_id="1", occurred_ms=0, reported_ms=0,
    ...                   position=("grid.events", 0, 0, 0))
    >>> category_of(event)
    'fire'
    """
    return ".".join(part for part in (event.category_major, event.category_minor) if part) or event.service_code


def counts(event: GridEvent) -> bool:
    """Return whether a report stands: not rejected by whoever verified it, and no duplicate."""
    return event.verification not in _IGNORED


class EventCounts:
    """Counts of one partition. A (cell, category) is counted from its first event on."""

    def __init__(self, window_ms: int, grace_ms: int) -> None:
        self._window_ms = window_ms
        self.grace_ms = self._grace_ms = grace_ms
        self._windows: dict[str, Windows] = {}
        self._changed: set[str] = set()
        self._next_ms: int | None = None

    def add(self, event: GridEvent, now_ms: int | None) -> bool:
        """Count one event; return False when it is late: reported, or here, after its window and the grace ended.

        In a replay time never passes a report before it is here, so what is late depends on the report alone.
        """
        begin = event.occurred_ms // self._window_ms * self._window_ms
        due = begin + self._window_ms + self._grace_ms
        if due <= event.reported_ms or (now_ms is not None and due <= now_ms):
            return False
        key = f"{event.grid_id}/{category_of(event)}"
        found = self._windows.setdefault(key, Windows(event.grid_id, category_of(event), begin))
        found.next_ms = min(found.next_ms, begin)
        found.near = event.near or found.near
        found.requests.setdefault(begin, set()).add(event.service_request_id)
        self._changed.add(key)
        self._next_ms = due if self._next_ms is None else min(self._next_ms, due)
        return True

    def close(self, now_ms: int) -> list[Closed]:
        """Return the windows whose end and grace have passed, in order of end, cell and category."""
        if self._next_ms is None or now_ms < self._next_ms:
            return []
        closed: list[Closed] = []
        window, last_end = self._window_ms, (now_ms - self._grace_ms) // self._window_ms * self._window_ms
        for key, found in self._windows.items():
            while found.next_ms + window <= last_end:
                requests = found.requests.pop(found.next_ms, set())
                found.next_ms += window
                closed.append(Closed(found.next_ms, found.cell, found.category, len(requests), found.near))
                if not found.requests:  # after a long pause of the clock, a week of zeros says it all
                    found.next_ms = max(found.next_ms, last_end - MOST_ZEROS_MS // window * window)
            self._changed.add(key)
        self._next_ms = last_end + window + self._grace_ms
        return sorted(closed)

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of what changed since the last call."""
        records = [(b"e:" + key.encode(), msgspec.msgpack.encode(self._windows[key])) for key in self._changed]
        self._changed.clear()
        return list(records)

    def restore(self, value: bytes) -> None:
        """Take back one value of ``changed``."""
        found = msgspec.msgpack.decode(value, type=Windows)
        self._windows[f"{found.cell}/{found.category}"] = found
        due = found.next_ms + self._window_ms + self._grace_ms
        self._next_ms = due if self._next_ms is None else min(self._next_ms, due)
