"""Who runs on a data directory: a lock that one supervisor holds, and ``run.json``, which says what it runs."""

import fcntl
import os
import time
from pathlib import Path
from typing import IO

import msgspec

from gridbeacon.errors import ConfigError, UsageError

LOCK = "up.lock"
RUN = "run.json"


class ChildRun(msgspec.Struct, frozen=True, kw_only=True):
    """One child process: its pid (None between its end and its restart), restarts so far, and its log file."""

    pid: int | None
    restarts: int
    log: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What a supervisor runs: its pid, its start (RFC 3339, UTC), whether all is up, where to connect, children."""

    pid: int
    started: str
    ready: bool
    broker: str
    clickhouse: str
    children: dict[str, ChildRun]


def lock(data_dir: Path) -> IO[str]:
    """Return the held lock of ``data_dir``, which is made when missing; closing it or ending lets go.

    Raises ``UsageError`` when another supervisor has it, ``ConfigError`` when the directory can't be used.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        file = (data_dir / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"data_dir {data_dir} can't be used ({error.strerror}); set another folder") from error
    try:
        _take(file)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise UsageError(
            f"{data_dir} is in use by another gridbeacon up (process {holder}); stop that one, or set data_dir to "
            "another folder"
        ) from error
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _take(file: IO[str]) -> None:
    """Take the lock; a reader of ``run.json`` may have it for a moment, a supervisor has it for good."""
    for tries_left in range(9, -1, -1):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if not tries_left:
                raise
            time.sleep(0.02)


def write(data_dir: Path, run: Run) -> None:
    """Replace ``run.json``, so that a reader sees the old or the new one, never a part."""
    new = data_dir / (RUN + ".new")
    new.write_bytes(msgspec.json.format(msgspec.json.encode(run)))
    new.replace(data_dir / RUN)


def remove(data_dir: Path) -> None:
    """Delete ``run.json``: nothing runs here any more, and it ended in order."""
    (data_dir / RUN).unlink(missing_ok=True)


def read(data_dir: Path) -> Run | None:
    """Return what runs on ``data_dir`` now, None when no supervisor does."""
    try:
        with (data_dir / LOCK).open("r", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None  # nobody holds it: a run.json that is still there is what a killed supervisor left
    except BlockingIOError:
        pass
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode((data_dir / RUN).read_bytes(), type=Run)
    except FileNotFoundError:
        return None  # it has only just begun
