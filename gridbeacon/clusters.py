"""Clusters of reports in one partition: counts of closed windows in, findings out; ``scan`` has the statistic.

Each area and category is scanned by itself when a window is over, some time after the windows' grace, so that every
producer has been heard. Shares are learned from windows that are too old to be scanned, and forgotten over weeks.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from gridbeacon.config import Config
from gridbeacon.model import Position, ReportCount, Signal
from gridbeacon.places import area_of
from gridbeacon.reasons import Level, Reason
from gridbeacon.scan import Cluster, Zones, clusters, neighbourhoods
from gridbeacon.vocabulary import Kind

SCAN = "scan"
"""The layer of its findings, and the kind of its keys in the state of situate: ``scan:AREA:CATEGORY``."""
HOURS = 3.0
"""So far back a cluster may reach."""
LAG_MS = 30_000
"""How long after the grace a window is scanned: until then what was counted elsewhere has come."""
DAY_PARTS = 4
"""People are elsewhere at night: the usual share of a cell is learned for each quarter of the day."""
HALF_LIFE_DAYS = 28.0
PRIOR_REPORTS = 20.0
"""What is known of a cell over the whole day counts so much against what is known of it at this time of the day."""
LEAST_DAYS, LEAST_REPORTS = 7.0, 100.0
"""Before that much is known of an area, nothing is said of it."""
STAYS_SHARE = 0.1
"""A cluster stands until one like it comes by chance ten times as often as what begins one."""
_DAY_MS = 86_400_000


class Course(msgspec.Struct):
    """One area and category: what is usual of each cell by part of the day, what adjoins it, the windows that are
    scanned, by their end, and the cells of each cluster that stands, by the cell at its centre."""

    first_ms: int
    usual: dict[str, list[float]] = msgspec.field(default_factory=dict)
    near: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    recent: dict[int, dict[str, int]] = msgspec.field(default_factory=dict)
    learned_ms: int = 0
    standing: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)


class Clusters:
    """The clusters of reports of one partition."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._window_ms = round(config.detect.event_window_secs * 1000)
        self._after_ms = round(config.detect.event_grace_secs * 1000) + LAG_MS
        self._kept = max(round(HOURS * 3_600_000 / self._window_ms), 1)
        self._courses: dict[str, Course] = {}
        self._next_ms: int | None = None
        self._changed: set[str] = set()
        self._zones: dict[str, tuple[list[str], dict[str, tuple[str, ...]], Zones]] = {}

    def count(self, counts: Iterable[ReportCount], now_ms: int) -> None:
        """Take what was counted in windows that are over; what comes late is scanned with the next window."""
        for one in counts:
            area = area_of(one.cell, self._config.grid.area_digits)
            name = f"{area}:{one.category}"
            course = self._courses.setdefault(name, Course(one.end_ms))
            if one.end_ms <= course.learned_ms:
                continue  # its window has been learned without it
            course.first_ms = min(course.first_ms, one.end_ms)
            course.near[one.cell] = one.near or course.near.get(one.cell, ())
            for cell in (one.cell, *one.near):
                if cell.startswith(area):
                    course.usual.setdefault(cell, [0.0] * DAY_PARTS)
            window = course.recent.setdefault(one.end_ms, {})
            window[one.cell] = window.get(one.cell, 0) + one.reports
            self._changed.add(name)
            due_ms = one.end_ms + self._after_ms
            if due_ms > now_ms:
                self._next_ms = due_ms if self._next_ms is None else min(self._next_ms, due_ms)
            elif self._next_ms is None:
                self._next_ms = now_ms

    def next_ms(self) -> int | None:
        """Return when the next window is to be scanned, or None while nothing was ever counted."""
        return self._next_ms

    def scan(self, at_ms: int) -> list[Signal]:
        """Scan what is due; return the clusters that begin and end."""
        if self._next_ms is None or at_ms < self._next_ms:
            return []
        end_ms = (at_ms - self._after_ms) // self._window_ms * self._window_ms
        found: list[Signal] = []
        busy = False
        for name in sorted(self._courses):
            course = self._courses[name]
            if course.recent or course.standing:
                found += self._look(name, course, end_ms, at_ms)
                busy = busy or bool(course.recent or course.standing)
                self._changed.add(name)
        self._next_ms = end_ms + self._window_ms + self._after_ms if busy else None
        return found

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call."""
        names = sorted(self._changed)
        self._changed.clear()
        return [
            (f"{SCAN}:{name}".encode(), msgspec.json.encode((self._next_ms, self._courses[name]))) for name in names
        ]

    def restore(self, name: str, value: bytes) -> None:
        """Take back one record of ``changed``."""
        next_ms, self._courses[name] = msgspec.json.decode(value, type=tuple[int | None, Course])
        if next_ms is not None and (self._courses[name].recent or self._courses[name].standing):
            self._next_ms = next_ms if self._next_ms is None else max(self._next_ms, next_ms)

    def _learn(self, course: Course, end_ms: int) -> None:
        """Learn what is too old to be scanned, and forget a little."""
        oldest_ms = end_ms - self._kept * self._window_ms
        for window_ms in sorted(w for w in course.recent if w <= oldest_ms):
            for cell, reports in course.recent.pop(window_ms).items():
                course.usual[cell][_part_of(window_ms)] += reports
        if oldest_ms > course.learned_ms:
            if course.learned_ms:
                keep = 0.5 ** ((oldest_ms - course.learned_ms) / (HALF_LIFE_DAYS * _DAY_MS))
                course.usual = {cell: [n * keep for n in parts] for cell, parts in course.usual.items()}
            course.learned_ms = oldest_ms

    def _look(self, name: str, course: Course, end_ms: int, at_ms: int) -> list[Signal]:
        category = name.partition(":")[2]
        self._learn(course, end_ms)
        if not course.recent and not course.standing:
            return []
        cells = sorted(course.usual)
        usual = np.array([course.usual[cell] for cell in cells]).T
        counts, shares = self._matrices(course, cells, usual, end_ms)
        known = usual.sum() >= LEAST_REPORTS and end_ms - course.first_ms >= LEAST_DAYS * _DAY_MS
        # An area's own categories alone count: how areas are spread over partitions changes nothing.
        categories = sum(other.partition(":")[0] == name.partition(":")[0] for other in self._courses)
        least = self._config.situate.scan_recurrence_days * categories
        clear: list[Cluster] = []
        if known:
            zones = self._zones_of(name, cells, course.near)
            clear = clusters(
                counts,
                shares,
                zones,
                window_days=self._window_ms / _DAY_MS,
                least_days=least * STAYS_SHARE,
                seed=end_ms // self._window_ms,
            )
        return self._signals(category, course, cells, clear, counts, least, at_ms)

    def _signals(
        self,
        category: str,
        course: Course,
        codes: list[str],
        clear: list[Cluster],
        counts: Any,
        least: float,
        at_ms: int,
    ) -> list[Signal]:
        found: list[Signal] = []
        stays: dict[str, tuple[str, ...]] = {}
        for one in clear:
            cells = tuple(codes[n] for n in one.cells)
            old = next((cell for cell, was in course.standing.items() if not {cell, *was}.isdisjoint(cells)), None)
            if old is not None:
                stays[old] = course.standing[old]
            elif one.recurs_days >= least:
                seen = counts[: one.windows].sum(axis=0)
                named = sorted((n for n in one.cells if seen[n]), key=lambda n: (-seen[n], codes[n]))
                centre = codes[named[0]]
                stays[centre] = cells
                hours = one.windows * self._window_ms / 3_600_000
                text = (
                    f"{one.reports} reports of {category} from {len(named)} cells near one another in {hours:g} h "
                    f"where {one.expected:.2g} are usual; most from {', '.join(codes[n] for n in named[:3])}"
                )
                found.append(self._signal(category, centre, at_ms, one, cells, text))
        ended = [cell for cell in sorted(course.standing) if cell not in stays]
        course.standing = stays
        return [*(self._signal(category, cell, at_ms, None, (), "") for cell in ended), *found]

    def _signal(
        self, category: str, cell: str, at_ms: int, one: Cluster | None, cells: tuple[str, ...], text: str
    ) -> Signal:
        return Signal(
            cell=cell,
            layer=SCAN,
            series=f"{Kind.EVENTS}/{cell}/{category}/cluster",
            reason=Reason.REPORT_CLUSTER,
            level=Level.NONE if one is None else Level.YELLOW,
            time_ms=at_ms,
            lineage=Position("signals", 0, 0),  # it comes of no single record
            kind=Kind.EVENTS,
            value=None if one is None else float(one.reports),
            expected=None if one is None else one.expected,
            near=tuple(sorted(set(cells) - {cell})),
            text=text,
        )

    def _zones_of(self, name: str, cells: list[str], near: dict[str, tuple[str, ...]]) -> Zones:
        """Return the zones of an area, made anew when its cells or what adjoins them have changed."""
        made = self._zones.get(name)
        if made is None or made[0] != cells or made[1] != near:
            grid = self._config.grid
            digits = (grid.street_digits, grid.street_digits + 3)
            made = self._zones[name] = cells, dict(near), neighbourhoods(cells, near, digits)
        return made[2]

    def _matrices(self, course: Course, cells: list[str], usual: Any, end_ms: int) -> tuple[Any, Any]:
        """Return reports and usual shares by (window, cell), the newest window first."""
        number = {cell: n for n, cell in enumerate(cells)}
        ends = [end_ms - k * self._window_ms for k in range(self._kept)]
        counts = np.zeros((len(ends), len(number)))
        for row, window_ms in enumerate(ends):
            for cell, reports in course.recent.get(window_ms, {}).items():
                counts[row, number[cell]] = reports
        overall = usual.sum(axis=0) + 0.5
        overall /= overall.sum()
        by_part = usual + PRIOR_REPORTS * overall
        by_part /= by_part.sum(axis=1, keepdims=True)
        return counts, by_part[[_part_of(window_ms) for window_ms in ends]]


def _part_of(window_ms: int) -> int:
    return int((window_ms - 1) % _DAY_MS * DAY_PARTS // _DAY_MS)
