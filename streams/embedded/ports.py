"""Ports on loopback: is one free, does something listen, which can be had."""

import errno
import os
import random
import socket
import sys

from gridbeacon.errors import ConfigError, Transient

HOST = "127.0.0.1"


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
    """Return a port that is free together with the next one, and is given to nobody else while this process lives.

    Below the range from which the system takes the ports of outgoing connections: while the server is down, a client
    that tries to reconnect could otherwise be given the server's own port.
    """
    for _ in range(200):
        port = random.SystemRandom().randrange(20_000, 32_000, 2)
        try:
            check_free(port, "", "")
            check_free(port + 1, "", "")
        except ConfigError:
            continue
        if _claim(port):
            return port
    raise Transient("no two neighbouring free ports were found between 20000 and 32000; end some programs")


def _claim(port: int) -> bool:
    """Return whether the port is ours: no other process that looked for one has it, and has not yet begun to listen."""
    if sys.platform != "linux":
        return True
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0gridbeacon-port-{port}")  # a name of the kernel's, no file
    except OSError:
        name.close()
        return False
    name.detach()  # held until the process ends
    return True
