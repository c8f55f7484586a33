"""Child processes that can't outlive their parent."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
KEEP_LOG_BYTES = 10_000_000


class Child:
    """One program that can be started again and again; its output goes to the end of ``log``.

    It runs in a process group of its own, so that Ctrl-C reaches only the parent, which stops its children in order.
    On Linux the kernel kills it when its parent ends, however that happens; what counts as parent is the *thread* that
    calls ``start``, so call it from one that lives as long as the child should. ``env`` is added to the environment.
    """

    def __init__(self, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None) -> None:
        """Remember what to run; starts nothing."""
        self.command = tuple(command)
        self.log = log
        self._env = dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begins = 0

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self.poll() is None else None

    def start(self, keeps: Sequence[int] = ()) -> None:
        """Start the program, which keeps these files open; raises ``OSError`` when that is impossible."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        limit_log(self.log)
        with self.log.open("ab") as output:
            self._log_begins = output.tell()
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._env},
                process_group=0,
                pass_fds=tuple(keeps),
                preexec_fn=die_with_parent(),  # noqa: PLW1509  two system calls, bound beforehand
            )

    def poll(self) -> int | None:
        """Return the exit code once it has ended (minus the signal that ended it), None while it runs or never did."""
        return self._process.poll() if self._process else None

    def why_ended(self) -> str:
        """Return how it ended and the last that it said, for a person; to be called when it has."""
        code = self.poll() or 0
        how = f"exit code {code}" if code >= 0 else f"signal {signal.strsignal(-code) or -code}"
        last = self.said().strip().splitlines()[-1:]
        return f"{how}: {last[0].strip()[:300]}" if last else how

    def said(self) -> str:
        """Return the end (20,000 bytes at most) of what it has written since its last start."""
        return tail(self.log, self._log_begins)

    def ask_to_stop(self) -> None:
        """Send SIGTERM, if it runs."""
        if self._process and self.poll() is None:
            self._process.terminate()

    def stop(self, patience_secs: float) -> None:
        """End it: SIGTERM, and past ``patience_secs`` SIGKILL; returns when it is gone."""
        if self._process is None:
            return
        self.ask_to_stop()
        try:
            self._process.wait(max(0.0, patience_secs))
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it and whatever it has started at once, as a power cut would; returns when it is gone."""
        if self._process is None:
            return
        if self.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def limit_log(log: Path) -> None:
    """Keep a log that a child is writing to short: past 10 MB its text moves to ``<log>.1`` and it begins anew."""
    if log.exists() and log.stat().st_size > KEEP_LOG_BYTES:
        old = log.with_name(log.name + ".1")
        try:
            shutil.copyfile(log, old)
        except OSError:  # no room for it: the log may be what fills the disk, so it goes
            old.unlink(missing_ok=True)
        os.truncate(log, 0)  # children append, so they go on at its new end


def tail(log: Path, begin: int = 0) -> str:
    """Return what the last 20,000 bytes of a log say, from byte ``begin`` on; empty when there is none."""
    try:
        with log.open("rb") as file:
            size = log.stat().st_size
            file.seek(max(0, size - 20_000, begin if begin <= size else 0))  # it may have been cut short since
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def die_with_parent() -> Callable[[], None] | None:
    """Return what a child runs before its program, so that the kernel ends it with the thread that started it."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def between_fork_and_exec() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the request took effect
            os._exit(1)

    return between_fork_and_exec
