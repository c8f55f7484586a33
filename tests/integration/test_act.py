"""People act through Kafka: every action is durable and answered once, as if there had been no crash."""

import asyncio
import subprocess
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from gridbeacon.config import Config
from gridbeacon.errors import Transient
from gridbeacon.lifecycle import Event, alert_id_of, fingerprint_of
from gridbeacon.model import Action, Position, Signal, SignalBatch, Silence, Tick, Transition
from gridbeacon.places import partition_of
from gridbeacon.reasons import ActionKind, HandlingState, Level, Mode, Reason, Refusal, Role
from gridbeacon.vocabulary import Kind
from streams import admin
from streams.act import Desk, ask
from streams.kafka import client_settings
from tests import commands
from tests.commands import gridbeacon

pytestmark = pytest.mark.integration
CELL, AREA, T0 = "310101001002003", "310101", 1_795_348_800_000
ALERT = alert_id_of(AREA, fingerprint_of("safety", CELL), T0, Mode.LIVE)


def action(number: int, kind: ActionKind, **more: object) -> Action:
    given = {"alert_id": ALERT, "actor": "li", "role": Role.OFFICER, "sent_ms": T0} | more
    return Action(action_id=f"act-{number}", kind=kind, **given)  # type: ignore[arg-type]


def worker(config: Config, folder: Path) -> commands.Role:
    """Start the role situate as a process of its own."""
    file = folder / "gridbeacon.yaml"
    file.write_text(
        f"broker: {{bootstrap: '{config.broker.bootstrap}'}}\n"
        f"topics: {{prefix: {config.topics.prefix}, source_partitions: 2, observations_partitions: 2}}\n"
    )
    command = ["gridbeacon", "worker", "situate", "--instance", "one", "-c", str(file), "--data", str(folder / "data")]
    return commands.Role(command, folder / "situate.log")


COMMANDS = (
    (("alerts", "comment", ALERT, "all quiet", "--actor", "wang", "--action-id", "act-7"), 0, "commented by wang"),
    (("alerts", "verify", ALERT, "--action-id", "act-8"), 2, "refused (illegal_step): verify: it is closed; legal is"),
    (("alerts", "assign", "310101-0"), 2, "refused (unknown_alert): assign: there is no such alert"),
    (("silences", "add", "--reason", "drill"), 2, "refused (end_missing): a silence needs an end"),
)
"""Words, exit code, and what is said, in one sentence."""


def command(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of the command line."""
    return gridbeacon(*words, "-c", str(folder / "gridbeacon.yaml"), cwd=folder)


async def happen(config: Config, offset: int, *signals: Signal, at_ms: int) -> None:
    """Write what detect would write."""
    batch = SignalBatch(
        partition=0, offset=offset, previous=offset - 1, signals=signals, tick=Tick("ingest", at_ms, of=0)
    )
    async with AIOKafkaProducer(**client_settings(config)) as producer:
        await producer.send_and_wait(
            f"{config.topics.prefix}signals",
            msgspec.json.encode(batch),
            partition=partition_of(AREA, config.topics.signals_partitions),
        )


def dense(level: Level, at_ms: int) -> Signal:
    return Signal(
        cell=CELL,
        layer="limit",
        series="crowd/CAM-1/density_max_per_m2",
        reason=Reason.DENSITY,
        level=level,
        time_ms=at_ms,
        lineage=Position("crowd.metrics", 0, 1),
        kind=Kind.CROWD,
    )


async def log_of(config: Config) -> list[Transition]:
    """Return everything on the log of alerts, in order, each once."""
    name, found = f"{config.topics.prefix}alerts", {}
    async with AIOKafkaConsumer(name, auto_offset_reset="earliest", **client_settings(config)) as consumer:
        while True:
            came = await consumer.getmany(timeout_ms=1500)
            if not came:
                return [found[key] for key in sorted(found)]
            for records in came.values():
                for one in (msgspec.json.decode(record.value, type=Transition) for record in records):
                    found[one.partition, one.offset, one.index] = one


async def act(config: Config, folder: Path) -> None:
    situate = worker(config, folder)
    try:
        await happen(config, 0, dense(Level.ORANGE, T0), at_ms=T0)
        async with Desk(config) as desk:
            taken = await desk.act(action(1, ActionKind.ACKNOWLEDGE), 60)
            assert (taken.event, taken.handling_to, taken.at_ms) == (Event.ACKNOWLEDGED, HandlingState.ACKNOWLEDGED, T0)
            assert await desk.act(action(1, ActionKind.ACKNOWLEDGE)) == taken
            old = await desk.act(action(2, ActionKind.DISPATCH, version=1))
            assert old.refusal is Refusal.OLD_VERSION
            both = await asyncio.gather(
                desk.act(action(3, ActionKind.DISPATCH)),
                desk.act(action(4, ActionKind.ACKNOWLEDGE, alert_id="310101-0")),
            )
            assert [one.refusal for one in both] == [None, Refusal.UNKNOWN_ALERT]
            situate.kill()
            situate.wait()
            with pytest.raises(Transient, match="is written, but no answer came"):
                await desk.act(action(5, ActionKind.RESOLVE), 0.5)
            situate = worker(config, folder)
            resolved = await desk.act(action(5, ActionKind.RESOLVE), 60)
            assert resolved.refusal is None
            silence = Silence(
                silence_id="s-1",
                owner="li",
                reason="concert",
                starts_ms=T0,
                ends_ms=T0 + 1,
                sent_ms=T0,
                role=Role.OFFICER,
            )
            assert (await desk.act(silence)).event == Event.SILENCED
        assert (await ask(config, action(6, ActionKind.CLOSE, note="fence mended"))).refusal is None
        for words, code, said in COMMANDS:
            done = await asyncio.to_thread(command, folder, *words)
            assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done
            assert (done.stdout + done.stderr).count("\n") == 1
    finally:
        situate.terminate()
        situate.wait(30)
    events = [t.event for t in await log_of(config) if t.event.alert_id == ALERT]
    happened = {(event.version, event.action_id): event.event for event in events}
    assert happened == {
        (1, ""): "opened",
        (2, "act-1"): "acknowledged",
        (2, "act-2"): "refused",
        (3, "act-3"): "dispatched",
        (4, "act-5"): "resolved",
        (5, "act-6"): "closed",
        (6, "act-7"): "commented",
        (6, "act-8"): "refused",
    }


def test_actions_are_durable_and_answered_once_through_a_crash(city: Config, tmp_path: Path) -> None:
    admin.init(city)
    asyncio.run(act(city, tmp_path))


def test_without_a_broker_the_sender_is_told(tmp_path: Path) -> None:
    config = msgspec.structs.replace(
        Config(), broker=msgspec.structs.replace(Config().broker, bootstrap="127.0.0.1:1"), data_dir=str(tmp_path)
    )
    with pytest.raises(Transient, match="can't be reached"):
        asyncio.run(ask(config, action(1, ActionKind.ACKNOWLEDGE)))
