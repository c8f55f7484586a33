"""The book of alerts: people, situations and time in any order; the tables are kept, and every action is answered."""

from typing import NamedTuple

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridbeacon.alert_book import AlertBook
from gridbeacon.config import Config, Notify, Situate, Webhook
from gridbeacon.config_routing import Escalation, Inhibition, Receiver, Route, Routing
from gridbeacon.held import Step
from gridbeacon.lifecycle import ACTIONS, DONE, HANDLING, TRANSITIONS, Event
from gridbeacon.model import Action, Alert, Evidence, Position, Silence, Situation, Unsilence
from gridbeacon.reasons import (
    ActionKind,
    Certainty,
    ConditionState,
    Disposition,
    HandlingState,
    HoldReason,
    Level,
    Reason,
    Refusal,
    Role,
)
from gridbeacon.roll import SAFETY

CELLS = ("310101001002001", "310104001002001")
T0 = 1_672_484_400_000
MINUTE = 60_000
HOUR = 60 * MINUTE


def situation(level: Level, cell: str = CELLS[0], *, lost: bool = False) -> Situation:
    """Return a situation of one finding."""
    evidence = Evidence(
        series="crowd/CAM-1/density_max_per_m2",
        layer="limit",
        reason=Reason.DENSITY,
        level=level,
        since_ms=T0,
        lineage=Position("crowd.metrics", 0, 1),
        text="dense",
    )
    return Situation(
        cell=cell,
        rule=SAFETY,
        level=level,
        reason=Reason.DENSITY,
        certainty=Certainty.OBSERVED,
        data_lost=lost,
        headline="dense",
        evidence=(evidence,),
    )


def action(kind: ActionKind, alert: Alert | str, number: int = 1, **more: object) -> Action:
    """Return an action of an officer."""
    given = {"actor": "li", "role": Role.OFFICER, "sent_ms": 0, "note": "because"} | more
    name = alert if isinstance(alert, str) else alert.alert_id
    return Action(action_id=f"act-{number}", alert_id=name, kind=kind, **given)  # type: ignore[arg-type]


def opened(level: Level = Level.ORANGE, **config: object) -> tuple[AlertBook, Alert]:
    """Return a book with one alert in it."""
    book = AlertBook(Config(situate=Situate(**config)))  # type: ignore[arg-type]
    (step,) = book.situation("a", situation(level), T0)
    assert step.alert is not None
    return book, step.alert


def do(book: AlertBook, alert: Alert, *kinds: ActionKind, at_ms: int = T0 + MINUTE) -> list[Step]:
    """Do one after the other; return the steps of the last."""
    steps: list[Step] = []
    for number, kind in enumerate(kinds):
        more = {"assignee": "team-3", "disposition": Disposition.ANOMALY}
        steps = book.act(action(kind, alert, 1000 * at_ms + number, **more), at_ms)
        assert steps[0].event.refusal is None, steps[0].event.note
    return steps


def now(step: Step) -> Alert:
    """Return the alert of a step."""
    assert step.alert is not None
    return step.alert


def test_the_closed_loop_from_the_first_look_to_the_review() -> None:
    book, alert = opened()
    loop = (
        ActionKind.ACKNOWLEDGE,
        ActionKind.FILE_CASE,
        ActionKind.ASSIGN,
        ActionKind.DISPATCH,
        ActionKind.START,
        ActionKind.RESOLVE,
        ActionKind.VERIFY,
        ActionKind.CLOSE,
        ActionKind.FEEDBACK,
        ActionKind.REVIEW,
    )
    (last,) = do(book, alert, *loop)
    after = now(last)
    assert after.handling_state is HandlingState.REVIEWED
    assert (after.assignee, after.disposition, after.version) == ("team-3", Disposition.ANOMALY, 11)
    assert after.condition_state is ConditionState.ACTIVE, "people never touch the condition"


def test_what_people_do_says_who_when_why_and_by_which_door() -> None:
    book, alert = opened()
    (step,) = book.act(action(ActionKind.ACKNOWLEDGE, alert, note="on it"), T0 + MINUTE)
    event = step.event
    assert (event.event, event.actor, event.at_ms, event.note) == (Event.ACKNOWLEDGED, "li", T0 + MINUTE, "on it")
    assert (event.reason, event.role, event.source, event.action_id) == (Reason.ACTION, Role.OFFICER, "cli", "act-1")
    assert (event.handling_from, event.handling_to) == (HandlingState.NEW, HandlingState.ACKNOWLEDGED)
    assert step.notice is not None
    assert step.notice.type == "alert.acknowledged"


@pytest.mark.parametrize(
    ("kind", "more", "refusal", "words"),
    [
        (ActionKind.VERIFY, {}, Refusal.ILLEGAL_STEP, "it is new; legal is acknowledge, dispatch, close, assign"),
        (ActionKind.ACKNOWLEDGE, {"version": 7}, Refusal.OLD_VERSION, "version 7 was seen, 1 is how it stands"),
        (ActionKind.ACKNOWLEDGE, {"role": Role.VIEWER}, Refusal.NOT_PERMITTED, "it takes the role dispatcher"),
        (ActionKind.CLOSE, {"role": Role.DISPATCHER}, Refusal.NOT_PERMITTED, "it takes the role officer"),
        (ActionKind.CLOSE, {"note": " "}, Refusal.REASON_MISSING, "its condition is active; say why"),
        (ActionKind.COMMENT, {"note": ""}, Refusal.REASON_MISSING, "without words"),
        (ActionKind.ASSIGN, {}, Refusal.ASSIGNEE_MISSING, "say to whom"),
        (ActionKind.FEEDBACK, {}, Refusal.DISPOSITION_MISSING, "say which disposition"),
        (ActionKind.REOPEN, {}, Refusal.ILLEGAL_STEP, "it is new"),
    ],
)
def test_what_is_not_legal_is_refused_and_changes_nothing(
    kind: ActionKind, more: dict[str, object], refusal: Refusal, words: str
) -> None:
    book, alert = opened()
    (step,) = book.act(action(kind, alert, **more), T0 + MINUTE)
    assert (step.event.refusal, step.event.event, step.event.version) == (refusal, Event.REFUSED, 1)
    assert f"{kind}: " in step.event.note
    assert words in step.event.note
    assert step.alert == alert
    assert (step.notice, step.event.held) == (None, HoldReason.REFUSED)


def test_an_action_on_an_unknown_alert_is_refused_with_a_row() -> None:
    book, _ = opened()
    (step,) = book.act(action(ActionKind.ACKNOWLEDGE, "310101-0"), T0)
    assert (step.alert, step.event.refusal, step.event.alert_id) == (None, Refusal.UNKNOWN_ALERT, "310101-0")


def test_an_action_that_is_sent_twice_is_one_action_with_one_answer() -> None:
    book, alert = opened()
    (first,) = book.act(action(ActionKind.ACKNOWLEDGE, alert), T0 + 1)
    (again,) = book.act(action(ActionKind.ACKNOWLEDGE, alert), T0 + 2)
    assert (again.event, again.notice) == (first.event, None)
    assert now(again).version == 2


def test_clearing_closes_no_case_and_the_engine_closes_what_is_left_open() -> None:
    book, alert = opened(close_after_secs=3600.0, review_within_secs=7200.0)
    do(book, alert, ActionKind.DISPATCH)
    book.situation("a", None, T0 + 2 * MINUTE)
    (cleared,) = book.pass_time(T0 + 10 * MINUTE)
    assert now(cleared).handling_state is HandlingState.DISPATCHED
    (closed,) = book.pass_time(T0 + 2 * HOUR)
    assert (closed.event.event, closed.event.reason, closed.event.actor) == (
        Event.CLOSED,
        Reason.LEFT_OPEN,
        "gridbeacon",
    )
    assert closed.event.at_ms == T0 + 4 * MINUTE + HOUR
    assert now(do(book, alert, ActionKind.REVIEW, at_ms=T0 + 3 * HOUR)[0]).handling_state is HandlingState.REVIEWED
    book.pass_time(T0 + 6 * HOUR)
    (gone,) = book.act(action(ActionKind.REOPEN, alert, 9), T0 + 6 * HOUR)
    assert gone.event.refusal is Refusal.UNKNOWN_ALERT
    assert book.next_ms() is None


def test_a_case_closed_while_its_condition_goes_on_stays_closed_until_it_gets_worse() -> None:
    book, alert = opened(Level.ORANGE)
    (closed,) = do(book, alert, ActionKind.CLOSE)
    assert closed.notice is not None, "those who were told are told that people have closed it"
    (lower,) = book.situation("a", situation(Level.YELLOW), T0 + 2 * MINUTE)
    (back,) = book.situation("a", situation(Level.ORANGE), T0 + 3 * MINUTE)
    assert (lower.notice, back.notice, back.event.held) == (None, None, HoldReason.CLOSED)
    moved, fresh = book.situation("a", situation(Level.RED), T0 + 4 * MINUTE)
    assert (moved.event.event, moved.event.reason, moved.event.held) == (
        Event.MERGED,
        Reason.REOPENED,
        HoldReason.REOPENED,
    )
    assert (now(fresh).reopens, now(fresh).level, now(fresh).handling_state) == (
        alert.alert_id,
        Level.RED,
        HandlingState.NEW,
    )
    assert fresh.notice is not None
    assert book.open_alerts == [now(fresh)]


def test_reopening_makes_a_new_alert_that_takes_the_condition_along() -> None:
    book, alert = opened()
    do(book, alert, ActionKind.CLOSE)
    answer, moved, fresh = do(book, alert, ActionKind.REOPEN, at_ms=T0 + 2 * MINUTE)
    assert (answer.event.event, now(answer).handling_state) == (Event.REOPENED, HandlingState.CLOSED)
    assert (moved.event.event, now(moved).condition_state) == (Event.MERGED, ConditionState.CLEARED)
    assert now(moved).merged_into == now(fresh).alert_id
    assert (fresh.event.event, fresh.event.actor, now(fresh).reopens) == (Event.OPENED, "li", alert.alert_id)
    assert fresh.notice is not None
    book.situation("a", None, T0 + 3 * MINUTE)
    (cleared,) = book.pass_time(T0 + HOUR)
    assert cleared.event.alert_id == now(fresh).alert_id


def test_what_nobody_knows_goes_on_unknown_in_the_alert_that_reopens() -> None:
    book, alert = opened()
    *_, lost = book.situation("a", situation(alert.level, lost=True), T0 + MINUTE)
    assert now(lost).condition_state is ConditionState.UNKNOWN
    do(book, alert, ActionKind.CLOSE)
    _, moved, fresh = do(book, alert, ActionKind.REOPEN, at_ms=T0 + 2 * MINUTE)
    assert (moved.event.event, moved.event.condition_from) == (Event.MERGED, ConditionState.UNKNOWN)
    assert now(fresh).condition_state is ConditionState.UNKNOWN


def test_a_silence_needs_owner_reason_and_end() -> None:
    book, _ = opened()
    whole = Silence(
        silence_id="s-1",
        owner="li",
        reason="concert",
        starts_ms=T0,
        ends_ms=T0 + HOUR,
        sent_ms=T0,
        role=Role.OFFICER,
        cells="310101",
    )
    for change, refusal in (
        ({"owner": ""}, Refusal.OWNER_MISSING),
        ({"reason": " "}, Refusal.REASON_MISSING),
        ({"ends_ms": T0}, Refusal.END_MISSING),
        ({"role": Role.DISPATCHER}, Refusal.NOT_PERMITTED),
    ):
        (step,) = book.act(msgspec.structs.replace(whole, **change), T0)
        assert (step.event.refusal, step.silence) == (refusal, None)
    (step,) = book.act(whole, T0)
    assert (step.event.event, step.silence) == (Event.SILENCED, whole)
    assert book.act(whole, T0 + 1) == [step]
    end = Unsilence(action_id="u-1", silence_id="s-1", actor="li", role=Role.OFFICER, sent_ms=T0)
    (ended,) = book.act(end, T0 + 2)
    assert ended.silence is not None
    assert ended.silence.ends_ms == T0 + 2
    assert book.act(end, T0 + 3) == [ended]
    (late,) = book.act(msgspec.structs.replace(end, action_id="u-2"), T0 + 4)
    assert late.event.refusal is Refusal.UNKNOWN_SILENCE


AGAIN = (Event.GROUPED, Event.RELEASED, Event.ESCALATED, Event.REPEATED)
"""What is told again, or late, and changes nothing."""
WEBHOOK = Webhook(name="a", url="https://a.example.org/", secrets=("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",))
ROUTING = Routing(
    receivers=(Receiver(name="centre", webhooks=("a",)), Receiver(name="chief", webhooks=("a",))),
    routes=(Route(name="all", receivers=("centre",), escalation="chain"),),
    escalations=(Escalation(name="chain", receivers=("centre", "chief")),),
    inhibit=(Inhibition(when={"min_level": "red"}, hold={"max_level": "orange"}, equal=("rule",)),),
    group_by=("rule",),
)
CONFIG = Config(
    situate=Situate(close_after_secs=900.0, review_within_secs=900.0),
    notify=Notify(webhooks=(WEBHOOK,)),
    routing=ROUTING,
)


class Op(NamedTuple):
    """One thing that happens: after so many seconds, what is asked for or what the situation of a place is."""

    secs: int
    cell: int
    level: Level | None
    lost: bool
    kind: ActionKind | None
    silent: bool
    which: int
    id: int
    version: int | None
    words: bool


ops = st.lists(
    st.builds(
        Op,
        secs=st.integers(0, 400),
        cell=st.integers(0, 1),
        level=st.none() | st.sampled_from([level for level in Level if level]),
        lost=st.booleans(),
        kind=st.none() | st.none() | st.sampled_from(ActionKind),
        silent=st.integers(0, 9).map(lambda n: n == 0),
        which=st.integers(0, 5),
        id=st.integers(0, 30),
        version=st.none() | st.integers(1, 4),
        words=st.booleans(),
    ),
    max_size=40,
)


def run(book: AlertBook, op: Op, at_ms: int, seen: list[str]) -> list[Step]:
    """Do one thing, after the time before it has passed."""
    steps = book.pass_time(at_ms)
    if op.silent:
        begin = Silence(
            silence_id=f"s-{op.id}",
            owner="li",
            reason="concert",
            starts_ms=at_ms,
            ends_ms=at_ms + 300_000,
            sent_ms=at_ms,
            role=Role.OFFICER,
            cells=CELLS[op.cell],
        )
        steps += book.act(begin, at_ms)
    elif op.kind is not None:
        name = seen[op.which % len(seen)] if seen else "310101-0"
        more = {"version": op.version, "note": "because" if op.words else "", "disposition": Disposition.ANOMALY}
        asked = action(op.kind, name, op.id, assignee="team", **more)
        answers = book.act(asked, at_ms)
        assert answers[0].event.action_id == asked.action_id, "the first step is the answer"
        assert not [s for s in answers[1:] if s.event.action_id == asked.action_id], "and there is but one"
        steps += answers
    else:
        what = None if op.level is None else situation(op.level, CELLS[op.cell], lost=op.lost)
        steps += book.situation(CELLS[op.cell], what, at_ms)
    return steps


NOTHING = Op(secs=0, cell=0, level=None, lost=False, kind=None, silent=False, which=0, id=0, version=None, words=True)


@settings(max_examples=150, deadline=None)
@given(ops)
@example(
    [  # closed, then without data, then worse than when it was closed
        NOTHING._replace(level=Level.BLUE),
        NOTHING._replace(kind=ActionKind.CLOSE),
        NOTHING._replace(level=Level.BLUE, lost=True),
        NOTHING._replace(level=Level.YELLOW),
    ]
)
def test_any_order_of_conditions_and_actions_keeps_the_tables(story: list[Op]) -> None:
    """Invariant: every event is a row of the two tables, or changed nothing; versions count."""
    book = AlertBook(CONFIG)
    at_ms, known, answered = T0, dict[str, Alert](), dict[tuple[str, str], object]()
    kinds = {event: kind for kind, (event, _) in ACTIONS.items()}
    for op in story:
        at_ms += op.secs * 1000
        steps = run(book, op, at_ms, list(known))
        for step in steps:
            event, alert = step.event, step.alert
            if step.silence is not None:
                continue
            again = answered.get((event.alert_id, event.action_id)) if event.action_id else None
            if again is not None and event.refusal is not Refusal.UNKNOWN_ALERT:
                assert (again, step.notice) == (event, None), "a repeat gets the same answer"
                continue
            if event.action_id:
                answered[event.alert_id, event.action_id] = event
            if event.refusal is not None:
                assert alert == (known.get(event.alert_id) if alert is not None else None)
                continue
            assert alert is not None
            before = known.get(alert.alert_id)
            if event.event in AGAIN:
                assert (alert, step.notice is not None or event.held is not None) == (before, True)
                continue
            known[alert.alert_id] = alert
            assert event.at_ms <= at_ms
            if before is None:
                assert (event.event, alert.version) == (Event.OPENED, 1)
                assert alert.reopens == "" or known[alert.reopens].handling_state in DONE
                continue
            assert alert.version == event.version == before.version + 1
            if alert.handling_state is not before.handling_state or event.event in kinds:
                assert alert.handling_state is HANDLING[before.handling_state, kinds[event.event]]
                assert alert.condition_state is before.condition_state
            else:
                assert alert.condition_state is TRANSITIONS[before.condition_state, Event(event.event)]
    keys = [held.fingerprint for held in book.open_alerts]
    assert len(keys) == len(set(keys)), "one open alert for one situation"


@settings(max_examples=80, deadline=None)
@given(ops, st.integers(0, 39))
def test_a_restored_book_goes_on_as_if_nothing_had_happened(story: list[Op], cut: int) -> None:
    """Invariant: saving and restoring between any two things changes nothing that follows."""
    one, two, saved = AlertBook(CONFIG), AlertBook(CONFIG), dict[bytes, bytes | None]()
    at_ms, seen = T0, dict[str, None]()
    for number, op in enumerate(story):
        at_ms += op.secs * 1000
        expected = run(one, op, at_ms, list(seen))
        got = run(two, op, at_ms, list(seen))
        assert got == expected
        seen |= dict.fromkeys(step.event.alert_id for step in expected if step.alert is not None)
        saved.update(two.changed())
        if number == cut:
            two = AlertBook(CONFIG)
            for key, value in saved.items():
                if value is not None:
                    kind, _, name = key.decode().partition(":")
                    two.restore(kind, name, value)
