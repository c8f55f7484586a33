"""What people did, in the tables and views: written by the store from what the book of alerts decided."""

import msgspec
import pytest

from gridbeacon.alert_book import AlertBook
from gridbeacon.config import Config, Notify, Webhook
from gridbeacon.config_routing import Escalation, Receiver, Route, Routing
from gridbeacon.held import Step
from gridbeacon.model import Action, Evidence, Position, Silence, Situation, Transition
from gridbeacon.reasons import ActionKind, Certainty, Disposition, Level, Reason, Role
from gridbeacon.roll import SAFETY
from sinks.clickhouse import ClickHouseSink, query
from sinks.migrate import migrate
from streams import topics
from streams.store import Message, Writer

T0, MINUTE = 1_795_348_800_000, 60_000  # 12:00 UTC
ROUTING = Routing(
    receivers=(Receiver(name="centre", webhooks=("desk",)),),
    routes=(Route(name="all", receivers=("centre",), escalation="up"),),
    escalations=(Escalation(name="up", receivers=("centre",)),),
    group_wait_secs=0.0,
)


@pytest.fixture
def house(clickhouse: Config) -> Config:
    """A database of its own, migrated, for a city with a webhook."""
    hook = Webhook(name="desk", url="https://a.example.org/", secrets=("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",))
    there = msgspec.structs.replace(clickhouse.clickhouse, database="people")
    config = msgspec.structs.replace(
        clickhouse, clickhouse=there, timezone="Asia/Shanghai", routing=ROUTING, notify=Notify(webhooks=(hook,))
    )
    migrate(config)
    return config


class City:
    """Writes what the book says, as situate does, for the store."""

    def __init__(self, config: Config) -> None:
        self.book = AlertBook(config)
        self.messages: list[Message] = []
        self.number = 0

    def say(self, steps: list[Step]) -> list[Step]:
        for index, step in enumerate(steps):
            one = Transition(
                partition=0,
                offset=len(self.messages),
                index=index,
                previous=(-1, -1),
                alert=step.alert,
                event=step.event,
                notice=step.notice,
                silence=step.silence,
            )
            self.messages.append(Message(topics.ALERTS, 0, len(self.messages), msgspec.json.encode(one)))
        return steps

    def set(self, area: str, level: Level | None, at_ms: int) -> str:
        cell = f"{area}001002003"
        steps = self.say(self.book.pass_time(at_ms))
        steps = self.say(self.book.situation(cell, None if level is None else situation(cell, level), at_ms))
        return steps[0].event.alert_id if steps else ""

    def act(self, alert: str, kind: ActionKind, at_ms: int, **more: object) -> None:
        self.number += 1
        self.say(self.book.pass_time(at_ms))
        given = {"actor": "li", "role": Role.OFFICER, "sent_ms": 0, "note": "so"} | more
        action = Action(action_id=f"act-{self.number}", alert_id=alert, kind=kind, **given)  # type: ignore[arg-type]
        self.say(self.book.act(action, at_ms))


def situation(cell: str, level: Level) -> Situation:
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
        data_lost=False,
        headline="dense",
        evidence=(evidence,),
    )


def test_tables_and_views_say_what_people_did(house: Config) -> None:
    city = City(house)
    taken = city.set("310101", Level.YELLOW, T0)
    city.act(taken, ActionKind.ACKNOWLEDGE, T0 + 2 * MINUTE)
    city.set("310101", Level.RED, T0 + 3 * MINUTE)
    city.act(taken, ActionKind.DISPATCH, T0 + 4 * MINUTE, assignee="team-3")
    city.act(taken, ActionKind.VERIFY, T0 + 5 * MINUTE)  # refused
    city.act(taken, ActionKind.RESOLVE, T0 + 10 * MINUTE)
    city.act(taken, ActionKind.CLOSE, T0 + 20 * MINUTE)
    city.act(taken, ActionKind.FEEDBACK, T0 + 21 * MINUTE, disposition=Disposition.ANOMALY)
    alone = city.set("310104", Level.RED, T0 + 30 * MINUTE)
    city.set("310104", None, T0 + 40 * MINUTE)
    city.act("310104-0", ActionKind.ACKNOWLEDGE, T0 + 50 * MINUTE)  # unknown
    silence = Silence(
        silence_id="s-1",
        owner="li",
        reason="drill",
        starts_ms=T0,
        ends_ms=T0 + 60 * MINUTE,
        sent_ms=T0,
        role=Role.OFFICER,
        cells="310105",
    )
    city.say(city.book.act(silence, T0 + 51 * MINUTE))
    sink = ClickHouseSink(house)

    def refuse(row: object) -> None:
        raise AssertionError(row)

    for _ in range(2):  # after a crash the store writes again what it had written
        Writer(sink, refuse, lambda _: None).write(city.messages)
    sink.close()

    def ask(sql: str) -> list[tuple[object, ...]]:
        return query(house, sql, {"taken": taken, "alone": alone})

    events = "SELECT event, actor, version, refusal FROM alert_events FINAL WHERE alert_id = %(taken)s AND action != ''"
    assert ask(f"{events} ORDER BY version, at") == [
        ("acknowledged", "li", 2, ""),
        ("dispatched", "li", 4, ""),
        ("refused", "li", 4, "illegal_step"),
        ("resolved", "li", 5, ""),
        ("closed", "li", 6, ""),
        ("feedback", "li", 7, ""),
    ]
    assert ask("SELECT refusal FROM alert_events FINAL WHERE alert_id = '310104-0'") == [("unknown_alert",)]
    assert ask(
        "SELECT handling_state, assignee, disposition, acknowledged_after_minutes, dispatched_after_minutes, "
        "resolved_after_minutes, closed_after_minutes, escalations FROM alert_review WHERE alert_id = %(taken)s"
    ) == [("closed", "team-3", "ANOMALY", 2.0, 4.0, 10.0, 20.0, 0)]
    assert ask("SELECT escalations > 0, acknowledged_after_minutes FROM alert_review WHERE alert_id = %(alone)s") == [
        (1, None)
    ]
    assert ask(
        "SELECT area, hour, alerts, acknowledge_median, acknowledge_p90, dispatch_median, resolve_p90 "
        "FROM response_times ORDER BY area"
    ) == [("310101", 20, 1, 2.0, 2.0, 4.0, 10.0), ("310104", 20, 1, None, None, None, None)]
    assert ask("SELECT alert_id, lead_minutes FROM lead_time ORDER BY lead_minutes DESC") == [
        (taken, 3.0),
        (alone, 0.0),
    ]
    assert sorted(ask("SELECT alert_id FROM alerts_now")) == sorted([(taken,), (alone,)]), (
        "one is over, but nobody came"
    )
    assert ask("SELECT silence_id, owner, up_to FROM silences FINAL") == [("s-1", "li", "orange")]
    assert ask(
        "SELECT receivers, endpoints FROM notices FINAL WHERE alert_id = %(alone)s ORDER BY sequence LIMIT 1"
    ) == [(["centre"], ["desk"])]
