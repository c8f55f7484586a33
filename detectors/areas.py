"""Areas: what is weak in every sensor and plain in the sum. A city that empties, a street that fills.

The sums of the detect partitions (``sums``) are added up per area, class and slot. z = (observed - expected) / sqrt(sum
of variances) is a series of its own, ``area/PLACE/KIND.METRIC``, judged by the default detector: it has no unit, and of
a sensor that is missing neither side has anything. Its findings wait for the alarm budget as all others do. While a
larger area is off in the same way, its parts say nothing.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np

from detectors.civil import CivilHours
from detectors.episodes import CALM, CALM_BELOW
from detectors.judge_bank import JudgeBank
from detectors.judge_layout import constants
from detectors.slots import Slot
from detectors.sums import carriers
from gridbeacon.config import Config
from gridbeacon.errors import Fatal
from gridbeacon.model import Born, PlaceSum, Position, Signal
from gridbeacon.places import AREA, levels_of
from gridbeacon.reasons import Level, Reason
from gridbeacon.tails import FLOOR
from gridbeacon.vocabulary import Kind

LEAST_SOURCES, LEAST_PARTS = 3, 2
"""Sources and parts (the areas or cells one level below) that make an area more than they are by themselves."""
GONE_MS = 7_200_000
"""When an area can't be judged for so long, nobody knows whether what was found in it goes on: it ends."""
FALL_WEIGHT = 1.0
"""A street that empties counts like one that fills: what makes falls of one sensor common, a fault, is not in a sum."""
MASKED_SHARE = 0.25
"""A slot in which more than this share of the observations was not to be learned from is not learned from either."""


class Track(msgspec.Struct):
    """One area's series: its number in the bank, when it was judged first and last, and its episode."""

    number: int
    first_ms: int
    last_ms: int
    episode: int = 0
    calm: int = 0


class Area(msgspec.Struct):
    """The sums of one area, class and slot."""

    place: str
    metric_class: str
    end_ms: int
    rows: int = 0
    masked: int = 0
    sources: int = 0
    observed: float = 0.0
    expected: float = 0.0
    variance: float = 0.0
    parts: set[str] = msgspec.field(default_factory=set)
    beyond: dict[str, float] = msgspec.field(default_factory=dict)

    def add(self, one: PlaceSum, parts: Iterable[str]) -> None:
        """Add the sum of a part of it."""
        self.rows += one.rows
        self.masked += one.masked
        self.sources += one.sources
        self.observed += one.observed
        self.expected += one.expected
        self.variance += one.variance
        self.parts.update(parts)
        for cell, by in one.carriers:
            self.beyond[cell] = self.beyond.get(cell, 0.0) + by


class Areas:
    """The areas of one ``signals`` partition: slots in, their findings out."""

    def __init__(self, config: Config) -> None:
        self._levels = levels_of(config)
        self._grace_ms = round(config.detect.event_grace_secs * 1000)
        self._warm_up_ms = round(config.detect.warm_up_days * 86_400_000)
        self._hours = CivilHours(config.timezone)
        self._bank = JudgeBank(constants(fall_weight=FALL_WEIGHT))
        self._tracks: dict[tuple[str, str], Track] = {}
        self._open: set[tuple[str, str]] = set()
        self._changed: set[tuple[str, str]] = set()

    def judge(self, slot: Slot) -> tuple[list[Signal], list[Born]]:
        """Return what begins, grows and ends with a slot, without lineage, and the series that are new."""
        areas = self._areas(slot)
        born = self._begin(areas)
        return list(self._judge(areas, slot.end_ms)), born

    def relearn(self, series: str) -> None:
        """Learn anew what is usual for an area's series."""
        _, place, metric_class = series.split("/")
        name = place, metric_class.replace(".", "/", 1)
        if name in self._tracks:
            self._bank.relearn(self._tracks[name].number)
            self._changed.add(name)

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call."""
        names = sorted(self._changed)
        rows = self._bank.pack(np.array([self._tracks[name].number for name in names], np.int64))
        self._changed.clear()
        return [
            ("|".join(name).encode(), msgspec.msgpack.encode((self._tracks[name], row)))
            for name, row in zip(names, rows, strict=True)
        ]

    def restore(self, key: str, value: bytes) -> None:
        """Take back one record of ``changed``, in any order. Raises ``Fatal`` on the state of another version."""
        place, _, metric_class = key.partition("|")
        track, row = msgspec.msgpack.decode(value, type=tuple[Track, bytes])
        track.number = self._bank.add()
        self._tracks[place, metric_class] = track
        if track.episode:
            self._open.add((place, metric_class))
        try:
            self._bank.restore(track.number, row)
        except ValueError as error:
            raise Fatal(f"area {place} was saved by another version of Gridbeacon ({error})") from error

    def _areas(self, slot: Slot) -> list[Area]:
        """Return the areas of one slot that are more than their parts, the largest first."""
        found: dict[tuple[str, str], Area] = {}
        for one in sorted(slot.sums, key=lambda s: (s.place, s.metric_class)):  # of equals the order of producers stays
            for level, digits in enumerate(self._levels):
                place = one.place[:digits]
                finest = level + 1 == len(self._levels)
                parts = _cells(one) if finest else (one.place[: self._levels[level + 1]],)
                area = found.setdefault((place, one.metric_class), Area(place, one.metric_class, slot.end_ms))
                area.add(one, parts)
        whole = [area for area in found.values() if len(area.parts) >= LEAST_PARTS and area.sources >= LEAST_SOURCES]
        return sorted(whole, key=lambda area: (len(area.place), area.place, area.metric_class))

    def _begin(self, areas: list[Area]) -> list[Born]:
        """Begin the series of areas that are new."""
        born = []
        for area in areas:
            if (area.place, area.metric_class) not in self._tracks:
                self._tracks[area.place, area.metric_class] = Track(self._bank.add(), area.end_ms, area.end_ms)
                born.append(Born(area.end_ms, area.place, f"{AREA}/{area.metric_class.replace('/', '.')}", 1))
        return born

    def _judge(self, areas: list[Area], end_ms: int) -> Iterator[Signal]:
        """Judge and learn one slot; yield what begins, grows and ends with it."""
        names = [(area.place, area.metric_class) for area in areas]
        times = np.full(len(areas), end_ms)
        said: Any = self._bank.judge(
            np.array([self._tracks[name].number for name in names], np.int64),
            np.array([(a.observed - a.expected) / math.sqrt(max(a.variance, 1e-12)) for a in areas]),
            times,
            self._hours.since_monday(times),
            np.array([a.masked <= MASKED_SHARE * a.rows for a in areas], np.uint8),
        )
        self._changed.update(names)
        for name, area, one in zip(names, areas, said, strict=True):
            track = self._tracks[name]
            track.last_ms = end_ms
            known = end_ms - track.first_ms >= self._warm_up_ms and not one["young"] and one["confidence"] > 0
            way = 1 if area.observed > area.expected else -1
            worth = float(one["signal"]) if known and not self._said_above(name, way) else 0.0
            if worth >= FLOOR:
                if track.episode not in (0, way):
                    yield self._ended(name, end_ms)
                yield self._found(area, way, worth)
                track.episode, track.calm = way, 0
                self._open.add(name)
            elif track.episode:
                track.calm = 0 if one["severity"] >= CALM_BELOW else track.calm + 1
                if track.calm >= CALM:
                    yield self._ended(name, end_ms)
        for name in sorted(self._open):
            if self._tracks[name].last_ms <= end_ms - GONE_MS:
                yield self._ended(name, end_ms)
                self._changed.add(name)

    def _said_above(self, name: tuple[str, str], way: int) -> bool:
        """Return whether an area that holds this one is off in the same way: it says it for all its parts."""
        place, metric_class = name
        above = (self._tracks.get((place[:digits], metric_class)) for digits in self._levels if digits < len(place))
        return any(track is not None and track.episode == way for track in above)

    def _ended(self, name: tuple[str, str], end_ms: int) -> Signal:
        track = self._tracks[name]
        way, track.episode, track.calm = track.episode, 0, 0
        self._open.discard(name)
        return self._signal(*name, end_ms, way, Level.NONE)

    def _found(self, area: Area, way: int, worth: float) -> Signal:
        most = [(cell, by) for cell, by in carriers(area.beyond.items()) if way * by > 0]
        most.sort(key=lambda pair: (-way * pair[1], pair[0]))
        beyond = abs(area.observed - area.expected)
        share = f"{beyond / area.expected:.0%}" if area.expected > 0 else f"{beyond:.3g}"
        metric = area.metric_class.partition("/")[2]
        text = (
            f"area {area.place}: {metric} of {area.sources} sensors together is {share} "
            f"{'above' if way > 0 else 'below'} what is expected at this hour; most of it in "
            f"{', '.join(cell for cell, _ in most)}"
        )
        above = (area.place[:digits] for digits in self._levels if digits < len(area.place))
        return msgspec.structs.replace(
            self._signal(area.place, area.metric_class, area.end_ms, way, Level.BLUE),
            value=area.observed,
            expected=area.expected,
            score=worth,
            near=tuple(dict.fromkeys([*above, *(cell for cell, _ in most)])),
            text=text,
        )

    def _signal(self, place: str, metric_class: str, end_ms: int, way: int, level: Level) -> Signal:
        return Signal(
            cell=place,
            layer="learned",
            series=f"{AREA}/{place}/{metric_class.replace('/', '.')}",
            reason=Reason.ABOVE_EXPECTED if way > 0 else Reason.BELOW_EXPECTED,
            level=level,
            time_ms=end_ms + self._grace_ms,
            lineage=Position("signals", 0, 0),
            kind=Kind(metric_class.partition("/")[0]),
        )


def _cells(one: PlaceSum) -> Iterable[str]:
    """Return names of its cells, as many as matter: those that carry it by their own, the others by numbers."""
    named = [cell for cell, _ in one.carriers]
    return [*named, *(f"{one.place}/{n}" for n in range(min(one.cells - len(named), LEAST_PARTS)))]
