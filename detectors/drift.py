"""Drift: river's ADWIN watches, for each kind of a cell's sources, whether what is usual there has changed.

It sees the mean residual of each hour, in spreads. When it detects a change, and a day and a half later half a day is
still at least one spread off, that is a finding about the data: the profile no longer fits, and is learning anew. A
sensor that was moved looks like this, and so does a street that was closed; one wild day does not. It ends when half a
day is back within half a spread.

Per hour and not per observation, so that its cost is bounded: 4 µs and about a kilobyte for each cell and kind.
"""

from collections import defaultdict
from typing import Any

import msgspec
from river import drift

from detectors.slots import Slot
from gridbeacon.config import Config
from gridbeacon.model import Position, Signal
from gridbeacon.places import CELL
from gridbeacon.reasons import Level, Reason
from gridbeacon.roll import QUALITY
from gridbeacon.vocabulary import Kind

HOUR_MS = 3_600_000
DELTA, CLOCK, GRACE_HOURS = 0.002, 4, 24
CONFIRM_HOURS, MEAN_HOURS, BEGIN_FROM, END_BELOW = 36, 12, 1.0, 0.5
"""Hours after a detection until it is looked at, those of the mean, and the spreads from and below which it counts."""


class Watch(msgspec.Struct):
    """One kind of a cell: the hour that is running with its sum and count, hours seen since the last change (0: there
    was none), their mean or its smoothed successor, and which way off it is said to be."""

    hour: int = -1
    total: float = 0.0
    count: int = 0
    since: int = 0
    mean: float = 0.0
    said: int = 0


class Drifts:
    """The drift of the cells of one ``signals`` partition: slots in, findings about data out."""

    def __init__(self, config: Config) -> None:
        self._grace_ms = round(config.detect.event_grace_secs * 1000)
        self._watches: dict[tuple[str, str], Watch] = {}
        self._adwins: dict[tuple[str, str], Any] = {}
        self._changed: set[tuple[str, str]] = set()
        self._learned: set[tuple[str, str]] = set()

    def judge(self, slot: Slot) -> list[Signal]:
        """Return the drifts that begin and end with a slot, without lineage."""
        seen: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for one in slot.cells:
            if not one.masked:
                seen[one.cell, one.kind][0] += one.z
                seen[one.cell, one.kind][1] += one.series
        found: list[Signal] = []
        hour = (slot.end_ms - 1) // HOUR_MS
        for key in sorted(seen):
            z, series = seen[key]
            watch = self._watches.setdefault(key, Watch(hour))
            self._changed.add(key)
            if hour > watch.hour and watch.count:
                found += self._learn(key, watch, watch.total / watch.count, slot.end_ms)
                watch.total, watch.count = 0.0, 0
            watch.hour = hour
            watch.total += z / series
            watch.count += 1
        return found

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call."""
        records: list[tuple[bytes, bytes | None]] = [
            (b"watch:" + "|".join(key).encode(), msgspec.msgpack.encode(self._watches[key]))
            for key in sorted(self._changed)
        ]
        for key in sorted(self._learned):
            state = self._adwins[key]._helper.__getstate__()  # noqa: SLF001 - river's own form of its state
            records.append((b"adwin:" + "|".join(key).encode(), state))
        self._changed.clear()
        self._learned.clear()
        return records

    def restore(self, key: str, value: bytes) -> None:
        """Take back one record of ``changed``, in any order."""
        kind, _, name = key.partition(":")
        cell, _, source = name.rpartition("|")
        if kind == "watch":
            self._watches[cell, source] = msgspec.msgpack.decode(value, type=Watch)
        else:
            adwin = self._adwins[cell, source] = _adwin()
            adwin._helper.__setstate__(value)  # noqa: SLF001

    def _learn(self, key: tuple[str, str], watch: Watch, mean: float, end_ms: int) -> list[Signal]:
        adwin = self._adwins.get(key)
        if adwin is None:
            adwin = self._adwins[key] = _adwin()
        self._learned.add(key)
        adwin.update(mean)
        if adwin.drift_detected:
            adwin = self._adwins[key] = _adwin()  # as river does with the next value: what was before is over
            watch.since, watch.mean = 1, mean
            return []
        if not watch.since:
            return []
        watch.since += 1
        watch.mean += max(1.0 / watch.since, 1.0 / MEAN_HOURS) * (mean - watch.mean)
        way = 1 if watch.mean > 0 else -1
        if watch.said and (watch.said != way or abs(watch.mean) < END_BELOW):
            watch.said = watch.since = 0
            return [self._signal(key, end_ms, Level.NONE, "")]
        if not watch.said and watch.since >= CONFIRM_HOURS:
            if abs(watch.mean) < BEGIN_FROM:
                watch.since = 0
                return []
            watch.said = way
            side = "above" if way > 0 else "below"
            text = (
                f"cell {key[0]}: {key[1]} has been {abs(watch.mean):.1f} usual deviations {side} what is expected for "
                f"more than a day, and the profile is learning it: check that no sensor was moved"
            )
            return [self._signal(key, end_ms, Level.BLUE, text)]
        return []

    def _signal(self, key: tuple[str, str], end_ms: int, level: Level, text: str) -> Signal:
        cell, kind = key
        return Signal(
            cell=cell,
            layer=QUALITY,
            series=f"{CELL}/{cell}/{kind}",
            reason=Reason.LEVEL_SHIFT,
            level=level,
            time_ms=end_ms + self._grace_ms,
            lineage=Position("signals", 0, 0),
            kind=Kind(kind),
            text=text,
        )


def _adwin() -> Any:
    make: Any = drift.ADWIN
    return make(delta=DELTA, clock=CLOCK, grace_period=GRACE_HOURS)
