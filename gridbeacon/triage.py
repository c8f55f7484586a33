"""Triage: the learned findings that stand in each cell, and which of them the alarm budget lets through.

What is held back is kept while it stands: a finding that comes later, of another source near by, may corroborate it.
"""

from bisect import insort
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gridbeacon.budget import (
    ALONE_FROM,
    STANDS_MS,
    Candidate,
    Pool,
    false_alarm_rate,
    tail_of,
)
from gridbeacon.config import AlarmBudget
from gridbeacon.feedback import MOST_LENIENT, Feedback, Past
from gridbeacon.model import Born, Decision, Signal, SignalBatch
from gridbeacon.places import class_of, is_together, pool_of, source_of
from gridbeacon.reasons import BudgetReason
from gridbeacon.tails import Tail

LEDGER, CENSUS, TAIL, FEEDBACK = "ledger", "census", "tail", "feedback"
"""The kinds of records of its state."""


class Held(msgspec.Struct):
    """A learned finding of one series: the signal that spoke last, what the budget said, and when it ended, if so."""

    signal: Signal
    candidate: Candidate
    decision: Decision
    ended_ms: int | None = None


class Place(msgspec.Struct):
    """The learned findings of one cell, by their key, and when one of them was last told."""

    held: dict[str, Held] = msgspec.field(default_factory=dict)
    told_ms: int | None = None

    def standing(self, now_ms: int) -> Iterator[tuple[str, Held]]:
        """Yield the findings that stand, or have ended not long ago."""
        for key, held in self.held.items():
            if held.ended_ms is None or held.ended_ms > now_ms - STANDS_MS:
                yield key, held

    def expires_ms(self) -> int | None:
        """Return when the next finding is forgotten, or the last alarm; None when there is neither."""
        times = [held.ended_ms + STANDS_MS for held in self.held.values() if held.ended_ms is not None]
        return min(times + ([] if self.told_ms is None else [self.told_ms + STANDS_MS]), default=None)

    def forget(self, now_ms: int) -> None:
        """Forget what ended, and what was told, long ago."""
        self.held = dict(self.standing(now_ms))
        if self.told_ms is not None and self.told_ms <= now_ms - STANDS_MS:
            self.told_ms = None


class Ledger(msgspec.Struct):
    """How the budget stands: series of each pool in the whole city, births still to come, and the pools."""

    series: list[int] = msgspec.field(default_factory=list)
    coming: list[tuple[int, Born | tuple[int, int]]] = msgspec.field(default_factory=list)
    pools: list[Pool] = msgspec.field(default_factory=list)


class Triage:
    """Decides which learned findings of one ``signals`` partition are told.

    ``census`` counts the learned series of each cell by class; ``tails`` are the classes' scores.
    """

    def __init__(self, budget: AlarmBudget) -> None:
        self._budget = budget
        self.feedback = Feedback()
        self._ledger = Ledger()
        self._census: dict[str, dict[str, int]] = {}
        self._tails: dict[str, Tail] = {}
        self._sizes: dict[str, int] = {}
        self._here = [0] * (len(budget.shares) + 1)
        self._changed: set[tuple[str, str]] = set()
        self._fit()

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call."""
        kept: dict[str, Any] = {CENSUS: self._census, TAIL: self._tails}
        records: list[tuple[bytes, bytes | None]] = [(LEDGER.encode(), msgspec.json.encode(self._ledger))]
        for kind, name in sorted(self._changed):
            records.append((f"{kind}:{name}".encode(), msgspec.json.encode(kept[kind][name])))
        records += [(f"{FEEDBACK}:{key}".encode(), value) for key, value in self.feedback.changed()]
        self._changed.clear()
        return records

    def restore(self, kind: str, name: str, value: bytes) -> None:
        """Take back one record of ``changed``: its key's two parts and its value."""
        if kind == LEDGER:
            self._ledger = msgspec.json.decode(value, type=Ledger)
            self._fit()
        elif kind == FEEDBACK:
            self.feedback.restore(name, value)
        elif kind == TAIL:
            self._tails[name] = msgspec.json.decode(value, type=Tail)
        else:
            self._census[name] = msgspec.json.decode(value, type=dict[str, int])
            for metric_class, count in self._census[name].items():
                self._grow(name, metric_class, count)

    def count(self, batch: SignalBatch, now_ms: int | None) -> None:
        """Take what a producer says of new series; it holds from their time on, or at once when ``now_ms`` is given."""
        coming = self._ledger.coming
        for born in batch.born:
            insort(coming, (born.time_ms, born), key=_order)
        for time_ms, pool, more in batch.pools:
            insort(coming, (time_ms, (pool, more)), key=_order)
        if now_ms is not None:
            self.pass_time(max((time_ms for time_ms, _ in coming), default=now_ms))

    def pass_time(self, now_ms: int) -> None:
        """Let the series be born that are, by now."""
        coming = self._ledger.coming
        while coming and coming[0][0] <= now_ms:
            _, one = coming.pop(0)
            if isinstance(one, tuple):
                pool, more = one
                self._ledger.series[pool] += more
                continue
            of = self._census.setdefault(one.cell, {})
            of[one.metric_class] = of.get(one.metric_class, 0) + one.count
            self._changed.add((CENSUS, one.cell))
            self._grow(one.cell, one.metric_class, one.count)

    def end(self, place: Place, key: str, now_ms: int) -> None:
        """A finding has ended."""
        if key in place.held:
            place.held[key].ended_ms = now_ms

    def consider(
        self, cell: str, places: Mapping[str, Place], key: str, signal: Signal, now_ms: int
    ) -> list[tuple[str, str, Held]]:
        """Take a finding that begins or grows; return (cell, key, finding) of all that is told from now on: it, when it
        is told, and what corroborates it. ``places`` are its cell, those next to it, and the areas that hold it: after
        an alarm in any of them it is the same situation."""
        place = places[cell]
        metric_class = class_of(signal.series)
        tail = tail_of(self._tails, metric_class, now_ms)
        self._changed.add((TAIL, metric_class))
        tail.watch(self._sizes.get(metric_class, 0), now_ms)
        score = signal.score or 0.0
        before = place.held.get(key)
        since_ms = signal.time_ms if before is None else before.candidate.since_ms
        one = Candidate(signal.series, source_of(signal.series), score, tail.rate(score), since_ms)
        tail.add(score, now_ms)
        around = (cell, *signal.near)
        # What is in a sum is no witness for it, nor the sum for its parts.
        standing = {
            held.candidate.series: (name, k, held)
            for name in around
            if name in places
            for k, held in places[name].standing(now_ms)
            if (name, k) != (cell, key) and not (is_together(one.source) or is_together(held.candidate.source))
        }
        decision = self._decide(cell, metric_class, one, [held for *_, held in standing.values()], around, now_ms)
        told_already = before is not None and before.decision.told and before.ended_ms is None
        same = (one for name, one in places.items() if name in around or cell.startswith(name))
        if told_already or (decision.told and any(one.told_ms is not None for one in same)):
            decision = msgspec.structs.replace(decision, reason=BudgetReason.SAME_SITUATION)
        place.held[key] = held = Held(signal, one, decision)
        factor = self.feedback.factor(signal.series, now_ms)
        if decision.told or decision.rate <= decision.limit / factor * MOST_LENIENT:
            limit = decision.limit / factor
            self.feedback.remember(Past(now_ms, cell, signal.series, decision.rate, limit, decision.reason))
        if not decision.told:
            return []
        told = [(cell, key, held)]
        for series in decision.partners:
            name, k, other = standing[series]
            if not other.decision.told and other.ended_ms is None:
                other.decision = msgspec.structs.replace(decision, reason=BudgetReason.SAME_SITUATION)
                told.append((name, k, other))
        if decision.reason is BudgetReason.TOLD:
            self._ledger.pools[pool_of(self._budget, cell, metric_class)].spend(now_ms)
        for name, *_ in told:
            places[name].told_ms = now_ms
        return told

    def _decide(
        self, cell: str, metric_class: str, one: Candidate, others: list[Held], around: tuple[str, ...], now_ms: int
    ) -> Decision:
        number = pool_of(self._budget, cell, metric_class)
        series = max(self._ledger.series[number], self._here[number], 1)
        nearby = sum(sum(self._census.get(name, {}).values()) for name in around)
        rate, partners = false_alarm_rate(one, (held.candidate for held in others), series, nearby)
        share = self._here[number] / series
        limit, left = self._ledger.pools[number].limit(pool_budget(self._budget, number), share, now_ms)
        limit *= self.feedback.factor(one.series, now_ms)
        reason = BudgetReason.TOLD
        if rate > limit:
            reason = BudgetReason.TOO_COMMON
        elif one.score < ALONE_FROM and not partners:
            reason = BudgetReason.TOO_WEAK_ALONE
        return Decision(reason=reason, rate=rate, limit=limit, left=left, partners=tuple(partners))

    def _grow(self, cell: str, metric_class: str, more: int) -> None:
        self._here[pool_of(self._budget, cell, metric_class)] += more
        self._sizes[metric_class] = self._sizes.get(metric_class, 0) + more

    def _fit(self) -> None:
        """Make the ledger as long as there are pools: the configuration may have changed."""
        count, ledger = len(self._here), self._ledger
        ledger.pools = (ledger.pools + [Pool() for _ in range(count)])[:count]
        ledger.series = (ledger.series + [0] * count)[:count]


def _order(one: tuple[int, Born | tuple[int, int]]) -> tuple[int, str, str]:
    time_ms, what = one
    return (time_ms, what.cell, what.metric_class) if isinstance(what, Born) else (time_ms, "", "")


def pool_budget(budget: AlarmBudget, number: int) -> float:
    """Return the alarms a week of a pool: 0 is what no share names."""
    if number:
        return budget.per_week * budget.shares[number - 1].share
    return budget.per_week * (1.0 - sum(one.share for one in budget.shares))
