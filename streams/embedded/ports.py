"""Ports on loopback: is one free, does something listen, which can be had."""

import errno
import os
import random
import socket

from gridbeacon.errors import ConfigError, Transient

HOST = "127.0.0.1"
FIRST, LAST = 20_000, 32_000
"""Where ``free_pair`` looks: below the range from which the system takes the ports of outgoing connections. While the
server is down, a client that tries to reconnect could otherwise be given the server's own port."""
_given: set[int] = set()


def accepts(port: int) -> bool:
    """Return whether something on this machine accepts connections on ``port``."""
    try:
        socket.create_connection((HOST, port), 0.5).close()
    except OSError:
        return False
    return True


def check_free(port: int, wanted_by: str, key: str) -> None:
    """Return when ``port`` can be listened on; else raise ``ConfigError`` naming who wants it and ``key``."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise busy(port, wanted_by, key) from error
            reason = os.strerror(error.errno or 0)
            raise ConfigError(f"{wanted_by} can't have port {port} ({reason}); set {key} to another port") from error


def busy(port: int, wanted_by: str, key: str) -> ConfigError:
    """Return the error for a port that another program has."""
    return ConfigError(
        f"port {port} on {HOST} is taken by another program and {wanted_by} needs it; "
        f"stop that program, or set {key} to a free port"
    )


def free_pair() -> int:
    """Return a port that is free together with the next one; a process is never given the same twice.

    Raises ``Transient`` when none is found.
    """
    for _ in range(500):
        port = random.SystemRandom().randrange(FIRST, LAST, 2)
        if port in _given:
            continue
        try:
            check_free(port, "", "")
            check_free(port + 1, "", "")
        except ConfigError:
            continue
        _given.add(port)
        return port
    raise Transient(f"no two neighbouring free ports were found between {FIRST} and {LAST}; end some programs")
