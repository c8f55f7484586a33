"""Observations -> means by slots of time, for all series of a partition; only what is still needed is kept."""

import msgspec
import numpy as np

from gridbeacon.frame import F4, F8, I8


class Sums:
    """Sum and number of the observations of each series in each slot, by when the slot begins."""

    def __init__(self, step_ms: int) -> None:
        self.step_ms = step_ms
        self._slots: dict[int, tuple[F8, F8]] = {}
        self._changed: set[int] = set()

    def add(self, number: I8, observed_ms: I8, value: F8, count: int) -> None:
        """Take observations of series ``number``; ``count`` series are known by now."""
        begin = observed_ms // self.step_ms * self.step_ms
        for slot_ms in np.unique(begin).tolist():
            here = begin == slot_ms
            total, n = self._grown(slot_ms, count)
            np.add.at(total, number[here], value[here])
            np.add.at(n, number[here], 1.0)
            self._changed.add(slot_ms)

    def begun(self) -> list[int]:
        """Return the slots of which something is held, in order."""
        return sorted(self._slots)

    def means(self, slot_ms: int, count: int) -> F4:
        """Return the mean of each of ``count`` series in a slot, NaN where nothing was observed."""
        total, n = self._grown(slot_ms, count) if slot_ms in self._slots else (np.zeros(count), np.zeros(count))
        return np.where(n > 0, total / np.maximum(n, 1.0), np.nan).astype(np.float32)

    def forget(self, before_ms: int) -> None:
        """Let go of slots that begin before a time."""
        for slot_ms in [one for one in self._slots if one < before_ms]:
            del self._slots[slot_ms]
            self._changed.add(slot_ms)

    def _grown(self, slot_ms: int, count: int) -> tuple[F8, F8]:
        total, n = self._slots.get(slot_ms) or (np.zeros(0), np.zeros(0))
        if len(total) < count:
            more = np.zeros(count - len(total))
            total, n = np.concatenate([total, more]), np.concatenate([n, more])
            self._slots[slot_ms] = total, n
        return total, n

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of what changed since the last call; None removes the key."""
        found: list[tuple[bytes, bytes | None]] = []
        for slot_ms in sorted(self._changed):
            held = self._slots.get(slot_ms)
            value = None if held is None else msgspec.msgpack.encode((held[0].tobytes(), held[1].tobytes()))
            found.append((b"s:%d" % slot_ms, value))
        self._changed.clear()
        return found

    def restore(self, key: bytes, value: bytes) -> None:
        """Take back one record of ``changed``."""
        total, n = msgspec.msgpack.decode(value, type=tuple[bytes, bytes])
        self._slots[int(key[2:])] = np.frombuffer(total, np.float64).copy(), np.frombuffer(n, np.float64).copy()
