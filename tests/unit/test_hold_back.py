"""Hold back and routing: who is told when, what is held for which reason, and what is told as soon as it may be."""

import msgspec
import pytest

from gridbeacon.alert_book import AlertBook
from gridbeacon.config import Config, Notify, Webhook
from gridbeacon.config_routing import Escalation, Inhibition, Receiver, Route, Routing, Shift
from gridbeacon.held import Step
from gridbeacon.lifecycle import Event
from gridbeacon.model import Action, Evidence, Position, Silence, Situation, Unsilence
from gridbeacon.reasons import ActionKind, Certainty, ConditionState, HoldReason, Level, Mode, Reason, Role
from gridbeacon.roll import SAFETY

T0 = 1_795_348_800_000  # 2026-11-22T12:00:00Z, a Sunday
SECS, MINUTE, HOUR = 1000, 60_000, 3_600_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def webhook(name: str, **more: object) -> Webhook:
    plain = Webhook(name=name, url=f"https://{name}.example.org/", secrets=(SECRET,))
    return msgspec.structs.replace(plain, **more)


def receivers(*names: str) -> tuple[Receiver, ...]:
    return tuple(Receiver(name=name, webhooks=(f"{name}-hook",)) for name in names)


CHAIN = Routing(
    receivers=receivers("dispatch", "officer", "chief"),
    routes=(Route(name="all", receivers=("dispatch",), escalation="up"),),
    escalations=(Escalation(name="up", receivers=("officer", "chief")),),
    group_wait_secs=0.0,
)


class City:
    """A book with webhooks; places by number; what happened, by line."""

    def __init__(
        self, routing: Routing | None = None, *webhooks: Webhook, timezone: str = "UTC", mode: Mode = Mode.LIVE
    ) -> None:
        hooks = webhooks or tuple_of([one.name for one in routing.receivers] if routing else ["dispatch"])
        config = Config(timezone=timezone, routing=routing or Routing(), notify=Notify(webhooks=hooks))
        self.config = msgspec.structs.replace(config, situate=msgspec.structs.replace(config.situate, mode=mode))
        self.book = AlertBook(self.config)
        self.ids: dict[int, str] = {}
        self.steps: list[Step] = []
        self.number = 0

    def set(
        self, place: int, level: Level | None, at_ms: int = T0, *, area: str = "310101", lost: bool = False
    ) -> list[Step]:
        cell = f"{area}00100{place:04d}"
        now = None if level is None else situation(cell, level, lost=lost)
        steps = [*self.book.pass_time(at_ms), *self.book.situation(cell, now, at_ms)]
        self.steps += steps
        for step in steps:
            if step.event.event == Event.OPENED and step.alert is not None:
                self.ids[int(step.alert.cell[-4:])] = step.alert.alert_id
        return steps

    def wait(self, at_ms: int) -> list[Step]:
        steps = self.book.pass_time(at_ms)
        self.steps += steps
        return steps

    def act(self, kind: ActionKind, place: int, at_ms: int) -> list[Step]:
        self.number += 1
        action = Action(
            action_id=f"act-{self.number}",
            alert_id=self.ids[place],
            kind=kind,
            actor="li",
            role=Role.OFFICER,
            sent_ms=0,
            note="because",
        )
        steps = self.book.act(action, at_ms)
        self.steps += steps
        return steps


def tuple_of(names: list[str]) -> tuple[Webhook, ...]:
    return tuple(webhook(f"{name}-hook") for name in names)


def situation(cell: str, level: Level, *, lost: bool = False) -> Situation:
    evidence = Evidence(
        series="crowd/CAM-1/density_max_per_m2",
        layer="limit",
        reason=Reason.DENSITY,
        level=level,
        since_ms=T0,
        lineage=Position("crowd.metrics", 0, 1),
    )
    return Situation(
        cell=cell,
        rule=SAFETY,
        level=level,
        reason=Reason.DENSITY,
        certainty=Certainty.OBSERVED,
        data_lost=lost,
        headline=f"dense in {cell}",
        evidence=(evidence,),
    )


def told(steps: list[Step], since_ms: int = T0) -> list[str]:
    """Return one line per step: seconds, what, and the webhooks that hear it or why nobody does."""
    lines = []
    for step in steps:
        secs = (step.event.at_ms - since_ms) // 1000
        if step.notice is None:
            lines.append(f"{secs} {step.event.event} {step.event.held}")
        else:
            names = ",".join(name.removesuffix("-hook") for name in step.notice.endpoints or ())
            lines.append(f"{secs} {step.notice.type.removeprefix('alert.')} > {names}")
    return lines


def test_nobody_acknowledges_so_the_next_is_called_and_the_last_again_until_somebody_does() -> None:
    city = City(CHAIN)
    city.set(1, Level.ORANGE)
    city.wait(T0 + 25 * MINUTE)
    city.act(ActionKind.ACKNOWLEDGE, 1, T0 + 26 * MINUTE)
    city.wait(T0 + 3 * HOUR)
    assert told(city.steps) == [
        "0 opened > dispatch",
        "300 escalated > officer",
        "600 escalated > chief",
        "1200 repeated > chief",
        "1560 acknowledged > dispatch,officer,chief",
    ]


@pytest.mark.parametrize(("level", "secs"), [(Level.YELLOW, 900), (Level.ORANGE, 300), (Level.RED, 120)])
def test_the_graver_the_sooner_the_next_is_called(level: Level, secs: int) -> None:
    city = City(CHAIN)
    city.set(1, level)
    assert city.book.next_ms() == T0 + secs * SECS


def test_a_level_that_rises_shortens_the_wait_and_a_quiet_end_ends_the_calls() -> None:
    city = City(CHAIN)
    city.set(1, Level.YELLOW)
    city.set(1, Level.RED, T0 + MINUTE)
    city.set(1, None, T0 + 2 * MINUTE)
    city.wait(T0 + HOUR)
    assert told(city.steps) == [
        "0 opened > dispatch",
        "60 level_raised > dispatch",
        "180 escalated > officer",
        "240 cleared > dispatch,officer",
    ]


def test_calls_go_on_while_nobody_knows() -> None:
    city = City(CHAIN)
    city.set(1, Level.RED)
    city.set(1, Level.RED, T0 + MINUTE, lost=True)
    city.wait(T0 + 2 * MINUTE)
    assert told(city.steps)[-2:] == ["60 unknown > dispatch", "120 escalated > officer"]


@pytest.mark.parametrize("kind", [ActionKind.ACKNOWLEDGE, ActionKind.DISPATCH, ActionKind.CLOSE])
def test_whoever_takes_it_ends_all_calls(kind: ActionKind) -> None:
    city = City(CHAIN)
    city.set(1, Level.RED)
    city.act(kind, 1, T0 + MINUTE)
    assert not [s for s in city.wait(T0 + 6 * HOUR) if s.event.event in (Event.ESCALATED, Event.REPEATED)]


def silence(city: City, at_ms: int, minutes: int, **more: object) -> Silence:
    found = Silence(
        silence_id="s-1",
        owner="li",
        reason="concert",
        starts_ms=at_ms,
        ends_ms=at_ms + minutes * MINUTE,
        sent_ms=at_ms,
        role=Role.OFFICER,
        cells="310101",
    )
    return msgspec.structs.replace(found, **more)


def test_what_opens_in_a_silence_is_told_when_the_silence_is_over_and_it_still_stands() -> None:
    city = City(CHAIN)
    city.book.act(silence(city, T0, 30), T0)
    city.set(1, Level.ORANGE, T0 + MINUTE)
    city.set(2, Level.ORANGE, T0 + MINUTE)
    city.set(2, None, T0 + 2 * MINUTE)
    city.wait(T0 + 31 * MINUTE)
    assert told(city.steps) == [
        "60 opened silenced",
        "60 opened silenced",
        "240 cleared below_min_level",
        "1800 opened > dispatch",
    ]
    assert city.steps[-1].event.event == Event.RELEASED


def test_a_silence_never_hides_red_nor_the_end_nor_that_it_was_taken() -> None:
    city = City(CHAIN)
    city.set(1, Level.ORANGE)
    city.book.act(silence(city, T0, 60), T0 + MINUTE)
    city.act(ActionKind.ACKNOWLEDGE, 1, T0 + 2 * MINUTE)
    city.set(2, Level.RED, T0 + 3 * MINUTE)
    city.act(ActionKind.RESOLVE, 1, T0 + 4 * MINUTE)
    city.set(1, None, T0 + 5 * MINUTE)
    city.wait(T0 + 7 * MINUTE)
    assert [line for line in told(city.steps) if "escalated" not in line] == [
        "0 opened > dispatch",
        "120 acknowledged > dispatch",
        "180 opened > dispatch",
        "240 resolved > dispatch",
        "420 cleared > dispatch",
    ]


def test_a_silence_that_is_ended_early_releases_at_once() -> None:
    city = City(CHAIN)
    city.book.act(silence(city, T0, 60), T0)
    city.set(1, Level.ORANGE, T0 + MINUTE)
    end = Unsilence(action_id="u", silence_id="s-1", actor="li", role=Role.OFFICER, sent_ms=0)
    ended, released = city.book.act(end, T0 + 2 * MINUTE)
    assert (ended.event.event, released.event.event) == (Event.UNSILENCED, Event.RELEASED)
    assert released.notice is not None
    assert released.notice.type == "alert.opened"


INHIBIT = Routing(
    inhibit=(Inhibition(when={"min_level": "red"}, hold={"max_level": "orange"}, equal=("area",)),),
    receivers=receivers("dispatch"),
    routes=(Route(name="all", receivers=("dispatch",)),),
    group_wait_secs=0.0,
)


def test_a_graver_alert_in_the_same_area_holds_others_back_until_it_is_over() -> None:
    city = City(INHIBIT)
    city.set(1, Level.RED)
    city.set(2, Level.ORANGE, T0 + MINUTE)
    city.set(3, Level.ORANGE, T0 + MINUTE, area="310104")
    city.set(1, None, T0 + 10 * MINUTE)
    city.wait(T0 + 12 * MINUTE)
    assert told(city.steps) == [
        "0 opened > dispatch",
        "60 opened inhibited",
        "60 opened > dispatch",
        "720 cleared > dispatch",
        "720 opened > dispatch",
    ]


GROUP = Routing(receivers=receivers("dispatch"), routes=(Route(name="all", receivers=("dispatch",)),))


def test_a_storm_over_forty_places_is_two_notices_and_its_end_is_two_more() -> None:
    city = City(GROUP)
    for place in range(40):
        city.set(place, Level.YELLOW if place else Level.ORANGE, T0 + place * SECS // 2)
    city.wait(T0 + 5 * MINUTE)
    notices = [step.notice for step in city.steps if step.notice is not None]
    assert [notice.type for notice in notices] == ["alert.opened", "alert.opened"]
    body = msgspec.json.decode(notices[1].body)["data"]
    assert (body["group_count"], len(body["group"])) == (38, 38)
    assert "; at the same time also in 310101001000002, 3" in body["headline"]
    assert body["headline"].endswith(" and 35 more")
    for place in range(40):
        city.set(place, None, T0 + 6 * MINUTE + place * SECS // 2)
    city.wait(T0 + 20 * MINUTE)
    assert [step.notice.type for step in city.steps if step.notice is not None][2:] == ["alert.cleared"] * 2


def test_a_system_that_keeps_an_entry_for_each_alert_hears_of_each_by_itself() -> None:
    names = ("dispatch", "desk")
    routing = Routing(receivers=receivers(*names), routes=(Route(name="all", receivers=names),))
    city = City(routing, webhook("dispatch-hook"), webhook("desk-hook", profile="pagerduty", routing_key="R"))
    for place in range(3):
        city.set(place, Level.YELLOW, T0 + place * SECS)
    city.wait(T0 + MINUTE)
    for place in range(3):
        city.set(place, None, T0 + 5 * MINUTE + place * SECS)
    city.wait(T0 + 20 * MINUTE)
    assert told(city.steps) == [
        "0 opened > dispatch,desk",
        "1 opened grouped",
        "2 opened grouped",
        "30 opened > dispatch,desk",
        "30 opened > desk",
        "420 cleared > dispatch,desk",
        "421 cleared grouped",
        "422 cleared grouped",
        "450 cleared > dispatch,desk",
        "450 cleared > desk",
    ]
    notices = [step.notice for step in city.steps if step.notice is not None]
    assert len({notice.notice_id for notice in notices}) == len(notices)
    for alert_id in city.ids.values():
        heard = [notice for notice in notices if notice.alert_id == alert_id]
        assert [(notice.sequence, notice.type) for notice in heard] == [(1, "alert.opened"), (2, "alert.cleared")]


def test_red_waits_for_nobody() -> None:
    city = City(GROUP)
    city.set(1, Level.YELLOW)
    city.set(2, Level.YELLOW, T0 + SECS)
    city.set(3, Level.RED, T0 + 2 * SECS)
    city.set(2, Level.RED, T0 + 3 * SECS)
    city.wait(T0 + MINUTE)
    assert told(city.steps) == ["0 opened > dispatch", "1 opened grouped", "2 opened > dispatch", "3 opened > dispatch"]


def test_what_is_over_before_its_group_is_told_is_never_told() -> None:
    city = City(msgspec.structs.replace(GROUP, group_wait_secs=600.0))
    city.set(1, Level.YELLOW)
    city.set(2, Level.YELLOW, T0 + SECS)
    city.set(2, None, T0 + 2 * SECS)
    city.wait(T0 + 20 * MINUTE)
    assert told(city.steps) == ["0 opened > dispatch", "1 opened grouped", "122 cleared below_min_level"]


def test_flapping_at_a_threshold_is_told_once() -> None:
    city = City(msgspec.structs.replace(GROUP, group_wait_secs=0.0))
    city.set(1, Level.ORANGE)
    for minute in range(1, 9, 2):
        city.set(1, Level.YELLOW, T0 + minute * MINUTE)
        city.set(1, Level.ORANGE, T0 + (minute + 1) * MINUTE)
    city.set(1, Level.RED, T0 + 9 * MINUTE)
    notices = [line for line in told(city.steps) if ">" in line]
    assert notices == ["0 opened > dispatch", "540 level_raised > dispatch"]
    assert {s.event.held for s in city.steps if s.event.event == Event.LEVEL_RAISED} == {HoldReason.ALREADY_TOLD, None}


TREE = Routing(
    receivers=(
        *receivers("day", "night", "east", "traffic"),
        Receiver(
            name="roster",
            webhooks=("roster-hook",),
            on_duty=(Shift(days=("mon", "tue", "wed", "thu", "fri"), hours="08:00-20:00"),),
        ),
    ),
    routes=(
        Route(name="traffic", match={"kind": "traffic_shock"}, receivers=("traffic",), go_on=True),
        Route(name="east", match={"cell": "310104"}, receivers=("east",)),
        Route(name="rest", receivers=("day",)),
        Route(name="late", under="rest", hours="22:00-06:00", receivers=("night",)),
        Route(name="weekday", under="rest", match={"min_level": "orange"}, receivers=("day", "roster")),
    ),
    group_wait_secs=0.0,
)


@pytest.mark.parametrize(
    ("hours", "level", "area", "expected"),
    [
        (0, Level.YELLOW, "310101", "day"),  # Sunday 20:00 in Shanghai
        (0, Level.ORANGE, "310101", "day"),  # the roster is off duty
        (3, Level.ORANGE, "310101", "night"),  # 23:00
        (14, Level.ORANGE, "310101", "day,roster"),  # Monday 10:00
        (14, Level.YELLOW, "310104", "east"),
    ],
)
def test_the_deepest_route_that_fits_says_who_is_told(hours: int, level: Level, area: str, expected: str) -> None:
    city = City(TREE, timezone="Asia/Shanghai")
    (step,) = city.set(1, level, T0 + hours * HOUR, area=area)
    assert told([step], step.event.at_ms) == [f"0 opened > {expected}"]


def test_off_duty_is_better_than_nobody_and_no_route_means_everybody() -> None:
    roster = Receiver(name="dispatch", webhooks=("dispatch-hook",), on_duty=(Shift(hours="01:00-02:00"),))
    route = Route(name="orange", match={"min_level": "orange"}, receivers=("dispatch",))
    city = City(Routing(receivers=(roster,), routes=(route,), group_wait_secs=0.0))
    assert told(city.set(1, Level.ORANGE)) == ["0 opened > dispatch"]
    assert told(city.set(2, Level.YELLOW)) == ["0 opened > dispatch"]


def test_a_drill_stays_in_the_house_unless_an_endpoint_asks_for_it() -> None:
    drill, real = City(CHAIN, mode=Mode.EXERCISE), City(CHAIN)
    (rehearsed,), (happened,) = drill.set(1, Level.RED), real.set(1, Level.RED)
    assert rehearsed.notice is not None
    assert happened.notice is not None
    assert (rehearsed.notice.endpoints, happened.notice.endpoints) == ((), ("dispatch-hook",))
    assert rehearsed.event.alert_id != happened.event.alert_id, "a drill never stands in for the real event"


def test_min_level_of_an_endpoint_holds_until_it_is_reached_and_then_it_hears_the_end() -> None:
    config = Config(notify=Notify(webhooks=(webhook("all"), webhook("grave", min_level="red"))))
    book = AlertBook(config)
    cell = "310101001000001"
    steps = [
        *book.situation(cell, situation(cell, Level.ORANGE), T0),
        *book.situation(cell, situation(cell, Level.RED), T0 + MINUTE),
        *book.situation(cell, None, T0 + 2 * MINUTE),
        *book.pass_time(T0 + HOUR),
    ]
    assert [step.notice.endpoints for step in steps if step.notice] == [("all",), ("all", "grave"), ("all", "grave")]
    assert steps[-1].alert is not None
    assert steps[-1].alert.condition_state is ConditionState.CLEARED
