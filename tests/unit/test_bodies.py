"""What each kind of receiver gets, held against the standards' own schemas and packages."""

import hmac
import json
import re
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from standardwebhooks.webhooks import Webhook as StandardWebhook
from yarl import URL

from gridbeacon.config_notify import ROBOTS_THAT_SIGN, SIGNED, ProfileName, Webhook
from gridbeacon.notices import NOTICE_TYPES
from gridbeacon.reasons import DeliveryOutcome, Level, Mode
from sinks.bodies import PROFILES
from sinks.bodies.cap import NAMESPACE
from sinks.bodies.machines import NO_END, PAGERDUTY_SEVERITY, SUMMARY_MAX_CHARS
from sinks.bodies.message import Member, Message, Setting
from sinks.bodies.robots import WECOM_MAX_BYTES, answer_of, cut, dingtalk_sign, feishu_sign
from sinks.bodies.words import TYPES, plain
from sinks.signing import sign
from tests.told import LIFE, messages

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SETTING = Setting(sender="gridbeacon.example.org", timezone="Asia/Shanghai")
SCHEMA_FILE = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "cap" / "CAP-v1.2.xsd"
CAP = {"cap": NAMESPACE}
NASTY = "<at id=all></at> @all [x](https://evil.example) \x00\x1b\ud7ff ]]> & *b* `c`\nx"


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    if not SCHEMA_FILE.exists():
        pytest.skip(f"the schema of CAP 1.2 is not at {SCHEMA_FILE}")
    return etree.XMLSchema(etree.parse(SCHEMA_FILE))


def hook(profile: str, **settings: object) -> Webhook:
    plain_hook = Webhook(name="centre", url="https://h.example.org/x", profile=profile, secrets=(SECRET,))
    return msgspec.structs.replace(plain_hook, **settings)


def render(profile: str, message: Message, **settings: object) -> bytes:
    return PROFILES[profile].render(message, hook(profile, **settings), SETTING)


def decoded(profile: str, message: Message, **settings: object) -> Any:
    return json.loads(render(profile, message, **settings))


def test_the_configuration_and_the_profiles_name_the_same_kinds() -> None:
    assert set(PROFILES) == set(get_args(ProfileName))
    assert set(PROFILES) > SIGNED
    assert {name for name, one in PROFILES.items() if one.answer} >= ROBOTS_THAT_SIGN
    assert {name for name, one in PROFILES.items() if one.min_level > Level.BLUE} == {"cap"}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_body_is_a_function_of_the_notice(profile: str, language: str) -> None:
    for one, again in zip(messages(findings=30), messages(findings=30), strict=True):
        body = render(profile, one, language=language)
        assert body == render(profile, again, language=language)
        assert one.data.alert_id.encode() in body
        assert len(body) < 30_000


def test_standard_is_the_notice_to_the_byte() -> None:
    for message in messages():
        assert render("standard", message) == message.body


def test_the_standardwebhooks_package_verifies_us_and_signs_the_same() -> None:
    judge = StandardWebhook(SECRET)
    now_secs = int(datetime.now(UTC).timestamp())
    for message in messages():
        headers = {
            "webhook-id": message.notice_id,
            "webhook-timestamp": str(now_secs),
            "webhook-signature": sign(
                ["whsec_" + b64encode(bytes(32)).decode(), SECRET], message.notice_id, now_secs, message.body
            ),
        }
        assert judge.verify(message.body, headers) == json.loads(message.body)
    known = b'{"type":"alert.opened","timestamp":"2026-11-22T12:00:00Z","data":{"alert_id":"a-1","level":"orange"}}'
    at = datetime.fromtimestamp(1_795_348_800, UTC)
    answer = "v1,Qmwdtwlb4RPvzyYctmzCqF412rxGHbuVOXqIacUbTuQ="
    assert judge.sign("msg_01", at, known.decode()) == answer
    assert sign([SECRET], "msg_01", 1_795_348_800, known) == answer


CAMEL = {
    "starts_at": "startsAt",
    "ends_at": "endsAt",
    "generator_url": "generatorURL",
    "group_key": "groupKey",
    "truncated_alerts": "truncatedAlerts",
    "group_labels": "groupLabels",
    "common_labels": "commonLabels",
    "common_annotations": "commonAnnotations",
    "external_url": "externalURL",
}


class _Alert(msgspec.Struct, forbid_unknown_fields=True, rename=CAMEL):
    """As ``template.Alert`` of Alertmanager: every key is there, and of this type."""

    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime
    generator_url: str
    fingerprint: str


class _Group(msgspec.Struct, forbid_unknown_fields=True, rename=CAMEL):
    """As ``webhook.Message`` of Alertmanager, version 4."""

    version: str
    group_key: str
    truncated_alerts: int
    status: str
    receiver: str
    group_labels: dict[str, str]
    common_labels: dict[str, str]
    common_annotations: dict[str, str]
    external_url: str
    alerts: list[_Alert]


def test_alertmanager_is_version_4_and_one_alert_all_along() -> None:
    groups = [msgspec.json.decode(render("alertmanager", m), type=_Group) for m in messages()]
    assert {g.version for g in groups} == {"4"}
    assert len({(g.group_key, g.alerts[0].fingerprint, g.alerts[0].starts_at) for g in groups}) == 1
    assert [g.status for g in groups] == ["firing"] * 5 + ["resolved"]
    assert [g.alerts[0].labels["severity"] for g in groups] == "yellow orange orange orange red red".split()
    for group in groups:
        (alert,) = group.alerts
        assert group.receiver == "centre"
        assert alert.status == group.status
        assert alert.labels.items() >= group.group_labels.items()
        assert (group.common_labels, group.common_annotations) == (alert.labels, alert.annotations)
        assert re.fullmatch(r"[0-9a-f]{16}", alert.fingerprint)
        assert all(re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) for name in {**alert.labels, **alert.annotations})
        assert (alert.ends_at > alert.starts_at) == (group.status == "resolved")
    assert json.loads(render("alertmanager", messages()[0]))["alerts"][0]["endsAt"] == NO_END


def test_cloudevents_parse_with_the_cloudevents_package() -> None:
    for message in messages():
        headers = {"content-type": PROFILES["cloudevents"].content_type}
        event = from_http_event(HTTPMessage(headers, render("cloudevents", message)))
        assert event.get_id() == message.notice_id
        assert event.get_source() == SETTING.sender
        assert event.get_type() == f"gridbeacon.{message.type}"
        assert event.get_subject() == message.data.alert_id
        assert event.get_specversion() == "1.0"
        assert event.get_time() == datetime.fromisoformat(message.timestamp)
        assert event.get_data() == json.loads(message.body)["data"]


def test_pagerduty_opens_one_incident_and_resolves_it() -> None:
    events = [decoded("pagerduty", m, routing_key="R" * 32) for m in messages(headline="x" * 5000)]
    assert [e["event_action"] for e in events] == ["trigger"] * 5 + ["resolve"]
    assert len({e["dedup_key"] for e in events}) == 1
    assert all(e["routing_key"] == "R" * 32 and len(e["dedup_key"]) <= 255 for e in events)
    assert [e["payload"]["severity"] for e in events[:5]] == "warning error error error critical".split()
    assert set(PAGERDUTY_SEVERITY.values()) == {"critical", "error", "warning", "info"}
    for event in events[:5]:
        assert set(event["payload"]) >= {"summary", "source", "severity"}
        assert len(event["payload"]["summary"]) <= SUMMARY_MAX_CHARS
        datetime.fromisoformat(event["payload"]["timestamp"])


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("text", ["CAM-0012: 4.2 people/m², limit 4", NASTY])
def test_cap_is_valid_against_the_schema(schema: etree.XMLSchema, language: str, mode: Mode, text: str) -> None:
    previous: list[str] = []
    for message in messages(headline=text, text=text, mode=mode, findings=3):
        tree = etree.fromstring(render("cap", message, language=language))
        schema.assertValid(tree)

        def said(path: str, tree: Any = tree) -> str:
            return tree.findtext(path, namespaces=CAP)

        identifier, sender, sent = (said(f"cap:{name}") for name in ("identifier", "sender", "sent"))
        assert not re.search(r"[\s,<&]", identifier + sender)
        assert (said("cap:references") or "").split() == previous
        previous.append(f"{sender},{identifier},{sent}")
        assert said("cap:restriction")
        assert said("cap:msgType") == (
            "Alert" if len(previous) == 1 else "Cancel" if "clear" in message.type else "Update"
        )
        assert (
            said("cap:status") == {"live": "Actual", "replay": "System", "exercise": "Exercise", "test": "Test"}[mode]
        )
        assert said("cap:info/cap:area/cap:geocode/cap:value") == "310101001002003"


def test_the_schema_itself_refuses(schema: etree.XMLSchema) -> None:
    tree = etree.fromstring(render("cap", messages()[0]))
    tree.find("cap:status", CAP).text = "Real"
    assert not schema.validate(tree)


@pytest.mark.parametrize("profile", ["wecom", "dingtalk", "feishu"])
def test_chat_messages_say_what_where_how_bad_and_when(profile: str) -> None:
    zh = [render(profile, m, language="zh").decode() for m in messages()]
    en = [render(profile, m, language="en").decode() for m in messages()]
    for number, (chinese, english) in enumerate(zip(zh, en, strict=True)):
        assert "310101001002003" in chinese
        assert f"2022-12-31 19:0{2 * number}:00 UTC+08:00" in chinese if number < 5 else "19:10:00" in chinese
        assert f"#{number + 1}" in english
    assert "新告警" in zh[0]
    assert "黄色" in zh[0]
    assert "人群密度,实测 4.2,限值 4" in zh[0]
    assert "并非解除" in zh[2]
    assert "not all clear" in en[2]
    assert "红色" in zh[4]
    assert "已解除" in zh[5]
    assert "cleared" in en[5]
    drill = render(profile, messages(mode=Mode.EXERCISE)[0], language="zh").decode()
    assert "【演练】" in drill


def test_chat_bodies_have_the_robots_own_form() -> None:
    long = messages(headline="长" * 9000, text="长" * 9000, findings=30)
    for message in [*messages(), *long]:
        for language in ("zh", "en"):
            wecom = decoded("wecom", message, language=language)
            assert set(wecom) == {"msgtype", "markdown"}
            assert len(wecom["markdown"]["content"].encode()) <= WECOM_MAX_BYTES
            dingtalk = decoded("dingtalk", message, language=language)
            assert dingtalk["msgtype"] == "markdown"
            assert set(dingtalk["markdown"]) == {"title", "text"}
            feishu = decoded("feishu", message, language=language)
            assert feishu["msg_type"] == "interactive"
            assert set(feishu["card"]) == {"config", "header", "elements"}
    colours = [decoded("feishu", m)["card"]["header"]["template"] for m in messages()]
    assert colours == "yellow orange grey orange red green".split()


def test_signatures_of_the_robots_are_made_for_the_attempt_and_the_rest_is_the_same() -> None:
    message, now_ms = messages()[0], 1_672_484_640_123
    dingtalk = hook("dingtalk", sign_secret="SEC-one")
    body, query = PROFILES["dingtalk"].dress(render("dingtalk", message), dingtalk, now_ms)
    expected = b64encode(hmac.new(b"SEC-one", f"{now_ms}\nSEC-one".encode(), sha256).digest()).decode()
    assert (body, query) == (render("dingtalk", message), {"timestamp": str(now_ms), "sign": expected})
    sent = urlsplit(
        str(URL("https://h.example.org/send?access_token=t").update_query(dingtalk_sign("SEC-one", now_ms)))
    )
    assert parse_qs(sent.query) == {"access_token": ["t"], "timestamp": [str(now_ms)], "sign": [expected]}
    feishu = hook("feishu", sign_secret="two")
    body, query = PROFILES["feishu"].dress(render("feishu", message), feishu, now_ms)
    assert query == {}
    expected = b64encode(hmac.new(b"1672484640\ntwo", b"", sha256).digest()).decode()
    assert json.loads(body) == {"timestamp": "1672484640", "sign": expected} | decoded("feishu", message)
    assert feishu_sign("two", now_ms)["sign"] == expected
    for name in PROFILES:
        unsigned = hook(name)
        assert PROFILES[name].dress(b"{}", unsigned, now_ms) == (b"{}", {})


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b'{"errcode":0,"errmsg":"ok"}', "delivered"),
        (b'{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}', "delivered"),
        (b'{"StatusCode":0,"StatusMessage":"success"}', "delivered"),
        (b'{"errcode":45009,"errmsg":"api freq out of limit"}', "retry"),
        (b'{"errcode":130101,"errmsg":"send too fast"}', "retry"),
        (b'{"code":11232,"msg":"frequency limited"}', "retry"),
        (b'{"errcode":-1,"errmsg":"system busy"}', "retry"),
        (b'{"errcode":93000,"errmsg":"invalid webhook url"}', "permanent"),
        (b'{"errcode":310000,"errmsg":"sign not match"}', "permanent"),
        (b'{"code":19021,"msg":"sign match fail"}', "permanent"),
        (b"<html>please log in</html>", "retry"),
        (b"", "retry"),
        (b"[]", "retry"),
        (b"{}", "retry"),
    ],
)
def test_what_a_robots_answer_means(answer: bytes, outcome: str) -> None:
    said = answer_of(answer)
    assert said.outcome == DeliveryOutcome(outcome)
    assert (said.retry_after_secs is not None) == (outcome == "retry" and b"code" in answer)


@given(st.text())
def test_no_markup_of_a_robot_survives(text: str) -> None:
    """Nobody's text becomes a link, a mention, a tag or a line of its own."""
    shown = plain(text)
    assert not set(shown) & set("<>@*`[]\\\n\r\x00")
    assert shown.isprintable()
    assert plain(shown) == shown


@given(st.text(), st.integers(3, 60))
def test_cut_text_fits_and_is_its_beginning(text: str, size: int) -> None:
    """At most so many bytes, whole letters, from the front."""
    text = text.encode("utf-8", "ignore").decode()
    short = cut(text, size)
    assert len(short.encode()) <= size
    assert short == text or text.startswith(short[:-1])


def test_chat_messages_name_who_acted_and_what_else_is_told() -> None:
    message = messages()[0]
    group = tuple(Member(f"310101-{n}", "red", f"31010100100200{n}", f"cell {n} is full") for n in range(9))
    data = msgspec.structs.replace(
        message.data, actor="li.wei", note="[on](x) our way", handling_state="acknowledged", group=group, group_count=12
    )
    acted = msgspec.structs.replace(message, type="alert.acknowledged", data=data)
    zh, en = (decoded("wecom", acted, language=language)["markdown"]["content"] for language in ("zh", "en"))
    assert "已确认 (li.wei): 〔on〕(x) our way" in zh
    assert "acknowledged (li.wei)" in en
    assert "310101001002004" in zh
    assert "310101001002005" not in zh
    assert "另有 7 项" in zh
    assert "red 310101001002000: cell 0 is full" in en
    assert "(gridbeacon)" not in decoded("wecom", message, language="en")["markdown"]["content"]


def test_every_type_of_notice_has_its_words() -> None:
    assert set(NOTICE_TYPES.values()) <= set(TYPES["zh"]) & set(TYPES["en"])
    assert {kind for _, kind, _, _ in LIFE} <= set(NOTICE_TYPES.values())
