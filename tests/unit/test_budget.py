"""The alarm budget: ranks, corroboration, and a limit that keeps its promise whatever the scores are worth."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbeacon.assessor import Assessor
from gridbeacon.budget import LOWEST, PARTNERS, STANDS_MS, Candidate, Pool, false_alarm_rate
from gridbeacon.config import AlarmBudget, AlarmShare, Config, Topics
from gridbeacon.model import Born, Position, Signal, SignalBatch
from gridbeacon.reasons import BudgetReason, Level, Reason
from gridbeacon.tails import FLOOR, PRIOR_WEEKS, WEEK_MS, Tail, assumed
from gridbeacon.triage import Place, Triage
from gridbeacon.vocabulary import Kind
from sinks.rows import weighed

WEEK = int(WEEK_MS)
BEGIN_MS = 1_700_000_000_000
A, B, FAR = "310101001002001", "310101001002002", "310101009009009"
scores = st.floats(FLOOR, 100, allow_nan=False)


@given(st.lists(scores, max_size=50), scores, scores)
def test_a_higher_score_is_never_more_common(seen: list[float], one: float, other: float) -> None:
    tail = Tail(base_ms=BEGIN_MS, at_ms=BEGIN_MS)
    tail.watch(100, BEGIN_MS + WEEK)
    for score in seen:
        tail.add(score, BEGIN_MS + WEEK)
    low, high = sorted((one, other))
    assert 0 < tail.rate(high) <= tail.rate(low)


def test_rates_are_counts_over_time_watched() -> None:
    tail = Tail(base_ms=BEGIN_MS, at_ms=BEGIN_MS)
    for hour in range(168):
        now = BEGIN_MS + hour * 3_600_000
        tail.watch(1000, now)
        for _ in range(3):
            tail.add(2.0, now)
    assert tail.rate(1.9) == pytest.approx(3 * 168 / 1000, rel=0.05)
    assert tail.rate(2.1) == pytest.approx(PRIOR_WEEKS * assumed(2.1) / 1000, rel=0.2)


def test_what_was_seen_is_half_forgotten_in_four_weeks_and_long_silence_loses_nothing_else() -> None:
    tail = Tail(base_ms=BEGIN_MS, at_ms=BEGIN_MS)
    tail.watch(1000, BEGIN_MS + WEEK)
    for _ in range(1000):
        tail.add(2.0, BEGIN_MS + WEEK)
    busy = tail.rate(2.0)
    later = msgspec.json.decode(msgspec.json.encode(tail), type=Tail)
    later.watch(1000, BEGIN_MS + 5 * WEEK)  # four weeks without any finding
    assert busy / 12 < later.rate(2.0) < busy / 4
    for week in range(6, 400):  # weights are moved to another base on the way
        tail.watch(1000, BEGIN_MS + week * WEEK)
        tail.add(2.0, BEGIN_MS + week * WEEK)
    assert tail.rate(2.0) == pytest.approx(1 / 1000, rel=0.2)
    assert len(tail.bins) == 1


def candidate(source: str, rate: float, score: float = 1.5) -> Candidate:
    return Candidate(f"crowd/{source}/people_count", f"crowd/{source}", score, rate, BEGIN_MS)


@given(st.lists(st.floats(1e-9, 2.0), max_size=8), st.floats(1e-6, 2.0), st.integers(1, 10_000), st.integers(1, 200))
def test_company_never_makes_a_finding_more_common(others: list[float], rate: float, series: int, nearby: int) -> None:
    near = [candidate(f"N{n}", other) for n, other in enumerate(others)]
    alone, none = false_alarm_rate(candidate("A", rate), [], series, nearby)
    found, names = false_alarm_rate(candidate("A", rate), near, series, nearby)
    assert none == []
    assert alone == rate * series
    assert 0 < found <= alone
    assert len(names) <= PARTNERS
    assert (found < alone) == bool(names)


def test_metrics_of_one_source_are_no_witnesses_for_one_another() -> None:
    same = Candidate("crowd/A/occupancy", "crowd/A", 3.0, 1e-6, BEGIN_MS)
    assert false_alarm_rate(candidate("A", 0.01), [same], 5000, 10) == (50.0, [])


@pytest.mark.parametrize("worth", [0.01, 0.1, 1.0, 2.0])
def test_in_the_long_run_as_many_are_told_as_the_budget_says(worth: float) -> None:
    """Rates may be a hundred times too small, or twice too large: the limit finds its place."""
    random = np.random.default_rng(5)
    pool, told, weeks = Pool(), [], 40
    for at_ms in np.sort(random.integers(0, weeks * WEEK, weeks * 400)).tolist():
        rate = worth * 400 * random.random()  # of 400 findings a week, one in 400 has a rate below 1 when worth is 1
        limit, _ = pool.limit(20.0, 1.0, BEGIN_MS + at_ms)
        if rate <= limit:
            pool.spend(BEGIN_MS + at_ms)
            told.append(at_ms)
    late = [at_ms for at_ms in told if at_ms > weeks // 2 * WEEK]
    assert 15 <= len(late) / (weeks / 2) <= 25


def test_a_week_that_is_spent_lets_only_the_rarest_through_and_the_next_one_is_free_again() -> None:
    pool = Pool()
    before, left = pool.limit(20.0, 1.0, BEGIN_MS)
    assert left == 20
    for _ in range(25):
        pool.spend(BEGIN_MS)
    after, left = pool.limit(20.0, 1.0, BEGIN_MS)
    assert left == -5
    assert after <= 0.02 * before
    assert pool.limit(20.0, 1.0, BEGIN_MS + WEEK + 1)[0] > 0.3 * before
    for _ in range(1000):
        pool.spend(BEGIN_MS)
    assert pool.bias == LOWEST


# Triage


def signal(source: str, cell: str, score: float, time_ms: int = BEGIN_MS, *, near: tuple[str, ...] = ()) -> Signal:
    return Signal(
        cell=cell,
        layer="learned",
        series=f"crowd/{source}/people_count",
        reason=Reason.ABOVE_EXPECTED,
        level=Level.BLUE,
        time_ms=time_ms,
        lineage=Position("crowd.metrics", 0, 0),
        kind=Kind.CROWD,
        score=score,
        near=near,
    )


class Desk:
    """Triage over three cells of five series each, in a city of ``series``."""

    def __init__(self, series: int = 5000, budget: AlarmBudget | None = None) -> None:
        self.triage = Triage(AlarmBudget() if budget is None else budget)
        born = tuple(Born(BEGIN_MS, cell, "crowd/people_count", 5) for cell in (A, B, FAR))
        batch = SignalBatch(partition=0, offset=0, previous=-1, signals=(), born=born, pools=((BEGIN_MS, 0, series),))
        self.triage.count(batch, BEGIN_MS)
        self.places = {cell: Place() for cell in (A, B, FAR)}

    def hear(self, one: Signal) -> list[tuple[str, str, BudgetReason]]:
        """Return (cell, key, why) of all that is told from now on."""
        for place in self.places.values():
            place.forget(one.time_ms)
        told = self.triage.consider(one.cell, self.places, one.series, one, one.time_ms)
        return [(cell, key.split("/")[1], held.decision.reason) for cell, key, held in told]

    def why(self, one: Signal) -> BudgetReason:
        self.hear(one)
        return self.places[one.cell].held[one.series].decision.reason


def test_a_strong_finding_is_told_a_common_one_is_not() -> None:
    assert Desk().why(signal("S1", A, 5.0)) is BudgetReason.TOLD
    assert Desk().why(signal("S1", A, 1.01)) is BudgetReason.TOO_COMMON
    assert Desk(series=5).why(signal("S1", A, 0.75)) is BudgetReason.TOO_WEAK_ALONE
    assert Desk(series=5).why(signal("S1", A, 1.01)) is BudgetReason.TOLD


def test_two_that_are_too_common_alone_are_told_together_and_cost_one() -> None:
    desk = Desk()
    assert desk.hear(signal("S1", A, 1.03)) == []
    assert desk.hear(signal("S2", A, 1.03)) == [(A, "S2", BudgetReason.TOLD), (A, "S1", BudgetReason.SAME_SITUATION)]
    (pool,) = desk.triage._ledger.pools
    assert len(pool.alarms_ms) == 1


@pytest.mark.parametrize(("other", "near", "together"), [(B, (A,), True), (FAR, (), False)])
def test_only_what_is_near_corroborates(other: str, near: tuple[str, ...], together: bool) -> None:
    desk = Desk()
    assert desk.hear(signal("S1", A, 1.03, near=(B,))) == []
    assert bool(desk.hear(signal("S2", other, 1.03, near=near))) is together


def test_a_burst_over_many_series_costs_one() -> None:
    desk = Desk()
    for n in range(5):
        desk.hear(signal(f"S{n}", A, 4.0, BEGIN_MS + n, near=(B,)))
        desk.hear(signal(f"N{n}", B, 4.0, BEGIN_MS + n, near=(A,)))
    assert len(desk.triage._ledger.pools[0].alarms_ms) == 1
    assert all(held.decision.told for cell in (A, B) for held in desk.places[cell].held.values())
    later = signal("S9", A, 4.0, BEGIN_MS + STANDS_MS + 10)
    assert desk.why(later) is BudgetReason.TOLD


def test_what_ended_long_ago_corroborates_nothing() -> None:
    desk = Desk()
    first = signal("S1", A, 1.03)
    desk.hear(first)
    desk.triage.end(desk.places[A], first.series, BEGIN_MS)
    assert desk.hear(signal("S2", A, 1.03, BEGIN_MS + STANDS_MS + 1)) == []


def test_every_decision_is_said_and_stored_also_of_what_nobody_was_told() -> None:
    one = Topics(signals_partitions=1)
    assessor = Assessor(Config(topics=one, alarm_budget=AlarmBudget(per_week=20)), 0)
    found = (signal("A", A, 1.2, near=(B,)), signal("FAR", FAR, 0.6), signal("B", B, 1.2, near=(A,)))
    born = tuple(Born(BEGIN_MS, cell, "crowd/people_count", 5) for cell in (A, B, FAR))
    batch = SignalBatch(partition=0, offset=0, previous=-1, signals=(), born=born, pools=((BEGIN_MS, 0, 5000),))
    assessor.assess(batch, 0)
    said = []
    for n, finding in enumerate(found, 1):
        assessor.assess(SignalBatch(partition=0, offset=n, previous=n - 1, signals=(finding,)), n)
        said += assessor.take_weighed()
    assert [(w.cell, w.decision.reason) for w in said] == [
        (A, BudgetReason.TOO_COMMON),
        (FAR, BudgetReason.TOO_COMMON),
        (B, BudgetReason.TOLD),
        (A, BudgetReason.SAME_SITUATION),
    ]
    assert all((w.decision.rate > w.decision.limit) == (not w.decision.told) for w in said)
    columns = weighed(said)
    assert columns["series"][:2] == ["crowd/A/people_count", "crowd/FAR/people_count"]
    assert columns["partners"][2:] == [["crowd/A/people_count"]] * 2
    assert assessor.take_weighed() == ()


def test_a_share_is_a_budget_of_its_own() -> None:
    budget = AlarmBudget(shares=(AlarmShare(share=0.5, cells="310101009"),))
    desk = Desk(budget=budget)
    for n in range(20):
        desk.hear(signal(f"S{n}", A, 9.0, BEGIN_MS + n * (STANDS_MS + 1)))
    rest, district = desk.triage._ledger.pools
    assert len(rest.alarms_ms) > 5
    assert district.alarms_ms == []
    assert desk.why(signal("S1", FAR, 9.0, BEGIN_MS)) is BudgetReason.TOLD
    assert len(district.alarms_ms) == 1


def test_state_goes_on_to_the_digit_after_a_restore() -> None:
    whole, parted = Desk(), Desk()
    kept: dict[tuple[str, str], bytes] = {}
    random = np.random.default_rng(3)
    for n in range(300):
        one = signal(f"S{n % 7}", (A, B)[n % 2], float(0.7 + random.exponential(0.5)), BEGIN_MS + n * 600_000)
        expected = whole.hear(one)
        again = Desk()
        again.triage = Triage(AlarmBudget())
        for key, value in parted.triage.changed():
            kind, _, name = key.decode().partition(":")
            assert value is not None
            kept[kind, name] = value
        for (kind, name), value in kept.items():
            again.triage.restore(kind, name, value)
        again.places = parted.places
        parted = again
        assert parted.hear(one) == expected
    assert math.isfinite(whole.triage._ledger.pools[0].bias)
