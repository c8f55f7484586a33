"""Triage: the learned findings that stand in each cell, and which of them the alarm budget lets through.

What is held back is kept while it stands: a finding that comes later, of another source near by, may corroborate it.
"""

from collections.abc import Iterator, Mapping

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
from gridbeacon.model import Decision, Signal, SignalBatch
from gridbeacon.places import class_of, pool_of, source_of
from gridbeacon.reasons import BudgetReason
from gridbeacon.tails import Tail


class Held(msgspec.Struct):
    """A learned finding of one series: the signal that spoke last, what the budget said, and when it ended, if so."""

    signal: Signal
    candidate: Candidate
    decision: Decision
    ended_ms: int | None = None


class Place(msgspec.Struct):
    """The learned findings of one cell, by their key, the cells next to it, and when one of them was last told."""

    held: dict[str, Held] = msgspec.field(default_factory=dict)
    near: tuple[str, ...] = ()
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
    """What triage knows beside the cells: series by cell and class, by producer and pool, tails, and pools."""

    census: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    totals: dict[int, tuple[int, ...]] = msgspec.field(default_factory=dict)
    here: list[int] = msgspec.field(default_factory=list)
    tails: dict[str, Tail] = msgspec.field(default_factory=dict)
    pools: list[Pool] = msgspec.field(default_factory=list)


class Triage:
    """Decides which learned findings of one ``signals`` partition are told."""

    def __init__(self, budget: AlarmBudget) -> None:
        self._budget = budget
        self._sizes: dict[str, int] = {}
        self.ledger = Ledger()
        self._restore_sizes()

    def restore(self, ledger: Ledger) -> None:
        """Take back the ledger; the configuration may have other pools now."""
        self.ledger = ledger
        self._restore_sizes()

    def count(self, batch: SignalBatch) -> None:
        """Take what a producer says of its series: new ones in cells of this partition, and how many it has in all."""
        for cell, metric_class, more in batch.born:
            of = self.ledger.census.setdefault(cell, {})
            of[metric_class] = of.get(metric_class, 0) + more
            self._grow(cell, metric_class, more)
        if batch.series:
            self.ledger.totals[batch.partition] = batch.series

    def end(self, place: Place, key: str, now_ms: int) -> None:
        """A finding has ended."""
        if key in place.held:
            place.held[key].ended_ms = now_ms

    def consider(
        self, cell: str, places: Mapping[str, Place], key: str, signal: Signal, now_ms: int
    ) -> list[tuple[str, str, Held]]:
        """Take a finding that begins or grows; return (cell, key, finding) of all that is told from now on: it, when it
        is told, and what corroborates it."""
        place = places[cell]
        place.near = tuple(dict.fromkeys((*place.near, *signal.near)))
        metric_class = class_of(signal.series)
        tail = tail_of(self.ledger.tails, metric_class, now_ms)
        tail.watch(self._sizes.get(metric_class, 0), now_ms)
        score = signal.score or 0.0
        tail.add(score, now_ms)
        before = place.held.get(key)
        since_ms = signal.time_ms if before is None else before.candidate.since_ms
        one = Candidate(signal.series, source_of(signal.series), score, tail.rate(score), since_ms)
        around = [name for name in (cell, *place.near) if name in places]
        standing = {
            held.candidate.series: (name, k, held)
            for name in around
            for k, held in places[name].standing(now_ms)
            if (name, k) != (cell, key)
        }
        decision = self._decide(cell, metric_class, one, [held for *_, held in standing.values()], around, now_ms)
        told_already = before is not None and before.decision.told and before.ended_ms is None
        if told_already or (decision.told and any(places[name].told_ms is not None for name in around)):
            decision = msgspec.structs.replace(decision, reason=BudgetReason.SAME_SITUATION)
        place.held[key] = held = Held(signal, one, decision)
        if not decision.told:
            return []
        told = [(cell, key, held)]
        for series in decision.partners:
            name, k, other = standing[series]
            if not other.decision.told and other.ended_ms is None:
                other.decision = msgspec.structs.replace(decision, reason=BudgetReason.SAME_SITUATION)
                told.append((name, k, other))
        if decision.reason is BudgetReason.TOLD:
            self.ledger.pools[pool_of(self._budget, cell, metric_class)].spend(now_ms)
        for name, *_ in told:
            places[name].told_ms = now_ms
        return told

    def _decide(
        self, cell: str, metric_class: str, one: Candidate, others: list[Held], around: list[str], now_ms: int
    ) -> Decision:
        number = pool_of(self._budget, cell, metric_class)
        totals = self.ledger.totals.values()
        series = max(sum(of[number] for of in totals if number < len(of)), self.ledger.here[number], 1)
        nearby = sum(sum(self.ledger.census.get(name, {}).values()) for name in around)
        rate, partners = false_alarm_rate(one, (held.candidate for held in others), series, nearby)
        share = self.ledger.here[number] / series
        limit, left = self.ledger.pools[number].limit(pool_budget(self._budget, number), share, now_ms)
        reason = BudgetReason.TOLD
        if rate > limit:
            reason = BudgetReason.TOO_COMMON
        elif one.score < ALONE_FROM and not partners:
            reason = BudgetReason.TOO_WEAK_ALONE
        return Decision(reason=reason, rate=rate, limit=limit, left=left, partners=tuple(partners))

    def _restore_sizes(self) -> None:
        """Make room for every pool, and count the series of each anew."""
        pools = len(self._budget.shares) + 1
        ledger = self.ledger
        ledger.pools = (ledger.pools + [Pool() for _ in range(pools)])[:pools]
        ledger.here, self._sizes = [0] * pools, {}
        for cell, of in ledger.census.items():
            for metric_class, count in of.items():
                self._grow(cell, metric_class, count)

    def _grow(self, cell: str, metric_class: str, more: int) -> None:
        self.ledger.here[pool_of(self._budget, cell, metric_class)] += more
        self._sizes[metric_class] = self._sizes.get(metric_class, 0) + more


def pool_budget(budget: AlarmBudget, number: int) -> float:
    """Return the alarms a week of a pool: 0 is what no share names."""
    if number:
        return budget.per_week * budget.shares[number - 1].share
    return budget.per_week * (1.0 - sum(one.share for one in budget.shares))
