"""The page on benchmarks names commands that exist, and no benchmark is left out."""

import re
from pathlib import Path

import pytest

from tests import commands

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"python -m (bench\.[\w.]+)", DOC)))


@pytest.mark.parametrize("module", [name for name in COMMANDS if "setup" not in name])
def test_every_command_is_there(module: str) -> None:
    done = commands.module(module, "--help", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert module in done.stdout


def test_every_benchmark_is_described() -> None:
    scripts = {f"bench.{file.stem}" for file in (ROOT / "bench").glob("*.py") if "def main" in file.read_text()}
    assert scripts | {"bench.baselines.setup"} == set(COMMANDS)
