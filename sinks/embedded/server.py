"""The listening sockets, a thread for each client, and the end of it all."""

import os
import select
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Protocol

from gridbeacon.config import ClickHouse
from sinks.embedded import listeners
from sinks.embedded.accounts import Accounts
from sinks.embedded.client import Client
from sinks.embedded.directory import DataDirectory
from sinks.embedded.engine import Engine
from sinks.embedded.http import HttpClient
from sinks.embedded.http_sessions import Sessions
from sinks.embedded.voice import Refusals, say
from sinks.embedded.wire import ServerError

MAX_CLIENTS = 256
_LOOK_SECS = 0.1
_HANDSHAKE_SECS = 10.0
_GOODBYE_SECS = 20.0
"""How long queries in their last moments may take at the end; inserts are much shorter."""


class Conversation(Protocol):
    """One client's connection, whatever it speaks."""

    def talk(self, refused: Callable[[str], None]) -> None:
        """Serve the client until it leaves."""

    def watch(self) -> None:
        """Stop what runs for it when it is gone."""

    def hang_up(self) -> None:
        """Make ``talk`` return soon."""


@dataclass(frozen=True, slots=True)
class Port:
    """A listening socket, and what is spoken there."""

    listener: socket.socket
    begin: Callable[[socket.socket, Engine], Conversation]


def serve(data: Path, settings: ClickHouse) -> None:
    """Serve the tables in ``data`` until SIGTERM or SIGINT, then close them and return.

    ``settings`` say where, to whom and how. Call it in the main thread, in a process that does nothing else. The ports
    accept connections only once chDB is open. Raises ``ConfigError`` when directory, ports or certificate can't be had
    or the settings leave the door open, ``Fatal`` when chDB can't read what is there.
    """
    stop = threading.Event()

    def told(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    accounts = Accounts(settings.accounts)
    listeners.guard(settings, accounts)
    context = listeners.tls(settings)
    sessions = Sessions()
    spoken: dict[str, tuple[int, Callable[[socket.socket, Engine], Conversation]]] = {"port": (settings.port, Client)}
    if settings.http_port:
        spoken["http_port"] = (settings.http_port, partial(HttpClient, sessions=sessions))
    with ExitStack() as held:
        directory = DataDirectory(data)
        held.callback(directory.release)
        ports = {}
        for key, (port_number, begin) in spoken.items():
            listener = held.enter_context(listeners.bound(settings.listen, port_number, key))
            ports[key] = Port(listener, begin)
        engine = Engine(directory, accounts)
        held.callback(engine.close)
        held.callback(sessions.close)
        for key, port in ports.items():
            listeners.listen(port.listener, key)
        Server(list(ports.values()), engine, context, sessions).run(stop)


class Guest:
    """One connection and its thread."""

    def __init__(self, connection: socket.socket, name: str, refusals: Refusals) -> None:
        self._connection = connection
        self._refusals = refusals
        self._name = name
        self._conversation: Conversation | None = None
        self.thread = threading.Thread(name=name, daemon=True)

    def welcome(self, port: Port, engine: Engine, context: ssl.SSLContext | None) -> None:
        """Begin to serve it."""
        self.thread = threading.Thread(target=self._serve, args=(port, engine, context), name=self._name, daemon=True)
        self.thread.start()

    def watch(self) -> None:
        """Stop what runs for a client that is gone."""
        if self._conversation is not None:
            try:
                self._conversation.watch()
            except ServerError as error:
                say(f"a query could not be stopped: {error}")

    def hang_up(self) -> None:
        """Make its thread end soon."""
        if self._conversation is not None:
            self._conversation.hang_up()
            return
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it was gone already

    def _serve(self, port: Port, engine: Engine, context: ssl.SSLContext | None) -> None:
        connection = self._connection
        try:
            if context is not None:
                connection.settimeout(_HANDSHAKE_SECS)
                connection = context.wrap_socket(connection, server_side=True)
            connection.setblocking(True)  # noqa: FBT003 - the method's own signature
            self._conversation = port.begin(connection, engine)
        except OSError as error:
            connection.close()
            self._refusals.add(f"refused {self._name}: no TLS ({error})")
            return
        self._conversation.talk(lambda why: self._refusals.add(f"refused {self._name}: it {why}"))


class Server:
    """Takes in clients and looks after them."""

    def __init__(self, ports: list[Port], engine: Engine, context: ssl.SSLContext | None, sessions: Sessions) -> None:
        self._ports = {port.listener.fileno(): port for port in ports}
        self._engine = engine
        self._context = context
        self._sessions = sessions
        self._guests: set[Guest] = set()
        self._refusals = Refusals()

    def run(self, stop: threading.Event) -> None:
        """Serve until ``stop`` is set, then end every conversation."""
        waiting = select.poll()
        for number in self._ports:
            waiting.register(number, select.POLLIN)
        room = self._engine.room
        while not stop.is_set():
            for number, _ in waiting.poll(1000 * _LOOK_SECS):
                self._take_in(self._ports[number])
            self._look()
            self._refusals.look()
            self._sessions.look()
            if room.look():
                say("the disk is nearly full: nothing is stored" if room.tight else "room again: storing")
        for port in self._ports.values():
            port.listener.close()
        self._end()

    def _take_in(self, port: Port) -> None:
        try:
            connection, peer = port.listener.accept()
        except OSError as error:  # it left while it waited, or this process has too many open files
            say(f"a connection could not be taken: {os.strerror(error.errno or 0)}")
            time.sleep(_LOOK_SECS)
            return
        name = f"{peer[0]}:{peer[1]}"
        if len(self._guests) >= MAX_CLIENTS:
            connection.close()
            self._refusals.add(f"refused {name}: {MAX_CLIENTS} clients are connected already")
            return
        guest = Guest(connection, name, self._refusals)
        self._guests.add(guest)
        guest.welcome(port, self._engine, self._context)

    def _look(self) -> None:
        for guest in list(self._guests):
            if guest.thread.is_alive():
                guest.watch()
            else:
                self._guests.discard(guest)

    def _end(self) -> None:
        """Let inserts that are being stored come to their end, stop everything else."""
        deadline = time.monotonic() + _GOODBYE_SECS
        for guest in self._guests:
            guest.hang_up()
        while self._guests and time.monotonic() < deadline:
            self._look()
            time.sleep(_LOOK_SECS / 5)
