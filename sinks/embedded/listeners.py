"""Where the endpoint listens, and whether it may: beyond this machine only with TLS and passwords."""

import os
import socket
import ssl
from ipaddress import ip_address

from gridbeacon.config import ClickHouse
from gridbeacon.errors import ConfigError
from sinks.embedded.accounts import Accounts

_BACKLOG = 128


def is_loopback(address: str) -> bool:
    """Return whether an address is this machine's own alone."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def guard(settings: ClickHouse, accounts: Accounts) -> None:
    """Return when the endpoint may listen where ``settings`` say; raises ``ConfigError`` naming what is missing."""
    if is_loopback(settings.listen):
        return
    if open_to_all := accounts.without_password:
        raise ConfigError(
            f"clickhouse.listen {settings.listen} reaches beyond this machine and user {open_to_all[0]} has no "
            "password; give every one of clickhouse.accounts a password_hash (gridbeacon clickhouse hash-password)"
        )
    if not settings.tls_cert_file and not settings.allow_plain:
        raise ConfigError(
            f"clickhouse.listen {settings.listen} reaches beyond this machine without TLS; set "
            "clickhouse.tls_cert_file and clickhouse.tls_key_file, or clickhouse.allow_plain on a network that is "
            "private and guarded"
        )


def tls(settings: ClickHouse) -> ssl.SSLContext | None:
    """Return the context of the server's certificate, None without; raises ``ConfigError`` when it can't be read."""
    if not settings.tls_cert_file:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"clickhouse.tls_cert_file {settings.tls_cert_file!r} and clickhouse.tls_key_file "
            f"{settings.tls_key_file!r} can't be read as a PEM certificate with its key ({error}); correct them"
        ) from error
    return context


def bound(host: str, port: int, key: str) -> socket.socket:
    """Return a socket that has the port; raises ``ConfigError`` naming ``key`` when it can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise _no_port(host, port, key, error) from error
    return listener


def listen(listener: socket.socket, key: str) -> None:
    """Accept connections from now on; raises ``ConfigError`` when another program bound the port in the same moment."""
    try:
        listener.listen(_BACKLOG)
    except OSError as error:
        host, port = listener.getsockname()[:2]
        raise _no_port(host, port, key, error) from error


def _no_port(host: str, port: int, key: str, error: Exception) -> ConfigError:
    reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "no port has such a number"
    option = {"port": "--port", "http_port": "--http-port"}[key]
    return ConfigError(
        f"port {port} on {host} can't be had by the embedded ClickHouse ({reason}); stop the program that has it, "
        f"or choose a free one with {option} (clickhouse.{key} in the configuration)"
    )
