"""Fetch Apache Kafka once: the jars of ``jars.txt`` into a cache, verified, safe against interruption and rivals."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from gridbeacon.errors import ConfigError, Transient
from streams.embedded.java import find_java

VERSION = "4.1.0"
DOWNLOADS = 4
"""At once: the jars are many and small, so waiting for answers is what takes the time."""
TRIES = 3
TIMEOUT_SECS = 30

Report = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""


@dataclass(frozen=True, slots=True)
class KafkaFiles:
    """What it takes to run a broker: a Java program and the folder of the broker's jars."""

    java: Path
    libs: Path

    @property
    def classes(self) -> Path:
        """Return where the classes that a broker loads are kept for this Java, when ``ahead`` has prepared them."""
        which = hashlib.sha256(f"{self.java} {self.java.stat().st_mtime_ns} {self.libs}".encode()).hexdigest()[:8]
        return self.libs.with_name(f"kafka-{VERSION}-classes-{which}.aot")

    def flags(self) -> list[str]:
        """Return Java's flags that use the prepared classes; none where there are none."""
        used = ["-XX:+IgnoreUnrecognizedVMOptions", f"-XX:AOTCache={self.classes}"]
        return used if self.classes.exists() else []


@dataclass(frozen=True, slots=True)
class Jar:
    """One file of the broker: its coordinates, size in bytes and SHA-256 (hex)."""

    group: str
    artifact: str
    version: str
    size: int
    sha256: str

    @property
    def filename(self) -> str:
        """Name of the file, as ``artifact-version.jar``."""
        return f"{self.artifact}-{self.version}.jar"


def jars() -> tuple[Jar, ...]:
    """Return the files that make up the broker, as listed in ``jars.txt``."""
    rows = []
    for line in Path(__file__).with_name("jars.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, size, sha256 = line.split()
            group, artifact, version = name.split(":")
            rows.append(Jar(group, artifact, version, int(size), sha256))
    return tuple(rows)


def cache_directory() -> Path:
    """Return where fetched programs are kept: ``$XDG_CACHE_HOME/gridbeacon``, else ``~/.cache/gridbeacon``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gridbeacon"


def ensure_kafka(report: Report | None = None) -> KafkaFiles:
    """Return the broker's files, fetching them (45 MB) into the cache when they are not there yet.

    ``report`` is called only while something is fetched. Two processes may call this at once: the second waits.
    An interrupted fetch goes on where it stopped. Raises ``Transient`` when a file can't be fetched, and
    ``ConfigError`` when there is no Java or the cache can't be written.
    """
    java = find_java()
    wanted = jars()
    libs = cache_directory() / f"kafka-{VERSION}-{_fingerprint(wanted)}"
    if not _complete(libs, wanted):
        try:
            with _alone(cache_directory()):
                if not _complete(libs, wanted):
                    _fetch(wanted, libs, report)
        except OSError as error:
            raise ConfigError(
                f"Apache Kafka can't be kept in {cache_directory()}: {error.strerror or error}; free some space there, "
                "or set XDG_CACHE_HOME to a folder that can be written"
            ) from error
    return KafkaFiles(java, libs)


def _fingerprint(wanted: tuple[Jar, ...]) -> str:
    return hashlib.sha256("".join(jar.sha256 for jar in wanted).encode()).hexdigest()[:8]


def _complete(libs: Path, wanted: tuple[Jar, ...]) -> bool:
    """Return whether every jar is there; bytes were verified before the folder got its name."""
    try:
        return all((libs / jar.filename).stat().st_size == jar.size for jar in wanted)
    except OSError:
        return False


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(wanted: tuple[Jar, ...], libs: Path, report: Report | None) -> None:
    partial = libs.with_name(libs.name + ".partial")
    partial.mkdir(exist_ok=True)
    total = sum(jar.size for jar in wanted)
    done = 0
    lock = Lock()

    def count(size: int) -> None:
        nonlocal done
        with lock:
            done += size
            if report:
                report(done, total)

    count(0)
    pool = ThreadPoolExecutor(DOWNLOADS)
    try:
        for _ in pool.map(lambda jar: _fetch_one(jar, partial, count), wanted):
            pass
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    shutil.rmtree(partial / "repository", ignore_errors=True)
    if libs.exists():  # it was complete once and lost a file since
        shutil.rmtree(libs)
    partial.rename(libs)


def _fetch_one(jar: Jar, partial: Path, count: Callable[[int], None]) -> None:
    # Imported here: only the very first start needs it, and it costs 0.3 s.
    from jgo.maven import MavenContext, PythonResolver

    target = partial / jar.filename
    if not target.exists():
        context = MavenContext(PythonResolver(), repo_cache=partial / "repository", timeout=TIMEOUT_SECS)
        artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
        problem = ""
        for _ in range(TRIES):
            try:
                path = artifact.resolve()
                got = hashlib.sha256(path.read_bytes()).hexdigest()
                if got == jar.sha256:
                    path.rename(target)
                    break
                problem = "what came was not the expected file"
                path.unlink()  # cut short by an earlier interruption, or damaged on its way
            except (OSError, RuntimeError) as error:
                if isinstance(error, OSError) and error.errno:  # the disk's word; the network's errors have no number
                    raise
                problem = f"{type(error).__name__} at {jar.filename}"
        else:
            raise Transient(
                f"Apache Kafka {VERSION} is not in {partial.parent} yet and could not be fetched ({problem}); connect "
                "to the internet (HTTPS_PROXY is honoured) for the first start, copy that folder from another "
                "machine, or set broker.bootstrap to a Kafka of your own"
            )
    count(jar.size)
