"""Clients in other languages, ready to be asked: programs that read requests and write answers as JSON."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.asking import Answer, Request

BUILD_SECS, RUN_SECS = 300, 60
_HERE = Path(__file__).parent


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
    # Fetching is apart from building: no network is a reason to skip, a program that does not build is none.
    fetched = subprocess.run(
        [go, "mod", "download"], cwd=_HERE / "go", env=environment, capture_output=True, text=True, timeout=BUILD_SECS
    )
    if fetched.returncode:
        pytest.skip(f"the modules of clickhouse-go can't be fetched: {fetched.stderr.strip()[-200:]}")
    built = subprocess.run(
        [go, "build", "-o", program, "."],
        cwd=_HERE / "go",
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_SECS,
    )
    assert built.returncode == 0, built.stderr
    return program
