"""The state of one signals partition: repeats, gaps, restores, and the order in which producers interleave."""

from itertools import groupby

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbeacon.assessor import Assessor
from gridbeacon.config import Config
from gridbeacon.errors import Fatal
from gridbeacon.lifecycle import TRANSITIONS, Event, advance
from gridbeacon.model import Alert, AlertEvent, Born, Position, Signal, SignalBatch, Tick, Transition
from gridbeacon.places import partition_of
from gridbeacon.reasons import ConditionState, Level, Mode, Reason
from gridbeacon.vocabulary import Kind

CELLS = ("310101001002001", "310101001002002", "310104001002001")
SECS = 1000
SCORES = (0.0, 0.8, 1.01, 1.02, 1.1, 3.0)
Log = list[SignalBatch]


def finding(source: int, cell: int, level: Level, time_ms: int, offset: int) -> Signal:
    """Return a density finding of a camera."""
    return Signal(
        cell=CELLS[cell],
        layer="limit",
        series=f"crowd/CAM-{source}/density_max_per_m2",
        reason=Reason.DENSITY,
        level=level,
        time_ms=time_ms,
        lineage=Position("crowd.metrics", source % 2, offset),
        kind=Kind.CROWD,
        text=f"density of CAM-{source}",
    )


def unusual(source: int, cell: int, score: float, time_ms: int, offset: int) -> Signal:
    """Return a learned finding of a camera; a score of 0 ends it."""
    return msgspec.structs.replace(
        finding(source, cell, Level.BLUE if score else Level.NONE, time_ms, offset),
        layer="learned",
        series=f"crowd/CAM-{source}/people_count",
        reason=Reason.ABOVE_EXPECTED,
        score=score or None,
        near=(CELLS[1 - cell],) if cell < 2 else (),
    )


@st.composite
def logs(draw: st.DrawFn) -> tuple[Log, Log]:
    """Draw what two producers write: each in order of time, a tick after each batch, both ticking to the same end."""
    both = []
    for producer in (0, 1):
        previous, time_ms, log = -1, 0, []
        for offset in range(draw(st.integers(1, 8))):
            time_ms += draw(st.integers(1, 90)) * SECS
            signals = tuple(
                finding(producer * 10 + s, draw(st.integers(0, 2)), draw(st.sampled_from(Level)), time_ms, offset)
                for s in range(draw(st.integers(0, 2)))
            ) + tuple(
                unusual(producer * 10 + s, draw(st.integers(0, 2)), draw(st.sampled_from(SCORES)), time_ms, offset)
                for s in range(draw(st.integers(0, 3)))
            )
            more = draw(st.integers(0, 3))
            born = (Born(time_ms, CELLS[draw(st.integers(0, 2))], "crowd/people_count", more),) if more else ()
            tick = Tick(str(producer), time_ms, of=2)
            log.append(
                SignalBatch(
                    partition=producer,
                    offset=offset,
                    previous=previous,
                    signals=signals,
                    tick=tick,
                    born=born,
                    pools=((time_ms, 0, 100 * more),),
                )
            )
            previous = offset
        end = SignalBatch(
            partition=producer, offset=99, previous=previous, signals=(), tick=Tick(str(producer), 10**7, of=2)
        )
        both.append([*log, end])
    return both[0], both[1]


def interleave(a: Log, b: Log, choices: list[bool]) -> Log:
    """Return one order in which both logs may arrive."""
    a, b, out = list(a), list(b), []
    for first in choices:
        side = a if (first and a) or not b else b
        if side:
            out.append(side.pop(0))
    return [*out, *a, *b]


def fold(log: Log, config: Config | None = None) -> list[Transition]:
    """Return all transitions of a log."""
    assessor = Assessor(config or Config(clock="event"), 0)
    return [t for offset, batch in enumerate(log) for t in assessor.assess(batch, offset)]


def told(transitions: list[Transition]) -> dict[str, list[tuple[Alert, AlertEvent]]]:
    """Return what happened per cell, in order (positions on the log aside)."""
    ordered = sorted(transitions, key=lambda t: t.alert.cell)
    return {cell: [(t.alert, t.event) for t in group] for cell, group in groupby(ordered, key=lambda t: t.alert.cell)}


choices = st.lists(st.booleans(), min_size=20, max_size=20)


@settings(max_examples=60, deadline=None)
@given(logs(), choices, choices)
def test_the_order_in_which_producers_interleave_changes_nothing(
    both: tuple[Log, Log], one: list[bool], two: list[bool]
) -> None:
    """Invariant: in a replay, what happens in a cell depends on the producers' logs alone."""
    assert told(fold(interleave(*both, one))) == told(fold(interleave(*both, two)))


@settings(max_examples=60, deadline=None)
@given(logs(), choices, st.integers(0, 17), st.sampled_from(["event", "arrival"]))
def test_a_restored_assessor_goes_on_as_if_nothing_had_happened(
    both: tuple[Log, Log], order: list[bool], cut: int, clock: str
) -> None:
    """Invariant: saving and restoring between any two messages changes no transition."""
    config, log = Config(clock=clock), interleave(*both, order)  # type: ignore[arg-type]
    assessor, saved, got = Assessor(config, 0), {}, []
    for offset, batch in enumerate(log):
        got += assessor.assess(batch, offset)
        if offset == cut:
            saved.update(assessor.changed())
            assessor = Assessor(config, 0)
            for key, value in saved.items():
                if value is not None:
                    assessor.restore(key, value)
        elif offset < cut:
            saved.update(assessor.changed())
    assert got == fold(log, config)


@settings(max_examples=60, deadline=None)
@given(logs(), choices, st.integers(0, 8))
def test_repeats_change_nothing(both: tuple[Log, Log], order: list[bool], again: int) -> None:
    """Invariant: batches that a producer sends again after a crash are dropped."""
    log = interleave(*both, order)
    repeated = log + log[again:]
    assert [t.event for t in fold(repeated)] == [t.event for t in fold(log)]


def test_a_batch_whose_predecessor_is_missing_waits_for_both_to_be_sent_again() -> None:
    def batch(offset: int, previous: int, level: Level) -> SignalBatch:
        return SignalBatch(
            partition=0,
            offset=offset,
            previous=previous,
            signals=(finding(1, 0, level, offset * SECS, offset),),
            tick=Tick("0", offset * SECS, of=1),
        )

    first, second, third = batch(1, -1, Level.BLUE), batch(2, 1, Level.YELLOW), batch(3, 2, Level.RED)
    assert [t.event for t in fold([first, third, second, third])] == [t.event for t in fold([first, second, third])]


def test_transitions_chain_per_partition() -> None:
    log = [
        SignalBatch(
            partition=0,
            offset=n,
            previous=n - 1,
            signals=(finding(1, n % 3, Level.RED, n * SECS, n),),
            tick=Tick("0", n * SECS, of=1),
        )
        for n in range(6)
    ]
    config = Config(clock="event")
    marks: dict[int, tuple[int, int]] = {}
    for t in fold(log, config):
        target = partition_of(t.alert.alert_id, config.topics.alerts_partitions)
        assert t.previous == marks.get(target, (-1, -1))
        marks[target] = (t.offset, t.index)
    assert marks


def test_unknown_state_keys_are_refused() -> None:
    with pytest.raises(Fatal, match="another version"):
        Assessor(Config(), 0).restore(b"other:x", b"{}")


def test_every_transition_leads_on_and_an_illegal_one_is_refused() -> None:
    reached = set(TRANSITIONS.values()) | {None}
    assert {before for before, _ in TRANSITIONS} <= reached
    assert not [1 for before, _ in TRANSITIONS if before is ConditionState.CLEARED]
    assert (ConditionState.UNKNOWN, Event.CLEARED) not in TRANSITIONS
    transition = fold(
        [
            SignalBatch(
                partition=0,
                offset=0,
                previous=-1,
                signals=(finding(1, 0, Level.RED, 0, 0),),
                tick=Tick("0", 0, of=1),
            )
        ]
    )[0]
    cleared = msgspec.structs.replace(transition.alert, condition_state=ConditionState.CLEARED)
    with pytest.raises(Fatal, match="cleared is illegal, legal is nothing"):
        advance(cleared, None, 0, mode=Mode.LIVE, area_digits=6)
