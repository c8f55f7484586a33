"""The listening socket, a thread for each client, and the end of it all."""

import os
import select
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from gridbeacon.errors import ConfigError
from sinks.embedded.client import Client
from sinks.embedded.directory import DataDirectory
from sinks.embedded.engine import Engine
from sinks.embedded.wire import ServerError

HOST = "127.0.0.1"
"""Nowhere else, ever: the endpoint has no accounts, and whoever reaches it may do everything."""
MAX_CLIENTS = 256
_LOOK_SECS = 0.1
_GOODBYE_SECS = 20.0
"""How long queries in their last moments may take at the end; inserts are much shorter."""


def serve(data: Path, port: int) -> None:
    """Serve the tables in ``data`` on ``port`` of 127.0.0.1 until SIGTERM or SIGINT, then close them and return.

    Call it in the main thread, in a process that does nothing else. The port accepts connections only once chDB is
    open. Raises ``ConfigError`` when directory or port can't be had, ``Fatal`` when chDB can't read what is there.
    """
    stop = threading.Event()

    def told(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    directory = DataDirectory(data)
    try:
        with _bound(port) as listener:
            engine = Engine(directory)
            try:
                _listen(listener, port)
                Server(listener, engine).run(stop)
            finally:
                engine.close()
    finally:
        directory.release()


class Server:
    """Takes in clients and looks after them."""

    def __init__(self, listener: socket.socket, engine: Engine) -> None:
        self._listener = listener
        self._engine = engine
        self._clients: dict[Client, threading.Thread] = {}

    def run(self, stop: threading.Event) -> None:
        """Serve until ``stop`` is set, then end every conversation."""
        waiting = select.poll()
        waiting.register(self._listener, select.POLLIN)
        while not stop.is_set():
            came = waiting.poll(1000 * _LOOK_SECS)
            if came:
                self._take_in()
            self._look()
            if self._engine.room.look():
                _say("the disk is nearly full: nothing is stored" if self._engine.room.tight else "room again: storing")
        self._listener.close()
        self._end()

    def _take_in(self) -> None:
        try:
            connection, (host, port) = self._listener.accept()
        except OSError as error:  # it left while it waited, or this process has too many open files
            _say(f"a connection could not be taken: {os.strerror(error.errno or 0)}")
            time.sleep(_LOOK_SECS)
            return
        peer = f"{host}:{port}"
        if len(self._clients) >= MAX_CLIENTS:
            connection.close()
            _say(f"refused {peer}: {MAX_CLIENTS} clients are connected already")
            return
        connection.setblocking(True)  # noqa: FBT003 - the method's own signature
        client = Client(connection, self._engine)
        thread = threading.Thread(
            target=client.talk, args=(lambda why: _say(f"refused {peer}: it {why}"),), name=peer, daemon=True
        )
        self._clients[client] = thread
        thread.start()

    def _look(self) -> None:
        for client, thread in list(self._clients.items()):
            if thread.is_alive():
                self._watch(client)
            else:
                del self._clients[client]

    def _end(self) -> None:
        """Let inserts that are being stored come to their end, stop everything else."""
        deadline = time.monotonic() + _GOODBYE_SECS
        for client in self._clients:
            client.hang_up()
        while self._clients and time.monotonic() < deadline:
            self._look()
            time.sleep(_LOOK_SECS / 5)

    @staticmethod
    def _watch(client: Client) -> None:
        try:
            client.watch()
        except ServerError as error:
            _say(f"a query could not be stopped: {error}")


def _bound(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise _no_port(port, error) from error
    return listener


def _listen(listener: socket.socket, port: int) -> None:
    try:
        listener.listen(128)
    except OSError as error:  # another program bound it in the same moment
        raise _no_port(port, error) from error


def _no_port(port: int, error: Exception) -> ConfigError:
    reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "no port has such a number"
    return ConfigError(
        f"port {port} on {HOST} can't be had by the embedded ClickHouse ({reason}); stop the program that has it, "
        "or choose a free one with --port (clickhouse.port in the configuration)"
    )


def _say(text: str) -> None:
    """Write a line to stderr, whole: several threads do so."""
    sys.stderr.write(f"embedded ClickHouse: {text}\n")
    sys.stderr.flush()
