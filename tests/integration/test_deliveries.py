"""Real Kafka, a real notify that is killed, a real endpoint that misbehaves; and what people do when one gives up."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.deliveries import run, write
from bench.engine import RoleProcess, write_config
from gridbeacon.config import ClickHouse, Config
from gridbeacon.config_notify import Notify, Webhook
from sinks.migrate import migrate
from sinks.receiver import Receiver
from streams import admin
from tests.commands import gridbeacon
from tests.servers import ROOT, Server, free_port

pytestmark = pytest.mark.integration
SECRET = "whsec_ZGVsaXZlcmllcy1kZWxpdmVyaWVzLWRlbGl2ZXJpZXM="
ALERTS = 4


@pytest.mark.timeout(300)
def test_every_notice_arrives_in_order_under_one_id_though_the_endpoint_fails_and_the_role_is_killed(
    tmp_path: Path,
) -> None:
    found, told = run(tmp_path, alerts=25, kills=2, share=0.3, seed=7)
    assert found == [], told
    assert told.requests > told.notices == 100


@contextmanager
def receiving(statuses: list[int]) -> Iterator[Receiver]:
    """A receiver in a thread of its own."""
    ready, over = threading.Event(), threading.Event()
    receiver = Receiver([SECRET], statuses=statuses)

    async def serve() -> None:
        async with receiver:
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    try:
        yield receiver
    finally:
        over.set()
        thread.join()


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 90
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return found


@pytest.mark.timeout(300)
def test_an_endpoint_that_was_gone_is_enabled_and_gets_what_it_missed(city: Config, tmp_path: Path) -> None:
    house = Server(tmp_path / "ch", free_port()).until_ready()
    # The first request is answered 410: its partition disables the endpoint.
    with receiving([410]) as receiver:
        hooks = (Webhook(name="centre", url=receiver.url, secrets=(SECRET,), allow_private=True),)
        config = msgspec.structs.replace(
            city, clickhouse=ClickHouse(port=house.port), notify=Notify(webhooks=hooks), data_dir=str(tmp_path)
        )
        file = write_config(config, tmp_path / "gridbeacon.yaml")
        migrate(config)
        admin.init(config)
        roles = [RoleProcess(role, file, tmp_path / f"{role}.log").start() for role in ("notify", "store")]

        def ask(*words: str, code: int = 0) -> Any:
            done = gridbeacon(*words, "--config", str(file), cwd=ROOT)
            assert done.returncode == code, done.stderr
            return json.loads(done.stdout) if "--json" in words else done.stdout

        try:
            asyncio.run(write(config, ALERTS, 0.0))
            rows = until(
                lambda: len(found := ask("deliveries", "list", "--json")) >= 4 * ALERTS and found, "rows of deliveries"
            )
            missed = {row["notice_id"] for row in rows if row["outcome"] == "disabled"}
            assert missed
            assert {row["reason"] for row in rows} == {"density", "back_to_normal"}
            (state,) = ask("webhook", "list", "--json")
            assert state["state"].startswith("disabled since")
            assert state["not_taken"] == len(missed)
            assert missed.isdisjoint(receiver.delivered)
            assert "gets notices again" in ask("webhook", "enable", "centre")
            sent = ask("deliveries", "replay", "--endpoint", "centre", "--yes")
            assert sent == f"{len(missed)} notices will be sent again\n"
            until(lambda: len(receiver.delivered) == 4 * ALERTS, "the notices that were missed")
            order: dict[str, list[int]] = {}
            for body in receiver.delivered.values():
                data = json.loads(body)["data"]
                order.setdefault(data["alert_id"], []).append(data["sequence"])
            assert set(map(tuple, order.values())) == {(1, 2, 3, 4)}
            one = until(
                lambda: (
                    (found := ask("deliveries", "show", min(missed), "--json"))["attempts"][-1]["outcome"]
                    == "delivered"
                    and found
                ),
                "the row of the last attempt",
            )
            assert one["body"]["data"]["alert_id"] == one["alert_id"]
            (state,) = ask("webhook", "list", "--json")
            assert (state["state"], state["not_taken"]) == ("enabled", 0)
            ask("deliveries", "show", "msg_nobody", code=2)
            ask("deliveries", "replay", "--endpoint", "nobody", "--yes", code=2)
            ask("deliveries", "list", "--outcome", "lost", code=2)
            ask("webhook", "enable", "nobody", code=2)
        finally:
            for role in roles:
                role.stop()
            house.end()
