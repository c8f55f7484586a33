"""The HTTP API: what it says of alerts, whom it lets in, and what it answers to those who ask wrongly."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import pytest

from gridbeacon.config import Api, ClickHouse, Config, Notify, Webhook
from gridbeacon.errors import ConfigError
from gridbeacon.model import Cell
from gridbeacon.reasons import Level
from gridbeacon.registry import Registry
from sinks.signing import sign
from tests.board import T0, Served, situation, until
from tests.servers import free_port
from web import events, tokens
from web.guard import Often

CELL, OTHER = "310101001002003", "310101001002004"
CITY = Registry(cells={CELL: Cell(grid_id=CELL, name="Square")})


def config(**api) -> Config:
    """A configuration whose database is not there."""
    return Config(clickhouse=ClickHouse(port=free_port()), timezone="Asia/Shanghai", api=Api(**api))


@pytest.fixture
def served():
    with Served(config(), CITY) as running:
        running.tell(CELL, situation(CELL, Level.RED))
        running.tell(OTHER, situation(OTHER, Level.YELLOW), T0 + 1000)
        yield running


CLIENT = httpx.Client(timeout=20)
"""One for all: to make one takes a tenth of a second."""


def get(served: Served, path: str, **options) -> httpx.Response:
    return CLIENT.get(served.url + path, **options)


def test_alerts_are_listed_the_most_urgent_first_and_found_by_what_they_are(served: Served) -> None:
    said = get(served, "/api/alerts").json()
    assert [(one["level"], one["place"]) for one in said["alerts"]] == [("red", "Square"), ("yellow", OTHER)]
    assert said["total"] == 2
    assert said["log_time"] == "2024-01-01T11:00:01.000Z"
    assert said["alerts"][0]["opened_at"] == "2024-01-01T11:00:00.000Z"
    assert said["alerts"][0]["evidence"][0]["level"] == "red"
    assert [one["cell"] for one in get(served, f"/api/alerts?cell={OTHER}").json()["alerts"]] == [OTHER]
    assert [one["cell"] for one in get(served, "/api/alerts?level=orange").json()["alerts"]] == [CELL]
    assert [one["cell"] for one in get(served, "/api/alerts?limit=1&skip=1").json()["alerts"]] == [OTHER]


def test_one_alert_comes_with_its_course_though_the_database_is_away(served: Served) -> None:
    served.tell(CELL, None, T0 + 2000)
    (alert,) = (one for one in get(served, "/api/alerts?state=all").json()["alerts"] if one["cell"] == CELL)
    case = get(served, f"/api/alerts/{alert['alert_id']}").json()
    assert [step["event"] for step in case["transitions"]] == ["opened", "cleared"]
    assert case["transitions"][1]["at"] == "2024-01-01T11:00:02.000Z"
    assert case["cleared_at"] == "2024-01-01T11:00:02.000Z"


def test_cells_say_their_level(served: Served) -> None:
    said = get(served, "/api/cells").json()
    assert {one["grid_id"]: (one["name"], one["level"], one["open_alerts"]) for one in said["cells"]} == {
        CELL: ("Square", "red", 1),
        OTHER: ("", "yellow", 1),
    }


@pytest.mark.parametrize(
    "path",
    ["/api/alerts/310101-none", "/api/situations", "/api/sensors/health", "/api/series/crowd/CAM-1/people_count"],
)
def test_without_the_database_it_says_so_in_a_sentence(served: Served, path: str) -> None:
    answer = get(served, path)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert "can't be reached" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/api/alerts?limit=0", 422, "query limit"),
        ("/api/alerts?level=purple", 422, "query level"),
        ("/api/series/crowd/CAM-1/people_count?from=2999-01-01T00:00:00Z&to=2999-01-02T00:00:00Z", 422, "future"),
        ("/api/series/crowd/CAM-1/people_count?from=2014-01-01T00:00:00Z", 422, "400 days"),
        ("/api/series/crowd/CAM-1/people_count?from=2024-01-01T10:00:00Z&to=2024-01-01T09:00:00Z", 422, "exchange"),
        ("/api/series/nothing", 404, "kind/source/metric"),
        ("/api/nothing", 404, "nothing here"),
        ("/api/events?after=seventeen", 422, "no id"),
    ],
)
def test_what_is_asked_wrongly_is_answered_with_what_to_do(served: Served, path: str, status: int, words: str) -> None:
    answer = get(served, path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert words in answer.json()["detail"]


def test_a_page_of_another_host_finds_no_way_in(served: Served) -> None:
    """DNS rebinding: the name of another host points at this machine."""
    assert get(served, "/api/alerts", headers={"host": "evil.example:80"}).status_code == 421
    port = served.url.rpartition(":")[2]
    assert get(served, "/api/alerts", headers={"host": f"localhost:{port}"}).status_code == 200
    assert get(served, "/api/alerts", headers={"host": ""}).status_code in (400, 421)


def test_what_another_site_sends_changes_nothing(served: Served) -> None:
    path = f"{served.url}/api/alerts/a/actions"
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        assert CLIENT.post(path, json={}, headers=headers).status_code == 403


def test_bodies_have_a_limit_whether_they_say_their_length_or_not(served: Served) -> None:
    path = f"{served.url}/api/alerts/a/actions"
    assert CLIENT.post(path, content=b"x" * 100_000).status_code == 413


def test_every_answer_has_the_headers_of_safety(served: Served) -> None:
    for path in ("/api/alerts", "/api/nothing", "/health"):
        headers = get(served, path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers or "uvicorn" in headers["server"]


# --- actions --------------------------------------------------------------------------------------------------------


def alert_of(served: Served, cell: str = CELL) -> str:
    return served.log.alerts[cell, "safety"].alert_id


def act(served: Served, action: str, alert: str | None = None, headers=None, **more) -> httpx.Response:
    path = f"{served.url}/api/alerts/{alert or alert_of(served)}/actions"
    return CLIENT.post(path, json={"action": action, **more}, headers=headers)


def test_an_action_is_answered_with_the_new_version_and_seen_at_once(served: Served) -> None:
    answer = act(served, "acknowledge", version=1, note="I go")
    assert answer.status_code == 200
    assert {k: answer.json()[k] for k in ("version", "event", "actor", "handling_to")} == {
        "version": 2,
        "event": "acknowledged",
        "actor": "local",
        "handling_to": "acknowledged",
    }
    case = get(served, f"/api/alerts/{alert_of(served)}").json()
    assert (case["handling_state"], case["taken_by"]) == ("acknowledged", "local")


@pytest.mark.parametrize(
    ("action", "more", "status", "words"),
    [
        ("verify", {}, 409, "legal is"),
        ("acknowledge", {"version": 0}, 409, "look again"),
        ("assign", {}, 422, "to whom"),
        ("close", {}, 422, "say why"),
        ("comment", {}, 422, "without words"),
        ("feedback", {}, 422, "disposition"),
        ("fly", {}, 422, "body action"),
        ("comment", {"note": "x" * 3000}, 422, "body note"),
        ("comment", {"node": "x"}, 422, "body node"),
        ("acknowledge", {"alert": "310101-none"}, 404, "no such alert"),
    ],
)
def test_an_action_that_can_not_be_says_why(served: Served, action: str, more: dict, status: int, words: str) -> None:
    answer = act(served, action, **more)
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    if status == 409:
        assert "acknowledge" in answer.json()["legal"]
    assert get(served, f"/api/alerts/{alert_of(served)}").json()["handling_state"] == "new"


def test_a_silence_begins_is_listed_and_ends(served: Served) -> None:
    until_end = {"end": "2024-01-01T12:00:00Z"}
    begun = CLIENT.post(f"{served.url}/api/silences", json={"reason": "concert", "cells": "310101", **until_end})
    assert begun.status_code == 201
    (one,) = get(served, "/api/silences").json()["silences"]
    assert (one["owner"], one["reason"], one["silence_id"]) == ("local", "concert", begun.json()["action_id"])
    for wrong, words in (
        ({"reason": "", **until_end}, "needs a reason"),
        ({"reason": "x"}, "end"),
        ({"reason": "x", "end": "2001-01-01T00:00:00Z"}, "end"),
    ):
        refused = CLIENT.post(f"{served.url}/api/silences", json=wrong)
        assert refused.status_code == 422
        assert words in refused.json()["detail"]
    assert CLIENT.delete(f"{served.url}/api/silences/{one['silence_id']}").status_code == 200
    assert get(served, "/api/silences").json()["silences"] == []
    assert CLIENT.delete(f"{served.url}/api/silences/none").status_code == 404


def test_a_long_body_is_refused_though_it_does_not_say_its_length(served: Served) -> None:
    headers = {"content-type": "application/json"}
    path = f"{served.url}/api/alerts/{alert_of(served)}/actions"
    assert CLIENT.post(path, content=(b" " * 1000 for _ in range(100)), headers=headers).status_code == 413


def test_who_may_only_look_is_refused_and_written_down(guarded) -> None:
    served, token, _ = guarded
    served.tell(CELL, situation(CELL, Level.RED))
    answer = act(served, "acknowledge", headers=bearer(token))
    assert answer.status_code == 403
    assert "takes the role dispatcher" in answer.json()["detail"]
    (_, tried) = get(served, f"/api/alerts/{alert_of(served)}", headers=bearer(token)).json()["transitions"]
    assert (tried["event"], tried["actor"], tried["refusal"]) == ("refused", "wang", "not_permitted")


def test_a_signed_callback_acts_and_a_forged_or_repeated_one_does_not() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    hook = Webhook(name="centre", url="https://x.example/", secrets=(secret,), callbacks="dispatcher")
    with Served(msgspec.structs.replace(config(), notify=Notify(webhooks=(hook,))), CITY) as served:
        served.tell(CELL, situation(CELL, Level.RED))
        asked = {"type": "alert.dispatch", "data": {"alert_id": alert_of(served), "actor": "li", "assignee": "p4"}}
        body = msgspec.json.encode(asked)
        now = int(time.time())
        headers = {
            "webhook-id": "cb_1",
            "webhook-timestamp": str(now),
            "webhook-signature": sign([secret], "cb_1", now, body),
        }
        path = f"{served.url}/callbacks/centre"
        assert CLIENT.post(path, content=body + b" ", headers=headers).status_code == 401
        done = CLIENT.post(path, content=body, headers=headers)
        assert (done.status_code, done.json()["actor"]) == (200, "centre:li")
        assert CLIENT.post(path, content=body, headers=headers).status_code == 409
        assert CLIENT.post(f"{served.url}/callbacks/none", content=body, headers=headers).status_code == 404
        assert get(served, f"/api/alerts/{alert_of(served)}").json()["taken_by"] == "p4"


# --- tokens ---------------------------------------------------------------------------------------------------------


def later(days: float = 1) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


@pytest.fixture
def guarded(tmp_path: Path):
    mine = tokens.add(tmp_path / "tokens.json", "wang", "viewer", later())
    with Served(config(tokens_file="tokens.json", requests_per_min=20), CITY, folder=tmp_path) as running:
        yield running, mine, tmp_path / "tokens.json"


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_with_a_file_of_tokens_nobody_comes_in_without_one(guarded) -> None:
    served, token, _ = guarded
    refused = get(served, "/api/alerts")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert get(served, "/api/alerts", headers=bearer("gbt_wrong")).status_code == 401
    assert get(served, "/api/alerts", headers=bearer(token)).status_code == 200
    assert get(served, "/health").status_code == 200
    assert get(served, "/api/me", headers=bearer(token)).json() == {"name": "wang", "role": "viewer", "may": []}


def test_a_token_that_ended_says_whose_it_was_and_what_to_do(guarded) -> None:
    served, _, file = guarded
    old = tokens.add(file, "li", "officer", later(-1))
    answer = get(served, "/api/alerts", headers=bearer(old))
    assert answer.status_code == 401
    assert "li ended on" in answer.json()["detail"]
    assert "administrator" in answer.json()["detail"]


def test_a_token_that_is_taken_out_ends_at_once(guarded) -> None:
    served, token, file = guarded
    known = tokens.read(file)
    file.write_bytes(msgspec.json.encode(msgspec.structs.replace(known, tokens=())))
    assert get(served, "/api/alerts", headers=bearer(token)).status_code == 401


def test_who_comes_too_often_is_told_when_to_come_back(guarded) -> None:
    served, token, _ = guarded
    for _ in range(25):
        answer = get(served, "/api/alerts", headers=bearer(token))
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    for _ in range(25):
        answer = get(served, "/api/alerts", headers=bearer("gbt_guess"))
    assert answer.status_code == 429


def test_a_limit_refills() -> None:
    often = Often(60_000)
    assert all(often.wait_secs("a") == 0 for _ in range(60_000))
    until(lambda: often.wait_secs("a") == 0, "the next turn")


def test_the_file_holds_no_token_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    first = tokens.add(file, "wang", "viewer", later())
    second = tokens.add(file, "wang", "officer", later())
    text = file.read_text()
    assert first not in text
    assert second not in text
    assert file.stat().st_mode & 0o077 == 0
    assert [(one.name, one.role) for one in tokens.read(file).tokens] == [("wang", "officer")]


def test_sessions_are_bound_to_their_token(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    token = tokens.add(file, "wang", "officer", later())
    door = tokens.Doorkeeper(file, 3600)
    cookie = door.session_of(token)
    assert door.of_session(cookie).name == "wang"
    for forged in (cookie[:-1] + ("0" if cookie[-1] != "0" else "1"), "a.b.c", "", ".", "é.1.x"):
        with pytest.raises(tokens.Refusal):
            door.of_session(forged)
    tokens.add(file, "wang", "officer", later())
    with pytest.raises(tokens.Refusal):
        door.of_session(cookie)
    with pytest.raises(tokens.Refusal):
        tokens.Doorkeeper(file, -1).of_session(
            tokens.Doorkeeper(file, -1).session_of(tokens.add(file, "a", "admin", later()))
        )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "gridbeacon api token"),
        (
            '{"session_key":"","tokens":[{"name":"a","role":"boss","sha256":"0","expires":"2030-01-01T00:00:00Z"}]}',
            "boss",
        ),
        (
            '{"session_key":"","tokens":[{"name":"a","role":"admin","sha256":"0","expires":"2030-01-01T00:00:00"}]}',
            "zone",
        ),
        (
            '{"session_key":"","tokens":[{"name":"a","role":"admin","sha256":"0","expires":"2030-01-01T00:00:00Z"}]}',
            "SHA",
        ),
    ],
)
def test_a_wrong_file_of_tokens_is_said_in_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "tokens.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words):
        tokens.read(file)


# --- events ---------------------------------------------------------------------------------------------------------


class Reader:
    """Reads a stream of events in a thread of its own."""

    def __init__(self, served: Served, path: str = "/api/events", **headers: str) -> None:
        self.said: list[tuple[str, str, dict]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(served.url + path, headers), daemon=True)
        self._thread.start()

    def _read(self, url: str, headers: dict[str, str]) -> None:
        with CLIENT.stream("GET", url, headers=headers) as answer:
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                if self._stop.is_set():
                    return
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "event" in fields:
                    self.said.append((fields["event"], fields.get("id", ""), json.loads(fields["data"])))
                    fields = {}

    def alerts(self) -> list[tuple[str, str]]:
        return [(said["event"]["event"], said["alert"]["cell"]) for kind, _, said in self.said if kind == "alert"]

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)


def test_events_come_as_they_happen_with_the_time_between(served: Served) -> None:
    reader = Reader(served)
    until(lambda: reader.said, "the first word")
    assert reader.said[0][0] == "time"
    assert reader.said[0][2]["log_time"] == "2024-01-01T11:00:01.000Z"
    served.tell(CELL, None, T0 + 2000)
    until(reader.alerts, "the alert")
    assert reader.alerts() == [("cleared", CELL)]
    reader.close()


def test_who_comes_back_misses_nothing_and_hears_nothing_twice(served: Served) -> None:
    first = Reader(served, "/api/events?after=0:0")
    until(lambda: first.alerts() == [("opened", OTHER)], "what came since")
    last = first.said[-1][1]
    first.close()
    served.tell(CELL, None, T0 + 2000)
    second = Reader(served, **{"Last-Event-ID": last})
    until(second.alerts, "what came meanwhile")
    served.tell(OTHER, None, T0 + 3000)
    until(lambda: len(second.alerts()) >= 2, "what comes now")
    assert second.alerts() == [("cleared", CELL), ("cleared", OTHER)]
    second.close()


def test_who_was_away_too_long_is_sent_to_the_list(served: Served) -> None:
    served.call(served.parts.view.dropped.__setitem__, 0, 1)
    reader = Reader(served, "/api/events?after=0:0")
    until(lambda: reader.said, "the word")
    assert reader.said[0][0] == "reset"
    reader.close()


def test_no_more_viewers_than_there_is_room_for(served: Served) -> None:
    served.call(setattr, served.parts.hub, "streams", served.parts.config.api.max_streams)
    assert get(served, "/api/events").status_code == 503


def test_positions_that_are_none_are_refused() -> None:
    for text in ("", "0", "0:", "a:1", "0:1,", "0:-1", "0:1;1:2", "9" * 10 + ":1"):
        assert events.positions(text) is None
