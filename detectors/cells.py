"""Cells: several weak signals that together are odd. Crowd a little up, traffic a little down, a few more reports.

Per cell and slot, each kind of source has one residual: the mean over its series of (observed - expected) / spread,
smoothed over a quarter of an hour, in units of what it usually is here. What kinds have in common, for they see the
same people, is taken out: L⁻¹·r, where L·Lᵀ is the cell's own correlation of kinds, shrunk by a twentieth. A forest
(``forest``) looks at this vector; only cells with two kinds or more have one. How odd that is:
(1 + |vector| / 20) / (1 - score), in units of its own streaming 99.5 % quantile. A finding is worth half of that.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations_with_replacement

import msgspec

from detectors.episodes import CALM
from detectors.forest import WINDOW, Forest
from detectors.profiled import CLIP, QUANTILE, STEP
from detectors.slots import Slot
from gridbeacon.config import Config
from gridbeacon.model import Born, Position, Signal
from gridbeacon.places import CELL
from gridbeacon.reasons import Level, Reason, State
from gridbeacon.tails import FLOOR
from gridbeacon.vocabulary import Kind

SMOOTH_MS = 900_000.0
HELD_MS = 3_600_000
"""A kind that reports seldom counts so long with what it said last."""
LEARNED_A_SLOT, SLOT_TURN_MS = 16, 60_000
"""Cells that a slot teaches, at least, in turn: a forest of many cells has soon seen enough, and each costs 0.1 ms."""
SMALL = 2.0
WARM_SLOTS, WARM_UNIT = 288, 300
"""Slots of each kind before the cell is looked at, and vectors beyond the forest's window before anything is said."""
GAIN = 1 / 2000
CLIP_Z, CLIP_SHARED = 8.0, 4.0
SHRUNK = 0.95
OPEN_FROM, GROWTH = 1.4, 1.2
GONE_MS, LASTS_MS = 7_200_000, 3 * 86_400_000
"""Without a word for so long an episode is over; one that lasts so long is learned after all."""
JOINT = "joint"


class Residual(msgspec.Struct):
    """What one kind of a cell's sources is like: the smoothed residual, its usual size, when it was seen, how often."""

    level: float = 0.0
    usual: float = 0.0
    at_ms: int = -1
    count: int = 0


class Kept(msgspec.Struct):
    """One cell: its kinds, the mean products of two of them (``a*b``), and the episode that stands, since when (0:
    none) and how odd it was at most."""

    kinds: dict[str, Residual] = msgspec.field(default_factory=dict)
    products: dict[str, float] = msgspec.field(default_factory=dict)
    learned: int = 0
    born: bool = False
    since_ms: int = 0
    last_ms: int = 0
    height: float = 0.0
    calm: int = 0


class Grove(msgspec.Struct):
    """What is usual for a forest: vectors learned, and the 99.5 % quantile of how odd they are."""

    learned: int = 0
    unit: float = 0.0


class Cells:
    """The cells of one ``signals`` partition: slots in, their findings out."""

    def __init__(self, config: Config) -> None:
        self._grace_ms = round(config.detect.event_grace_secs * 1000)
        self._cells: dict[str, Kept] = {}
        self._forests: dict[str, tuple[Forest, Grove]] = {}
        self._open: set[str] = set()
        self._changed: set[str] = set()
        self._grown: set[str] = set()

    def judge(self, slot: Slot) -> tuple[list[Signal], list[Born]]:
        """Return what begins, grows and ends with a slot, without lineage, and the series that are new."""
        seen: dict[str, dict[str, tuple[int, float, int]]] = defaultdict(dict)
        for one in slot.cells:
            series, z, masked = seen[one.cell].get(one.kind, (0, 0.0, 0))
            seen[one.cell][one.kind] = series + one.series, z + one.z, masked + one.masked
        signals: list[Signal] = []
        born: list[Born] = []
        every = max(1, len(seen) // LEARNED_A_SLOT)
        for turn, name in enumerate(sorted(seen), slot.end_ms // SLOT_TURN_MS):
            cell = self._cells.setdefault(name, Kept())
            self._changed.add(name)
            for kind, (series, z, masked) in sorted(seen[name].items()):
                _follow(cell.kinds.setdefault(kind, Residual()), z / series, slot.end_ms, learn=not masked)
            vector = _vector(cell, slot.end_ms)
            if vector is None:
                continue
            if not cell.born:
                cell.born = True
                born.append(Born(slot.end_ms, name, f"{CELL}/{JOINT}", 1))
            masked = any(masked for _, _, masked in seen[name].values())
            signals += self._look(name, cell, vector, slot.end_ms, learn=not masked and turn % every == 0)
        for name in sorted(self._open):
            if self._cells[name].last_ms <= slot.end_ms - GONE_MS:
                signals.append(self._ended(name, self._cells[name], slot.end_ms))
        return signals, born

    def state_of(self, name: str, now_ms: int) -> State:
        """Return whether a cell is warming up (or has too few kinds), usual, or odd together."""
        cell = self._cells.get(name)
        vector = None if cell is None else _vector(cell, now_ms)
        if cell is None or vector is None or self._grove(vector)[1].learned < WINDOW + WARM_UNIT:
            return State.WARMING_UP
        return State.ANOMALOUS if cell.since_ms else State.NORMAL

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call."""
        records: list[tuple[bytes, bytes | None]] = [
            (b"one:" + name.encode(), msgspec.msgpack.encode(self._cells[name])) for name in sorted(self._changed)
        ]
        for name in sorted(self._grown):
            forest, grove = self._forests[name]
            records.append((b"forest:" + name.encode(), msgspec.msgpack.encode((grove, forest.state()))))
        self._changed.clear()
        self._grown.clear()
        return records

    def restore(self, key: str, value: bytes) -> None:
        """Take back one record of ``changed``. A forest of another version of river begins anew."""
        kind, _, name = key.partition(":")
        if kind == "one":
            cell = self._cells[name] = msgspec.msgpack.decode(value, type=Kept)
            if cell.since_ms:
                self._open.add(name)
            return
        grove, state = msgspec.msgpack.decode(value, type=tuple[Grove, bytes])
        forest = Forest(tuple(name.split("+")))
        if forest.restore(state):
            self._forests[name] = forest, grove

    def _grove(self, vector: dict[str, float]) -> tuple[Forest, Grove]:
        name = "+".join(vector)
        found = self._forests.get(name)
        if found is None:
            found = self._forests[name] = Forest(tuple(vector)), Grove()
        return found

    def _look(self, name: str, cell: Kept, vector: dict[str, float], end_ms: int, *, learn: bool) -> Iterator[Signal]:
        forest, grove = self._grove(vector)
        apart = _apart(cell, vector)
        x = {kind: 0.5 + z / (2.0 * (3.0 + abs(z))) for kind, z in apart.items()}
        size = math.sqrt(sum(z * z for z in apart.values()))
        # What is small in every direction is not odd; it is looked at where it is learned from.
        score = forest.score(x) if learn or cell.since_ms or size >= SMALL else None
        odd = 0.0 if score is None else (1.0 + size / CLIP) / max(1.0 - score, 1e-6)
        known = grove.learned >= WINDOW + WARM_UNIT
        severity = odd / grove.unit if known and grove.unit > 0.0 else 0.0
        cell.last_ms = end_ms
        if severity >= max(OPEN_FROM, cell.height * GROWTH):
            cell.since_ms, cell.height, cell.calm = cell.since_ms or end_ms, severity, 0
            self._open.add(name)
            yield self._found(name, vector, end_ms, severity / 2.0)
        elif cell.since_ms:
            cell.calm = cell.calm + 1 if severity < 1.0 else 0
            if cell.calm >= CALM:
                yield self._ended(name, cell, end_ms)
        lasting = cell.since_ms and end_ms - cell.since_ms >= LASTS_MS
        if learn and (not cell.since_ms or lasting):
            _learn_products(cell, vector)
            forest.learn(x)
            grove.learned += 1
            self._grown.add("+".join(vector))
            if score is not None:
                grove.unit = grove.unit or odd
                # quickly at first: the first hundreds of vectors say roughly what is usual
                step = STEP if grove.learned > WINDOW + WARM_UNIT else 10.0 * STEP
                grove.unit *= 1.0 + step * ((1.0 if odd > grove.unit else 0.0) - (1.0 - QUANTILE))

    def _ended(self, name: str, cell: Kept, end_ms: int) -> Signal:
        cell.since_ms = cell.calm = 0
        cell.height = 0.0
        self._open.discard(name)
        self._changed.add(name)
        return self._signal(name, Level.NONE, max(sorted(cell.kinds)), end_ms)

    def _found(self, name: str, vector: dict[str, float], end_ms: int, worth: float) -> Signal:
        said = ", ".join(f"{kind} {z:+.1f}" for kind, z in vector.items())
        most = max(vector, key=lambda kind: abs(vector[kind]))
        return msgspec.structs.replace(
            self._signal(name, Level.BLUE, most, end_ms),
            score=max(worth, FLOOR),
            text=f"cell {name}: {said} usual deviations in the last quarter of an hour, which is odd together",
        )

    def _signal(self, name: str, level: Level, kind: str, end_ms: int) -> Signal:
        return Signal(
            cell=name,
            layer="learned",
            series=f"{CELL}/{name}/{JOINT}",
            reason=Reason.JOINT_DEPARTURE,
            level=level,
            time_ms=end_ms + self._grace_ms,
            lineage=Position("signals", 0, 0),
            kind=Kind(kind),
        )


def _follow(one: Residual, z: float, end_ms: int, *, learn: bool) -> None:
    """Smooth a residual, and learn its usual size."""
    passed = HELD_MS if one.at_ms < 0 else min(end_ms - one.at_ms, HELD_MS)
    one.level += (1.0 - math.exp(-passed / SMOOTH_MS)) * (min(max(z, -CLIP_Z), CLIP_Z) - one.level)
    one.at_ms = end_ms
    if learn:
        one.count += 1
        size = abs(one.level) if one.count < 20 else min(abs(one.level), 3.0 * one.usual + 1e-9)
        one.usual += max(GAIN, 1.0 / one.count) * (size - one.usual)


def _vector(cell: Kept, now_ms: int) -> dict[str, float] | None:
    """Return the residual of each kind in its usual deviations (1.25 mean sizes); None when there are too few."""
    found = {
        kind: min(max(one.level / max(1.25 * one.usual, 1e-9), -CLIP), CLIP)
        for kind, one in sorted(cell.kinds.items())
        if one.count >= WARM_SLOTS and one.at_ms > now_ms - HELD_MS
    }
    return found if len(found) > 1 else None


def _apart(cell: Kept, vector: dict[str, float]) -> dict[str, float]:
    """Return a vector less what its kinds usually have in common in this cell."""
    kinds, z = list(vector), list(vector.values())
    rows: list[list[float]] = []  # of L, the Cholesky factor: two or three numbers, for which numpy is slow
    apart: list[float] = []
    for j, b in enumerate(kinds):
        row: list[float] = []
        for i, a in enumerate(kinds[:j]):
            row.append((_shared(cell, a, b) - sum(p * q for p, q in zip(rows[i], row, strict=False))) / rows[i][i])
        row.append(math.sqrt(max(1.0 - sum(p * p for p in row), 1.0 - SHRUNK)))
        apart.append((z[j] - sum(p * q for p, q in zip(row, apart, strict=False))) / row[j])
        rows.append(row)
    return {kind: min(max(one, -CLIP), CLIP) for kind, one in zip(kinds, apart, strict=True)}


def _shared(cell: Kept, a: str, b: str) -> float:
    """Return the correlation of two kinds of a cell, shrunk."""
    sizes = cell.products.get(f"{a}*{a}", 1.0) * cell.products.get(f"{b}*{b}", 1.0)
    return SHRUNK * cell.products.get(f"{a}*{b}", 0.0) / math.sqrt(max(sizes, 1e-9))


def _learn_products(cell: Kept, vector: dict[str, float]) -> None:
    cell.learned += 1
    clipped = {kind: min(max(z, -CLIP_SHARED), CLIP_SHARED) for kind, z in vector.items()}
    for a, b in combinations_with_replacement(clipped, 2):
        before = cell.products.get(f"{a}*{b}", 0.0)
        cell.products[f"{a}*{b}"] = before + max(GAIN, 1.0 / cell.learned) * (clipped[a] * clipped[b] - before)
