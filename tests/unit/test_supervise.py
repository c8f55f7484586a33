"""Child processes, the plan of restarts, the lock of a data directory and run.json, with real processes."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gridbeacon.errors import UsageError
from streams import run_file
from streams.embedded.child import KEEP_LOG_BYTES, Child, limit_log, tail
from streams.restart import FIRST_WAIT_SECS, HEALTHY_SECS, LONGEST_WAIT_SECS, Place

ROOT = Path(__file__).resolve().parents[2]


def wait_until(true: Callable[[], bool], secs: float = 30.0) -> None:
    deadline = time.monotonic() + secs
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Return whether a process has ended; one that nobody has buried yet counts as ended."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return state.stdout.strip()[:1] in ("", "Z")


def python(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", textwrap.dedent(text))


STUBBORN = python("""
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    time.sleep(60)
""")


def test_restarts_wait_twice_as_long_each_time_up_to_ten_seconds(tmp_path: Path) -> None:
    place = Place("role", Child(("true",), tmp_path / "log"), started_at=0.0)
    waits = []
    for now in range(8):
        waits.append(place.ended(float(now)))
        place.restarted(float(now))
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, LONGEST_WAIT_SECS, LONGEST_WAIT_SECS]
    assert place.restarts == 8
    assert place.due_at is None


def test_a_child_that_was_healthy_is_restarted_as_soon_as_at_first(tmp_path: Path) -> None:
    place = Place("role", Child(("true",), tmp_path / "log"), started_at=0.0)
    place.ended(1.0)
    place.ended(2.0)
    place.restarted(10.0)
    assert place.ended(10.0 + HEALTHY_SECS) == FIRST_WAIT_SECS
    assert place.due_at == 10.0 + HEALTHY_SECS + FIRST_WAIT_SECS


def test_a_child_that_can_not_even_start_waits_ever_longer_however_long_it_ran_before(tmp_path: Path) -> None:
    place = Place("role", Child(("true",), tmp_path / "log"), started_at=0.0)
    now, waits = 10 * HEALTHY_SECS, []
    for _ in range(4):
        waits.append(place.ended(now))
        now += waits[-1]
    assert waits == [0.2, 0.4, 0.8, 1.6]


def test_a_child_writes_to_its_log_and_can_be_started_again(tmp_path: Path) -> None:
    child = Child(
        python("import os; print(os.environ['GREETING'])"), tmp_path / "logs" / "a.log", {"GREETING": "hello"}
    )
    assert child.poll() is None
    assert child.pid is None
    for _ in range(2):
        child.start()
        wait_until(lambda: child.poll() is not None)
        assert child.poll() == 0
    assert tail(child.log) == "hello\nhello\n"


def test_a_child_that_ignores_sigterm_is_killed_when_patience_ends(tmp_path: Path) -> None:
    child = Child(STUBBORN, tmp_path / "log")
    child.start()
    wait_until(lambda: "deaf" in tail(child.log))
    child.stop(0.2)
    assert child.poll() == -signal.SIGKILL
    assert child.why_ended() == "signal Killed: deaf"


def test_kill_takes_the_grandchildren_too(tmp_path: Path) -> None:
    child = Child(
        python("""
            import subprocess, sys
            one = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            print(one.pid, flush=True)
            one.wait()
        """),
        tmp_path / "log",
    )
    child.start()
    wait_until(lambda: tail(child.log).endswith("\n"))
    child.kill()
    wait_until(lambda: is_gone(int(tail(child.log))))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent death signal is Linux's")
def test_a_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    text = """
        import os, signal, sys, time
        from pathlib import Path
        from streams.embedded.child import Child
        child = Child((sys.executable, "-c", "import time; time.sleep(60)"), Path(sys.argv[1]))
        child.start()
        print(child.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    parent = subprocess.run(
        [*python(text), tmp_path / "log"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert parent.returncode == -signal.SIGKILL
    wait_until(lambda: is_gone(int(parent.stdout)))


def test_a_long_log_moves_aside_while_its_child_goes_on_writing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * (KEEP_LOG_BYTES + 1))
    with log.open("ab") as writer:
        limit_log(log)
        writer.write(b"more")
    assert log.read_bytes() == b"more"
    assert (tmp_path / "log.1").stat().st_size == KEEP_LOG_BYTES + 1


def test_a_second_supervisor_on_a_directory_is_told_who_has_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    held = run_file.lock(data)
    with pytest.raises(UsageError) as told:
        run_file.lock(data)
    assert str(os.getpid()) in str(told.value)
    assert str(data) in str(told.value)
    held.close()
    run_file.lock(data).close()


def test_run_json_is_read_only_while_its_supervisor_lives(tmp_path: Path) -> None:
    run = run_file.Run(
        pid=os.getpid(),
        started="2026-01-01T00:00:00Z",
        ready=True,
        broker="127.0.0.1:19092",
        clickhouse="127.0.0.1:19000",
        children={"detect": run_file.ChildRun(pid=7, restarts=1, log="detect.log")},
    )
    assert run_file.read(tmp_path) is None
    held = run_file.lock(tmp_path)
    assert run_file.read(tmp_path) is None
    run_file.write(tmp_path, run)
    assert run_file.read(tmp_path) == run
    held.close()
    assert run_file.read(tmp_path) is None
