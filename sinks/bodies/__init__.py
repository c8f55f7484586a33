"""What a notice looks like to each kind of receiver: one dict of profiles, each a pure function to bytes."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from gridbeacon.config_notify import ProfileName, Webhook
from gridbeacon.reasons import Level
from sinks.bodies.cap import cap
from sinks.bodies.machines import alertmanager, cloudevents, pagerduty
from sinks.bodies.message import Message, Setting, standard
from sinks.bodies.robots import Answer, answer_of, dingtalk, dingtalk_sign, feishu, feishu_sign, wecom


class Dressed(NamedTuple):
    """A body as one attempt sends it, and what is added to the address."""

    body: bytes
    query: dict[str, str]


class Profile(NamedTuple):
    """How one kind of receiver wants its notices.

    ``render`` gives the same bytes for the same notice. ``dress`` adds the signature of the receiver's own scheme,
    which tells the time of the attempt. ``answer`` reads what a 200 means, where the status does not say it.
    ``min_level`` is the lowest level that this kind is for.
    """

    render: Callable[[Message, Webhook, Setting], bytes]
    content_type: str = "application/json"
    dress: Callable[[bytes, Webhook, int], Dressed] = lambda body, _hook, _now_ms: Dressed(body, {})
    answer: Callable[[bytes], Answer] | None = None
    min_level: Level = Level.BLUE


def _dingtalk(body: bytes, hook: Webhook, now_ms: int) -> Dressed:
    return Dressed(body, dingtalk_sign(hook.sign_secret, now_ms) if hook.sign_secret else {})


def _feishu(body: bytes, hook: Webhook, now_ms: int) -> Dressed:
    if not hook.sign_secret:
        return Dressed(body, {})
    return Dressed(msgspec.json.encode(feishu_sign(hook.sign_secret, now_ms))[:-1] + b"," + body[1:], {})


PROFILES: dict[ProfileName, Profile] = {
    "standard": Profile(standard),
    "alertmanager": Profile(alertmanager),
    "cloudevents": Profile(cloudevents, "application/cloudevents+json"),
    "pagerduty": Profile(pagerduty),
    "wecom": Profile(wecom, answer=answer_of),
    "dingtalk": Profile(dingtalk, dress=_dingtalk, answer=answer_of),
    "feishu": Profile(feishu, dress=_feishu, answer=answer_of),
    "cap": Profile(cap, "application/cap+xml", min_level=Level.ORANGE),
}
