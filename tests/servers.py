"""The embedded ClickHouse as a process of its own, for tests."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from clickhouse_driver import Client

from gridbeacon.config import ClickHouse
from sinks.embedded.variable import VARIABLE
from streams.embedded.ports import free_pair as free_port

ROOT = Path(__file__).resolve().parents[1]
START_SECS = 60.0
_shared: list[Callable[[], object]] = []


def share(end: Callable[[], object]) -> None:
    """Remember how a server of the session is ended; its fixture may do it again."""
    _shared.append(end)


def end_shared() -> None:
    """End the servers of the session."""
    while _shared:
        _shared.pop()()


class Server:
    """A started process; ``until_ready`` waits for its port. ``http_port`` 0 is none."""

    def __init__(self, data: Path, port: int, http_port: int = 0, settings: ClickHouse | None = None) -> None:
        self.port, self.http_port = port, http_port
        command = [sys.executable, "-m", "sinks.embedded", "--data", str(data), "--port", str(port)]
        self.process = subprocess.Popen(
            [*command, "--http-port", str(http_port)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {VARIABLE: msgspec.json.encode(settings or ClickHouse()).decode()},
        )
        self._said = ""

    def until_ready(self) -> "Server":
        deadline = time.monotonic() + START_SECS
        while time.monotonic() < deadline:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            assert self.process.poll() is None, self.said()
            time.sleep(0.02)
        raise AssertionError("the embedded ClickHouse does not listen")

    def client(self, **options) -> Client:
        return Client("127.0.0.1", self.port, send_receive_timeout=30, **options)

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.said()
        return self.process.returncode

    def said(self) -> str:
        """What it wrote to stderr; waits for its end."""
        if not self.process.stderr.closed:
            self._said = self.process.communicate(timeout=30)[1]
        return self._said


__all__ = ["ROOT", "Server", "end_shared", "free_port", "share"]
