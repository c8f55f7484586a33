"""Where webhooks may connect: the address is judged when a socket is about to connect, on what the name has just
resolved to, so that a name that changes its mind (DNS rebinding) does not pass."""

import socket
from collections.abc import Callable
from errno import EACCES
from typing import Any

from gridbeacon.targets import refusal


class AddressRefused(OSError):
    """The host resolved to an address that this endpoint may not reach; nothing was sent."""


def guarded_socket(*, allow_private: bool) -> Callable[[tuple[Any, ...]], socket.socket]:
    """Return a socket factory (for ``aiohttp.TCPConnector``) that raises ``AddressRefused`` for a refused address."""

    def make(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, target = info
        reason = refusal(target[0], allow_private=allow_private)
        if reason is not None:
            raise AddressRefused(EACCES, f"{reason}; set 'allow_private: true' for this webhook if it may go there")
        return socket.socket(family, kind, protocol)

    return make
