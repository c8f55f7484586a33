"""The outbox: order, retry plan, endpoints that refuse, and checkpoints at any moment."""

from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbeacon.config import Notify, Situate, Webhook
from gridbeacon.errors import Fatal
from gridbeacon.lifecycle import advance
from gridbeacon.model import Alert, Delivery, Evidence, Notice, Position, Situation, Transition
from gridbeacon.notices import hold_back
from gridbeacon.reasons import Certainty, HandlingState, Level, Mode, Reason
from sinks.deliveries import JITTER_SHARE, Attempt, Result
from sinks.outbox import MAX_UNDER_WAY, Outbox

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
T0 = 1_672_484_400_000
SITUATE = Situate(min_notice_level="blue")


def endpoint(name: str = "a", **settings: object) -> Webhook:
    plain = Webhook(name=name, url=f"https://{name}.example.org/", secrets=(SECRET,))
    return msgspec.structs.replace(plain, **settings)


@dataclass
class City:
    """Writes the ``alerts`` log: levels of numbered cells in, transitions with their positions out."""

    mode: Mode = Mode.LIVE
    log: list[Transition] = field(default_factory=list)
    alerts: dict[int, Alert] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)

    def set(self, cell: int, level: Level) -> list[Transition]:
        start = len(self.log)
        at_ms = T0 + 60_000 * start
        now = None
        if level:
            lineage = Position("crowd.metrics", 0, start)
            finding = Evidence(
                series=f"crowd/{cell}/people_count",
                layer="limit",
                reason=Reason.DENSITY,
                level=level,
                since_ms=at_ms,
                lineage=lineage,
            )
            now = Situation(
                cell=f"31010100100{cell:04d}",
                rule="safety",
                level=level,
                reason=Reason.DENSITY,
                certainty=Certainty.OBSERVED,
                data_lost=False,
                headline=f"cell {cell}",
                evidence=(finding,),
            )
        before = self.alerts.get(cell)
        for alert, event in advance(before, now, at_ms, mode=self.mode, area_digits=6):
            verdict = hold_back(alert, event, SITUATE, notices=self.told.get(alert.alert_id, 0))
            notice = verdict if isinstance(verdict, Notice) else None
            if notice is not None:
                self.told[alert.alert_id] = notice.sequence
            last = self.log[-1] if self.log else None
            self.log.append(
                Transition(
                    partition=0,
                    offset=len(self.log),
                    index=0,
                    previous=(last.offset, last.index) if last else (-1, -1),
                    alert=alert,
                    event=event,
                    notice=notice,
                )
            )
            if level:
                self.alerts[cell] = alert
            else:
                self.alerts.pop(cell, None)
        return self.log[start:]


def answer(status: int = 204, retry_after_secs: float | None = None, at_ms: int = T0) -> Result:
    return Result(status, "", retry_after_secs, at_ms, 1.0)


def filled(outbox: Outbox, transitions: list[Transition], now_ms: int = T0) -> Outbox:
    for transition in transitions:
        outbox.add(transition, now_ms)
    return outbox


def only(attempts: list[Attempt]) -> Attempt:
    assert len(attempts) == 1
    return attempts[0]


def story(*levels: Level, mode: Mode = Mode.LIVE) -> list[Transition]:
    city = City(mode)
    for level in levels:
        city.set(1, level)
    return city.log


def reload(outbox: Outbox, config: Notify) -> Outbox:
    """Return an outbox restored from all that this one has to store (it must not have been asked before)."""
    fresh = Outbox(config)
    for key, value in outbox.changed():
        if value is not None:
            fresh.restore(key, value)
    return fresh


def sequences(outbox: Outbox, statuses: dict[str, int] | None = None) -> dict[str, list[int]]:
    """Deliver everything that is due at once; return the sequences by endpoint, in order."""
    sent: dict[str, list[int]] = {}
    while attempts := outbox.due(T0):
        for attempt in attempts:
            sent.setdefault(attempt.endpoint, []).append(attempt.notice.sequence)
            outbox.result(attempt, answer((statuses or {}).get(attempt.endpoint, 204)), T0)
    return sent


def handled(last: Transition, state: HandlingState) -> Transition:
    """Return what follows when people have brought the alert of ``last`` to ``state``, with a notice of it."""
    alert = msgspec.structs.replace(last.alert, handling_state=state, version=last.alert.version + 1)
    body = f'{{"type":"alert.{state}","timestamp":"2022-12-31T12:00:00Z","data":{{"alert_id":"{alert.alert_id}"}}}}'
    notice = Notice(
        notice_id=f"msg_{alert.alert_id}_{state}",
        alert_id=alert.alert_id,
        sequence=last.notice.sequence + 1 if last.notice else 1,
        type=f"alert.{state}",
        level=alert.level,
        at_ms=alert.changed_ms,
        body=body,
    )
    position = (last.offset, last.index)
    return msgspec.structs.replace(last, offset=last.offset + 1, previous=position, alert=alert, notice=notice)


ONE = Notify(webhooks=(endpoint(),))
LIFE = story(Level.YELLOW, Level.RED, Level.NONE)


def test_notices_of_an_alert_go_one_after_the_other() -> None:
    outbox = filled(Outbox(ONE), LIFE)
    for sequence in (1, 2, 3):
        attempt = only(outbox.due(T0))
        assert (attempt.notice.sequence, attempt.number) == (sequence, 1)
        assert outbox.due(T0) == []
        assert outbox.next_due_ms() is None
        (row,) = outbox.result(attempt, answer(), T0)
        assert (row.outcome, row.attempt, row.notice_id) == ("delivered", 1, attempt.notice.notice_id)
    assert list(outbox.waiting()) == []
    key = f"alert:{LIFE[0].alert.alert_id}".encode()
    assert dict(outbox.changed())[key] is not None  # who was told of it hears when people close it
    closed = handled(LIFE[-1], HandlingState.CLOSED)
    outbox.add(closed, T0)
    assert only(outbox.due(T0)).notice.type == "alert.closed"
    outbox.result(Attempt("a", closed.notice, 1), answer(), T0)
    assert dict(outbox.changed())[key] is None


@pytest.mark.parametrize("status", [0, 408, 425, 429, 500, 503, 599])
def test_retry_plan_is_kept_with_jitter_and_cleared_waits_for_opened(status: int) -> None:
    outbox = filled(Outbox(ONE), LIFE)
    now_ms = T0
    waits = []
    for number in range(1, 13):
        attempt = only(outbox.due(now_ms))
        assert (attempt.notice.sequence, attempt.number) == (1, number)
        (row,) = outbox.result(attempt, answer(status), now_ms)
        assert row.outcome == "retry"
        due_ms = outbox.next_due_ms()
        assert due_ms is not None
        assert outbox.due(due_ms - 1) == []
        waits.append((due_ms - now_ms) / 1000)
        now_ms = due_ms
    plan = [2, 5, 15, 30, 60, 120, 300, 600, 600, 600, 600, 600]
    assert all(p <= w <= p * (1 + JITTER_SHARE) for p, w in zip(plan, waits, strict=True))
    assert len({round(w / p, 3) for p, w in zip(plan, waits, strict=True)}) > 5


def test_retry_after_is_honoured_up_to_an_hour() -> None:
    outbox = filled(Outbox(ONE), LIFE)
    outbox.result(only(outbox.due(T0)), answer(429, 90), T0)
    assert outbox.due(T0 + 89_999) == []
    outbox.result(only(outbox.due(T0 + 108_000)), answer(503, 1e9), T0)
    assert 3_600_000 <= (outbox.next_due_ms() or 0) - T0 <= 4_320_000
    outbox.result(only(outbox.due(T0 + 4_320_000)), answer(503, 0), T0)
    assert 15_000 <= (outbox.next_due_ms() or 0) - T0 <= 18_000


def test_news_of_an_alert_is_tried_at_once_but_never_before_retry_after() -> None:
    for asked_secs, due_ms in ((None, T0 + 1000), (700.0, T0 + 700_000)):
        outbox = filled(Outbox(ONE), LIFE[:1])
        outbox.result(only(outbox.due(T0)), answer(503, 600.0), T0)
        outbox.result(only(outbox.due(T0 + 720_000)), answer(503, asked_secs), T0)
        filled(outbox, LIFE[1:2], T0 + 1000)
        assert outbox.next_due_ms() == due_ms
        attempt = only(outbox.due(due_ms))
        assert (attempt.notice.sequence, attempt.number) == (1, 3)
        outbox.result(attempt, answer(503), due_ms)
        assert (outbox.next_due_ms() or 0) - due_ms <= 2400


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 413, 422])
def test_a_permanent_failure_is_recorded_and_the_next_notice_goes(status: int) -> None:
    outbox = filled(Outbox(ONE), LIFE)
    (row,) = outbox.result(only(outbox.due(T0)), answer(status), T0)
    assert (row.outcome, row.status) == ("permanent", status)
    assert only(outbox.due(T0)).notice.sequence == 2


def test_giving_up_takes_at_least_one_attempt_each() -> None:
    outbox = filled(Outbox(Notify(webhooks=(endpoint(),), give_up_after_secs=100)), LIFE)
    rows: list[Delivery] = []
    now_ms = T0
    while (due_ms := outbox.next_due_ms()) is not None:
        now_ms = max(now_ms, due_ms)
        rows += outbox.result(only(outbox.due(now_ms)), answer(503), now_ms)
    assert [r.sequence for r in rows if r.outcome == "expired"] == [1, 2, 3]
    assert 100_000 <= now_ms - T0 < 200_000


def test_410_disables_the_endpoint_and_every_notice_gets_its_row() -> None:
    config = Notify(webhooks=(endpoint("a"), endpoint("b")))
    outbox = filled(Outbox(config), LIFE[:2])
    city = City()
    a, b = outbox.due(T0)
    rows = outbox.result(a, answer(410), T0)
    assert [(r.endpoint, r.sequence, r.attempt, r.outcome) for r in rows] == [
        ("a", 1, 1, "disabled"),
        ("a", 2, 0, "disabled"),
    ]
    outbox.result(b, answer(), T0)
    assert [(r.endpoint, r.sequence) for r in outbox.add(LIFE[2], T0)] == [("a", 3)]
    assert set(outbox.disabled) == {"a"}
    outbox = reload(outbox, config)
    assert set(outbox.disabled) == {"a"}
    assert sequences(outbox) == {"b": [2, 3]}
    # another URL of the same name is another receiver
    moved = Notify(webhooks=(endpoint("a", url="https://new.example.org/"), endpoint("b")))
    outbox = filled(reload(reload(filled(Outbox(config), []), config), moved), city.set(7, Level.RED))
    assert sequences(outbox) == {"a": [1], "b": [1]}


def test_a_410_while_another_request_is_under_way() -> None:
    city = City()
    city.set(1, Level.RED)
    city.set(2, Level.RED)
    for late_status, outcome in ((204, "delivered"), (503, "disabled"), (410, "disabled")):
        outbox = filled(Outbox(ONE), city.log)
        first, second = outbox.due(T0)
        assert [r.outcome for r in outbox.result(first, answer(410), T0)] == ["disabled"]
        assert [r.outcome for r in outbox.result(second, answer(late_status), T0)] == [outcome]
        assert outbox.due(T0) == []
        assert list(outbox.waiting()) == []


def test_alerts_and_endpoints_do_not_wait_for_one_another() -> None:
    city = City()
    city.set(1, Level.RED)
    outbox = filled(Outbox(Notify(webhooks=(endpoint("dead"), endpoint("alive")))), city.log)
    for attempt in outbox.due(T0):
        outbox.result(attempt, answer(503 if attempt.endpoint == "dead" else 204), T0)
    filled(outbox, city.set(2, Level.BLUE) + city.set(1, Level.NONE), T0)
    assert [(a.endpoint, a.notice.alert_id[:6], a.notice.sequence) for a in outbox.due(T0)].count(
        ("alive", "310101", 2)
    ) == 1
    assert outbox.next_due_ms() is None


def test_few_requests_at_a_time_and_the_highest_level_first() -> None:
    city = City()
    for cell in range(50):
        city.set(cell, Level.BLUE)
    outbox = filled(Outbox(ONE), city.log)
    under_way = outbox.due(T0)
    assert len(under_way) == MAX_UNDER_WAY
    assert outbox.due(T0) == []
    assert outbox.next_due_ms() is None
    red = city.set(99, Level.RED)[0].alert.alert_id
    filled(outbox, city.log[-1:])
    outbox.result(under_way[0], answer(0), T0)
    assert outbox.next_due_ms() is not None
    assert only(outbox.due(T0)).notice.alert_id == red


def test_modes_and_levels_that_an_endpoint_wants() -> None:
    config = Notify(
        webhooks=(
            endpoint("all", modes=(Mode.LIVE, Mode.EXERCISE)),
            endpoint("serious", min_level="orange"),
            endpoint("drills", modes=(Mode.EXERCISE,)),
        )
    )
    assert sequences(filled(Outbox(config), story(Level.YELLOW, Level.RED, Level.NONE))) == {
        "all": [1, 2, 3],
        "serious": [2, 3],
    }
    assert sequences(filled(Outbox(config), story(Level.YELLOW, Level.NONE))) == {"all": [1, 2]}
    exercise = story(Level.RED, Level.NONE, mode=Mode.EXERCISE)
    assert sequences(filled(Outbox(config), exercise)) == {"all": [1, 2], "drills": [1, 2]}
    assert sequences(filled(Outbox(config), story(Level.RED, mode=Mode.REPLAY))) == {}


def test_who_was_told_is_remembered_over_a_restart() -> None:
    config = Notify(webhooks=(endpoint(min_level="orange"),))
    outbox = filled(Outbox(config), LIFE[:2])
    assert sequences(outbox) == {"a": [2]}
    assert sequences(filled(reload(outbox, config), LIFE[2:])) == {"a": [3]}


def test_repeats_and_transitions_out_of_line_are_dropped_and_counted() -> None:
    outbox = filled(Outbox(ONE), [LIFE[1], LIFE[0], LIFE[0], LIFE[1], LIFE[2], LIFE[0]])
    assert outbox.repeats == 3
    assert sequences(outbox) == {"a": [1, 2, 3]}
    outbox = filled(reload(outbox, ONE), LIFE)
    assert outbox.repeats == 3
    assert sequences(outbox) == {}


def test_an_endpoint_that_left_the_configuration_is_forgotten() -> None:
    outbox = filled(Outbox(Notify(webhooks=(endpoint("a"), endpoint("b")))), LIFE)
    outbox = reload(outbox, ONE)
    assert {name for name, _ in outbox.waiting()} == {"a"}
    assert sequences(outbox) == {"a": [1, 2, 3]}


def test_foreign_state_ends_the_process() -> None:
    with pytest.raises(Fatal, match="another version"):
        Outbox(ONE).restore(b"cell:1", b"{}")


CONFIG = Notify(webhooks=(endpoint("a"), endpoint("b", min_level="orange"), endpoint("c")), give_up_after_secs=3600)
STATUS = st.sampled_from([204] * 6 + [0, 503] * 3 + [400, 410])
STEP = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 3), st.sampled_from(list(Level))),
    st.tuples(st.just("send"), st.integers(0, 9), STATUS),
    st.tuples(st.just("wait"), st.integers(0, 900), st.just(0)),
    st.tuples(st.just("checkpoint"), st.just(0), st.just(0)),
    st.tuples(st.just("crash"), st.just(0), st.just(0)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(STEP, max_size=20) | st.lists(STEP, min_size=30, max_size=100))
def test_order_and_completeness_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    """Per alert and endpoint notices end in sequence, each with one body, and every one that is wanted does end."""
    city = City()
    outbox, stored, applied, committed = Outbox(CONFIG), dict[bytes, bytes](), 0, 0
    under_way: list[Attempt] = []
    rows: list[Delivery] = []
    bodies: dict[str, str] = {}
    now_ms = T0

    def finish(attempt: Attempt, status: int) -> None:
        assert bodies.setdefault(attempt.notice.notice_id, attempt.notice.body) == attempt.notice.body
        rows.extend(outbox.result(attempt, answer(status, None, now_ms), now_ms))

    for what, number, value in steps:
        if what == "write":
            city.set(number, Level(value))
        elif what == "send" and under_way:
            finish(under_way.pop(number % len(under_way)), value)
        elif what == "wait":
            now_ms += number * 1000
        elif what == "checkpoint":
            for key, state in outbox.changed():
                if state is None:
                    stored.pop(key, None)
                else:
                    stored[key] = state
            committed = applied
        elif what == "crash":
            outbox, under_way, applied = Outbox(CONFIG), [], committed
            for key, state in stored.items():
                outbox.restore(key, state)
        for transition in city.log[applied:]:
            rows += outbox.add(transition, now_ms)
        applied = len(city.log)
        under_way += outbox.due(now_ms)
    while under_way or outbox.next_due_ms() is not None:
        for attempt in under_way:
            finish(attempt, 204)
        now_ms = max(now_ms, outbox.next_due_ms() or now_ms)
        under_way = outbox.due(now_ms)

    assert list(outbox.waiting()) == []
    ended: dict[tuple[str, str], dict[int, str]] = {}
    for row in rows:
        if row.outcome != "retry":
            ended.setdefault((row.endpoint, row.alert_id), {}).setdefault(row.sequence, row.outcome)
    for outcomes in ended.values():
        answered = [sequence for sequence, outcome in outcomes.items() if outcome != "disabled"]
        assert answered == sorted(answered)
    told = {(t.notice.alert_id, t.notice.sequence) for t in city.log if t.notice is not None}
    for name in ("a", "c"):
        assert {(alert_id, s) for (e, alert_id), done in ended.items() if e == name for s in done} == told
    assert msgspec.json.decode(msgspec.json.encode(rows), type=list[Delivery]) == rows
