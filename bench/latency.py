"""How long from an event to its alert: stored in ClickHouse, and at the webhook. p50, p99 and the worst.

    python -m bench.latency [--rates 1000 5000] [--secs 60]

All roles, live (``clock: arrival``), checkpoints on. 10,000 cameras report steadily; five times a second one of them
sees a crush. A limit is crossed at once here (``for_secs: 0``): what is measured is the way, not the waiting that the
limits prescribe. Stored: from just before the record is given to its producer until a query (every 20 ms) finds the
alert.
"""

import argparse
import asyncio
import contextlib
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from bench.disturbed import SECRET, Database
from bench.engine import roles, wait_for, write_config
from bench.line import City, broker
from gridbeacon.config import Config, Limits, Notify, Situate, Webhook
from gridbeacon.errors import GridbeaconError
from gridbeacon.timeline import rfc3339
from sinks.clickhouse import query
from sinks.migrate import migrate
from sinks.receiver import Received, Receiver
from streams.embedded import EmbeddedBroker
from streams.kafka import client_settings

SENSORS = 10_000
CROSSINGS_PER_SEC = 5
WARM_UP_SECS = 10.0
LOOK_SECS = 0.02


class Watch:
    """When each cell's record left, and when its alert was there."""

    def __init__(self) -> None:
        self.left: dict[str, float] = {}
        self.stored: dict[str, float] = {}
        self.notified: dict[str, float] = {}

    def got(self, notice: Received) -> None:
        """Note the arrival of one notice."""
        cell = json.loads(notice.body)["data"]["cell"]
        self.notified.setdefault(cell, notice.arrived_ms / 1000)

    def look(self, config: Config, over: threading.Event) -> None:
        """Note which alerts a query finds, until it is over."""
        while not over.wait(LOOK_SECS):
            with contextlib.suppress(GridbeaconError):
                for (cell,) in query(config, "SELECT DISTINCT cell FROM alerts WHERE rule = 'safety'"):
                    self.stored.setdefault(cell, time.time())


def live(city: City, url: str) -> Config:
    """Return the configuration of a live engine whose limits are crossed at once."""
    config = msgspec.structs.replace(
        city.config,
        clock="arrival",
        limits=Limits(for_secs=0.0),
        situate=Situate(min_notice_level="blue"),
        notify=Notify(webhooks=(Webhook(name="bench", url=url, secrets=(SECRET,), allow_private=True),)),
    )
    write_config(config, city.file)
    return config


async def send(config: Config, rate: int, secs: float, watch: Watch, per_sec: float = CROSSINGS_PER_SEC) -> None:
    """Send ``rate`` records a second, in slices of 20 ms; after the warm-up, some of them are crossings."""
    producer = AIOKafkaProducer(acks="all", enable_idempotence=True, **client_settings(config))
    await producer.start()
    topic = config.topics.prefix + "crowd.metrics"
    waiting: list[Any] = []
    turn = crossings = 0
    began = time.monotonic()
    try:
        while (passed := time.monotonic() - began) < secs:
            due = int(passed * rate)
            for number in range(turn, due):
                sensor = number % SENSORS
                crossing = passed > WARM_UP_SECS and crossings < (passed - WARM_UP_SECS) * per_sec
                body = {
                    "id": f"CAM-{sensor:05d}",
                    "type": "CrowdFlowObserved",
                    "dateObserved": rfc3339(time.time_ns() // 1_000_000),
                    "density_max_per_m2": 6.0 if crossing else 0.5,
                }
                cell = f"310101001{sensor:06d}"
                if crossing and cell not in watch.left:
                    crossings += 1
                    watch.left[cell] = time.time()
                elif crossing:
                    body["density_max_per_m2"] = 0.5
                waiting.append(await producer.send(topic, msgspec.json.encode(body), key=body["id"].encode()))
            turn = max(turn, due)
            if len(waiting) > 20_000:
                await asyncio.gather(*waiting)
                waiting.clear()
            await asyncio.sleep(LOOK_SECS)
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()


def measure(node: EmbeddedBroker, home: Path, rate: int, secs: float) -> list[str]:
    """Return rows of the table for one rate."""
    city = City(node, home / f"rate{rate}", SENSORS)
    watch = Watch()
    database = Database(city.folder, city.config.clickhouse.port).start()
    ready, over = threading.Event(), threading.Event()
    urls: list[str] = []

    async def receive() -> None:
        async with Receiver([SECRET], on_notice=watch.got) as receiver:
            urls.append(receiver.url)
            ready.set()
            await asyncio.to_thread(over.wait)

    def migrated() -> bool:
        try:
            migrate(city.config)
        except GridbeaconError:
            return False
        return True

    receiving = threading.Thread(target=lambda: asyncio.run(receive()))
    receiving.start()
    looking: threading.Thread | None = None
    try:
        ready.wait(10)
        config = live(city, urls[0])
        wait_for(migrated, 30, "the database")
        names = ("ingest", "detect", "situate", "notify", "store", "forecast")
        with roles([city.process(role) for role in names]):
            time.sleep(5)
            looking = threading.Thread(target=watch.look, args=(config, over))
            looking.start()
            asyncio.run(send(config, rate, secs, watch))
            wait_for(lambda: len(watch.stored.keys() & watch.left.keys()) == len(watch.left), 30, "the last alert")
            wait_for(lambda: len(watch.notified.keys() & watch.left.keys()) == len(watch.left), 30, "the last notice")
    finally:
        over.set()
        receiving.join()
        if looking is not None:
            looking.join()
        database.stop()
    found = []
    for what, there in (("alert row", watch.stored), ("webhook", watch.notified)):
        took = sorted(there[cell] - left for cell, left in watch.left.items())
        p50, p99 = took[len(took) // 2], took[min(len(took) - 1, int(len(took) * 0.99))]
        found.append(
            f"| {rate:,} | event → {what} | {len(took)} | {1000 * p50:.0f} | {1000 * p99:.0f} | {1000 * took[-1]:.0f} |"
        )
    return found


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=int, nargs="*", default=[1000, 5000], help="observations a second")
    parser.add_argument("--secs", type=float, default=60.0, help="of load for each rate")
    options = parser.parse_args()
    print(
        "| observations/s | way | alerts | p50 ms | p99 ms | worst ms |\n| --- | --- | --- | --- | --- | --- |",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="gridbeacon-bench-") as folder, broker(Path(folder)) as node:
        for rate in options.rates:
            print("\n".join(measure(node, Path(folder), rate, options.secs)), flush=True)


if __name__ == "__main__":
    main()
