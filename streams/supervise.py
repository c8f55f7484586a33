"""Start everything on one machine, keep it running, end it in order: broker, database, roles."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO, Literal

import msgspec

from gridbeacon.config import Config
from gridbeacon.errors import STAY_DOWN_CODE, ConfigError, Fatal, GridbeaconError, Transient
from sinks.embedded.variable import VARIABLE
from streams import admin, ready, run_file
from streams.embedded import EmbeddedBroker, KafkaFiles, ensure_kafka
from streams.embedded.child import Child, limit_log
from streams.embedded.ports import HOST, accepts, check_free
from streams.embedded.space import check_space
from streams.kafka import bootstrap
from streams.restart import Member, Place

EMBEDDED = "embedded"
BROKER, DATABASE = "broker", "database"
POLL_SECS = 0.1
READY_SECS = 60.0
"""For broker and database to serve, and for topics and schema to be made."""
ROLE_READY_SECS = 30.0
"""For a role to have its partitions, restored. Later it is no reason to stop everything."""
LEFTOVER_SECS = 5.0
"""How long children of a killed supervisor may take to vanish and free their ports."""
ROLES_STOP_SECS, SERVER_STOP_SECS = 15.0, 15.0
LOGS_SECS = 60.0

Kind = Literal["starting", "changed", "started", "ready", "ended", "restarted", "failed", "stopping", "stopped"]
OnEvent = Callable[[Kind, str, str], None]
"""Called with (kind, name of the child or "gridbeacon", detail for a person)."""


class Stopped(Exception):
    """The user asked for the end while things were still starting."""


class Supervisor:
    """Runs broker and database where the configuration says ``embedded``, and one process for each of ``roles``.

    ``roles`` maps a name to its command. ``prepare`` makes the database's schema and returns what it changed, a
    sentence each; it is tried again while it raises ``Transient``. ``files`` are the broker's, fetched when None.
    Everything is in ``config.data_dir``: ``kafka/``, ``clickhouse/``, ``logs/``, the lock and ``run.json``.

    ``run`` is the whole life for a command line. Otherwise call ``start``, then ``check`` again and again, then
    ``stop``, all from one thread that lives meanwhile: children die with the thread that started them.
    """

    def __init__(
        self,
        config: Config,
        roles: Mapping[str, Sequence[str]],
        *,
        prepare: Callable[[], Iterable[str]],
        on_event: OnEvent,
        files: KafkaFiles | None = None,
    ) -> None:
        """Remember what to run; touches nothing before ``start``."""
        self.data_dir = Path(config.data_dir).absolute()
        self._config = config
        self._roles = roles
        self._prepare = prepare
        self._on_event = on_event
        self._files = files
        self._places: dict[str, Place] = {}
        self._stopping = threading.Event()
        self._ready = False
        self._started = ""
        self._logs_at = 0.0
        self._lock: IO[str] | None = None

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the children that run, by name."""
        return {place.name: pid for place in self._places.values() if (pid := place.member.pid) is not None}

    @property
    def restarts(self) -> dict[str, int]:
        """How often each child was restarted, by name."""
        return {place.name: place.restarts for place in self._places.values()}

    def run(self) -> None:
        """Start everything, keep it running until SIGINT, SIGTERM or SIGHUP, end it in order.

        A second signal ends it at once. Raises as ``start`` does. Call it from the main thread.
        """
        with self._signals():
            try:
                self.start()
                while not self._stopping.wait(POLL_SECS):
                    self.check()
            except Stopped:
                pass
            finally:
                self.stop()

    def start(self) -> None:
        """Start broker and database, make topics and schema, start the roles; returns when all that is done.

        Raises ``UsageError`` when the data directory is in use, ``ConfigError`` for a busy port, a full disk, wrong
        topics or wrong access, ``Transient`` when a part does not answer and ``Fatal`` when one ends; nothing is left
        running then.
        """
        self._lock = run_file.lock(self.data_dir)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Look after the children once: start again what has ended, keep logs short. Call it a few times a second."""
        now = time.monotonic()
        changed = False
        for place in self._places.values():
            if place.due_at is not None:
                if now >= place.due_at:
                    self._restart(place, now)
                    changed = True
            elif place.left_down:
                continue
            elif (code := place.member.poll()) is not None:
                if code == STAY_DOWN_CODE:
                    place.left_down = True
                    self._on_event("failed", place.name, f"{place.member.why_ended()}; it stays down, see its log")
                    changed = True
                    continue
                wait = place.ended(now)
                self._on_event("ended", place.name, f"{place.member.why_ended()}; starts again in {wait:.1f} s")
                changed = True
        if changed:
            self._write()
        if now >= self._logs_at:
            self._logs_at = now + LOGS_SECS
            for place in self._places.values():
                if isinstance(place.member, Child):  # the broker keeps its own log short
                    limit_log(place.member.log)

    def stop(self) -> None:
        """End the roles, then the database, then the broker; past their time the hard way. Then let go of the lock."""
        if self._lock is None:
            return
        if self._places:
            self._on_event("stopping", "gridbeacon", "")
        roles = [place for place in self._places.values() if place.name not in (BROKER, DATABASE)]
        for place in roles:
            place.member.ask_to_stop()
        deadline = time.monotonic() + ROLES_STOP_SECS
        for place in roles:
            place.member.stop(deadline - time.monotonic())
        for name in (DATABASE, BROKER):
            if name in self._places:
                self._places[name].member.stop(SERVER_STOP_SECS)
        if self._places:
            self._on_event("stopped", "gridbeacon", "")
        self._places.clear()
        run_file.remove(self.data_dir)
        self._lock.close()
        self._lock = None

    def kill(self) -> None:
        """End every child at once, as a power cut would; ``stop`` lets go of the directory afterwards."""
        for place in self._places.values():
            place.member.kill()

    def _start(self) -> None:
        self._started = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        check_space(self.data_dir, returns=(self.data_dir / "kafka" / "data").exists())
        servers = self._servers()
        self._wait_for_ports([port for _, port, _ in servers.values()])
        for name, (_, port, key) in servers.items():
            check_free(port, f"the embedded {name}", key)
        for name, (member, _, _) in servers.items():
            self._launch(name, member)
        for name, (member, port, _) in servers.items():
            self._wait_until(partial(_serves, name, member, port), name, member)
            self._on_event("started", name, f"{HOST}:{port}")
        for sentence in (*admin.init(self._config), *self._prepared()):
            self._on_event("changed", "gridbeacon", sentence)
        for name, command in self._roles.items():
            asked = ready.asked_in(self._said_ready(name))
            self._launch(name, Child(command, self._log(name), {"PYTHONUNBUFFERED": "1", **asked}))
        for name in self._roles:
            self._wait_for_role(name)
        self._ready = True
        self._write()
        self._on_event("ready", "gridbeacon", "")

    def _wait_for_role(self, name: str) -> None:
        """Return when the role has its partitions, or has ended, which is another matter, or takes too long."""
        deadline = time.monotonic() + ROLE_READY_SECS
        member, said = self._places[name].member, self._said_ready(name)
        while not said.exists() and member.poll() is None and time.monotonic() < deadline:
            self._pause()

    def _said_ready(self, name: str) -> Path:
        return self.data_dir / "logs" / f"{name}.ready"

    def _servers(self) -> dict[str, tuple[Member, int, str]]:
        """Return the embedded servers by name: what to start, its port, and the port's key in the configuration."""
        broker, clickhouse = self._config.broker, self._config.clickhouse
        found: dict[str, tuple[Member, int, str]] = {}
        if clickhouse.host == EMBEDDED:  # first: it loads while the broker makes its storage
            command = (
                sys.executable,
                "-m",
                "sinks.embedded",
                "--stand-back",
                "--data",
                str(self.data_dir / "clickhouse"),
            )
            ports = ("--port", str(clickhouse.port), "--http-port", str(clickhouse.http_port))
            settings = {VARIABLE: msgspec.json.encode(clickhouse).decode()}
            database = Child((*command, *ports), self._log(DATABASE), settings)
            found[DATABASE] = (database, clickhouse.port, "clickhouse.port")
        if broker.bootstrap == EMBEDDED:
            files = self._files or ensure_kafka()
            logs = self.data_dir / "logs"
            node = EmbeddedBroker(self.data_dir / "kafka", files, broker.port, broker.heap_mb, logs)
            found[BROKER] = (node, broker.port, "broker.port")
        for _, port, key in found.values():
            if port == 0:
                raise ConfigError(f"{key} is 0, but the roles must know where to connect; set a fixed port")
        return found

    def _log(self, name: str) -> Path:
        return self.data_dir / "logs" / f"{name}.log"

    def _wait_for_ports(self, ports: list[int]) -> None:
        """After a supervisor was killed its children vanish within moments: give their ports that time."""
        if (self.data_dir / run_file.RUN).exists():
            deadline = time.monotonic() + LEFTOVER_SECS
            while any(accepts(port) for port in ports) and time.monotonic() < deadline:
                self._pause()

    def _launch(self, name: str, member: Member) -> None:
        self._on_event("starting", name, "")
        try:
            member.start()
        except OSError as error:
            raise ConfigError(f"{name} can't be started ({error}); repair the installation") from error
        self._places[name] = Place(name, member, time.monotonic())
        self._write()

    def _wait_until(self, serves: Callable[[], bool], name: str, member: Member) -> None:
        deadline = time.monotonic() + READY_SECS
        while not serves():
            if time.monotonic() > deadline:
                raise Transient(f"the {name} does not answer after {READY_SECS:.0f} s; see {member.log}")
            self._pause()

    def _prepared(self) -> Iterable[str]:
        deadline = time.monotonic() + READY_SECS
        while True:
            try:
                return self._prepare()
            except Transient:
                if time.monotonic() > deadline:
                    raise
                self._pause()

    def _pause(self) -> None:
        if self._stopping.wait(POLL_SECS / 2):
            raise Stopped

    def _restart(self, place: Place, now: float) -> None:
        try:
            place.member.start()
        except (GridbeaconError, OSError) as error:
            wait = place.ended(now)
            self._on_event("failed", place.name, f"{error}; tried again in {wait:.1f} s")
        else:
            place.restarted(now)
            self._on_event("restarted", place.name, f"process {place.member.pid}")

    def _write(self) -> None:
        clickhouse = self._config.clickhouse
        host = HOST if clickhouse.host == EMBEDDED else clickhouse.host
        children = {
            place.name: run_file.ChildRun(pid=place.member.pid, restarts=place.restarts, log=str(place.member.log))
            for place in self._places.values()
        }
        run = run_file.Run(
            pid=os.getpid(),
            started=self._started,
            ready=self._ready,
            broker=bootstrap(self._config),
            clickhouse=f"{host}:{clickhouse.port}",
            children=children,
        )
        try:
            run_file.write(self.data_dir, run)
        except OSError as error:  # a full disk must not end what still works
            self._on_event("failed", "gridbeacon", f"run.json can't be written ({error.strerror}); free some space")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Take the signals that ask for the end: the first in order, the second at once."""

        def asked(_number: int, _frame: FrameType | None) -> None:
            if self._stopping.is_set():
                for pid in self.pids.values():
                    with suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)
            self._stopping.set()

        before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _serves(name: str, member: Member, port: int) -> bool:
    """Return whether ``member`` accepts connections on ``port``; raises when it has ended instead."""
    if isinstance(member, EmbeddedBroker):
        return member.serves()
    if member.poll() is not None:
        raise Fatal(f"the {name} ended while it started ({member.why_ended()}); see {member.log}")
    return accepts(port)
