"""What the detect partitions say of a slot of time together, and when all of it is there: for areas and cells."""

import msgspec

from gridbeacon.config import Config
from gridbeacon.model import CellResidual, PlaceSum, SignalBatch

PATIENCE_MS = 60_000
"""Live, a slot waits so long for the sums of a partition that lags behind; then it is judged without them."""

Part = tuple[tuple[PlaceSum, ...], tuple[CellResidual, ...]]


class Slot(msgspec.Struct, frozen=True):
    """All that was said of the slot that ended at ``end_ms``, in the order of its producers."""

    end_ms: int
    sums: list[PlaceSum]
    cells: list[CellResidual]


class Heard(msgspec.Struct):
    """How far each producer has come, and which slot was the last that is over."""

    ticks: dict[int, int] = msgspec.field(default_factory=dict)
    over_ms: int = -1


class Slots:
    """The slots of one ``signals`` partition that are not over."""

    def __init__(self, config: Config) -> None:
        self._live = config.clock == "arrival"
        self._producers = config.topics.observations_partitions
        self._grace_ms = round(config.detect.event_grace_secs * 1000)
        self._heard = Heard()
        self._parts: dict[tuple[int, int], Part] = {}
        self._moved: set[tuple[int, int]] = set()

    @property
    def over_ms(self) -> int:
        """The end of the last slot that is over, -1 before the first."""
        return self._heard.over_ms

    def take(self, batch: SignalBatch) -> list[Slot]:
        """Take a message; return the slots that are over with it, in order. What comes later for them is left out."""
        if batch.sums or batch.cells:
            self._parts[batch.partition, batch.offset] = batch.sums, batch.cells
            self._moved.add((batch.partition, batch.offset))
        if batch.tick is None or batch.partition >= self._producers:  # of forecast, which says nothing of slots
            return []
        ticks = self._heard.ticks
        ticks[batch.partition] = max(batch.tick.time_ms, ticks.get(batch.partition, 0))
        now_ms = min(ticks.values()) if len(ticks) >= self._producers else -1
        if self._live:
            now_ms = max(now_ms, max(ticks.values()) - PATIENCE_MS)
        last_ms = now_ms - self._grace_ms
        ends = sorted({one.end_ms for part in self._parts.values() for some in part for one in some})
        found = [self._slot(end_ms) for end_ms in ends if self._heard.over_ms < end_ms <= last_ms]
        if found:
            self._heard.over_ms = found[-1].end_ms
        for key in [key for key, part in self._parts.items() if _last(part) <= last_ms]:
            del self._parts[key]
            self._moved.add(key)
        return found

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call; None removes a key."""
        records: list[tuple[bytes, bytes | None]] = [(b"heard", msgspec.msgpack.encode(self._heard))]
        for key in sorted(self._moved):
            part = self._parts.get(key)
            records.append((b"part:%d:%d" % key, None if part is None else msgspec.msgpack.encode(part)))
        self._moved.clear()
        return records

    def restore(self, key: str, value: bytes) -> None:
        """Take back one record of ``changed``."""
        kind, _, name = key.partition(":")
        if kind == "heard":
            self._heard = msgspec.msgpack.decode(value, type=Heard)
            return
        partition, _, offset = name.partition(":")
        self._parts[int(partition), int(offset)] = msgspec.msgpack.decode(value, type=Part)

    def _slot(self, end_ms: int) -> Slot:
        parts = [self._parts[key] for key in sorted(self._parts)]
        return Slot(
            end_ms,
            [one for sums, _ in parts for one in sums if one.end_ms == end_ms],
            [one for _, cells in parts for one in cells if one.end_ms == end_ms],
        )


def _last(part: Part) -> int:
    return max(some[-1].end_ms for some in part if some)
