"""One Apache Kafka node on loopback as a child process."""

import fcntl
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gridbeacon.errors import ConfigError, Fatal, GridbeaconError, Transient
from streams.embedded.child import Child, tail
from streams.embedded.fetch import KafkaFiles
from streams.embedded.ports import HOST, accepts, busy, check_free, free_pair
from streams.embedded.settings import CLUSTER_ID, LOGGING, jvm_flags, server_properties
from streams.embedded.space import check_space

NAME = "the embedded Kafka broker"


class EmbeddedBroker:
    """A Kafka node with its data and settings in ``directory``; listens on 127.0.0.1 only.

    ``port`` 0 picks a free one when it first starts and keeps it. The controller takes ``port`` + 1. ``heap_mb`` bounds
    the Java heap. ``logs`` is the folder of its logs, ``directory`` itself unless given. ``flags`` are more of Java's.
    Like every ``Child`` it dies with the thread that called ``start``.
    """

    def __init__(
        self,
        directory: Path,
        files: KafkaFiles,
        port: int = 0,
        heap_mb: int = 320,
        logs: Path | None = None,
        flags: tuple[str, ...] = (),
    ) -> None:
        """Remember where everything is; touches nothing before ``start``."""
        self.directory = directory.absolute()
        self.port = port
        self.log = (logs or directory).absolute() / "broker.log"
        self._files = files
        self._heap_mb = heap_mb
        self._log_begins = 0
        properties = self.directory / "server.properties"
        command = [*self._java(heap_mb, *flags), "kafka.Kafka", properties]
        # Fewer memory arenas of the C library: 60 MB less resident.
        self._child = Child(command, self.log.with_suffix(".out"), {"MALLOC_ARENA_MAX": "2"})

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._child.pid

    def poll(self) -> int | None:
        """Return the exit code once the process has ended, None while it runs or before a start."""
        return self._child.poll()

    def why_ended(self) -> str:
        """Return why it ended, for a person; to be called when it has."""
        return str(self._failure())

    def start(self) -> None:
        """Start the process, its storage made first when there is none; returns before it serves.

        Raises ``ConfigError`` when another one runs on the same folder, a port is taken or the disk is full.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self._folder_of_its_own() as lock:
            self._prepare(self.directory / "data")
            self._log_begins = self.log.stat().st_size if self.log.exists() else 0
            self._child.start(keeps=[lock])

    @contextmanager
    def _folder_of_its_own(self) -> Iterator[int]:
        """Lock the folder; whoever keeps the yielded file open keeps the lock.

        Kafka has a lock of its own, and looks at it only when it has already shortened the metadata log of the node
        that runs: that one then ends.
        """
        with (self.directory / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigError(
                    f"another Kafka broker already runs on {self.directory}; stop it, or set data_dir to another folder"
                ) from error
            yield file.fileno()

    def _prepare(self, data: Path) -> None:
        """See that it can run and write its settings, its storage made first when there is none."""
        check_space(self.directory, returns=data.exists())
        self.port = self.port or free_pair()
        for port in (self.port, self.port + 1):
            check_free(port, NAME, "broker.port")
        (self.directory / "log4j2.properties").write_text(LOGGING, "utf-8")
        if not data.exists():
            self._format(data)
        self._write_properties("server.properties", data)

    def wait_ready(self, timeout_secs: float = 60.0) -> None:
        """Return as soon as the broker serves.

        Raises ``ConfigError`` when it ends because of the disk, its folder or its port, ``Fatal`` when it ends for any
        other reason, and ``Transient`` after ``timeout_secs``.
        """
        deadline = time.monotonic() + timeout_secs
        while not self.serves():
            if time.monotonic() > deadline:
                raise Transient(f"{NAME} does not answer after {timeout_secs:.0f} s; see {self.log}")
            time.sleep(0.02)

    def serves(self) -> bool:
        """Return whether it accepts clients; raises as ``wait_ready`` when it has ended instead."""
        if self.poll() is not None:
            raise self._failure()
        # The node opens its listener last, registered and with its logs recovered: to accept is to serve.
        return accepts(self.port)

    def ask_to_stop(self) -> None:
        """Ask it to end in order; see ``stop``."""
        self._child.ask_to_stop()

    def stop(self, patience_secs: float = 15.0) -> None:
        """End it in order, past ``patience_secs`` the hard way; returns when it is gone."""
        self._child.stop(patience_secs)

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL."""
        self._child.kill()

    def _java(self, heap_mb: int, *flags: str) -> list[str | Path]:
        return [
            self._files.java,
            *jvm_flags(heap_mb),
            *self._files.flags(),
            *flags,
            f"-Dlog4j2.configurationFile={self.directory / 'log4j2.properties'}",
            f"-Dgridbeacon.log={self.log}",
            "-cp",
            f"{self._files.libs}/*",
        ]

    def _write_properties(self, name: str, data: Path) -> Path:
        path = self.directory / name
        lines = (f"{key}={value}\n" for key, value in server_properties(self.port, data).items())
        path.write_text("".join(lines), "utf-8")
        return path

    def _format(self, data: Path) -> None:
        """Make the storage beside its place and move it there: a half-made one is never seen."""
        new = self.directory / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        properties = self._write_properties("format.properties", new)
        tool: list[str | Path] = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", properties]
        made = subprocess.run(
            [*self._java(128), *tool],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if made.returncode:
            last = (made.stderr or made.stdout).strip().splitlines()[-1:] or ["no reason given"]
            raise Fatal(f"the storage of {NAME} can't be made in {self.directory}: {last[0]}")
        new.rename(data)

    def _failure(self) -> GridbeaconError:
        said = tail(self.log, self._log_begins) + self._child.said()
        if "No space left on device" in said:
            return ConfigError(
                f"the disk of {self.directory} is full, so {NAME} ended; free some space, or set data_dir to a folder "
                "on another disk"
            )
        if "Address already in use" in said:
            return busy(self.port, NAME, "broker.port")
        return Fatal(f"{NAME} ended with code {self.poll()}; see {self.log}")
