"""The whole path through the board with Kafka beneath: records go in, a crush turns the board red, people act with its
buttons, the crush ends. Every role is a process of its own; the camera reports once a second as a camera does."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from gridbeacon.cli.setup import prepared
from gridbeacon.config import Api, ClickHouse, Config, Limits, Situate
from gridbeacon.demo.files import write_files
from gridbeacon.model import Action, Cell, Sensor
from gridbeacon.registry import Registry
from gridbeacon.timeline import rfc3339
from gridbeacon.vocabulary import Kind
from sinks.clickhouse import query
from streams import admin
from streams.embedded.ports import free_pair
from streams.kafka import client_settings
from tests.board import until
from tests.browser import live, needs_chromium
from tests.servers import Server

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180), needs_chromium]
CELL = "310101001002003"
REGISTRY = Registry(
    {"CAM-1": Sensor(sensor_id="CAM-1", kind=Kind.CROWD, grid_id=CELL, interval_secs=1.0)},
    {CELL: Cell(grid_id=CELL, name="人民广场 1")},
)
ROLES = ("ingest", "detect", "situate", "store", "api")


class Camera(threading.Thread):
    """Writes what it sees to the topic once a second; ``density`` is what it sees. A context manager."""

    def __init__(self, config: Config) -> None:
        super().__init__(daemon=True)
        self._config = config
        self._over = threading.Event()
        self.density = 0.8

    def run(self) -> None:
        asyncio.run(self._report())

    async def _report(self) -> None:
        async with AIOKafkaProducer(**client_settings(self._config)) as producer:
            while not self._over.is_set():
                record = {
                    "id": "CAM-1",
                    "type": "CrowdFlowObserved",
                    "dateObserved": rfc3339(time.time_ns() // 1_000_000),
                    "density_max_per_m2": self.density,
                }
                await producer.send_and_wait(self._config.topics.prefix + "crowd.metrics", msgspec.json.encode(record))
                await asyncio.sleep(1)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join(20)


@pytest.fixture
def engine(city: Config, tmp_path: Path) -> Iterator[Config]:
    """All roles of a live engine that waits a second where a real one waits a minute; its database is its own."""
    config = msgspec.structs.replace(
        city,
        timezone="Asia/Shanghai",
        clickhouse=ClickHouse(port=free_pair(), http_port=0),
        api=Api(port=free_pair()),
        limits=Limits(for_secs=1.0),
        situate=Situate(clear_after_secs=1.0, checkpoint_secs=1.0),
    )
    file = write_files(tmp_path, config, REGISTRY)
    admin.init(config)
    database = Server(tmp_path / "clickhouse", config.clickhouse.port).until_ready()
    prepared(config, tmp_path)
    command = [sys.executable, "-m", "gridbeacon", "worker", *ROLES, "-c", str(file)]
    log = tmp_path / "roles.log"
    with log.open("wb") as out:
        roles = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        until(lambda: served(config, "/health") or roles.poll() is not None, "the board", 60)
        assert roles.poll() is None, log.read_text()
        yield config
    finally:
        roles.terminate()
        roles.wait(40)
        database.end()


def served(config: Config, path: str) -> Any:
    try:
        return httpx.get(f"http://127.0.0.1:{config.api.port}{path}", timeout=10).is_success
    except httpx.TransportError:
        return False


def actions_on_the_log(config: Config) -> list[Action]:
    """Return the actions on ``signals``, in order."""

    async def read() -> list[Action]:
        name, found = config.topics.prefix + "signals", []
        parts = [TopicPartition(name, number) for number in range(config.topics.signals_partitions)]
        async with AIOKafkaConsumer(auto_offset_reset="earliest", **client_settings(config)) as consumer:
            consumer.assign(parts)
            await consumer.seek_to_beginning(*parts)
            while came := await consumer.getmany(timeout_ms=1000):
                values = [record.value for records in came.values() for record in records]
                found += [msgspec.json.decode(value, type=Action) for value in values if b'"action_id"' in value]
                if len(found) > 1:
                    break
        return found

    answer: list[Action] = []
    reading = threading.Thread(target=lambda: answer.extend(asyncio.run(read())))  # the browser has this thread's loop
    reading.start()
    reading.join(30)
    return answer


def test_a_crush_turns_the_board_red_is_taken_by_its_buttons_and_ends(engine: Config, open_page, pictures) -> None:
    with Camera(engine) as camera:
        page = open_page(f"http://127.0.0.1:{engine.api.port}/", language="zh-CN")
        live(page)
        page.wait_for_selector("#alerts .calm")
        camera.density = 5.6
        page.click("#alerts .alert.red a")
        assert "人民广场 1" in page.text_content("#head")
        assert "无人接手" in page.text_content("#head")
        page.click("#do-acknowledge")
        page.wait_for_selector("#head :text('已确认')")
        page.fill("input[name=assignee]", "巡防三队")
        page.fill("textarea[name=note]", "从北口进入")
        page.click("#do-dispatch")
        page.wait_for_selector("#head .who b:text-is('巡防三队')")
        page.screenshot(path=pictures / "kafka-dispatched.png", full_page=True)
        camera.density = 0.8
        page.wait_for_selector("#head.none :text('已解除')")
        page.click("header nav a >> nth=0")
        page.wait_for_selector("#alerts .calm")
        page.wait_for_selector("#alerts .small .alert :text('巡防三队')")
        page.screenshot(path=pictures / "kafka-over.png", full_page=True)

    acted = actions_on_the_log(engine)
    assert [(one.kind, one.actor, one.source, one.assignee) for one in acted] == [
        ("acknowledge", "local", "api", ""),
        ("dispatch", "local", "api", "巡防三队"),
    ]
    said = (
        "SELECT event, level_to, handling_to, actor, action_id FROM alert_events FINAL WHERE alert_id = %(id)s "
        "ORDER BY version"
    )
    kept = until(
        lambda: len(rows := query(engine, said, {"id": acted[0].alert_id})) > 3 and rows[-1][0] == "cleared" and rows,
        "the audit",
    )
    assert kept[0][0] == "opened"
    assert "red" in {row[1] for row in kept}
    people = [(event, handling, actor, action_id) for event, _, handling, actor, action_id in kept if action_id]
    assert people == [
        ("acknowledged", "acknowledged", "local", acted[0].action_id),
        ("dispatched", "dispatched", "local", acted[1].action_id),
    ]
