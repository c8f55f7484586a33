"""``docs/webhooks.md`` says what is so: its code runs, its example is made by the code, its words are all there."""

import asyncio
import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from gridbeacon.alert_book import AlertBook
from gridbeacon.config import Config, Notify, Webhook
from gridbeacon.lifecycle import advance
from gridbeacon.model import Alert, Evidence, Notice, Position, Situation
from gridbeacon.notices import EVIDENCE_MAX, NOTICE_TYPES, Telling, standard_body
from gridbeacon.reasons import ActionKind, Certainty, DeliveryOutcome, Level, Mode, Reason
from gridbeacon.stages import hold_back
from sinks.bodies import PROFILES
from sinks.bodies.cap import NAMESPACE
from sinks.bodies.message import Setting
from sinks.callbacks import BODY_MAX_BYTES, STATUS, Callbacks
from sinks.deliveries import JITTER_SHARE, RETRIED_STATUS, Attempt, Result
from sinks.outbox import RETRY_AFTER_MAX_SECS
from sinks.signing import sign
from sinks.webhook import DETAIL_MAX_CHARS, WebhookSender, check_webhooks
from tests.told import messages

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of one language, in order."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)
    return [text for name, text in fences if name == language]


def example() -> Notice:
    """The notice whose body the document shows: a camera crosses yellow, then orange."""

    def situation(level: Level, value: float, threshold: float, since_ms: int) -> Situation:
        text = f"CAM-0012: {value} people/m², limit {threshold:g}"
        return Situation(
            cell="310101001002003",
            rule="safety",
            level=level,
            reason=Reason.DENSITY,
            certainty=Certainty.OBSERVED,
            data_lost=False,
            headline=text,
            evidence=(
                Evidence(
                    series="crowd/CAM-0012/density_max_per_m2",
                    layer="limit",
                    reason=Reason.DENSITY,
                    level=level,
                    since_ms=since_ms,
                    lineage=Position("crowd.metrics", 3, 41_877, 1),
                    value=value,
                    threshold=threshold,
                    text=text,
                ),
            ),
        )

    opened_ms = 1_672_484_400_000
    book = AlertBook(Config())
    notices: list[Notice] = []
    alert: Alert | None = None
    for at_ms, now in (
        (opened_ms, situation(Level.YELLOW, 3.4, 3.0, opened_ms)),
        (opened_ms + 240_000, situation(Level.ORANGE, 4.2, 4.0, opened_ms + 240_000)),
    ):
        for after, event in advance(alert, now, at_ms, mode=Mode.LIVE, area_digits=6):
            alert = after
            notice = hold_back(Telling(alert=alert, event=event, notices=len(notices)), book)
            assert isinstance(notice, Notice)
            assert notice.body == standard_body(alert, event, notice.sequence)
            notices.append(notice)
    return notices[-1]


def test_the_body_shown_is_the_body_sent() -> None:
    shown = blocks("json")[0]
    assert json.loads(shown) == json.loads(example().body)
    assert shown.strip() == json.dumps(json.loads(example().body), indent=2, ensure_ascii=False)


def shown_as(profile: str, language: str) -> str:
    """Return the second notice of an alert in a profile as the document shows it: indented, with ``data`` left out."""
    hook = Webhook(
        name="dispatch-centre", url="https://h/", profile=profile, routing_key="R0UT1NGKEY", language=language
    )
    setting = Setting(sender="gridbeacon.example.org", timezone="Asia/Shanghai")
    body = PROFILES[profile].render(messages()[1], hook, setting)
    if profile == "cap":
        tree = ET.fromstring(body)
        ET.register_namespace("", NAMESPACE)
        ET.indent(tree)
        return ET.tostring(tree, encoding="unicode").strip()
    tree = json.loads(body)
    if "data" in tree:
        tree["data"] = "as in the standard body"
    if "payload" in tree:
        tree["payload"]["custom_details"] = "data of the standard body"
    return json.dumps(tree, indent=2, ensure_ascii=False)


@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "standard"])
def test_each_profile_has_its_section_with_an_example_of_what_is_sent(profile: str) -> None:
    (section,) = re.findall(rf"^### `{profile}`.*?\n(.*?)(?=^##)", DOC, re.MULTILINE | re.DOTALL)
    (example_shown,) = re.findall(r"^```\w+\n(.*?)\n```$", section, re.MULTILINE | re.DOTALL)
    assert example_shown in {shown_as(profile, "zh"), shown_as(profile, "en")}
    assert f"`{PROFILES[profile].content_type}`" in section or PROFILES[profile].content_type == "application/json"


def test_every_field_and_every_type_is_explained() -> None:
    for field in json.loads(example().body)["data"]:
        assert f"`{field}`" in DOC
    for notice_type in NOTICE_TYPES.values():
        assert f"| `{notice_type}` |" in DOC


def test_the_verification_snippet_verifies() -> None:
    namespace: dict[str, object] = {}
    exec(blocks("python")[0], namespace)
    verify = namespace["is_from_gridbeacon"]
    assert callable(verify)
    body = blocks("")[0].strip().encode()
    (signature,) = re.findall(r"give `(v1,\S+)`", DOC)
    headers = {"webhook-id": "msg_01", "webhook-timestamp": "1795348800", "webhook-signature": signature}
    assert sign([SECRET], "msg_01", 1795348800, body) == signature
    assert verify(SECRET, headers, body, 1795348800)
    assert verify(SECRET, headers | {"webhook-signature": "v1,b3RoZXI= " + signature}, body, 1795348800)
    assert not verify(SECRET, headers, body + b" ", 1795348800)
    assert not verify(SECRET, headers, body, 1795348800 + 301)


def test_the_configuration_shown_is_valid_and_every_key_is_explained() -> None:
    (shown,) = blocks("yaml")
    (tree,) = msgspec.yaml.decode(shown, type=dict[str, Notify]).values()
    check_webhooks(tree)
    for key in Webhook.__struct_fields__:
        assert re.search(rf"^\| (`\w+`, )?`{key}`", DOC, re.MULTILINE), key


def test_the_retry_plan_and_its_limits_are_the_defaults() -> None:
    plan = [f"{secs:g}" for secs in Notify().retry_secs]
    assert f"after {', '.join(plan[:-1])} and then every {plan[-1]} seconds" in DOC
    assert "| " + ", ".join(str(status) for status in sorted(RETRIED_STATUS)) + ", 5xx," in DOC
    assert (JITTER_SHARE, RETRY_AFTER_MAX_SECS) == (0.2, 3600)  # "up to a fifth later", "up to an hour"
    assert Notify().give_up_after_secs == 86_400  # "for a day"
    assert f"first {DETAIL_MAX_CHARS} characters" in DOC
    assert f"{EVIDENCE_MAX} at most" in DOC
    assert all(f"`{outcome}`" in DOC for outcome in DeliveryOutcome)


def test_the_callback_shown_is_taken_and_its_answers_are_those_that_are_given() -> None:
    text = next(block for block in blocks("json") if '"alert.dispatch"' in block).encode()
    request = next(block for block in blocks("") if "POST /callbacks/" in block)
    given = dict(re.findall(r"^(webhook-[\w]+): (\S+)$", request, re.MULTILINE))
    given["webhook-signature"] = sign([SECRET], given["webhook-id"], int(given["webhook-timestamp"]), text)
    hook = Webhook(name="dispatch-centre", url="https://h/", secrets=(SECRET,), callbacks="dispatcher")
    now_ms = int(given["webhook-timestamp"]) * 1000
    action = Callbacks(Notify(webhooks=(hook,))).take("dispatch-centre", given, text, now_ms)
    assert (action.kind, action.version, action.assignee) == ("dispatch", 2, "patrol 4")
    assert f"`{action.actor}`" in DOC
    section = DOC.partition("## Callbacks")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| (\d+) \| `(\w+)` \|", section, re.MULTILINE)) == {
        (str(status), refusal) for refusal, status in STATUS.items()
    }
    assert all(f"`{kind}`" in section for kind in ActionKind)
    assert str(BODY_MAX_BYTES) in section


def test_the_receiver_shown_receives(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = tmp_path / "receiver.py"
    script.write_text(blocks("python")[1].replace("8480", str(port)), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(script)], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        listening = process.stdout.readline()
        url = listening.split()[-1]
        assert url == f"http://127.0.0.1:{port}/notices"
        assert url.replace(str(port), "8480") in DOC
        assert [result.status for result in asyncio.run(send_twice(url))] == [503, 204]
    finally:
        process.terminate()
        process.wait(10)


async def send_twice(url: str) -> list[Result]:
    config = Notify(webhooks=(Webhook(name="a", url=url, secrets=(SECRET,), allow_private=True),))
    async with WebhookSender(config) as sender:
        return [await sender.send(Attempt("a", example(), n), time.time_ns() // 1_000_000) for n in (1, 2)]
