"""Deliver thousands of notices to an endpoint that fails, hangs, resets and holds off, while notify is killed.

    python -m bench.deliveries [--notices 10000] [--kills 20] [--share 0.3] [--seed 1]

The notices are those of made alerts, four each from opened to cleared, written to the log as situate writes them. The
endpoint is real HTTP on loopback; the role is the real process over a real broker, started again whenever it ends.
Afterwards three things must hold: every notice has arrived; each always with one webhook-id and the same bytes; and no
notice was sent to the endpoint before it had taken those before it. ``--share 0 --kills 0`` measures speed.
"""

import argparse
import asyncio
import json
import logging
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer

from bench.engine import RoleProcess, write_config
from gridbeacon.config import Broker, Config
from gridbeacon.config_notify import Notify, Webhook
from gridbeacon.lifecycle import advance
from gridbeacon.model import Alert, Evidence, Notice, Position, Situation, Transition
from gridbeacon.notices import notice_id_of, standard_body
from gridbeacon.places import partition_of
from gridbeacon.reasons import Certainty, Level, Mode, Reason
from sinks.receiver import Received, Receiver, Trouble
from streams import admin, topics
from streams.embedded import EmbeddedBroker, ensure_kafka
from streams.embedded.ports import free_pair
from streams.kafka import client_settings

SECRET = "whsec_ZGVsaXZlcmllcy1kZWxpdmVyaWVzLWRlbGl2ZXJpZXM="
T0 = 1_672_484_400_000
LIFE = (Level.YELLOW, Level.ORANGE, Level.RED, Level.NONE)
TYPES = ("alert.opened", "alert.level_raised", "alert.level_raised", "alert.cleared")
RETRY_SECS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
"""The plan in small: the one of the configuration would make a run of hours of the same thing."""
TIMEOUT_SECS = 1.0


@dataclass(slots=True)
class Seen:
    """What the endpoint saw, request by request, in order."""

    url: str = ""
    requests: list[Received] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    unverified: int = 0


@contextmanager
def endpoint(trouble: Trouble) -> Iterator[Seen]:
    """Yield what an endpoint in trouble sees, in a thread of its own."""
    seen = Seen()
    ready, over = threading.Event(), threading.Event()

    def keep(got: Received) -> None:
        seen.requests.append(got)
        if 200 <= got.status < 300:
            seen.taken.add(got.notice_id)

    async def serve() -> None:
        async with Receiver([SECRET], trouble=trouble if trouble.share else None, on_notice=keep) as receiver:
            seen.url = receiver.url
            ready.set()
            await asyncio.to_thread(over.wait)
            seen.unverified = receiver.unverified

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait(10)
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def transitions(alerts: int, partitions: int) -> Iterator[tuple[int, Transition]]:
    """Yield (partition of ``alerts``, transition): four for each alert, those of different alerts mixed."""
    states: dict[int, Alert] = {}
    last: dict[int, tuple[int, int]] = {}
    waves = [(start, step) for start in range(0, alerts, 50) for step in range(len(LIFE))]
    offset = 0
    for start, step in waves:
        for number in range(start, min(start + 50, alerts)):
            alert, transition = _step(states.get(number), number, step)
            states[number] = alert
            partition = partition_of(alert.alert_id, partitions)
            yield (
                partition,
                msgspec.structs.replace(transition, offset=offset, previous=last.get(partition, (-1, -1))),
            )
            last[partition] = (offset, 0)
            offset += 1


def _step(alert: Alert | None, number: int, step: int) -> tuple[Alert, Transition]:
    level, at_ms = LIFE[step], T0 + 1000 * number + step
    situation = None
    if level:
        finding = Evidence(
            series=f"crowd/CAM-{number:05d}/density_max_per_m2",
            layer="limit",
            reason=Reason.DENSITY,
            level=level,
            since_ms=at_ms,
            lineage=Position("crowd.metrics", 0, number),
        )
        situation = Situation(
            cell=f"3101010{number:08d}",
            rule="safety",
            level=level,
            reason=Reason.DENSITY,
            certainty=Certainty.OBSERVED,
            data_lost=False,
            headline=f"CAM-{number:05d} is full",
            evidence=(finding,),
        )
    ((after, event),) = advance(alert, situation, at_ms, mode=Mode.LIVE, area_digits=6)
    notice = Notice(
        notice_id=notice_id_of(after.alert_id, step + 1),
        alert_id=after.alert_id,
        sequence=step + 1,
        type=TYPES[step],
        level=after.level,
        at_ms=at_ms,
        body=standard_body(after, event, step + 1),
    )
    return after, Transition(partition=0, offset=0, index=0, previous=(-1, -1), alert=after, event=event, notice=notice)


async def write(config: Config, alerts: int, secs: float) -> None:
    """Write all transitions to the log, spread over ``secs``."""
    producer = AIOKafkaProducer(acks="all", enable_idempotence=True, linger_ms=5, **client_settings(config))
    await producer.start()
    name, total = config.topics.prefix + topics.ALERTS, alerts * len(LIFE)
    started = time.monotonic()
    try:
        for number, (partition, transition) in enumerate(transitions(alerts, config.topics.alerts_partitions)):
            await producer.send(name, msgspec.json.encode(transition), partition=partition)
            if (ahead := secs * number / total - (time.monotonic() - started)) > 0.05:
                await asyncio.sleep(ahead)
        await producer.flush()
    finally:
        await producer.stop()


def wrong(seen: Seen, alerts: int) -> list[str]:
    """Return everything that is not as it must be, a sentence each."""
    found: list[str] = []
    wanted = {t.notice.notice_id: t.notice for _, t in transitions(alerts, 1) if t.notice is not None}
    if missing := wanted.keys() - seen.taken:
        found.append(f"{len(missing)} of {len(wanted)} notices never arrived")
    bodies: dict[bytes, set[str]] = {}
    taken: dict[str, int] = {}
    overtaken = 0
    for one in seen.requests:
        bodies.setdefault(one.body, set()).add(one.notice_id)
        notice = wanted.get(one.notice_id)
        if notice is None or notice.body.encode() != one.body:
            found.append(f"a request with webhook-id {one.notice_id!r} is not what was to be sent")
            continue
        # A repeat may come late; a notice may not come before those before it have been taken.
        if notice.sequence > taken.get(notice.alert_id, 0) + 1:
            overtaken += 1
        if 200 <= one.status < 300:
            taken[notice.alert_id] = max(taken.get(notice.alert_id, 0), notice.sequence)
    if several := [ids for ids in bodies.values() if len(ids) > 1]:
        found.append(f"{len(several)} bodies came with more than one webhook-id")
    if overtaken:
        found.append(f"{overtaken} requests came before an earlier notice of their alert was taken")
    if seen.unverified:
        found.append(f"{seen.unverified} requests were not signed rightly")
    return found


@dataclass(slots=True)
class Told:
    """What a run amounted to."""

    notices: int
    requests: int
    secs: float
    kills: int
    cpu_secs: float
    memory_mb: float

    @property
    def line(self) -> str:
        """One line for people."""
        return (
            f"{self.notices} notices, {self.requests} requests, {self.kills} kills, {self.secs:.0f} s, "
            f"{self.notices / self.secs:.0f} deliveries/s, notify: {self.cpu_secs:.1f} CPU s since its last start, "
            f"{self.memory_mb:.0f} MB"
        )


def run(
    folder: Path, *, alerts: int, kills: int, share: float, seed: int, say: bool = False, patience_secs: float = 120.0
) -> tuple[list[str], Told]:
    """Run it all in ``folder``; return what is wrong, and the figures."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    rng = random.Random(seed)
    wanted = alerts * len(LIFE)
    node = EmbeddedBroker(folder / "kafka", ensure_kafka(), free_pair())
    node.start()
    notify: RoleProcess | None = None
    with endpoint(Trouble(share=share, hang_secs=TIMEOUT_SECS + 1, seed=seed)) as seen:
        try:
            node.wait_ready()
            hook = Webhook(
                name="hostile", url=seen.url, secrets=(SECRET,), allow_private=True, timeout_secs=TIMEOUT_SECS
            )
            config = Config(
                data_dir=str(folder),
                broker=Broker(bootstrap=node.bootstrap, port=node.port),
                notify=Notify(webhooks=(hook,), retry_secs=RETRY_SECS),
            )
            admin.init(config)
            file = write_config(config, folder / "gridbeacon.yaml")
            notify = RoleProcess("notify", file, folder / "notify.log", instance="notify-0").start()
            # Written while it is killed: about as long as all its lives together.
            writer = threading.Thread(target=lambda: asyncio.run(write(config, alerts, kills * 5.0)))
            started = time.monotonic()
            writer.start()
            done = _kill(notify, seen, kills, rng, say)
            writer.join()
            _settle(notify, seen, wanted, patience_secs)
            told = Told(wanted, len(seen.requests), time.monotonic() - started, done, 0.0, 0.0)
            usage = notify.measure()
            told.cpu_secs, told.memory_mb = usage.cpu_secs, usage.memory_mb
        finally:
            if notify is not None:
                notify.stop()
            node.stop()
    return wrong(seen, alerts), told


def _kill(notify: RoleProcess, seen: Seen, kills: int, rng: random.Random, say: bool) -> int:
    """``kill -9`` the role so many times, each time in the middle of its work; return how often that was."""
    for number in range(kills):
        # Each life is to get something done; how much, chance decides.
        goal, deadline = len(seen.requests) + rng.randint(1, 400), time.monotonic() + 10.0 + rng.uniform(0, 2)
        while len(seen.requests) < goal and time.monotonic() < deadline:
            time.sleep(0.002)
        if notify.process is not None:
            notify.process.kill()
            notify.process.wait()
        if say:
            print(f"  kill {number + 1}: {len(seen.requests)} requests, {len(seen.taken)} notices taken", flush=True)
        notify.start()
    return kills


def _settle(notify: RoleProcess, seen: Seen, wanted: int, patience_secs: float) -> None:
    """Return when all notices have arrived, or when none has for ``patience_secs``; starts the role if it ended."""
    before, since = -1, time.monotonic()
    while len(seen.taken) < wanted and time.monotonic() - since < patience_secs:
        if len(seen.requests) != before:
            before, since = len(seen.requests), time.monotonic()
        if not notify.running:
            notify.start()
        time.sleep(0.1)
    time.sleep(2.0)  # whatever should not come would come now


def main() -> None:
    """Run as configured; exit code 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.deliveries", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--notices", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--share", type=float, default=0.3, help="of requests that fail, in one of five ways")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gridbeacon-deliveries-") as folder:
        found, told = run(
            Path(folder),
            alerts=asked.notices // len(LIFE),
            kills=asked.kills,
            share=asked.share,
            seed=asked.seed,
            say=not asked.json,
        )
    print(json.dumps({**msgspec.to_builtins(told), "wrong": found}) if asked.json else told.line)
    for sentence in found:
        print(f"WRONG: {sentence}", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
