"""Groups of alerts that are told together: when each was last told of, and who waits for its next notice."""

import msgspec

GROUP = "group"
"""The kind of their keys in the state, ``group:NAME``."""


class Group(msgspec.Struct):
    """When the last notice went out, and the alerts that wait for the next one."""

    last_ms: int
    waiting: list[str] = msgspec.field(default_factory=list)


class Groups:
    """All groups of which somebody was told not long ago."""

    def __init__(self, wait_secs: float) -> None:
        self._wait_ms = int(wait_secs * 1000)
        self._known: dict[str, Group] = {}
        self._changed: set[str] = set()

    def last_ms(self, name: str) -> int | None:
        """Return when the last notice of a group went out, None when that is unknown or long ago."""
        found = self._known.get(name)
        return None if found is None else found.last_ms

    def told(self, name: str, at_ms: int) -> None:
        """Say that a notice of a group went out; those who wait already wait no longer for it."""
        found = self._known.setdefault(name, Group(at_ms))
        if not found.waiting:
            found.last_ms = at_ms
        self._changed.add(name)

    def wait(self, name: str, alert_id: str) -> None:
        """Let an alert wait for the next notice of its group."""
        waiting = self._known[name].waiting
        if alert_id not in waiting:
            waiting.append(alert_id)
            self._changed.add(name)

    def next_ms(self) -> int | None:
        """Return when the next group is due, to be told or to be forgotten; None when there is none."""
        return min((group.last_ms + self._wait_ms for group in self._known.values()), default=None)

    def due(self, at_ms: int) -> list[tuple[str, list[str]]]:
        """Take out and return the groups that are due at a time, with the alerts that wait, in order of their names."""
        names = sorted(name for name, group in self._known.items() if group.last_ms + self._wait_ms <= at_ms)
        self._changed.update(names)
        return [(name, self._known.pop(name).waiting) for name in names]

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all that changed since the last call; the value None removes the key."""
        records: list[tuple[bytes, bytes | None]] = []
        for name in sorted(self._changed):
            group = self._known.get(name)
            records.append((f"{GROUP}:{name}".encode(), None if group is None else msgspec.json.encode(group)))
        self._changed.clear()
        return records

    def restore(self, name: str, value: bytes) -> None:
        """Take back one record of ``changed``."""
        self._known[name] = msgspec.json.decode(value, type=Group)
