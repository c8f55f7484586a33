"""Runs a command in a process of its own, forked from one that has loaded everything: a tenth of the time of a new one.

What a command does, says and exits with is the same; that ``python -m gridbeacon`` starts from nothing is tested where
roles and ``up`` are started.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import wait
from pathlib import Path

from tests.servers import ROOT

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(
    [
        "gridbeacon.cli.checks",
        "gridbeacon.cli.health",
        "gridbeacon.cli.house",
        "gridbeacon.cli.roles",
        "sinks.migrate",
        "streams.act",
        "streams.backtest",
        "streams.forecast",
        "streams.ingest",
        "streams.notify",
        "streams.replay",
        "streams.store",
        "pyarrow.parquet",
        "tests.commands",
    ]
)


def gridbeacon(
    *words: str, cwd: Path, stdin: str = "", env: Mapping[str, str] | None = None, timeout: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """Run ``gridbeacon WORDS…`` to its end, as ``subprocess.run`` would."""
    return _run(_main, ("gridbeacon", *words), cwd, stdin, env, timeout)


def module(
    name: str, *words: str, cwd: Path, stdin: str = "", timeout: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m NAME WORDS…`` to its end."""
    return _run(_module, (name, *words), cwd, stdin, None, timeout)


class Role:
    """A role's process, as ``subprocess.Popen`` would be one; it ends with a signal or by itself."""

    def __init__(self, command: list[str], log: Path) -> None:
        """Start ``python -m gridbeacon worker …``, which is what ``command`` says; its output goes to ``log``."""
        log.touch()
        argv = ("gridbeacon", *command[command.index("gridbeacon") + 1 :])
        files = [os.devnull, str(log), str(log)]
        given = (_main, argv, str(ROOT), dict(os.environ), files)
        self._process = _FORKING.Process(target=_begin, args=given, daemon=True)
        self._alone = threading.Lock()
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        with self._alone:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        wait([self._process.sentinel], timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired("gridbeacon", timeout)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(
    what: Callable[[], None],
    argv: tuple[str, ...],
    cwd: Path,
    stdin: str,
    env: Mapping[str, str] | None,
    timeout: float,
) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory(prefix="gridbeacon-command-") as folder:
        files = [Path(folder) / name for name in ("in", "out", "err")]
        for file in files:
            file.write_text(stdin if file.name == "in" else "", "utf-8")
        everything = dict(os.environ if env is None else env)
        process = _FORKING.Process(target=_begin, args=(what, argv, str(cwd), everything, list(map(str, files))))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(argv, timeout, files[1].read_bytes(), files[2].read_bytes())
        out, err = (file.read_text("utf-8") for file in files[1:])
        return subprocess.CompletedProcess(argv, process.exitcode, out, err)


def _begin(what: Callable[[], None], argv: tuple[str, ...], cwd: str, env: dict[str, str], files: list[str]) -> None:
    """Be the process that was asked for."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, (file, flags) in enumerate(zip(files, (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)):
        os.dup2(os.open(file, flags | os.O_APPEND), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  for as long as the process lives
    sys.argv = list(argv)
    what()


def _main() -> None:
    from gridbeacon.cli import main

    main()


def _module() -> None:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
