"""Clients in other languages, ready to be asked: programs that read requests and write answers as JSON."""

import fcntl
import ipaddress
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from jgo.maven import MavenContext, PythonResolver

from streams.embedded.fetch import TIMEOUT_SECS, cache_directory
from tests.clients.asking import Answer, Request

BUILD_SECS, RUN_SECS = 300, 60
_HERE = Path(__file__).parent


@contextmanager
def alone(name: str) -> Iterator[Path]:
    """Hold a folder of the cache to oneself: tests run in several processes."""
    kept = cache_directory() / name
    kept.mkdir(parents=True, exist_ok=True)
    with kept.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield kept


@dataclass(frozen=True, slots=True)
class Program:
    """A command that takes ``options`` along with the requests."""

    command: tuple[str, ...]
    options: dict[str, str]

    def answer(self, requests: list[Request]) -> dict[str, Answer]:
        given = json.dumps(self.options | {"requests": requests})
        done = subprocess.run(self.command, input=given, capture_output=True, text=True, timeout=RUN_SECS)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def build_go(folder: Path) -> Path:
    """Return the program of clickhouse-go, built into ``folder``; skips without Go or its modules."""
    go = shutil.which("go")
    if not go:
        pytest.skip("no go on PATH: clickhouse-go is not tested")
    program = folder / "clients"
    environment = os.environ | {"GOFLAGS": "-mod=readonly -buildvcs=false"}
    # Whoever comes second finds in Go's own cache what the first one has built.
    with alone("clickhouse-go"):
        # Fetching is apart from building: no network is a reason to skip, a program that does not build is none.
        fetched = subprocess.run(
            [go, "mod", "download"],
            cwd=_HERE / "go",
            env=environment,
            capture_output=True,
            text=True,
            timeout=BUILD_SECS,
        )
        if fetched.returncode:
            pytest.skip(f"the modules of clickhouse-go can't be fetched: {fetched.stderr.strip()[-200:]}")
        built = subprocess.run(
            # Not optimised: on a machine that has built nothing yet it takes half the time, and the client is the same.
            [go, "build", "-gcflags=all=-N -l", "-o", program, "."],
            cwd=_HERE / "go",
            env=environment,
            capture_output=True,
            text=True,
            timeout=BUILD_SECS,
        )
    assert built.returncode == 0, built.stderr
    return program


JARS = (
    ("com.clickhouse", "clickhouse-jdbc", "0.9.9", "all"),  # the newest that comes as one file
    ("org.slf4j", "slf4j-api", "2.0.17", ""),
    ("org.slf4j", "slf4j-nop", "2.0.17", ""),
)
"""The JDBC driver, and the logging that it does not bring along."""


@dataclass(frozen=True, slots=True)
class Jdbc:
    """The program in Java: requests and answers are lines of escaped words, for want of JSON."""

    command: tuple[str, ...]

    def answer(self, requests: list[Request]) -> dict[str, Answer]:
        return self.tell([self._line(request) for request in requests])

    def tell(self, lines: list[tuple[str, ...]]) -> dict[str, Answer]:
        given = "\n".join("\t".join(map(_escape, line)) for line in lines)
        done = subprocess.run(self.command, input=given, capture_output=True, text=True, timeout=RUN_SECS)
        assert done.returncode == 0, done.stderr
        answers: dict[str, Answer] = {}
        for line in done.stdout.splitlines():
            name, kind, *values = map(_unescape, line.split("\t"))
            answer = answers.setdefault(name, {})
            match kind:
                case "types":
                    answer |= {"types": values, "rows": []}
                case "row":
                    answer["rows"].append([_address(k, v) for k, v in zip(answer["types"], values, strict=True)])
                case "error":
                    answer |= {"code": int(values[0]), "text": values[1]}
                case "count":
                    answer["rows"] = int(values[0])
                case "digest":
                    words = {word: int(count) for word, _, count in (value.partition("=") for value in values[2:])}
                    answer |= {"rows": int(values[0]), "sum": int(values[1]), "words": words}
        return answers

    @staticmethod
    def _line(request: Request) -> tuple[str, ...]:
        if "digest" in request:
            return request["name"], "digest", request["digest"]
        if "source" in request:
            return request["name"], "fill", request["source"], request["target"]
        settings = ",".join(f"{name}={value}" for name, value in request.get("settings", {}).items())
        arguments = [each if isinstance(each, str) else f"#{each}" for each in request.get("arguments", ())]
        return request["name"], "ask", request.get("positional", request["sql"]), settings, *arguments


def _address(kind: str, value: str) -> str:
    return str(ipaddress.IPv6Address(value)) if kind == "IPv6" else value


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t", "r": "\r"}.get(found[1], found[1]), text)


def fetch_jdbc() -> list[Path]:
    """Return the driver's files, fetched into the cache once; skips without Java's compiler or a file."""
    if not shutil.which("javac"):
        pytest.skip("no javac on PATH: the JDBC driver is not tested")
    with alone("clickhouse-jdbc") as kept:
        context = MavenContext(PythonResolver(), repo_cache=kept / "repository", timeout=TIMEOUT_SECS)
        files = []
        for group, name, version, classifier in JARS:
            file = kept / f"{name}-{version}.jar"
            if not file.is_file():
                try:
                    project = context.project(group, name).at_version(version)
                    project.artifact(classifier=classifier).resolve().rename(file)
                except (OSError, RuntimeError) as error:
                    pytest.skip(f"the JDBC driver can't be fetched: {error}")
            files.append(file)
        return files


def build_jdbc(folder: Path, jars: list[Path]) -> tuple[str, ...]:
    """Return the command that runs the program, without the URL."""
    built = subprocess.run(
        ["javac", "-d", folder, _HERE / "java" / "Asked.java"], capture_output=True, text=True, timeout=BUILD_SECS
    )
    assert built.returncode == 0, built.stderr
    path = os.pathsep.join(map(str, [folder, *jars]))
    return ("java", "-Xmx512m", "-Duser.timezone=UTC", "-cp", path, "Asked")
