"""Hindsight: what the engine told in recorded data, counted; and, where it is known what happened, how well it did.

An alarm is an alert that opened. Its layer, metric and cell are those of the evidence that decided.
"""

from collections import Counter
from collections.abc import Iterable
from statistics import median
from typing import Any

import msgspec

from gridbeacon.labels import Label
from gridbeacon.lifecycle import Event
from gridbeacon.model import Alert, AlertEvent, Verdict
from gridbeacon.reasons import State
from gridbeacon.roll import SAFETY

WEEK_MS = 604_800_000
MARGIN = 0.5
"""A plot shows so much of a label's length before and after it, at least an hour."""
_HOUR_MS = 3_600_000


class Alarm(msgspec.Struct, frozen=True):
    """An alert that opened."""

    at_ms: int
    layer: str
    metric: str
    cell: str
    rule: str
    level: str
    headline: str
    series: tuple[str, ...]


class Outcome(msgspec.Struct, frozen=True):
    """How one label ended: the first alarm within it, and the delay after its start; None when nothing was told."""

    label: Label
    alarm: Alarm | None
    delay_ms: int | None


class Hindsight:
    """Takes all that a backtest finds, in order; what is before ``from_ms`` and from ``to_ms`` on only teaches."""

    def __init__(self, from_ms: int | None, to_ms: int | None, labels: Iterable[Label] = ()) -> None:
        self._from_ms, self._to_ms = from_ms, to_ms
        self.labels = tuple(labels)
        self.alarms: list[Alarm] = []
        self.points: dict[Label, dict[str, list[Verdict]]] = {label: {} for label in self.labels}
        self._first_ms: int | None = None
        self._last_ms = 0
        self._alert: Alert | None = None

    def take(self, found: Any) -> None:
        """Take one finding of the backtest."""
        if isinstance(found, Verdict):
            self._see(found)
        elif isinstance(found, Alert):
            self._alert = found
        elif isinstance(found, AlertEvent) and found.event is Event.OPENED and self._counts(found.at_ms):
            self._open(found)

    def _counts(self, time_ms: int) -> bool:
        return (self._from_ms is None or time_ms >= self._from_ms) and (self._to_ms is None or time_ms < self._to_ms)

    def _see(self, verdict: Verdict) -> None:
        if not self._counts(verdict.observed_ms):
            return
        first = self._first_ms
        self._first_ms = verdict.observed_ms if first is None else min(first, verdict.observed_ms)
        self._last_ms = max(self._last_ms, verdict.observed_ms)
        for label in self.labels:
            begin_ms, end_ms = window(label)
            if begin_ms <= verdict.observed_ms <= end_ms:
                self.points[label].setdefault(verdict.series, []).append(verdict)

    def _open(self, event: AlertEvent) -> None:
        alert = self._alert
        if alert is None or alert.alert_id != event.alert_id or not alert.evidence:
            return
        top = alert.evidence[0]
        name = top.series.rpartition("/")[2] if top.series.count("/") > 1 else str(top.reason)
        series = tuple(one.series for one in alert.evidence)
        self.alarms.append(
            Alarm(event.at_ms, top.layer, name, alert.cell, alert.rule, alert.level.word, alert.headline, series)
        )

    @property
    def weeks(self) -> float:
        """How long it was that is counted."""
        begin = self._from_ms if self._from_ms is not None else self._first_ms
        end = self._to_ms if self._to_ms is not None else self._last_ms
        return 0.0 if begin is None else max(min(end, self._last_ms) - begin, 0) / WEEK_MS

    def outcomes(self) -> list[Outcome]:
        """Return how each label ended."""
        found = []
        for label in self.labels:
            within = [a for a in self.safety if label.start_ms <= a.at_ms <= label.end_ms]
            first = min(within, key=lambda alarm: alarm.at_ms, default=None)
            found.append(Outcome(label, first, None if first is None else first.at_ms - label.start_ms))
        return found

    @property
    def safety(self) -> list[Alarm]:
        """The alarms about people, not about data."""
        return [alarm for alarm in self.alarms if alarm.rule == SAFETY]

    def false(self) -> list[Alarm]:
        """Return the alarms about people outside of every label."""
        return [a for a in self.safety if not any(one.start_ms <= a.at_ms <= one.end_ms for one in self.labels)]

    def tables(self) -> list[tuple[str, list[str], list[list[str]]]]:
        """Return (title, columns, rows) of what people want to know."""
        weeks = max(self.weeks, 1e-9)
        found = []
        for title in ("layer", "metric", "cell"):
            counts = Counter(getattr(alarm, title) for alarm in self.alarms)
            rows = [[name, str(n), f"{n / weeks:.2f}"] for name, n in sorted(counts.items(), key=_most)]
            found.append((f"Alarms by {title}", [title, "alarms", "a week"], rows))
        if self.labels:
            outcomes = self.outcomes()
            hits = [one for one in outcomes if one.delay_ms is not None]
            delays = [one.delay_ms / 60_000 for one in hits if one.delay_ms is not None]
            rows = [
                ["recall", f"{len(hits)} of {len(outcomes)}"],
                ["false alarms a week", f"{len(self.false()) / weeks:.2f}"],
                ["median delay, minutes", f"{median(delays):.1f}" if delays else "none"],
            ]
            found.append(("Against the labels", ["figure", "value"], rows))
            found.append(("Labels", ["name", "told", "delay, minutes", "headline"], [_row(one) for one in outcomes]))
        return found

    def shown(self, outcome: Outcome) -> str | None:
        """Return the series to show for a label: what was told, else the one furthest off; None without any."""
        points = self.points[outcome.label]
        told = [name for name in (outcome.alarm.series if outcome.alarm else ()) if name in points]
        if told:
            return told[0]
        return max(points, key=lambda name: max((v.severity or 0.0 for v in points[name]), default=0.0), default=None)


def window(label: Label) -> tuple[int, int]:
    """Return the span of time that a plot of a label shows."""
    more = max(round(MARGIN * (label.end_ms - label.start_ms)), _HOUR_MS)
    return label.start_ms - more, label.end_ms + more


def _row(one: Outcome) -> list[str]:
    if one.alarm is None or one.delay_ms is None:
        return [one.label.name, "no", "", ""]
    return [one.label.name, "yes", f"{one.delay_ms / 60_000:.1f}", one.alarm.headline]


def _most(pair: tuple[str, int]) -> tuple[int, str]:
    return -pair[1], pair[0]


def is_off(verdict: Verdict) -> bool:
    """Return whether a verdict is to be marked."""
    return verdict.state is State.ANOMALOUS
