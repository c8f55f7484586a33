"""The section ``notify`` of the configuration: where notices go, in which form, and when they are given up."""

from typing import Literal

from gridbeacon.config_section import Positive, Section
from gridbeacon.reasons import Mode


class Webhook(Section, frozen=True):
    """One endpoint. ``secret`` is ``whsec_`` + base64 of at least 24 bytes; several, newest first, while rotating."""

    name: str
    url: str
    secrets: tuple[str, ...]
    modes: tuple[Mode, ...] = (Mode.LIVE,)
    """Anything but live leaves the house only when named here."""
    min_level: Literal["blue", "yellow", "orange", "red"] = "blue"
    allow_private: bool = False
    """Permit loopback, private and link-local addresses."""
    timeout_secs: Positive = 10.0


class Notify(Section, frozen=True):
    """Delivery of notices."""

    webhooks: tuple[Webhook, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    """Hosts that webhooks may name; empty = the hosts of the configured webhooks."""
    retry_secs: tuple[float, ...] = (0.0, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0)
    """Waits before each attempt; the last one repeats."""
    give_up_after_secs: Positive = 86400.0
    checkpoint_secs: Positive = 1.0
