"""Callbacks over HTTP: signed, they act like anybody else; forged, replayed, stale or outdated, they change nothing."""

import json
import time

import httpx
import pytest

from gridbeacon.config import ClickHouse, Config
from gridbeacon.config_notify import Notify, Webhook
from gridbeacon.reasons import Level
from sinks.signing import sign
from tests.board import Served, situation
from tests.servers import free_port

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_b2xkIHNlY3JldCBvZiAyNCBieXRlcyBvciBtb3Jl"
CELL = "310101001002003"
CLIENT = httpx.Client(timeout=20)
HOOKS = (
    Webhook(name="centre", url="https://h.example.org/", secrets=(SECRET,), callbacks="dispatcher"),
    Webhook(name="mute", url="https://h.example.org/", secrets=(SECRET,)),
)


@pytest.fixture
def served():
    config = Config(clickhouse=ClickHouse(port=free_port()), notify=Notify(webhooks=HOOKS))
    with Served(config) as running:
        running.tell(CELL, situation(CELL, Level.RED))
        yield running


def alert(served: Served) -> dict:
    (one,) = CLIENT.get(f"{served.url}/api/alerts").json()["alerts"]
    return one


def post(served: Served, kind: str = "alert.acknowledge", *, name: str = "centre", **options) -> httpx.Response:
    """Send a callback; ``options`` are fields of data, and ``secret``, ``webhook_id``, ``age_secs``."""
    secret, webhook_id = options.pop("secret", SECRET), options.pop("webhook_id", "cb_1")
    stamp = int(time.time()) - options.pop("age_secs", 0)
    data = {"alert_id": alert(served)["alert_id"], "actor": "li.wei"} | options
    body = json.dumps({"type": kind, "data": data}).encode()
    headers = {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": sign([secret], webhook_id, stamp, body),
    }
    return CLIENT.post(f"{served.url}/callbacks/{name}", content=body, headers=headers)


def test_a_signed_callback_acts_and_says_what_came_of_it(served: Served) -> None:
    answer = post(served, version=1, note="on our way")
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["handling_to"], said["actor"], said["source"]) == ("acknowledged", "centre:li.wei", "webhook")
    assert alert(served)["handling_state"] == "acknowledged"
    answer = post(served, "alert.dispatch", webhook_id="cb_2", version=said["version"], assignee="patrol 4")
    assert answer.status_code == 200, answer.text
    assert alert(served)["handling_state"] == "dispatched"


def test_what_must_not_act_changes_nothing_and_says_why_once(served: Served) -> None:
    for options, status, reason in (
        ({"secret": OTHER}, 401, "unverified"),
        ({"age_secs": 400}, 401, "unverified"),
        ({"name": "mute"}, 403, "not_permitted"),
        ({"name": "nobody"}, 404, "unknown_endpoint"),
        ({"actor": ""}, 422, "bad_body"),
        ({"version": 7, "webhook_id": "cb_7"}, 409, "old_version"),
        ({"alert_id": "310101-0000000000000000", "webhook_id": "cb_8"}, 404, "unknown_alert"),
        ({"kind": "alert.verify", "webhook_id": "cb_9"}, 403, "not_permitted"),
    ):
        answer = post(served, **options)
        said = answer.json()
        assert (answer.status_code, said["reason"]) == (status, reason), said
        assert said["detail"]
        assert SECRET not in answer.text
    assert alert(served)["handling_state"] == "new"
    assert alert(served)["version"] == 1


def test_a_replay_is_refused_and_the_alert_stays_as_it_is(served: Served) -> None:
    assert post(served).status_code == 200
    version = alert(served)["version"]
    again = post(served)
    assert (again.status_code, again.json()["reason"]) == (409, "replayed")
    assert alert(served)["version"] == version


def test_who_is_refused_often_has_to_wait(served: Served) -> None:
    # On a slow machine the allowance grows while it is spent: it is asked until it is used up.
    statuses = (post(served, secret=OTHER).status_code for _ in range(600))
    assert next(statuses) == 401
    assert 429 in statuses
    assert post(served).status_code == 200  # who signs is not held up by who does not
