"""The whole engine as separate processes that can be killed, stopped and restarted while a made city reports."""

import asyncio
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench.engine import ROOT, RoleProcess, wait_for
from gridbeacon.config import Broker, ClickHouse, Config, Notify, Topics, Webhook
from gridbeacon.demo.city import City, records
from gridbeacon.demo.files import write_files
from gridbeacon.errors import GridbeaconError
from gridbeacon.model import Tick
from gridbeacon.registry import Registry
from gridbeacon.timeline import Line, ticked
from sinks.migrate import migrate
from sinks.receiver import Receiver
from streams import admin, topics
from streams.embedded import EmbeddedBroker, ensure_kafka
from streams.embedded.child import tail
from streams.embedded.ports import free_pair
from streams.replay import replay
from streams.store import LANES, group_of

SECRET = "whsec_Y2hhb3MtY2hhb3MtY2hhb3MtY2hhb3MtY2hhb3M="
_CAMERA = '{"id":"CAM-00000","type":"CrowdFlowObserved","dateObserved":"%s","peopleCount":%s}'
GARBAGE = (
    b"\xff\xfe",
    b"{",
    b"[]",
    b"null",
    b"[" * 200_000,
    b'{"type":"CrowdFlowObserved"}',
    b'{"id":"nobody","type":"CrowdFlowObserved","dateObserved":"2023-11-14T22:00:00Z","peopleCount":1}',
    (_CAMERA % ("1970-01-01T00:00:00Z", "1")).encode(),
    (_CAMERA % ("2099-01-01T00:00:00Z", "1")).encode(),
    (_CAMERA % ("2023-11-14T22:00:00Z", "NaN")).encode(),
    (_CAMERA % ("2023-11-14T22:00:00Z", "1e308")).encode(),
    (_CAMERA % ("2023-11-14T22:00:00Z", '1,"faceId":"x"')).encode(),
)
TICK_MS = 10_000
AGAIN_SECS = 3.0


def city_lines(city: City, garbage_share: float = 0.01, seed: int = 5) -> Iterator[Line | Tick]:
    """Yield the records of a made city with ticks, and garbage on every topic between them."""
    rng = random.Random(seed)

    def lines() -> Iterator[Line]:
        for time_ms, topic, record in records(city):
            key = str(record.get("id") or record["grid_id"])
            yield Line(time_ms, topic, key, msgspec.json.encode(record))
            if rng.random() < garbage_share:
                yield Line(time_ms, rng.choice(topics.SOURCES), str(rng.random()), rng.choice(GARBAGE))

    return ticked(lines(), TICK_MS)


def registry_of(city: City) -> Registry:
    """Return the registry of a made city."""
    return Registry({s.sensor_id: s for s in city.sensors}, {c.grid_id: c for c in city.cells})


@dataclass(slots=True)
class Receiving:
    """A webhook receiver in a thread of its own."""

    url: str = ""
    bodies: dict[str, set[bytes]] = field(default_factory=dict)
    requests: int = 0
    unverified: int = 0


@contextmanager
def receiving() -> Iterator[Receiving]:
    """Yield a receiver that answers 204, with the bodies of every webhook-id that it was sent."""
    got = Receiving()
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with Receiver([SECRET]) as receiver:
            got.url = receiver.url
            ready.set()
            await asyncio.to_thread(over.wait)
            got.requests, got.unverified = len(receiver.received), receiver.unverified
            for one in receiver.received:
                got.bodies.setdefault(one.notice_id, set()).add(one.body)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait(10)
    try:
        yield got
    finally:
        over.set()
        thread.join()


class Database:
    """The embedded ClickHouse as a process of ours."""

    role = "database"

    def __init__(self, folder: Path, port: int) -> None:
        self._command = [
            sys.executable,
            "-m",
            "sinks.embedded",
            "--stand-back",
            "--data",
            str(folder / "clickhouse"),
            "--port",
            str(port),
        ]
        self._log = folder / "database.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Database":
        """Start it."""
        with self._log.open("ab") as out:
            self.process = subprocess.Popen(self._command, stdout=out, stderr=out, cwd=ROOT)
        return self

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)


Member = RoleProcess | Database


class Engine:
    """Broker, database and roles over one folder; whatever ends is started again by ``keep``."""

    def __init__(self, folder: Path, city: City, url: str, *, detect_workers: int = 1, partitions: int = 4) -> None:
        self.node = EmbeddedBroker(folder / "kafka", ensure_kafka(), free_pair())
        self.config = Config(
            clock="event",
            data_dir=str(folder),
            broker=Broker(bootstrap=self.node.bootstrap, port=self.node.port),
            clickhouse=ClickHouse(port=free_pair()),
            topics=Topics(source_partitions=partitions, observations_partitions=partitions),
            notify=Notify(webhooks=(Webhook(name="chaos", url=url, secrets=(SECRET,), allow_private=True),)),
        )
        self.file = write_files(folder, self.config, registry_of(city))
        self._folder = folder
        names = ["ingest", *["detect"] * detect_workers, "situate", "notify", "store", "forecast"]
        self.members: dict[str, Member] = {"database": Database(folder, self.config.clickhouse.port)}
        for n, role in enumerate(names):
            name = f"{role}-{n}"
            self.members[name] = RoleProcess(role, self.file, folder / f"{name}.log", instance=name)
        self.endings = 0
        self.frozen: set[str] = set()
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep)

    def start(self) -> None:
        """Start everything and return when broker and database are ready for the roles."""
        self.node.start()
        self.members["database"].start()
        self.node.wait_ready()
        admin.init(self.config)
        wait_for(self._migrated, 30, "the database")
        for name, member in self.members.items():
            if name != "database":
                member.start()
        self._keeper.start()

    def stop(self) -> None:
        """End everything in order."""
        self._over.set()
        if self._keeper.is_alive():
            self._keeper.join()
        for member in reversed(self.members.values()):
            member.stop()
        self.node.stop()

    def kill(self, name: str) -> None:
        """``kill -9`` one process, unless it is frozen: a zombie is to be fenced, not killed."""
        process = self.members[name].process
        if name not in self.frozen and process is not None and process.poll() is None:
            process.kill()

    def freeze(self, name: str, secs: float) -> None:
        """Stop one process like a machine that hangs, let it go on after ``secs``; it should find itself fenced."""
        process = self.members[name].process
        if process is None or process.poll() is not None:
            return
        self.frozen.add(name)
        process.send_signal(signal.SIGSTOP)
        self._over.wait(secs)
        process.send_signal(signal.SIGCONT)
        self.frozen.discard(name)

    def restart_broker(self) -> None:
        """``kill -9`` the broker and start it again; as long as that may take on a machine that is busy."""
        self.node.kill()
        self.node.start()
        self.node.wait_ready(180)

    def play(self, lines: Iterator[Line | Tick], speed: float | None) -> int:
        """Write a time line to the topics; return the number of records."""
        return asyncio.run(replay(self.config, lines, speed=speed))

    def settle(self, secs: float) -> None:
        """Return when every role has taken everything; raise when nothing moves for ``secs`` before that."""
        calm, before = 0, self.lags()
        deadline = time.monotonic() + secs
        while calm < 3:
            lags = self.lags()
            if lags != before:
                deadline = time.monotonic() + secs
            if time.monotonic() > deadline:
                raise GridbeaconError(f"nothing moves for {secs:g} s and the engine is not done: {lags}")
            calm, before = (0 if any(lags.values()) else calm + 1), lags
            time.sleep(0.5)

    def lags(self) -> dict[str, int]:
        """Return the records that each group has not taken; -1 while the broker does not answer."""
        groups = {
            "ingest": topics.SOURCES,
            "detect": (topics.OBSERVATIONS,),
            "situate": (topics.SIGNALS,),
            "notify": (topics.ALERTS,),
            "forecast": (topics.SCORES,),
            **{group_of(self.config, lane): lane.topics for lane in LANES},
        }
        try:
            return {group: sum(admin.lag(self.config, group, names).values()) for group, names in groups.items()}
        except GridbeaconError:
            return {"broker": -1}

    def said(self) -> str:
        """Return the critical lines of all logs."""
        lines = []
        for name in self.members:
            log = self._folder / f"{name}.log"
            if log.exists():
                lines += [
                    f"{name}: {line}" for line in log.read_text(errors="replace").splitlines() if "critical" in line
                ]
        return "\n".join(lines)

    def last_words(self, lines: int = 12) -> str:
        """Return the end of every log, the broker's included."""
        logs = {name: self._folder / f"{name}.log" for name in self.members} | {"broker": self.node.log}
        return "\n".join(
            f"--- {name}\n" + "\n".join(line[:400] for line in tail(log).splitlines()[-lines:])
            for name, log in logs.items()
        )

    def _migrated(self) -> bool:
        try:
            migrate(self.config)
        except GridbeaconError:
            return False
        return True

    def _keep(self) -> None:
        """Start again what has ended, at once, but none twice within ``AGAIN_SECS``, as while the broker is away."""
        started: dict[str, float] = {}
        while not self._over.wait(0.1):
            for name, member in self.members.items():
                if member.process is None or member.process.poll() is None:
                    continue
                if time.monotonic() >= started.get(name, 0.0) + AGAIN_SECS:
                    started[name] = time.monotonic()
                    self.endings += 1
                    member.start()
