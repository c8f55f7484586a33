"""Feedback: what people say of an alert afterwards, and what it changes in the learned layer. It never moves a limit.

Not an anomaly halves the rate up to which findings of its series are told, an anomaly lets a little more through. Both
in steps of log2, bounded, a quarter as far for the whole class, and half forgotten in four weeks. What was confirmed,
or was to be expected, is kept out of the profile while it lasts; a new trend lets the profile begin anew. Each effect
is told together with what it would have changed in the last 30 days.
"""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from gridbeacon.civil import utc
from gridbeacon.model import Alert, Lesson
from gridbeacon.places import class_of
from gridbeacon.reasons import BudgetReason, Disposition, LessonKind

DAY_MS = 86_400_000
HALF_LIFE_MS = 28 * DAY_MS
REMEMBERED_MS = 30 * DAY_MS
MOST_HELD_BACK = 500
"""So many findings that were not told are remembered, the newest; of those that were told, all of 30 days."""
MASK_AHEAD_MS = 2 * 3_600_000
"""What is not over when people say what it is, is kept out of the profile for so long from then on."""
STEPS: dict[Disposition, float] = {Disposition.NOT_ANOMALY: 1.0, Disposition.ANOMALY: -0.5}
"""By how much a series gets stricter, in log2 of the rate up to which it is told."""
CLASS_SHARE = 0.25
LEAST_STEP, MOST_STEP = -2.0, 4.0
"""Bounds of the steps of a series; those of a class are a quarter of it."""
MOST_LENIENT = 2.0 ** -(LEAST_STEP * (1.0 + CLASS_SHARE))
"""The most that the rate up to which a series is told can be multiplied by."""


class Steps(msgspec.Struct):
    """How much stricter one series, or one class, has become by feedback, as of ``at_ms``."""

    steps: float = 0.0
    at_ms: int = 0

    def now(self, now_ms: int) -> float:
        """Return what is left of it.

        >>> Steps(2.0, 0).now(HALF_LIFE_MS)
        1.0
        """
        return self.steps * math.exp2(-max(now_ms - self.at_ms, 0) / HALF_LIFE_MS)

    def add(self, step: float, share: float, now_ms: int) -> None:
        """Make one step, within the bounds."""
        self.steps = min(max(self.now(now_ms) + step * share, LEAST_STEP * share), MOST_STEP * share)
        self.at_ms = now_ms


class Past(NamedTuple):
    """One decision of the alarm budget: ``limit`` is what it would have been without any feedback."""

    time_ms: int
    cell: str
    series: str
    rate: float
    limit: float
    reason: BudgetReason


class Effect(NamedTuple):
    """What one feedback changes: in words, and what ``detect`` is to learn of it."""

    words: str
    lessons: tuple[Lesson, ...] = ()


class Feedback:
    """What people have said of the alerts of one ``signals`` partition, and the decisions that it is measured by."""

    def __init__(self) -> None:
        self._steps: dict[str, Steps] = {}
        self._days: dict[int, list[Past]] = {}
        self._changed: set[tuple[str, str]] = set()

    def factor(self, series: str, now_ms: int) -> float:
        """Return what the rate up to which a series is told is multiplied by, 1/32 to 5.7; 1 without any feedback."""
        names = (series, class_of(series))
        return math.exp2(-sum(self._steps[name].now(now_ms) for name in names if name in self._steps))

    def remember(self, past: Past) -> None:
        """Remember a decision for 30 days."""
        day = past.time_ms // DAY_MS
        self._days.setdefault(day, []).append(past)
        self._changed.add(("past", str(day)))
        for old in [d for d in self._days if (d + 1) * DAY_MS <= past.time_ms - REMEMBERED_MS]:
            del self._days[old]
            self._changed.add(("past", str(old)))
        held_back = sum(not _told(one) for ones in self._days.values() for one in ones)
        if held_back > MOST_HELD_BACK:
            self._forget_oldest()

    def apply(self, alert: Alert, disposition: Disposition, now_ms: int) -> Effect:
        """Apply what a person says of an alert; return what that changes."""
        series = self._behind(alert, now_ms)
        if disposition is Disposition.NO_FEEDBACK:
            return Effect("nothing is changed by it")
        if not series:
            return Effect(
                "nothing learned stood behind this alert, so nothing is changed; feedback never moves a limit"
            )
        words = []
        if disposition in STEPS:
            words.append(self._step(series, STEPS[disposition], now_ms))
        over_ms = alert.cleared_ms if alert.cleared_ms is not None else now_ms + MASK_AHEAD_MS
        lessons: list[Lesson] = []
        if disposition in (Disposition.ANOMALY, Disposition.ANOMALY_EXPECTED):
            lessons = [Lesson(LessonKind.MASK, one, alert.opened_ms, over_ms) for one in series]
            words.append(f"{_named(series)} is not learned from {_at(alert.opened_ms)} to {_at(over_ms)}")
        if disposition is Disposition.ANOMALY_EXPECTED:
            words.append(
                f"if it comes again, put it into the calendar: {{mode: expected_load, cells: ['{alert.cell}'], start: "
                f"'{_at(alert.opened_ms)}', end: '{_at(over_ms)}'}}"
            )
        if disposition is Disposition.ANOMALY_NEW_TREND:
            lessons = [Lesson(LessonKind.RESET, one, now_ms, now_ms) for one in series]
            words.append(f"the profile of {_named(series)} begins anew: it warms up for a day, hour by hour")
        return Effect("; ".join(words), tuple(lessons))

    def changed(self) -> list[tuple[str, bytes | None]]:
        """Return (key, value) of all state that changed since the last call; None removes a key."""
        kept: dict[str, Callable[[str], object]] = {
            "steps": self._steps.get,
            "past": lambda day: self._days.get(int(day)),
        }
        found = [(kind, name, kept[kind](name)) for kind, name in sorted(self._changed)]
        self._changed.clear()
        return [(f"{kind}:{name}", None if what is None else msgspec.json.encode(what)) for kind, name, what in found]

    def restore(self, key: str, value: bytes) -> None:
        """Take back one record of ``changed``."""
        kind, _, name = key.partition(":")
        if kind == "steps":
            self._steps[name] = msgspec.json.decode(value, type=Steps)
        else:
            self._days[int(name)] = msgspec.json.decode(value, type=list[Past])

    def _behind(self, alert: Alert, now_ms: int) -> list[str]:
        """Return the series of the learned findings that stood behind an alert."""
        cells = {alert.cell, *alert.cells}
        until_ms = now_ms if alert.cleared_ms is None else alert.cleared_ms
        found = {one.series for one in alert.evidence if one.layer == "learned"}
        found |= {
            one.series
            for day in range(alert.opened_ms // DAY_MS, until_ms // DAY_MS + 1)
            for one in self._days.get(day, [])
            if one.cell in cells and alert.opened_ms <= one.time_ms <= until_ms and _told(one)
        }
        return sorted(found)

    def _step(self, series: list[str], step: float, now_ms: int) -> str:
        """Make the step for some series and their classes; return its effect in words, over the last 30 days."""
        past = [one for day in sorted(self._days) for one in self._days[day] if one.time_ms > now_ms - REMEMBERED_MS]
        before = {one.series: self.factor(one.series, now_ms) for one in past}
        for name in series:
            self._move(name, step, 1.0, now_ms)
        for name in sorted({class_of(one) for one in series}):
            self._move(name, step, CLASS_SHARE, now_ms)
        alarms = [one for one in past if one.reason is BudgetReason.TOLD]
        after = {one.series: self.factor(one.series, now_ms) for one in past}
        said = "; ".join(f"{name} up to {self.factor(name, now_ms):.2g} times the usual rate" for name in series[:3])
        if step > 0:
            lost = sum(one.rate > one.limit * after[one.series] for one in _passing(alarms, before))
            return f"told from now on: {said}; {_counted(lost, len(alarms), 'would not have been raised')}"
        held = [one for one in past if one.reason is BudgetReason.TOO_COMMON]
        more = sum(one.rate <= one.limit * after[one.series] for one in held if one not in _passing(held, before))
        return (
            f"told from now on: {said}; with this step, {more} more alarms would have been raised in the last 30 days"
        )

    def _move(self, name: str, step: float, share: float, now_ms: int) -> None:
        self._steps.setdefault(name, Steps()).add(step, share, now_ms)
        self._changed.add(("steps", name))

    def _forget_oldest(self) -> None:
        for day in sorted(self._days):
            for one in self._days[day]:
                if not _told(one):
                    self._days[day].remove(one)
                    self._changed.add(("past", str(day)))
                    return


def _told(one: Past) -> bool:
    return one.reason in (BudgetReason.TOLD, BudgetReason.SAME_SITUATION)


def _passing(past: Iterable[Past], factors: dict[str, float]) -> list[Past]:
    """Return the decisions that would be told with these factors."""
    return [one for one in past if one.rate <= one.limit * factors[one.series]]


def _named(series: list[str]) -> str:
    return ", ".join(series[:3]) + (f" and {len(series) - 3} more" if len(series) > 3 else "")


def _counted(lost: int, of: int, what: str) -> str:
    """Return a count over the last 30 days in words.

    >>> _counted(7, 19, "would not have been raised")
    "with this step, 7 of the last 30 days' 19 alarms would not have been raised"
    """
    return f"with this step, {lost} of the last 30 days' {of} alarms {what}"


def _at(time_ms: int) -> str:
    return utc(time_ms).strftime("%Y-%m-%dT%H:%M:%SZ")
