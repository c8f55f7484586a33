"""``gridbeacon up`` as its user meets it: one screen, records in, an alert out, Ctrl-C, a power cut, and mistakes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
import pytest
import yaml

from gridbeacon.config import Api, Broker, ClickHouse, Config, Limits, Topics
from gridbeacon.demo.files import write_files
from gridbeacon.model import Sensor
from gridbeacon.registry import Registry
from gridbeacon.vocabulary import Kind
from sinks.migrate import migrate
from streams import admin
from streams.embedded import KafkaFiles
from streams.embedded.ports import free_pair
from tests.commands import gridbeacon
from tests.servers import Server

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
CAMERA = Sensor(sensor_id="CAM-1", kind=Kind.CROWD, grid_id="310101001002003", interval_secs=10.0)


def until(condition: Callable[[], Any], secs: float, what: str) -> Any:
    """Return what ``condition`` says once that is true."""
    deadline = time.monotonic() + secs
    while not (found := condition()):
        assert time.monotonic() < deadline, f"gave up waiting for {what}"
        time.sleep(0.1)
    return found


class Up:
    """One ``gridbeacon up``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "up.out"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gridbeacon", "up"], cwd=folder, stdout=out, stderr=subprocess.STDOUT
            )
        until(lambda: "Gridbeacon is up after" in self.said() or self.process.poll() is not None, 120, "up")
        assert self.process.poll() is None, self.said()

    def said(self) -> str:
        return self.out.read_text()

    def run_file(self) -> dict[str, Any]:
        return json.loads((self.folder / "data" / "run.json").read_text())

    def pids(self) -> list[int]:
        return [child["pid"] for child in self.run_file()["children"].values()]

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(40)


@pytest.fixture
def folder(tmp_path: Path, kafka_files: KafkaFiles) -> Path:
    """A directory with a configuration and one camera; nothing runs."""
    config = Config(
        data_dir="data",
        broker=Broker(port=free_pair()),
        clickhouse=ClickHouse(port=free_pair()),
        api=Api(port=free_pair()),
        limits=Limits(for_secs=10.0),
        topics=Topics(source_partitions=1, observations_partitions=1, signals_partitions=1, alerts_partitions=1),
    )
    write_files(tmp_path, config, Registry({CAMERA.sensor_id: CAMERA}))
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[[], Up]]:
    """Start everything, as often as wanted; whatever the test leaves running is ended."""
    engines: list[Up] = []

    def start_one() -> Up:
        engines.append(Up(folder))
        return engines[-1]

    yield start_one
    for engine in engines:
        if engine.process.poll() is None:
            engine.end()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path / "clickhouse", free_pair()).until_ready()
    yield running
    running.end()


def records(folder: Path, name: str, densities: list[float], begin: datetime) -> str:
    """Write records of the camera, ten seconds apart."""
    path = folder / f"crowd.metrics-{name}.jsonl"
    lines = [
        {
            "id": CAMERA.sensor_id,
            "type": "CrowdFlowObserved",
            "dateObserved": (begin + timedelta(seconds=10 * n)).isoformat().replace("+00:00", "Z"),
            "density_max_per_m2": density,
        }
        for n, density in enumerate(densities)
    ]
    path.write_bytes(b"\n".join(msgspec.json.encode(line) for line in lines))
    return path.name


def change(folder: Path, settings: dict[str, dict[str, Any]]) -> None:
    """Change the configuration; the value ``BROKER`` stands for the broker's port."""
    file = folder / "gridbeacon.yaml"
    all_settings = yaml.safe_load(file.read_text())
    for section, keys in settings.items():
        port = all_settings["broker"]["port"]
        all_settings[section] |= {key: port if value == "BROKER" else value for key, value in keys.items()}
    file.write_text(yaml.safe_dump(all_settings))


def refuses(folder: Path, code: int, words: str) -> None:
    """See that ``up`` ends with one sentence, and leaves nothing behind."""
    done = gridbeacon("up", cwd=folder)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "data" / "run.json").exists()


def rows(folder: Path, *arguments: str) -> Any:
    done = gridbeacon(*arguments, "--json", cwd=folder)
    return json.loads(done.stdout) if done.returncode == 0 else []


def test_from_a_record_to_an_alert_over_a_power_cut(folder: Path, start: Callable[[], Up]) -> None:
    now = datetime.now(UTC) - timedelta(minutes=10)
    engine = start()
    pids = engine.pids()
    assert set(engine.run_file()["children"]) >= {
        "broker",
        "database",
        "ingest",
        "detect",
        "situate",
        "notify",
        "store",
        "forecast",
        "api",
    }
    back = {
        name: os.getpriority(os.PRIO_PROCESS, child["pid"]) for name, child in engine.run_file()["children"].items()
    }
    assert {name for name, nice in back.items() if nice} == {"database", "store", "forecast"}  # what warns goes first
    for word in ("Kafka", "ClickHouse", "board", "data, logs", "processes", "webhooks"):
        assert word in engine.said()

    second = gridbeacon("up", cwd=folder)
    assert (second.returncode, second.stderr.count("\n")) == (2, 1)
    assert "in use" in second.stderr

    assert gridbeacon("replay", records(folder, "1", [4.2] * 4, now), "--speed", "max", cwd=folder).returncode == 0
    (folder / "crowd.metrics-garbage.jsonl").write_text('{"id":"CAM-1"}\n{"id":"nobody","dateObserved":"x"}\nNaN\n')
    assert gridbeacon("replay", "crowd.metrics-garbage.jsonl", "--speed", "max", cwd=folder).returncode == 0
    (alert,) = until(lambda: rows(folder, "alerts", "list"), 90, "the alert")
    assert (alert["level"], alert["rule"], alert["cell"]) == ("orange", "safety", CAMERA.grid_id)
    (served,) = re.findall(r"board +(http://\S+)", engine.said())
    (seen,) = httpx.get(f"{served}api/alerts?level=orange", timeout=10).json()["alerts"]
    assert seen["alert_id"] == alert["alert_id"]
    done = {"action": "acknowledge", "version": seen["version"]}
    taken = httpx.post(f"{served}api/alerts/{seen['alert_id']}/actions", json=done, timeout=30)
    assert (taken.status_code, taken.json()["handling_to"]) == (200, "acknowledged"), taken.text
    assert httpx.get(f"{served}api/alerts/{seen['alert_id']}", timeout=10).json()["taken_by"] == "local"
    letters = until(lambda: len(found := rows(folder, "dead-letters", "list")) == 3 and found, 90, "the dead letters")
    assert {letter["reason"] for letter in letters} <= {"missing_field", "unknown_source", "not_json", "not_an_object"}
    shown = gridbeacon("dead-letters", "show", letters[0]["id"], cwd=folder)
    assert shown.returncode == 0
    again = gridbeacon("dead-letters", "replay", "--id", letters[0]["id"], "--yes", cwd=folder)
    assert again.stdout == "1 records written again\n"
    until(lambda: len(rows(folder, "dead-letters", "list")) == 4, 90, "the same dead letter once more")
    assert gridbeacon("init", cwd=folder).stdout == "everything was there already\n"

    # A power cut: everything is gone at once.
    for pid in [engine.process.pid, *pids]:
        os.kill(pid, signal.SIGKILL)
    engine.process.wait(10)

    after = start()
    later = now + timedelta(minutes=1)
    assert gridbeacon("replay", records(folder, "2", [5.3] * 4, later), "--speed", "max", cwd=folder).returncode == 0
    level = lambda: [a["level"] for a in rows(folder, "alerts", "list") if a["alert_id"] == alert["alert_id"]]  # noqa: E731
    until(lambda: level() == ["red"], 90, "the same alert, raised")
    story = rows(folder, "alerts", "show", alert["alert_id"])
    assert story["events"][0]["event"] == "opened"
    assert {piece["reason"] for piece in story["evidence"]} >= {"density"}
    found = until(lambda: rows(folder, "status"), 90, "the status")
    assert {role["role"]: role["lag"] for role in found["roles"]}.keys() == {
        "ingest",
        "detect",
        "situate",
        "notify",
        "store",
        "forecast",
    }
    assert found["problems"] == []
    fresh = after.pids()
    assert after.end() == 0
    assert "nothing is left running" in after.said()
    assert not [pid for pid in fresh if psutil.pid_exists(pid)]

    change(folder, {"topics": {"source_partitions": 3}})
    refuses(folder, 3, "partitions")


def test_a_child_that_ends_comes_back_and_a_blown_fuse_stays_down(
    folder: Path, storage: Path, start: Callable[[], Up]
) -> None:
    shutil.copytree(storage, folder / "data" / "kafka" / "data")
    change(folder, {"ingest": {"fuse_records": 50}, "forecast": {"enabled": False}, "api": {"port": 0}})
    engine = start()
    os.kill(engine.run_file()["children"]["detect"]["pid"], signal.SIGKILL)
    until(lambda: engine.run_file()["children"]["detect"]["restarts"] == 1, 90, "detect to come back")
    (folder / "crowd.metrics-bad.jsonl").write_text("{}\n" * 200)
    assert gridbeacon("replay", "crowd.metrics-bad.jsonl", "--speed", "max", cwd=folder).returncode == 0
    until(lambda: "ingest failed" in engine.said(), 90, "the fuse")
    assert "stays down" in engine.said()
    assert engine.run_file()["children"]["ingest"]["pid"] is None
    assert engine.end() == 0
    said = (folder / "data" / "logs" / "ingest.log").read_text()
    assert "records of crowd.metrics were rejected" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("mistake", "code", "words"),
    [
        ({"clickhouse": {"port": "BROKER"}}, 3, "port"),
        ({"detect": {"detector": "nosuch"}}, 3, "detect.detector"),
        ({"registry": {"sensors": ["missing.csv"]}}, 3, "missing.csv"),
        ({"broker": {"bootstrp": "x"}}, 3, "did you mean"),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_starts(
    folder: Path, mistake: dict[str, Any], code: int, words: str
) -> None:
    change(folder, mistake)
    refuses(folder, code, words)


def test_several_roles_of_one_command_live_and_end_together(city: Config, database: Server, tmp_path: Path) -> None:
    config = msgspec.structs.replace(city, clickhouse=ClickHouse(port=database.port))
    admin.init(config)
    migrate(config)
    write_files(tmp_path, config, Registry({CAMERA.sensor_id: CAMERA}))
    command = [sys.executable, "-m", "gridbeacon", "worker", "situate", "notify", "store"]
    log = tmp_path / "workers.log"
    with log.open("wb") as out:
        together = subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT)
    children = until(
        lambda: len(found := psutil.Process(together.pid).children()) == 3 and found, 60, "three processes"
    )
    children[0].kill()
    assert together.wait(40) == 1
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert "so the others were ended too" in log.read_text()
