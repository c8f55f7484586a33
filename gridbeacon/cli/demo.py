"""The demonstration: the real engine on real and made data, told as it happens."""

import asyncio
import os
import queue
import shutil
import sys
import threading
import time
import webbrowser
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from aiokafka import AIOKafkaConsumer

from gridbeacon.cli.data import progress
from gridbeacon.cli.house import House
from gridbeacon.config import Api, Broker, ClickHouse, Config, Notify, Topics, Webhook
from gridbeacon.demo import auckland, evening
from gridbeacon.demo.files import write_files
from gridbeacon.errors import GridbeaconError, UsageError
from gridbeacon.model import Alert, AlertEvent, Transition
from sinks.clickhouse import ask
from sinks.receiver import Received, Receiver
from streams import admin, topics
from streams.embedded.ports import free_pair
from streams.kafka import client_settings
from streams.replay import replay
from streams.store import LANES, group_of
from streams.supervise import Supervisor

# The secret of the demonstration's own receiver, on loopback: it protects nothing.
SECRET = "whsec_ZGVtb25zdHJhdGlvbi1zZWNyZXQtMDAwMDAwMDA="  # noqa: S105
MARK = "DEMO"
SPEED = 600.0
"""Of the evening: four hours in 24 seconds."""
STORED_SECS = 60.0

QUESTIONS = (
    (
        "What happened, and how long before the worst did we warn?",
        "SELECT alert_id, min(at) AS first_warning, minIf(at, level_to = 'red') AS red,\n"
        "       dateDiff('minute', first_warning, red) AS minutes_of_warning\n"
        "FROM alert_events FINAL GROUP BY alert_id HAVING countIf(level_to = 'red') > 0",
    ),
    (
        "Where in Auckland was New Year's Eve unusual, and by how much?",
        "SELECT source, toTimeZone(observed_at, 'Pacific/Auckland') AS until, value, round(expected) AS expected,\n"
        "       round(severity, 1) AS severity\n"
        "FROM observations FINAL WHERE observed_at > '2022-12-31 07:00:00' AND state = 'anomalous' AND direction > 0\n"
        "ORDER BY severity DESC LIMIT 5",
    ),
    (
        "Was everything delivered, and how fast?",
        "SELECT outcome, count() AS deliveries, round(quantile(0.99)(duration_ms), 1) AS p99_ms\n"
        "FROM deliveries FINAL GROUP BY outcome",
    ),
)


class Demo:
    """One run of the demonstration in a directory of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._lines: queue.Queue[str] = queue.Queue()
        self._failed: list[BaseException] = []
        self._zone = ZoneInfo(auckland.TIMEZONE)
        self._over = threading.Event()

    def run(self, *, leave: bool) -> None:
        """Show everything; then end, or go on until Ctrl-C."""
        self._clear()
        receiving = threading.Thread(target=lambda: asyncio.run(self._guarded(self._receive)), daemon=True)
        self._url: queue.Queue[str] = queue.Queue()
        receiving.start()
        config = self._config(self._url.get(timeout=10))
        file = write_files(self._folder, config, evening.registry())
        house = House(config, file.parent)
        self._say("Gridbeacon's demonstration. Real: 21 pedestrian counters in Auckland, October to December 2022")
        self._say("(Heart of the City Auckland, CC BY 4.0). Made: a square on New Year's Eve, with a crush.\n")
        from gridbeacon.cli.run import commands

        house_of = Supervisor(config, commands(file, None, config), prepare=house.prepare, on_event=house.tell)
        playing = threading.Thread(target=lambda: asyncio.run(self._guarded(lambda: self._play(config))), daemon=True)
        try:
            house_of.start()
            self._show_board(config)
            playing.start()
            while playing.is_alive():
                house_of.check()
                self._print_waiting()
                playing.join(0.1)
            self._print_waiting()
            if self._failed:
                raise self._failed[0]
            self._ask(config)
            self._tell_how_to_go_on(file, ended=leave)
            while not leave:
                house_of.check()
                self._print_waiting()
                time.sleep(0.1)
        except KeyboardInterrupt:
            pass
        finally:
            self._over.set()
            house_of.stop()

    def _show_board(self, config: Config) -> None:
        """Say where the board is, and open it where there is a screen."""
        from gridbeacon.cli.house import board_address

        address = board_address(config)
        self._say(f"\nThe duty board is at {address} while this runs: watch it there.\n")
        if sys.stdout.isatty() and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            webbrowser.open(address)

    def _clear(self) -> None:
        """Make an empty directory; only one that a demonstration made is emptied."""
        from streams.run_file import read

        if self._folder.exists() and any(self._folder.iterdir()):
            if not (self._folder / MARK).exists():
                raise UsageError(f"{self._folder} is not empty and no demonstration's; name another with --data")
            if read(self._folder) is not None:
                raise UsageError(f"a demonstration is running in {self._folder}; stop it, or name another with --data")
            shutil.rmtree(self._folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / MARK).touch()

    def _config(self, url: str) -> Config:
        broker_port, database_port, api_port = free_pair(), free_pair(), free_pair()
        return Config(
            clock="event",
            timezone=auckland.TIMEZONE,
            data_dir=str(self._folder),
            broker=Broker(port=broker_port),
            clickhouse=ClickHouse(port=database_port, http_port=database_port + 1),
            api=Api(port=api_port),
            topics=Topics(source_partitions=2, observations_partitions=2),
            notify=Notify(webhooks=(Webhook(name="demo", url=url, secrets=(SECRET,), allow_private=True),)),
        )

    async def _guarded(self, work: Callable[[], Any]) -> None:
        try:
            await work()
        except BaseException as error:  # noqa: BLE001 - it is raised in the main thread
            self._failed.append(error)

    async def _receive(self) -> None:
        """Receive notices as a dispatcher would, until the demonstration is over."""

        def got(notice: Received) -> None:
            body = msgspec.json.decode(notice.body)
            self._lines.put(f"      webhook arrived, signature verified: {body['type']}  {notice.notice_id}")

        async with Receiver([SECRET], on_notice=got) as receiver:
            self._url.put(receiver.url)
            await asyncio.to_thread(self._over.wait)

    async def _play(self, config: Config) -> None:
        tail = asyncio.create_task(self._tail(config))
        total = sum(1 for _ in auckland.lines())
        with progress("history: three months of counts", total) as advance:
            count = await replay(config, evening.history(), on_record=lambda _: advance(1))
        self._lines.put(f"History: {count} real counts went in through Kafka.\n")
        self._lines.put(f"Now New Year's Eve 2022, {SPEED:.0f} times as fast as it was:\n")
        await replay(config, evening.evening(), speed=SPEED)
        await asyncio.to_thread(self._wait_until_stored, config)
        tail.cancel()

    async def _tail(self, config: Config) -> None:
        """Say what becomes of alerts, as the log of alerts says it."""
        decode = msgspec.json.Decoder(Transition).decode
        consumer = AIOKafkaConsumer(
            config.topics.prefix + topics.ALERTS, auto_offset_reset="earliest", **client_settings(config)
        )
        async with consumer:
            async for message in consumer:
                transition = decode(message.value)
                if transition.alert is not None:
                    self._lines.put(self._told(transition.alert, transition.event))

    def _told(self, alert: Alert, event: AlertEvent) -> str:
        at = datetime.fromtimestamp(event.at_ms / 1000, self._zone).strftime("%d %b %H:%M")
        where = evening.registry().cells[alert.cell].name
        level = event.level_to.word if event.level_to else event.level_from.word
        head = f"{at}  {event.event:13} {level.upper():7} {where}  [{event.reason}]"
        return head if event.event == "cleared" else f"{head}\n      {alert.headline}"

    def _wait_until_stored(self, config: Config) -> None:
        """Return when the roles have taken everything."""
        prefix = config.topics.prefix
        groups = {
            f"{prefix}ingest": topics.SOURCES,
            f"{prefix}detect": (topics.OBSERVATIONS,),
            f"{prefix}situate": (topics.SIGNALS,),
            f"{prefix}notify": (topics.ALERTS,),
            **{group_of(config, lane): lane.topics for lane in LANES},
        }
        deadline = time.monotonic() + STORED_SECS
        while any(sum(admin.lag(config, g, [prefix + n for n in names]).values()) for g, names in groups.items()):
            if time.monotonic() > deadline:
                raise GridbeaconError(f"the roles are not done after {STORED_SECS:.0f} s; see {self._folder / 'logs'}")
            time.sleep(0.3)

    def _ask(self, config: Config) -> None:
        from gridbeacon.cli.common import print_table

        for question, sql in QUESTIONS:
            self._say(f"\n{question}\n\n  " + sql.replace("\n", "\n  ") + "\n")
            columns, rows = ask(config, sql)
            print_table(columns, rows, empty="nothing")

    def _tell_how_to_go_on(self, file: Path, *, ended: bool) -> None:
        command = Path(sys.argv[0])
        here = command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command
        start = f"  {here} up --config {file}    (first: with --exit everything is stopped now)\n" if ended else ""
        self._say(
            f"\nGo on:\n"
            f"{start}"
            f"  {here} alerts list --all --config {file}\n"
            f"  {here} status --config {file}\n"
            f"  {here} sql --user analyst --config {file}    (a prompt; begin with: tables)\n"
            f"  {here} fixture city --database city --config {file}    (a made city for the questions of docs/sql.md,\n"
            f"  {here} sql --database city --config {file}     and where to ask them)\n"
            f"  your own city: write a gridbeacon.yaml (docs/configuration.md), then\n"
            f"  {here} check; {here} up\n"
        )

    def _print_waiting(self) -> None:
        while not self._lines.empty():
            self._say(self._lines.get())

    def _say(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
