"""The city's calendar: what was announced, for which cells and metrics, from when to when. One for all who ask.

It answers two questions, and reads no clock: ``at``, what holds for one series at one time; ``active``, which
windows are open at all within a span, so that whoever holds a whole column of times can skip it when none is.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, Protocol

from gridbeacon.days import Day, Days
from gridbeacon.reasons import CalendarMode, DayType
from gridbeacon.vocabulary import Kind

_CHUNK_MS = 28 * 86_400_000
"""Recurring windows are expanded four weeks at a time: long enough to be rare, short enough to be quick."""
_MAX_CHUNKS = 600
"""So many stretches of four weeks are remembered, about 46 years."""
_LIMIT_MS = 4_200_000_000_000
"""Nothing recurs past 2100 (see ``calendar_series``), nor before as long ago; a longer span is cut to this."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a window is about: ``cells`` are prefixes of grid codes; what is empty or None holds for everything."""

    cells: tuple[str, ...] = ()
    kind: Kind | None = None
    metric: str = ""

    def covers(self, cell: str, kind: Kind, metric: str) -> bool:
        """Return whether the scope takes in a metric of a kind of source in a cell.

        >>> Scope(("310101",), Kind.CROWD).covers("310101001002003", Kind.CROWD, "people_count")
        True
        """
        return (
            (not self.cells or cell.startswith(self.cells))
            and (self.kind is None or self.kind is kind)
            and (not self.metric or self.metric == metric)
        )


@dataclass(frozen=True, slots=True)
class Window:
    """One thing that was announced, and what it asks for.

    ``factor`` (above 1) multiplies the threshold in ``raise_threshold``. In ``expected_load``, ``expected`` (at least
    1) multiplies what the profile expects, or ``up_to`` is a level, in the metric's unit, that surprises nobody.
    """

    name: str
    mode: CalendarMode
    scope: Scope = Scope()
    factor: float = 1.0
    expected: float = 1.0
    up_to: float | None = None


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A window that is open once, from ``start_ms`` until just before ``end_ms``."""

    start_ms: int
    end_ms: int
    window: Window


@dataclass(frozen=True, slots=True)
class Effect:
    """What the calendar says of one series at one time. Where windows overlap, the largest of each number counts.

    ``mute``: say nothing of what is unusual. ``factor``: times the threshold. ``expected``: times what the profile
    expects. ``up_to``: a level in the metric's unit that is expected in any case, None without one. ``train``: False
    when nothing may be learned from this time. ``names`` are the windows behind it, ``reasons`` the mode of each.
    """

    mute: bool = False
    factor: float = 1.0
    expected: float = 1.0
    up_to: float | None = None
    train: bool = True
    names: tuple[str, ...] = ()
    reasons: tuple[CalendarMode, ...] = ()


NOTHING = Effect()
"""No window is open."""


class Repeating(Protocol):
    """What opens again and again."""

    def between(self, from_ms: int, to_ms: int) -> Iterable[Occurrence]:
        """Return every occurrence that overlaps [from, to), and no other."""


class _Chunk(NamedTuple):
    """Four weeks: who is open from ``starts_ms[n]`` on stands in ``open_then[n]``; ``known`` is all of them."""

    known: tuple[Occurrence, ...]
    starts_ms: list[int]
    open_then: list[tuple[Window, ...]]


class Calendar:
    """Windows and days of a city.

    ``once`` are the occurrences that are known in full, ``repeating`` those that are expanded when a time is asked
    for. What was expanded is remembered; the answers depend on nothing but the question.
    """

    def __init__(
        self, days: Days | None = None, once: Iterable[Occurrence] = (), repeating: Sequence[Repeating] = ()
    ) -> None:
        self._days = Days() if days is None else days
        self._once = sorted(once, key=_order)
        self._repeating = tuple(repeating)
        self._chunks: dict[int, _Chunk] = {}

    def at(self, time_ms: int, cell: str, kind: Kind, metric: str) -> Effect:
        """Return what holds for a metric of a kind of source in a cell (a full grid code) at a time.

        >>> everywhere = Window("drill", CalendarMode.MUTE)
        >>> calendar = Calendar(once=[Occurrence(1000, 2000, everywhere)])
        >>> calendar.at(1000, "310101001002003", Kind.CROWD, "people_count").names
        ('drill',)
        >>> calendar.at(2000, "310101001002003", Kind.CROWD, "people_count") == NOTHING
        True
        """
        chunk = self._chunk(time_ms // _CHUNK_MS)
        if not chunk.known:
            return NOTHING
        place = bisect_right(chunk.starts_ms, time_ms) - 1
        return effect_of([w for w in chunk.open_then[place] if w.scope.covers(cell, kind, metric)])

    def active(self, from_ms: int, to_ms: int) -> tuple[Occurrence, ...]:
        """Return the occurrences that overlap [from, to), in the order of their starts; none when it is empty."""
        from_ms, to_ms = max(from_ms, -_LIMIT_MS), min(to_ms, _LIMIT_MS)
        if from_ms >= to_ms:
            return ()
        first = from_ms // _CHUNK_MS
        found: list[Occurrence] = []
        for number in range(first, (to_ms - 1) // _CHUNK_MS + 1):
            begin_ms = number * _CHUNK_MS
            # What reaches over a border is known on both its sides; it is taken from the earlier one.
            found += [
                one
                for one in self._chunk(number).known
                if one.start_ms < to_ms and one.end_ms > from_ms and (number == first or one.start_ms >= begin_ms)
            ]
        return tuple(found)

    def day(self, when: date) -> Day:
        """Return what a civil date is, with its name."""
        return self._days.day(when)

    def day_type(self, when: date) -> DayType:
        """Return the type of a civil date.

        >>> Calendar().day_type(date(2026, 10, 3))
        <DayType.WEEKEND: 'weekend'>
        """
        return self._days.type_of(when)

    def _chunk(self, number: int) -> _Chunk:
        chunk = self._chunks.get(number)
        if chunk is None:
            if len(self._chunks) >= _MAX_CHUNKS:
                self._chunks.pop(next(iter(self._chunks)))
            chunk = self._chunks[number] = self._expand(number * _CHUNK_MS)
        return chunk

    def _expand(self, from_ms: int) -> _Chunk:
        to_ms = from_ms + _CHUNK_MS
        known = [one for one in self._once if one.start_ms < to_ms and one.end_ms > from_ms]
        if from_ms < _LIMIT_MS and to_ms > -_LIMIT_MS:
            for each in self._repeating:
                known += each.between(from_ms, to_ms)
        known.sort(key=_order)
        edges = {from_ms, *(one.start_ms for one in known), *(one.end_ms for one in known)}
        starts_ms = sorted(edge for edge in edges if from_ms <= edge < to_ms)
        open_then: list[tuple[Window, ...]] = []
        still: list[Occurrence] = []
        taken = 0
        for edge in starts_ms:
            still = [one for one in still if one.end_ms > edge]
            while taken < len(known) and known[taken].start_ms <= edge:
                if known[taken].end_ms > edge:
                    still.append(known[taken])
                taken += 1
            open_then.append(tuple(one.window for one in still))
        return _Chunk(tuple(known), starts_ms, open_then)


def _order(one: Occurrence) -> tuple[int, int, str, str]:
    return one.start_ms, one.end_ms, one.window.name, one.window.mode


def effect_of(windows: Iterable[Window]) -> Effect:
    """Return what windows that are open together amount to, whatever their order.

    Any ``mute`` mutes, any ``train_mask`` masks; of factors, multipliers and levels the largest counts.

    >>> twice = Window("match", CalendarMode.EXPECTED_LOAD, expected=2.0)
    >>> effect_of([twice, Window("fair", CalendarMode.EXPECTED_LOAD, expected=1.5)]).expected
    2.0
    """
    all_open = tuple(windows)
    found = sorted({(window.name, window.mode) for window in all_open})
    if not found:
        return NOTHING
    modes = {mode for _, mode in found}
    return Effect(
        mute=CalendarMode.MUTE in modes,
        factor=max(window.factor for window in all_open),
        expected=max(window.expected for window in all_open),
        up_to=max((window.up_to for window in all_open if window.up_to is not None), default=None),
        train=CalendarMode.TRAIN_MASK not in modes,
        names=tuple(name for name, _ in found),
        reasons=tuple(mode for _, mode in found),
    )
