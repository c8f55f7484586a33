"""Standard Webhooks signatures and the addresses that webhooks may go to."""

from base64 import b64encode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbeacon.config import Notify, Webhook
from gridbeacon.errors import ConfigError
from sinks.addresses import AddressRefused, guarded_socket, refusal
from sinks.signing import Unverified, sign, verify
from sinks.webhook import check_webhooks

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + b64encode(b"another secret of 32 bytes......").decode()
BODY = b'{"type":"alert.opened","timestamp":"2026-11-22T12:00:00Z","data":{"alert_id":"a-1","level":"orange"}}'
STAMP = 1795348800
KNOWN = "v1,Qmwdtwlb4RPvzyYctmzCqF412rxGHbuVOXqIacUbTuQ="


def headers(signature: str = KNOWN, stamp: object = STAMP, notice_id: str = "msg_01") -> dict[str, str]:
    return {"Webhook-Id": notice_id, "Webhook-Timestamp": str(stamp), "Webhook-Signature": signature}


def test_known_answer() -> None:
    assert sign([SECRET], "msg_01", STAMP, BODY) == KNOWN
    assert verify([SECRET], headers(), BODY, STAMP) == "msg_01"


def test_while_rotating_each_side_may_be_ahead() -> None:
    both = sign([OTHER, SECRET], "msg_01", STAMP, BODY)
    assert both.endswith(KNOWN)
    assert len(both.split(" ")) == 2
    for receiver_has in ([SECRET], [OTHER], [OTHER, SECRET]):
        assert verify(receiver_has, headers(both), BODY, STAMP) == "msg_01"
    assert verify([OTHER, SECRET], headers(KNOWN), BODY, STAMP) == "msg_01"


@pytest.mark.parametrize("off_secs", [-300, 300])
def test_tolerance_is_five_minutes_either_way(off_secs: int) -> None:
    verify([SECRET], headers(), BODY, STAMP + off_secs)
    with pytest.raises(Unverified, match="clock"):
        verify([SECRET], headers(), BODY, STAMP + off_secs * 1.01)


@pytest.mark.parametrize(
    ("given_headers", "body"),
    [
        (headers("v1,AAAA"), BODY),
        (headers("v1,not base64 ü"), BODY),
        (headers("v2," + KNOWN[3:]), BODY),
        (headers(""), BODY),
        (headers(notice_id="msg_02"), BODY),
        (headers(stamp=STAMP + 1), BODY),
        (headers(stamp="soon"), BODY),
        (headers(stamp="1" * 5000), BODY),
        (headers(stamp="-5"), BODY),
        (headers(), BODY + b" "),
        ({"webhook-id": "msg_01"}, BODY),
    ],
)
def test_refused(given_headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(Unverified):
        verify([SECRET], given_headers, body, STAMP)


@given(key=st.binary(min_size=24, max_size=64), body=st.binary(), secs=st.integers(0, 2**33), flip=st.integers(0))
def test_what_is_signed_verifies_and_any_flipped_bit_does_not(key: bytes, body: bytes, secs: int, flip: int) -> None:
    secret = "whsec_" + b64encode(key).decode()
    sent = headers(sign([secret], "msg_x", secs, body), secs, "msg_x")
    assert verify([secret], sent, body, secs) == "msg_x"
    if body:
        changed = bytearray(body)
        changed[flip // 8 % len(body)] ^= 1 << flip % 8
        with pytest.raises(Unverified):
            verify([secret], sent, bytes(changed), secs)


PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "::1", "fe80::1",
    "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
]  # fmt: skip
NEVER = ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1", "::ffff:224.0.0.1"]
PUBLIC = ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_need_permission(address: str) -> None:
    assert refusal(address, allow_private=False) is not None
    assert refusal(address, allow_private=True) is None


@pytest.mark.parametrize("address", NEVER)
def test_addresses_that_nobody_may_reach(address: str) -> None:
    assert refusal(address, allow_private=False) is not None
    assert refusal(address, allow_private=True) is not None


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address: str) -> None:
    assert refusal(address, allow_private=False) is None


def test_a_refused_address_gets_no_socket() -> None:
    with pytest.raises(AddressRefused, match="allow_private"):
        guarded_socket(allow_private=False)((2, 1, 6, "", ("127.0.0.1", 80)))
    guarded_socket(allow_private=True)((2, 1, 6, "", ("127.0.0.1", 80))).close()


def webhook(url: str = "https://hooks.example.org/x", **settings: object) -> Webhook:
    return msgspec.structs.replace(Webhook(name="a", url=url, secrets=(SECRET,)), **settings)


@pytest.mark.parametrize(
    ("notify", "says"),
    [
        (Notify(webhooks=(webhook("ftp://example.org/"),)), "http"),
        (Notify(webhooks=(webhook("hooks.example.org/x"),)), "http"),
        (Notify(webhooks=(webhook("https:///x"),)), "url"),
        (Notify(webhooks=(webhook("http://[::1/x"),)), "it is not a URL"),
        (Notify(webhooks=(webhook("https://u:p@example.org/"),)), "password"),
        (Notify(webhooks=(webhook("http://127.0.0.1:9/"),)), "allow_private"),
        (Notify(webhooks=(webhook("http://[::ffff:10.0.0.1]/"),)), "allow_private"),
        (Notify(webhooks=(webhook(),), allowed_hosts=("other.org",)), "allowed_hosts"),
        (Notify(webhooks=(webhook(),), allowed_hosts=("[::",)), "allowed_hosts"),
        (Notify(webhooks=(webhook(), webhook())), r"\[0\].name"),
        (Notify(webhooks=(webhook(secrets=()),)), "secrets"),
        (Notify(webhooks=(webhook(secrets=("password",)),)), "secrets"),
        (Notify(retry_secs=()), "retry_secs"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_the_key(notify: Notify, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        check_webhooks(notify)
    assert "notify." in str(caught.value)
    assert SECRET not in str(caught.value)


def test_allowed_hosts_are_compared_as_hosts() -> None:
    check_webhooks(Notify(webhooks=(webhook("https://Hooks.Example.org./x"),), allowed_hosts=("hooks.example.ORG",)))
    check_webhooks(Notify(webhooks=(webhook("https://bücher.example/x"),), allowed_hosts=("xn--bcher-kva.example",)))
