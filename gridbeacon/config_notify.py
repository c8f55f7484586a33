"""The section ``notify`` of the configuration: where notices go, in which form, and when they are given up."""

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from gridbeacon.config_section import Positive, Section
from gridbeacon.errors import ConfigError
from gridbeacon.reasons import Mode
from gridbeacon.secrets import secret_bytes

ProfileName = Literal["standard", "alertmanager", "cloudevents", "pagerduty", "wecom", "dingtalk", "feishu", "cap"]

#: Receivers that verify the signature of Standard Webhooks; the others have schemes of their own and may do without.
SIGNED: frozenset[str] = frozenset({"standard", "alertmanager", "cloudevents", "cap"})
#: Systems that keep an entry for each alert: what stands in another alert's notice alone they never open and never end.
ONE_EACH: frozenset[str] = frozenset({"alertmanager", "pagerduty", "cap"})
#: Robots that may be told to sign by a scheme of their own.
ROBOTS_THAT_SIGN: frozenset[str] = frozenset({"dingtalk", "feishu"})


class Webhook(Section, frozen=True):
    """One endpoint. ``secret`` is ``whsec_`` + base64 of at least 24 bytes; several, newest first, while rotating."""

    name: str
    url: str
    profile: ProfileName = "standard"
    """The form of the body."""
    secrets: tuple[str, ...] = ()
    routing_key: str = ""
    """Integration key of a PagerDuty service."""
    sign_secret: str = ""
    """Secret of the robot's own signature (dingtalk, feishu); empty when the robot is protected otherwise."""
    language: Literal["zh", "en"] = "zh"
    """Language of messages for people (wecom, dingtalk, feishu, cap)."""
    modes: tuple[Mode, ...] = (Mode.LIVE,)
    """Anything but live leaves the house only when named here."""
    min_level: Literal["blue", "yellow", "orange", "red"] = "blue"
    fallback: str = ""
    """Name of the webhook that takes over what this one refuses; it gets nothing else."""
    fallback_after_secs: Positive = 120.0
    """A notice that could not be delivered for so long goes to the fallback as well."""
    callbacks: Literal["none", "dispatcher", "officer"] = "none"
    """What this endpoint's system may do by signed callbacks: nothing, or what this role may."""
    allow_private: bool = False
    """Permit loopback, private and link-local addresses."""
    timeout_secs: Positive = 10.0


class Notify(Section, frozen=True):
    """Delivery of notices."""

    webhooks: tuple[Webhook, ...] = ()
    sender: str = "gridbeacon"
    """This installation in messages for machines: CAP ``sender``, CloudEvents and PagerDuty ``source``."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts that webhooks may name; empty = the hosts of the configured webhooks."""
    retry_secs: tuple[float, ...] = (0.0, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0)
    """Waits before each attempt; the last one repeats."""
    give_up_after_secs: Positive = 86400.0
    checkpoint_secs: Positive = 1.0


def mistakes(notify: Notify) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong and the fix) of everything but the addresses (``targets``); no secret is repeated."""
    if not notify.retry_secs or min(notify.retry_secs) < 0:
        yield "notify.retry_secs", "give at least one wait in seconds, none of them negative"
    if not notify.sender or any(letter.isspace() or letter in ",<&" for letter in notify.sender):
        yield "notify.sender", "CAP permits no space, comma, < or & in it; write a name such as gridbeacon.example.org"
    names = Counter(webhook.name for webhook in notify.webhooks)
    for number, webhook in enumerate(notify.webhooks):
        key = f"notify.webhooks[{number}]"
        if not webhook.name or names[webhook.name] > 1:
            yield f"{key}.name", f"{webhook.name!r} must be a name that no other webhook has; change it"
        if not webhook.modes:
            yield f"{key}.modes", "without a mode nothing is ever sent; name one, such as live"
        yield from _credentials(webhook, key)
        yield from _fallback(webhook, notify, key)


def _credentials(webhook: Webhook, key: str) -> Iterator[tuple[str, str]]:
    if webhook.profile in SIGNED and not webhook.secrets:
        yield f"{key}.secrets", "give at least one secret, whsec_ and the base64 of at least 24 bytes"
    for place, secret in enumerate(webhook.secrets):
        try:
            secret_bytes(secret)
        except (ConfigError, ValueError) as error:
            why = error if isinstance(error, ConfigError) else "a webhook secret must be plain ASCII"
            yield f"{key}.secrets[{place}]", f"{why}; make one with: openssl rand -base64 24"
    if webhook.callbacks != "none" and not webhook.secrets:
        yield f"{key}.callbacks", "callbacks are verified by the webhook's secrets; give one, or write callbacks: none"
    if webhook.profile == "pagerduty" and not webhook.routing_key:
        yield f"{key}.routing_key", "PagerDuty needs the integration key of the service; copy it from there"
    if webhook.profile != "pagerduty" and webhook.routing_key:
        yield f"{key}.routing_key", f"the profile {webhook.profile} has none; remove it, or write profile: pagerduty"
    if webhook.profile not in ROBOTS_THAT_SIGN and webhook.sign_secret:
        yield f"{key}.sign_secret", f"the profile {webhook.profile} has none; remove it (dingtalk and feishu have one)"


def _fallback(webhook: Webhook, notify: Notify, key: str) -> Iterator[tuple[str, str]]:
    following = {one.name: one.fallback for one in notify.webhooks}
    if webhook.fallback and webhook.fallback not in following:
        yield f"{key}.fallback", f"there is no webhook {webhook.fallback!r}; name one of {', '.join(following)}"
        return
    name = webhook.fallback
    for _ in notify.webhooks:
        if name == webhook.name:
            yield f"{key}.fallback", f"the fallbacks of {webhook.name!r} lead back to it; end the chain somewhere"
            return
        name = following.get(name, "")
