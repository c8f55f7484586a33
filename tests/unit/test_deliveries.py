"""The outbox: order, retry plan, endpoints that refuse, and checkpoints at any moment."""

from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbeacon.alert_book import AlertBook
from gridbeacon.config import Config, Notify, Situate, Webhook
from gridbeacon.errors import Fatal
from gridbeacon.lifecycle import advance
from gridbeacon.model import Alert, Delivery, Evidence, Notice, Position, Situation, Transition
from gridbeacon.notices import Telling
from gridbeacon.reasons import Certainty, HandlingState, Level, Mode, Reason
from gridbeacon.stages import hold_back
from sinks.deliveries import JITTER_SHARE, Attempt, Result
from sinks.orders import Enable, Redeliver
from sinks.outbox import MAX_UNDER_WAY, Outbox

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
T0 = 1_672_484_400_000
BOOK = AlertBook(Config(situate=Situate(min_notice_level="blue")))


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
            telling = Telling(alert=alert, event=event, notices=self.told.get(alert.alert_id, 0))
            verdict = hold_back(telling, BOOK)
            # Without a routing of its own, every endpoint decides for itself.
            notice = msgspec.structs.replace(verdict, endpoints=None) if isinstance(verdict, Notice) else None
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


CHAIN = Notify(
    webhooks=(endpoint("a", fallback="b", fallback_after_secs=300), endpoint("b", fallback="c"), endpoint("c")),
    give_up_after_secs=3600,
)
STEPS = st.lists(STEP, max_size=20) | st.lists(STEP, min_size=30, max_size=100)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_order_and_completeness_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    """Per alert and endpoint notices end in sequence, each with one body, and every one that is wanted does end."""
    log, rows = lived(CONFIG, steps)
    ended = endings(rows)
    told = {(t.notice.alert_id, t.notice.sequence) for t in log if t.notice is not None}
    for name in ("a", "c"):
        assert {(alert_id, s) for (e, alert_id), done in ended.items() if e == name for s in done} == told


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_what_the_first_did_not_get_its_fallbacks_did_or_refused_too(steps: list[tuple[str, int, int]]) -> None:
    """A notice ends undelivered only where the whole chain has refused it; order holds at each endpoint."""
    log, rows = lived(CHAIN, [step for step in steps if step[0] != "crash"])  # a crash makes endings undone
    endings(rows)
    last = {(r.alert_id, r.sequence, r.endpoint): r.outcome for r in rows if r.outcome not in ("retry", "enabled")}
    for notice in [t.notice for t in log if t.notice is not None]:
        ends = {name: last.get((notice.alert_id, notice.sequence, name)) for name in "abc"}
        assert ends["a"] is not None
        for name, following in (("a", "b"), ("b", "c")):
            if ends[name] in ("permanent", "disabled", "expired"):
                assert ends[following] is not None, (notice.sequence, ends)


def endings(rows: list[Delivery]) -> dict[tuple[str, str], dict[int, str]]:
    """Return how each notice ended, by endpoint and alert, checked to be in order; what came later does not count."""
    ended: dict[tuple[str, str], dict[int, str]] = {}
    for row in rows:
        if row.outcome not in ("retry", "enabled"):
            ended.setdefault((row.endpoint, row.alert_id), {}).setdefault(row.sequence, row.outcome)
    for outcomes in ended.values():
        answered = [sequence for sequence, outcome in outcomes.items() if outcome not in ("disabled", "superseded")]
        assert answered == sorted(answered)
    return ended


def lived(config: Notify, steps: list[tuple[str, int, int]]) -> tuple[list[Transition], list[Delivery]]:
    """Return the log and the rows after the steps and after everything that was still due has been delivered."""
    city = City()
    outbox, stored, applied, committed = Outbox(config), dict[bytes, bytes](), 0, 0
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
            outbox, under_way, applied = Outbox(config), [], committed
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
    assert msgspec.json.decode(msgspec.json.encode(rows), type=list[Delivery]) == rows
    return city.log, rows


# Fall back, orders


def pair(**settings: object) -> Notify:
    return Notify(webhooks=(endpoint("a", fallback="b", **settings), endpoint("b")))


def work(outbox: Outbox, statuses: dict[str, int], now_ms: int = T0) -> list[Delivery]:
    """Make all attempts that are due now, once each round, until none is; return the rows."""
    rows: list[Delivery] = []
    while attempts := outbox.due(now_ms):
        for attempt in attempts:
            rows += outbox.result(attempt, answer(statuses[attempt.endpoint]), now_ms)
    return rows


def told(rows: list[Delivery]) -> list[tuple[str, int, str]]:
    return [(r.endpoint, r.sequence, r.outcome) for r in rows]


def test_a_fallback_hears_nothing_while_all_is_well() -> None:
    outbox = filled(Outbox(pair()), LIFE)
    assert {name for name, _ in outbox.waiting()} == {"a"}
    assert told(work(outbox, {"a": 204})) == [("a", n, "delivered") for n in (1, 2, 3)]


def test_what_is_refused_goes_to_the_fallback_at_once_and_all_that_follows_too() -> None:
    outbox = filled(Outbox(pair()), LIFE[:1])
    rows = work(outbox, {"a": 404, "b": 204})
    assert told(rows) == [("a", 1, "permanent"), ("b", 1, "delivered")]
    assert rows[0].notice_id == rows[1].notice_id
    outbox = reload(outbox, pair())
    rows = work(filled(outbox, LIFE[1:]), {"a": 204, "b": 204})
    assert sorted(told(rows)) == [(name, n, "delivered") for name in "ab" for n in (2, 3)]


def test_notices_behind_the_refused_one_reach_the_fallback_once_and_in_order() -> None:
    rows = work(filled(Outbox(pair()), LIFE), {"a": 400, "b": 204})
    assert [one for one in told(rows) if one[0] == "b"] == [("b", n, "delivered") for n in (1, 2, 3)]


def test_a_chain_of_fallbacks_ends_somewhere() -> None:
    config = Notify(webhooks=(endpoint("a", fallback="b"), endpoint("b", fallback="c"), endpoint("c")))
    rows = work(filled(Outbox(config), LIFE[:1]), {"a": 404, "b": 410, "c": 204})
    assert told(rows) == [("a", 1, "permanent"), ("b", 1, "disabled"), ("c", 1, "delivered")]
    # b is disabled from now on, and what it would get goes on to c
    config_of_two = Notify(webhooks=(endpoint("a", fallback="b"), endpoint("b")))
    rows = work(filled(Outbox(config_of_two), LIFE[:1]), {"a": 404, "b": 404})
    assert told(rows) == [("a", 1, "permanent"), ("b", 1, "permanent")]


def test_a_disabled_endpoint_leaves_everything_to_its_fallback() -> None:
    city = City()
    first, other = city.set(1, Level.RED), city.set(2, Level.RED)
    outbox = filled(Outbox(pair()), first)
    assert told(work(outbox, {"a": 410, "b": 204})) == [("a", 1, "disabled"), ("b", 1, "delivered")]
    assert told(outbox.add(other[0], T0)) == [("a", 1, "disabled")]
    assert told(work(outbox, {"b": 204})) == [("b", 1, "delivered")]


def test_after_a_while_the_fallback_gets_what_could_not_be_delivered_and_the_first_is_still_tried() -> None:
    config = pair(fallback_after_secs=100)
    outbox = filled(Outbox(config), LIFE[:1])
    rows: list[Delivery] = []
    now_ms = T0
    while not any(r.endpoint == "b" for r in rows):
        now_ms = max(now_ms, outbox.next_due_ms() or 0)
        rows += work(outbox, {"a": 503, "b": 204}, now_ms)
    assert 100_000 <= now_ms - T0 <= 150_000
    assert told(rows)[-1] == ("b", 1, "delivered")
    # the endpoint has been down for long: what comes now goes to both at once
    news = filled(outbox, LIFE[1:2], now_ms + 1000)
    rows = work(news, {"a": 503, "b": 204}, now_ms + 1000)
    assert ("b", 2, "delivered") in told(rows)
    # it is back, and gets everything in order
    now_ms = max(now_ms, outbox.next_due_ms() or 0)
    assert told(work(outbox, {"a": 204}, now_ms)) == [("a", 1, "delivered"), ("a", 2, "delivered")]


def test_a_dead_endpoint_with_hundreds_waiting_leaves_all_of_them_to_its_fallback() -> None:
    city = City()
    for cell in range(100):
        city.set(cell, Level.YELLOW)
    outbox = filled(Outbox(pair(fallback_after_secs=10)), city.log)
    rows: list[Delivery] = []
    for now_ms in range(T0, T0 + 40_000, 5_000):
        rows += work(outbox, {"a": 0, "b": 204}, now_ms)
    assert len({r.alert_id for r in rows if r.endpoint == "b" and r.outcome == "delivered"}) == 100


def test_a_fallback_keeps_to_its_own_modes_and_level() -> None:
    config = Notify(
        webhooks=(endpoint("a", fallback="b", modes=(Mode.LIVE, Mode.EXERCISE)), endpoint("b", min_level="red"))
    )
    rows = work(filled(Outbox(config), story(Level.YELLOW)), {"a": 404})
    assert told(rows) == [("a", 1, "permanent")]
    rows = work(filled(Outbox(config), story(Level.RED, mode=Mode.EXERCISE)), {"a": 404})
    assert told(rows) == [("a", 1, "permanent")]


def test_two_that_share_a_fallback_send_it_nothing_twice_and_nothing_older() -> None:
    config = Notify(webhooks=(endpoint("a", fallback="c"), endpoint("b", fallback="c"), endpoint("c")))
    outbox = filled(Outbox(config), LIFE[:2])
    both = {attempt.endpoint: attempt for attempt in outbox.due(T0)}
    outbox.result(both["a"], answer(204), T0)
    second = only(outbox.due(T0))
    assert second.notice.sequence == 2
    outbox.result(second, answer(404), T0)
    assert told(outbox.result(only(outbox.due(T0)), answer(204), T0)) == [("c", 2, "delivered")]
    rows = outbox.result(both["b"], answer(404), T0)
    assert told(rows) == [("b", 1, "permanent"), ("c", 1, "superseded")]
    assert told(work(outbox, {"b": 404, "c": 204})) == [("b", 2, "permanent")]


def test_cap_is_for_orange_and_red_whatever_the_level_asked_for() -> None:
    config = Notify(webhooks=(endpoint(profile="cap"),))
    assert sequences(filled(Outbox(config), LIFE)) == {"a": [2, 3]}


def test_a_notice_refers_to_the_earlier_ones_the_same_on_every_repeat() -> None:
    outbox = filled(Outbox(ONE), LIFE)
    outbox.result(only(outbox.due(T0)), answer(), T0)
    attempt = only(outbox.due(T0))
    assert [one.notice_id for one in attempt.earlier] == [LIFE[0].notice.notice_id]
    outbox.result(attempt, answer(503), T0)
    again = only(reload(filled(outbox, []), ONE).due(T0 + 60_000))
    assert (again.notice, again.earlier) == (attempt.notice, attempt.earlier)


def test_enabling_by_hand_is_said_once_and_kept() -> None:
    outbox = filled(Outbox(ONE), LIFE[:1])
    assert told(work(outbox, {"a": 410})) == [("a", 1, "disabled")]
    order = Enable(endpoint="a", actor="wang", at_ms=T0)
    (row,) = outbox.obey(order, T0)
    assert (row.endpoint, row.outcome, row.detail, row.notice_id) == ("a", "enabled", "by wang", "")
    assert outbox.obey(order, T0) == []
    outbox = reload(outbox, ONE)
    assert outbox.disabled == {}
    assert told(work(filled(outbox, LIFE[1:]), {"a": 204})) == [("a", 2, "delivered"), ("a", 3, "delivered")]


def test_a_changed_address_revives_and_says_so() -> None:
    outbox = filled(Outbox(ONE), LIFE[:1])
    work(outbox, {"a": 410})
    moved = Notify(webhooks=(endpoint("a", url="https://new.example.org/"),))
    outbox = reload(outbox, moved)
    rows = outbox.add(LIFE[1], T0)
    assert [(r.endpoint, r.outcome) for r in rows] == [("a", "enabled")]
    assert told(work(outbox, {"a": 204})) == [("a", 2, "delivered")]


def redeliver(transition: Transition, name: str = "a") -> Redeliver:
    assert transition.notice is not None
    return Redeliver(notice=transition.notice, endpoint=name, actor="wang", at_ms=T0)


def test_a_notice_is_sent_again_when_a_person_asks() -> None:
    outbox = filled(Outbox(ONE), LIFE)
    work(outbox, {"a": 204})
    for transition in (LIFE[2], LIFE[0]):
        outbox.obey(redeliver(transition), T0)
    outbox.obey(redeliver(LIFE[0]), T0)  # asked twice before it was sent is asked once
    attempts = work(outbox, {"a": 204})
    assert told(attempts) == [("a", 1, "delivered"), ("a", 3, "delivered")]
    assert {r.notice_id for r in attempts} == {LIFE[0].notice.notice_id, LIFE[2].notice.notice_id}
    # of an alert that is forgotten, and to endpoints that can't have it
    fresh = Outbox(ONE)
    fresh.obey(redeliver(LIFE[1]), T0)
    assert told(work(fresh, {"a": 204})) == [("a", 2, "delivered")]
    assert dict(fresh.changed())[f"alert:{LIFE[1].alert.alert_id}".encode()] is None
    assert told(fresh.obey(redeliver(LIFE[1], "x"), T0)) == [("x", 2, "permanent")]
    work(filled(Outbox(ONE), []), {})
    gone = filled(Outbox(ONE), LIFE[:1])
    work(gone, {"a": 410})
    assert told(gone.obey(redeliver(LIFE[0]), T0)) == [("a", 1, "disabled")]


def test_a_notice_asked_for_while_its_alert_is_on_the_way_waits_its_turn() -> None:
    outbox = filled(Outbox(ONE), LIFE)
    for _ in (1, 2):
        outbox.result(only(outbox.due(T0)), answer(), T0)
    third = only(outbox.due(T0))
    outbox.obey(redeliver(LIFE[0]), T0)
    assert outbox.due(T0) == []
    outbox.result(third, answer(503), T0)
    assert [notice.sequence for _, notice in outbox.waiting()] == [3, 1]
    assert only(outbox.due(T0 + 60_000)).notice.sequence == 3


def test_only_so_many_alerts_that_are_over_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.outbox.KEPT_OVER", 10)
    city, outbox = City(), Outbox(ONE)
    for cell in range(30):
        filled(outbox, city.set(cell, Level.RED) + city.set(cell, Level.NONE))
        work(outbox, {"a": 204})
    kept = [key for key, value in outbox.changed() if value is not None and key.startswith(b"alert:")]
    assert 10 <= len(kept) <= 11
    assert f"alert:{city.log[-1].alert.alert_id}".encode() in kept


def test_nothing_is_given_up_while_the_alert_is_open() -> None:
    config = Notify(webhooks=(endpoint(),), give_up_after_secs=100)
    outbox = filled(Outbox(config), LIFE[:2])
    now_ms = T0
    for _ in range(20):
        now_ms = max(now_ms, outbox.next_due_ms() or 0)
        (row,) = outbox.result(only(outbox.due(now_ms)), answer(503), now_ms)
        assert row.outcome == "retry"
    assert now_ms - T0 > 1_000_000


def test_rows_say_why_the_notice_was_sent_and_in_which_form() -> None:
    (row,) = work(filled(Outbox(ONE), LIFE[:1]), {"a": 204})
    assert (row.type, row.reason, row.profile) == ("alert.opened", "density", "standard")


def test_whoever_takes_an_alert_ends_the_calls_that_still_wait() -> None:
    """An acknowledgement stops every queued call; what is being sent, and all other notices, go on in order."""
    first = story(Level.ORANGE)[0]
    assert first.notice is not None
    assert first.alert is not None
    kinds = ("alert.escalated", "alert.repeated", "alert.acknowledged")
    more = [
        msgspec.structs.replace(
            first,
            offset=number,
            previous=(number - 1, 0),
            alert=msgspec.structs.replace(
                first.alert,
                handling_state=HandlingState.ACKNOWLEDGED if kind == kinds[-1] else HandlingState.NEW,
            ),
            notice=msgspec.structs.replace(
                first.notice, notice_id=f"msg_{number}", sequence=number + 1, type=kind, endpoints=("a",)
            ),
        )
        for number, kind in enumerate(kinds, 1)
    ]
    outbox = filled(Outbox(Notify(webhooks=(endpoint(),))), [first, *more[:2]])
    under_way = only(outbox.due(T0))
    rows = outbox.add(more[2], T0 + 1)
    assert [(one.sequence, one.outcome) for one in rows] == [(2, "superseded"), (3, "superseded")]
    outbox.result(under_way, answer(), T0 + 2)
    assert only(outbox.due(T0 + 2)).notice.type == "alert.acknowledged"


def addressed(transitions: list[Transition], *names: str) -> list[Transition]:
    """Return the same, each notice for these webhooks alone."""
    told_of = [(t, t.notice) for t in transitions if t.notice is not None]
    return [
        msgspec.structs.replace(t, notice=msgspec.structs.replace(notice, endpoints=names)) for t, notice in told_of
    ]


def test_a_notice_that_says_whom_it_is_for_goes_there_whatever_the_level_asked_for() -> None:
    config = Notify(webhooks=(endpoint("a", min_level="red"), endpoint("b"), endpoint("c", modes=(Mode.TEST,))))
    rows = work(filled(Outbox(config), addressed(LIFE[:1], "a", "c")), {"a": 204})
    assert told(rows) == [("a", 1, "delivered")]
    assert work(filled(Outbox(config), addressed(LIFE[:1])), {}) == []


def test_a_fallback_stands_in_for_whom_a_notice_is_for() -> None:
    config = Notify(webhooks=(endpoint("a", fallback="b"), endpoint("b", min_level="red"), endpoint("c")))
    outbox = filled(Outbox(config), addressed(LIFE[:1], "a"))
    assert told(work(outbox, {"a": 404, "b": 204})) == [("a", 1, "permanent"), ("b", 1, "delivered")]
    both = work(filled(outbox, addressed(LIFE, "a")[1:2]), {"a": 204, "b": 204})
    assert sorted(told(both)) == [("a", 2, "delivered"), ("b", 2, "delivered")]
    # what is for others is none of its business, and a route may name it by itself
    assert told(work(filled(outbox, addressed(LIFE, "c")[2:]), {"c": 204})) == [("c", 3, "delivered")]
    alone = filled(Outbox(config), addressed(LIFE[:1], "b"))
    assert told(work(alone, {"b": 204})) == [("b", 1, "delivered")]
