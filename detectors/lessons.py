"""What people's feedback teaches: times in which a series is not learned from, and profiles that begin anew."""

from collections import defaultdict
from typing import Any

import msgspec
import numpy as np

from detectors.kernel import JUDGE, LEARN
from detectors.states import States
from gridbeacon.frame import I8
from gridbeacon.model import Lesson
from gridbeacon.reasons import LessonKind
from gridbeacon.vocabulary import METRICS, Kind

MOST = 1000
"""So many times are remembered, the newest; feedback comes from people."""
KEPT_MS = 86_400_000
"""A time that is over is remembered for a day longer, for observations that come late."""


class Lessons:
    """The lessons of one partition."""

    def __init__(self, states: States) -> None:
        self._states = states
        self._masks: list[Lesson] = []
        self._changed = False

    def take(self, lesson: Lesson) -> None:
        """Take one lesson: a mask holds from now on, a reset happens at once, if the series is known."""
        if lesson.kind is LessonKind.MASK:
            self._masks = [*self._masks, lesson][-MOST:]
            self._changed = True
            return
        number = self._number(lesson.series)
        if number is not None:
            self._states.relearn(number)

    def apply(self, at_series: I8, times_ms: I8, results: Any) -> None:
        """Take back ``LEARN`` from rows in the times that are not to be learned from."""
        for name, masks in self._by_series().items():
            number = self._number(name)
            rows = np.flatnonzero(at_series == number) if number is not None else ()
            for i in rows:
                if any(one.from_ms <= times_ms[i] < one.until_ms for one in masks) and results["learn"][i] & LEARN:
                    results["learn"][i] = JUDGE

    def forget(self, now_ms: int) -> None:
        """Forget the times that have long been over."""
        left = [one for one in self._masks if one.until_ms + KEPT_MS > now_ms]
        if len(left) < len(self._masks):
            self._masks, self._changed = left, True

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return the one record of this state, when it changed since the last call."""
        if not self._changed:
            return []
        self._changed = False
        return [(b"l:", msgspec.msgpack.encode(self._masks) if self._masks else None)]

    def restore(self, value: bytes) -> None:
        """Take back a record of ``changed``."""
        self._masks = msgspec.msgpack.decode(value, type=list[Lesson])

    def _by_series(self) -> dict[str, list[Lesson]]:
        found: dict[str, list[Lesson]] = defaultdict(list)
        for one in self._masks:
            found[one.series].append(one)
        return found

    def _number(self, series: str) -> int | None:
        kind, _, rest = series.partition("/")
        source, _, metric = rest.rpartition("/")
        numbers = [n for n, named in enumerate(METRICS) if named.kind == kind and named.name == metric]
        return self._states.known(source, numbers[0], events=kind == Kind.EVENTS) if numbers else None
