"""The supervisor with a real broker and real children: it starts, heals, ends in order, leaves nothing behind."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from gridbeacon.config import Broker, ClickHouse, Config, Topics
from gridbeacon.errors import ConfigError, Transient, UsageError
from streams import run_file
from streams.access import check_access
from streams.embedded.ports import free_pair
from streams.supervise import Supervisor

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]

ROLE = textwrap.dedent("""
    import os, pathlib, signal, sys, time
    def end(*_):
        print("ends in order", flush=True)
        sys.exit(0)
    signal.signal(signal.SIGTERM, end)
    print("works", flush=True)
    pathlib.Path(os.environ["GRIDBEACON_READY_FILE"]).touch()
    time.sleep(600)
""")

UP = textwrap.dedent("""
    import sys
    import msgspec
    from gridbeacon.config import Config
    from gridbeacon.errors import GridbeaconError
    from streams.supervise import Supervisor
    config = msgspec.json.decode(sys.argv[1], type=Config)
    role = (sys.executable, "-c", sys.argv[2])
    say = lambda kind, name, detail: print(kind, name, detail, flush=True)
    try:
        Supervisor(config, {"detect": role, "store": role}, prepare=lambda: ["made the schema"], on_event=say).run()
    except GridbeaconError as error:
        sys.exit(str(error))
""")


def wait_until(true: Callable[[], bool], secs: float = 30.0) -> None:
    deadline = time.monotonic() + secs
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def house(storage: Path, tmp_path: Path) -> Config:
    """A whole house of its own: embedded broker, no database (it is said to be elsewhere)."""
    shutil.copytree(storage, tmp_path / "data" / "kafka" / "data")
    return Config(
        data_dir=str(tmp_path / "data"),
        broker=Broker(port=free_pair()),
        clickhouse=ClickHouse(host="127.0.0.1"),
        topics=Topics(source_partitions=1, observations_partitions=1, signals_partitions=1, alerts_partitions=1),
    )


@pytest.fixture
def yard(city: Config) -> Config:
    """The session's broker, so that a supervisor has nothing but roles to run."""
    return msgspec.structs.replace(city, clickhouse=ClickHouse(host="127.0.0.1"))


class Heard:
    """What a supervisor told, and a supervisor that tells it."""

    def __init__(self, config: Config, **roles: str):
        self.events: list[tuple[str, str, str]] = []
        commands = {name: (sys.executable, "-c", text) for name, text in roles.items()}
        self.supervisor = Supervisor(
            config, commands, prepare=lambda: ["made the schema"], on_event=lambda *event: self.events.append(event)
        )

    def kinds(self, name: str) -> list[str]:
        return [kind for kind, who, _ in self.events if who == name]

    def check_until(self, true: Callable[[], bool]) -> None:
        def checked() -> bool:
            self.supervisor.check()
            return true()

        wait_until(checked)


def up(config: Config) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", UP, msgspec.json.encode(config).decode(), ROLE],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_until_ready(process: subprocess.Popen) -> list[str]:
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if line.startswith("ready"):
            return lines
    raise AssertionError(f"never ready: {lines} {process.stderr.read()}")


def all_gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids)


def children(config: Config) -> list[int]:
    return [child.pid for child in run_file.read(Path(config.data_dir)).children.values()]


def test_up_starts_everything_says_what_runs_and_ends_in_order_on_sigterm(house: Config):
    data = Path(house.data_dir)
    process = up(house)
    lines = read_until_ready(process)
    assert f"started broker 127.0.0.1:{house.broker.port}" in lines
    assert "changed gridbeacon created topic observations with 1 partitions" in lines
    assert "changed gridbeacon made the schema" in lines
    run = run_file.read(data)
    assert run.ready
    assert run.pid == process.pid
    assert set(run.children) == {"broker", "detect", "store"}
    assert run.broker == f"127.0.0.1:{house.broker.port}"
    wait_until(lambda: all("works" in Path(run.children[role].log).read_text() for role in ("detect", "store")))
    process.send_signal(signal.SIGTERM)
    said, complaints = process.communicate(timeout=30)
    assert process.returncode == 0
    assert complaints == ""
    assert [line.strip() for line in said.splitlines()[-2:]] == ["stopping gridbeacon", "stopped gridbeacon"]
    assert all_gone([child.pid for child in run.children.values()])
    assert Path(run.children["detect"].log).read_text() == "works\nends in order\n"
    assert run_file.read(data) is None
    assert not (data / "run.json").exists()


def test_ctrl_c_while_it_still_starts_leaves_nothing_running(house: Config):
    process = up(house)
    wait_until(lambda: run_file.read(Path(house.data_dir)) is not None and children(house) != [])
    left = children(house)
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=30)
    assert (process.returncode, complaints) == (0, "")
    assert all_gone(left)


def test_a_second_ctrl_c_does_not_wait_for_those_that_hang(house: Config):
    process = up(house)
    read_until_ready(process)
    left = children(house)
    os.kill(run_file.read(Path(house.data_dir)).children["detect"].pid, signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    while process.stdout.readline().strip() != "stopping gridbeacon":
        pass
    asked_again = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert time.monotonic() - asked_again < 10  # alone it would wait 15 for it
    assert process.returncode == 0
    assert all_gone(left)


def test_a_killed_supervisor_takes_all_with_it_and_the_next_one_goes_on(house: Config):
    first = up(house)
    read_until_ready(first)
    left = children(house)
    assert len(left) == 3
    first.kill()
    first.communicate()
    second = up(house)
    lines = read_until_ready(second)
    assert all_gone(left)
    assert not any("created topic" in line for line in lines)
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=30)
    assert second.returncode == 0


def test_a_second_up_on_the_same_directory_is_told_which_process_has_it(yard: Config):
    first, second = Heard(yard), Heard(yard)
    first.supervisor.start()
    try:
        with pytest.raises(UsageError, match=rf"in use by another gridbeacon up \(process {os.getpid()}\)"):
            second.supervisor.run()
        assert run_file.read(Path(yard.data_dir)).ready
    finally:
        first.supervisor.stop()


def test_what_ends_is_started_again_and_counted(house: Config):
    heard = Heard(house, steady=ROLE, hasty="print('out of luck'); raise SystemExit(3)")
    one = heard.supervisor
    one.start()
    try:
        heard.check_until(lambda: one.restarts["hasty"] >= 2)
        assert ("ended", "hasty", "exit code 3: out of luck; starts again in 0.2 s") in heard.events
        assert ("ended", "hasty", "exit code 3: out of luck; starts again in 0.4 s") in heard.events
        assert one.restarts["steady"] == 0
        before = one.pids
        os.kill(before["steady"], signal.SIGKILL)
        os.kill(before["broker"], signal.SIGKILL)
        heard.check_until(lambda: one.restarts["steady"] == 1 and one.restarts["broker"] == 1)
        assert one.pids["steady"] != before["steady"]

        def answers() -> bool:
            try:
                check_access(house)
            except Transient:
                return False
            return True

        heard.check_until(answers)
        run = run_file.read(Path(house.data_dir))
        assert run.children["broker"].restarts == 1
        assert run.children["broker"].pid == one.pids["broker"]
        pids = list(one.pids.values())
    finally:
        one.stop()
    assert all_gone(pids)


def test_a_stopped_role_is_killed_when_its_time_is_over(yard: Config, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("streams.supervise.ROLES_STOP_SECS", 0.5)
    heard = Heard(yard, frozen=ROLE, lively=ROLE)
    heard.supervisor.start()
    pids = heard.supervisor.pids
    logs = {name: Path(yard.data_dir) / "logs" / f"{name}.log" for name in pids}
    wait_until(lambda: all("works" in log.read_text() for log in logs.values()))
    os.kill(pids["frozen"], signal.SIGSTOP)
    heard.supervisor.stop()
    assert all_gone(list(pids.values()))
    assert "ends in order" in logs["lively"].read_text()


def test_a_mistake_found_while_starting_leaves_nothing_running(yard: Config):
    broken = msgspec.structs.replace(yard, topics=msgspec.structs.replace(yard.topics, signals_partitions=5))
    first = Heard(yard)
    first.supervisor.start()
    first.supervisor.stop()
    second = Heard(broken, role=ROLE)
    with pytest.raises(ConfigError, match="signals has 2 partitions"):
        second.supervisor.run()
    assert second.supervisor.pids == {}
    assert run_file.read(Path(yard.data_dir)) is None


def test_a_schema_that_cannot_be_made_yet_is_tried_again(yard: Config):
    calls = []

    def prepare() -> list[str]:
        calls.append(len(calls))
        if len(calls) < 3:
            raise Transient("the database loads")
        return []

    one = Supervisor(yard, {}, prepare=prepare, on_event=lambda *event: None)
    one.start()
    one.stop()
    assert len(calls) == 3


def test_all_is_ready_when_every_role_says_that_it_works(yard: Config) -> None:
    late = ROLE.replace("pathlib.Path(os", "time.sleep(1); pathlib.Path(os")
    heard = Heard(yard, prompt=ROLE, late=late)
    try:
        heard.supervisor.start()
        assert (Path(yard.data_dir) / "logs" / "late.ready").exists()
        assert heard.events[-1][0] == "ready"
    finally:
        heard.supervisor.stop()
