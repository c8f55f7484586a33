"""Where webhooks may go: http(s) to allowed hosts, and to no inner address unless the endpoint permits it."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from yarl import URL

from gridbeacon.config_notify import Notify, Webhook

# IPv6 that carries an IPv4 address to its translator (RFC 6052): the address behind it is what counts.
_NAT64 = IPv6Network("64:ff9b::/96")


def refusal(address: str, *, allow_private: bool) -> str | None:
    """Return why a webhook may not connect to an IP address, or None when it may.

    Multicast, unspecified and reserved addresses are refused always; loopback, private, link-local and any other
    address that is not public unless ``allow_private``. IPv4 inside IPv6 (mapped, 6to4, Teredo, NAT64) is judged too.

    >>> refusal("::ffff:169.254.169.254", allow_private=False)
    '169.254.169.254 is a link-local address'
    """
    reasons = (_refusal(ip, allow_private=allow_private) for ip in _inner(ip_address(address)))
    return next((reason for reason in reasons if reason is not None), None)


def mistakes(notify: Notify) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong and the fix) of webhooks' addresses; no address is repeated, for it may hold a token.

    Names are not looked up here: what they resolve to is judged on every connection.
    """
    allowed: set[str] = set()
    for number, text in enumerate(notify.allowed_hosts):
        try:
            allowed.add(_host(URL(f"//{text}")))
        except ValueError:
            yield f"notify.allowed_hosts[{number}]", f"{text!r} is not a host; give a name, an IPv4 or [IPv6]"
            return
    for number, webhook in enumerate(notify.webhooks):
        for text in _webhook(webhook, allowed):
            yield f"notify.webhooks[{number}].url", text


def _webhook(webhook: Webhook, allowed: set[str]) -> Iterator[str]:
    try:
        url = URL(webhook.url)
        host = _host(url)
    except ValueError:
        yield "it is not a URL; write https://HOST/..."
        return
    if url.scheme not in ("http", "https") or not host or url.port == 0:
        yield "it must be https://HOST/... (or http://HOST/...); correct it"
        return
    if url.user is not None or url.password is not None:
        yield "a user or password in it is not sent; take it out: the webhook's secret is what protects"
    if allowed and host not in allowed:
        yield f"its host {host!r} is not in 'notify.allowed_hosts'; add it there or change the URL"
    try:
        reason = refusal(host, allow_private=webhook.allow_private)
    except ValueError:
        return  # a name
    if reason is not None:
        yield f"{reason}; set 'allow_private: true' for this webhook if it may go there"


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
