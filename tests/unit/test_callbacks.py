"""Callbacks: what is signed, new and well formed becomes an action; everything else changes nothing and says why."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbeacon.config_notify import Notify, Webhook
from gridbeacon.reasons import ActionKind, ActionSource, CallbackRefusal, Disposition, Role
from sinks.callbacks import BODY_MAX_BYTES, STATUS, CallbackRefused, Callbacks, action_id_of
from sinks.signing import sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_b2xkIHNlY3JldCBvZiAyNCBieXRlcyBvciBtb3Jl"
NOW_MS = 1_672_484_640_000
URL = "https://h.example.org/"
NOTIFY = Notify(
    webhooks=(
        Webhook(name="centre", url=URL, secrets=(SECRET,), callbacks="dispatcher"),
        Webhook(name="police", url=URL, secrets=(OTHER,), callbacks="officer"),
        Webhook(name="mute", url=URL, secrets=(SECRET,)),
        Webhook(name="robot", url=URL, profile="wecom"),
    )
)
DATA = {"alert_id": "310101-86dbc79844f6ede2", "actor": "li.wei", "version": 3, "note": "on our way"}


def body(kind: str = "alert.acknowledge", **data: object) -> bytes:
    return json.dumps({"type": kind, "timestamp": "2022-12-31T11:04:00Z", "data": DATA | data}).encode()


def headers(text: bytes, secret: str = SECRET, webhook_id: str = "cb_1", at_ms: int = NOW_MS) -> dict[str, str]:
    stamp = at_ms // 1000
    signature = sign([secret], webhook_id, stamp, text)
    return {"Webhook-Id": webhook_id, "Webhook-Timestamp": str(stamp), "Webhook-Signature": signature}


def refused(endpoint: str, given: dict[str, str], text: bytes, now_ms: int = NOW_MS, at: Any = None) -> CallbackRefused:
    with pytest.raises(CallbackRefused) as caught:
        (at or Callbacks(NOTIFY)).take(endpoint, given, text, now_ms)
    assert caught.value.status == STATUS[caught.value.refusal]
    assert 400 <= caught.value.status < 500
    assert str(caught.value)
    assert SECRET not in str(caught.value)
    return caught.value


def test_a_signed_callback_is_an_action() -> None:
    text = body()
    action = Callbacks(NOTIFY).take("centre", headers(text), text, NOW_MS)
    assert action.action_id == action_id_of("centre", "cb_1")
    assert (action.alert_id, action.kind, action.version) == (DATA["alert_id"], ActionKind.ACKNOWLEDGE, 3)
    assert (action.actor, action.role, action.source) == ("centre:li.wei", Role.DISPATCHER, ActionSource.WEBHOOK)
    assert (action.note, action.sent_ms, action.assignee, action.disposition) == ("on our way", NOW_MS, "", None)
    text = body("alert.feedback", disposition="NOT_ANOMALY", assignee="patrol 4", version=None)
    action = Callbacks(NOTIFY).take("police", headers(text, OTHER), text, NOW_MS)
    assert (action.role, action.disposition, action.assignee) == (Role.OFFICER, Disposition.NOT_ANOMALY, "patrol 4")
    assert action.version is None


@pytest.mark.parametrize("kind", list(ActionKind))
def test_every_action_can_be_asked_for(kind: ActionKind) -> None:
    text = body(f"alert.{kind}")
    assert Callbacks(NOTIFY).take("centre", headers(text), text, NOW_MS).kind is kind


def test_forged_stale_and_unsigned_change_nothing() -> None:
    text = body()
    good = headers(text)
    for held, sent in (
        (headers(text, OTHER), text),
        (good, body(note="another")),
        (good | {"Webhook-Id": "cb_2"}, text),
        (good | {"Webhook-Timestamp": str(NOW_MS // 1000 + 1)}, text),
        (good | {"Webhook-Signature": "v1,AAAA"}, text),
        ({}, text),
        (headers(text, at_ms=NOW_MS - 301_000), text),
        (headers(text, at_ms=NOW_MS + 301_000), text),
    ):
        assert refused("centre", held, sent).refusal is CallbackRefusal.UNVERIFIED


def test_another_endpoints_secret_does_not_do_nor_an_endpoint_that_may_not_act() -> None:
    text = body()
    assert refused("police", headers(text), text).refusal is CallbackRefusal.UNVERIFIED
    for name in ("mute", "robot"):
        assert refused(name, headers(text), text).refusal is CallbackRefusal.NOT_PERMITTED
    assert refused("nobody", headers(text), text).refusal is CallbackRefusal.UNKNOWN_ENDPOINT


def test_a_replay_is_refused_and_has_the_same_action_id_in_another_process() -> None:
    text, door = body(), Callbacks(NOTIFY)
    first = door.take("centre", headers(text), text, NOW_MS)
    again = refused("centre", headers(text), text, NOW_MS + 1000, door)
    assert (again.refusal, again.status) == (CallbackRefusal.REPLAYED, 409)
    other = body("alert.close")
    assert refused("centre", headers(other), other, NOW_MS, door).refusal is CallbackRefusal.REPLAYED
    assert refused("centre", headers(text), text, NOW_MS + 200_000, door).refusal is CallbackRefusal.REPLAYED
    # when its memory ends the signature is long too old
    assert refused("centre", headers(text), text, NOW_MS + 601_000, door).refusal is CallbackRefusal.UNVERIFIED
    assert Callbacks(NOTIFY).take("centre", headers(text), text, NOW_MS).action_id == first.action_id
    # another id, and the same id at another endpoint, are others
    door.take("centre", headers(text, webhook_id="cb_2"), text, NOW_MS)
    assert door.take("police", headers(text, OTHER), text, NOW_MS).action_id != first.action_id


def test_what_could_not_be_written_may_come_again() -> None:
    text, door = body(), Callbacks(NOTIFY)
    first = door.take("centre", headers(text), text, NOW_MS)
    door.forget(first)
    assert door.take("centre", headers(text), text, NOW_MS) == first


def test_a_signature_from_the_future_is_remembered_until_it_is_too_old() -> None:
    text, door = body(), Callbacks(NOTIFY)
    ahead = headers(text, at_ms=NOW_MS + 299_000)
    door.take("centre", ahead, text, NOW_MS)
    for later_ms in range(0, 599_000, 50_000):
        assert refused("centre", ahead, text, NOW_MS + later_ms, door).refusal is CallbackRefusal.REPLAYED


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.callbacks.SEEN_MAX", 10)
    text, door = body(), Callbacks(NOTIFY)
    for number in range(50):
        door.take("centre", headers(text, webhook_id=f"cb_{number}"), text, NOW_MS)
    assert len(door._seen) <= 12


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"not json", "not an action"),
        (b"[]", "not an action"),
        (b"\xff\xfe", "not an action"),
        (b"{}", "type"),
        (json.dumps({"type": "alert.acknowledge"}).encode(), "data"),
        (body("alert.explode"), "alert.acknowledge"),
        (body("alert.opened"), "no action"),
        (body(alert_id=""), "alert_id"),
        (body(alert_id="x" * 201), "alert_id"),
        (body(alert_id=None), "alert_id"),
        (body(actor=""), "actor"),
        (body(actor="x" * 101), "actor"),
        (body(actor="a\nb"), "actor"),
        (body(assignee="a\tb"), "assignee"),
        (body(note="x" * 2001), "note"),
        (body(note="\0"), "note"),
        (body(version=-1), "version"),
        (body(version="3"), "version"),
        (body(disposition="MAYBE"), "disposition"),
    ],
)
def test_a_wrong_body_is_one_sentence_that_names_the_field(text: bytes, says: str) -> None:
    error = refused("centre", headers(text), text)
    assert error.refusal is CallbackRefusal.BAD_BODY
    assert says in str(error)


def test_a_wrong_body_does_not_use_up_its_id() -> None:
    door = Callbacks(NOTIFY)
    wrong, right = body(actor=""), body()
    refused("centre", headers(wrong), wrong, at=door)
    door.take("centre", headers(right), right, NOW_MS)


def test_too_large_is_refused_before_it_is_verified() -> None:
    text = body(note="x" * BODY_MAX_BYTES)
    assert refused("centre", headers(text), text).refusal is CallbackRefusal.TOO_LARGE


@given(
    st.binary(max_size=200),
    st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text()),
)
def test_nothing_unsigned_gets_through(text: bytes, given_headers: dict[str, str]) -> None:
    """Whatever the bytes and headers: refused in one way, or signed by the secret."""
    refused("centre", given_headers, text)


@given(st.binary(max_size=200) | st.from_type(dict).map(lambda d: msgspec.json.encode(str(d))))
def test_whatever_is_signed_is_an_action_or_refused(text: bytes) -> None:
    """No signed body makes anything but an action or a refusal."""
    try:
        action = Callbacks(NOTIFY).take("centre", headers(text), text, NOW_MS)
    except CallbackRefused as error:
        refusal = error.refusal
    else:
        refusal = None
        assert action.role is Role.DISPATCHER
    assert refusal in (None, CallbackRefusal.BAD_BODY)


def test_every_refusal_has_its_status() -> None:
    assert set(STATUS) == set(CallbackRefusal)
