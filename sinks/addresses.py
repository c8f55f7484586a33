"""Where webhooks may go: http(s) to allowed hosts, and to no inner address unless the endpoint permits it.

The address is checked when a socket is about to connect, on what the name has just resolved to, so that a name that
changes its mind (DNS rebinding) does not pass.
"""

import socket
from collections.abc import Callable
from errno import EACCES
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from yarl import URL

from gridbeacon.config import Notify
from gridbeacon.errors import ConfigError

# IPv6 that carries an IPv4 address to its translator (RFC 6052): the address behind it is what counts.
_NAT64 = IPv6Network("64:ff9b::/96")


class AddressRefused(OSError):
    """The host resolved to an address that this endpoint may not reach; nothing was sent."""


def refusal(address: str, *, allow_private: bool) -> str | None:
    """Return why a webhook may not connect to an IP address, or None when it may.

    Multicast, unspecified and reserved addresses are refused always; loopback, private, link-local and any other
    address that is not public unless ``allow_private``. IPv4 inside IPv6 (mapped, 6to4, Teredo, NAT64) is judged too.

    >>> refusal("::ffff:169.254.169.254", allow_private=False)
    '169.254.169.254 is a link-local address'
    """
    reasons = (_refusal(ip, allow_private=allow_private) for ip in _inner(ip_address(address)))
    return next((reason for reason in reasons if reason is not None), None)


def guarded_socket(*, allow_private: bool) -> Callable[[tuple[Any, ...]], socket.socket]:
    """Return a socket factory (for ``aiohttp.TCPConnector``) that raises ``AddressRefused`` for a refused address."""

    def make(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, target = info
        reason = refusal(target[0], allow_private=allow_private)
        if reason is not None:
            raise AddressRefused(EACCES, f"{reason}; set 'allow_private: true' for this webhook if it may go there")
        return socket.socket(family, kind, protocol)

    return make


def check_targets(notify: Notify) -> None:
    """Check the configured webhooks' URLs; raise ``ConfigError`` that names the key and the fix."""
    allowed: set[str] = set()
    for host in notify.allowed_hosts:
        try:
            allowed.add(_host(URL(f"//{host}")))
        except ValueError:
            raise ConfigError(f"notify.allowed_hosts: {host!r} is not a host; give a name, an IPv4 or [IPv6]") from None
    for number, webhook in enumerate(notify.webhooks):
        key = f"notify.webhooks[{number}].url"
        try:
            url = URL(webhook.url)
            host = _host(url)
        except ValueError as error:
            raise ConfigError(f"{key}: {webhook.url!r} is not a URL ({error})") from None
        if url.scheme not in ("http", "https") or not host:
            raise ConfigError(f"{key}: {webhook.url!r} must be http://HOST/... or https://HOST/...")
        if url.user is not None or url.password is not None:
            raise ConfigError(f"{key}: a URL with a user or password in it is not sent to; use the webhook's secret")
        if allowed and host not in allowed:
            raise ConfigError(f"{key}: host {host!r} is not in 'notify.allowed_hosts'; add it there or change the URL")
        try:
            reason = refusal(host, allow_private=webhook.allow_private)
        except ValueError:
            continue  # a name: its addresses are checked on every connection
        if reason is not None:
            raise ConfigError(f"{key}: {reason}; set 'allow_private: true' for this webhook if it may go there")


def _host(url: URL) -> str:
    return (url.raw_host or "").rstrip(".").lower()


def _inner(ip: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """Return the addresses that a packet to ``ip`` may end at: itself, or the IPv4 addresses it carries."""
    if isinstance(ip, IPv4Address):
        return [ip]
    if ip.ipv4_mapped is not None:
        return [ip.ipv4_mapped]
    if ip in _NAT64:
        return [IPv4Address(int(ip) & 0xFFFFFFFF)]
    carried = [ip.sixtofour, *(ip.teredo or ())]
    return [ip, *(inner for inner in carried if inner is not None)]


def _refusal(ip: IPv4Address | IPv6Address, *, allow_private: bool) -> str | None:
    if ip.is_multicast:
        return f"{ip} is a multicast address"
    if ip.is_unspecified:
        return f"{ip} is no address to connect to"
    if ip.is_loopback:
        return None if allow_private else f"{ip} is a loopback address"
    if ip.is_link_local:
        return None if allow_private else f"{ip} is a link-local address"
    if ip.is_reserved:
        return f"{ip} is a reserved address"
    if not ip.is_global:
        return None if allow_private else f"{ip} is a private address"
    return None
