"""What a person asks of role notify: records of its one log, between the transitions, so that they are durable too."""

import msgspec

from gridbeacon.model import Notice
from sinks.bodies.message import Sent

_START = b'{"order":'


class Redeliver(msgspec.Struct, frozen=True, kw_only=True, tag_field="order", tag="redeliver"):
    """Send a notice to an endpoint once more, with the same ``webhook-id`` and body; ``earlier`` as the first time."""

    notice: Notice
    endpoint: str
    actor: str
    at_ms: int
    earlier: tuple[Sent, ...] = ()


class Enable(msgspec.Struct, frozen=True, kw_only=True, tag_field="order", tag="enable"):
    """Send notices to an endpoint again that was disabled because it answered 410 Gone."""

    endpoint: str
    actor: str
    at_ms: int


Order = Redeliver | Enable
_decoder: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)


def order_of(value: bytes) -> Order | None:
    """Return the order that a record of the ``alerts`` log is, None when it is a transition.

    >>> order_of(msgspec.json.encode(Enable(endpoint="a", actor="x", at_ms=1)))
    Enable(endpoint='a', actor='x', at_ms=1)
    """
    return _decoder.decode(value) if value.startswith(_START) else None
