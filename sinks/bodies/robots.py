"""Messages for the chat robots that dispatchers use: WeCom (企业微信), DingTalk (钉钉), Feishu (飞书).

Their robots have signatures of their own, in the address or in the body, made anew for each attempt; and they answer
200 whatever happened: the JSON of the answer says whether the message was taken.
"""

import hmac
from base64 import b64encode
from hashlib import sha256
from typing import NamedTuple

import msgspec

from gridbeacon.config_notify import Webhook
from gridbeacon.reasons import DeliveryOutcome, Level
from sinks.bodies.message import CLEARED, Message, Setting
from sinks.bodies.words import markdown, title

WECOM_MAX_BYTES = 4096
"""Of the markdown content; a longer one is refused."""
DINGTALK_MAX_BYTES = 15_000
FEISHU_MAX_BYTES = 20_000
RATE_SECS = 60.0
"""Robots take 20 to 100 messages a minute; after more, a minute's pause is what they ask for."""
_COLOURS = {Level.BLUE: "blue", Level.YELLOW: "yellow", Level.ORANGE: "orange", Level.RED: "red"}
_WECOM_COLOURS = {Level.BLUE: "comment", Level.YELLOW: "warning", Level.ORANGE: "warning", Level.RED: "warning"}

#: Numbers that say "too many messages" or "busy", and so "later": WeCom 45009 and -1, DingTalk 130101 and -1, Feishu
#: 11232 and 9499. Any other number but 0 says "never": a wrong key, a missing keyword, a bad signature.
LATER = frozenset({-1, 45009, 130101, 130102, 9499, 11232, 11233})


class Answer(NamedTuple):
    """What a robot's answer means, and the pause that it asks for."""

    outcome: DeliveryOutcome
    retry_after_secs: float | None = None


def wecom(message: Message, hook: Webhook, setting: Setting) -> bytes:
    """Return a markdown message of WeCom's group robot, at most ``WECOM_MAX_BYTES`` of content."""
    colour = "info" if message.type == CLEARED else _WECOM_COLOURS.get(message.level, "comment")
    head = f'**<font color="{colour}">{title(message, hook.language)}</font>**'
    content = cut("\n".join([head, *markdown(message, hook.language, setting.timezone)]), WECOM_MAX_BYTES)
    return msgspec.json.encode({"msgtype": "markdown", "markdown": {"content": content}})


def dingtalk(message: Message, hook: Webhook, setting: Setting) -> bytes:
    """Return a markdown message of DingTalk's group robot (two line ends make a new line there)."""
    head = title(message, hook.language)
    text = "\n\n".join([f"### {head}", *markdown(message, hook.language, setting.timezone)])
    return msgspec.json.encode(
        {"msgtype": "markdown", "markdown": {"title": head, "text": cut(text, DINGTALK_MAX_BYTES)}}
    )


def feishu(message: Message, hook: Webhook, setting: Setting) -> bytes:
    """Return a card of Feishu's group robot; the colour of its head is that of the level, green when it is over."""
    unknown = message.data.condition_state == "unknown"
    colour = "green" if message.type == CLEARED else "grey" if unknown else _COLOURS.get(message.level, "grey")
    text = cut("\n".join(markdown(message, hook.language, setting.timezone)), FEISHU_MAX_BYTES)
    card = {
        "config": {"wide_screen_mode": True},
        "header": {"title": {"tag": "plain_text", "content": title(message, hook.language)}, "template": colour},
        "elements": [{"tag": "markdown", "content": text}],
    }
    return msgspec.json.encode({"msg_type": "interactive", "card": card})


def dingtalk_sign(secret: str, now_ms: int) -> dict[str, str]:
    """Return what DingTalk wants in the address: ``timestamp`` in milliseconds, and ``sign``.

    >>> dingtalk_sign("SECabc", 1_672_484_640_000)["sign"]
    '26jiljWSNjcqA7wdfkOOwfEOV0CCOyzf58paW+75vcs='
    """
    digest = hmac.new(secret.encode(), f"{now_ms}\n{secret}".encode(), sha256).digest()
    return {"timestamp": str(now_ms), "sign": b64encode(digest).decode()}


def feishu_sign(secret: str, now_ms: int) -> dict[str, str]:
    """Return what Feishu wants in the body: ``timestamp`` in seconds, and ``sign``, whose key is the text itself.

    >>> feishu_sign("abc", 1_672_484_640_000)["timestamp"]
    '1672484640'
    """
    stamp = str(now_ms // 1000)
    digest = hmac.new(f"{stamp}\n{secret}".encode(), b"", sha256).digest()
    return {"timestamp": stamp, "sign": b64encode(digest).decode()}


class _Said(msgspec.Struct):
    errcode: int | None = None
    code: int | None = None
    StatusCode: int | None = None


def answer_of(body: bytes) -> Answer:
    """Return what a robot's JSON means, given HTTP status 200.

    >>> answer_of(b'{"errcode":0,"errmsg":"ok"}').outcome, answer_of(b'{"code":19021,"msg":"sign match fail"}').outcome
    (<DeliveryOutcome.DELIVERED: 'delivered'>, <DeliveryOutcome.PERMANENT: 'permanent'>)
    """
    try:
        said = msgspec.json.decode(body, type=_Said)
    except msgspec.MsgspecError:
        return Answer(DeliveryOutcome.RETRY)  # whoever that was (a gateway, a login page), it was not the robot
    number = next((n for n in (said.errcode, said.code, said.StatusCode) if n is not None), None)
    if number is None:
        return Answer(DeliveryOutcome.RETRY)
    if number in LATER:
        return Answer(DeliveryOutcome.RETRY, RATE_SECS)
    return Answer(DeliveryOutcome.DELIVERED if number == 0 else DeliveryOutcome.PERMANENT)


def cut(text: str, max_bytes: int) -> str:
    """Return text of at most ``max_bytes`` in UTF-8, cut between letters.

    >>> cut("人民广场", 8)
    '人…'
    """
    data = text.encode()
    if len(data) <= max_bytes:
        return text
    return data[: max_bytes - 3].decode("utf-8", "ignore") + "…"
