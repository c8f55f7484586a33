"""``README.md`` can be followed: the city that it describes starts, and the record that it shows does what it says."""

import json
import os
import re
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gridbeacon import config
from gridbeacon.cli.demo import QUESTIONS, SPEED
from gridbeacon.cli.run import ROLES
from gridbeacon.demo import auckland, evening, square
from tests.commands import gridbeacon

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the one block of a language, without the indentation of the list that it stands in."""
    ((indent, text),) = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", DOC, re.MULTILINE | re.DOTALL)
    return "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))


@pytest.fixture
def city(tmp_path: Path) -> Path:
    (tmp_path / "sensors.csv").write_text(block("csv"), encoding="utf-8")
    (tmp_path / "gridbeacon.yaml").write_text(block("yaml"), encoding="utf-8")
    return tmp_path


def run(*arguments: str, cwd: Path) -> str:
    done = gridbeacon(*arguments, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_city_is_right(city: Path) -> None:
    assert "2 sensors" in run("check", cwd=city)


def test_the_record_is_yellow_when_it_stays_so_for_a_minute(city: Path) -> None:
    record = json.loads(block("json"))
    begin = datetime.fromisoformat(record["dateObserved"])
    records = [
        record | {"dateObserved": (begin + timedelta(minutes=n)).isoformat().replace("+00:00", "Z")} for n in range(3)
    ]
    (city / "crowd.metrics-mine.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    out = run("backtest", "crowd.metrics-mine.jsonl", cwd=city)
    found = [json.loads(line) for line in out.splitlines()]
    assert not [one for one in found if one["kind"] == "dead_letter"]
    events = [one for one in found if one["kind"] == "alert_event"]
    assert events
    assert events[-1]["level_to"] == "yellow"
    assert any(one["kind"] == "notice" and "3.30 people/m²" in one["body"] for one in found)


def test_the_figures_of_the_demonstration_are_those_of_its_data() -> None:
    assert f"{len(auckland.sensors())} pedestrian counters" in DOC
    zone = ZoneInfo(auckland.TIMEZONE)
    months = {datetime.fromtimestamp(line.time_ms / 1000 - 1, zone).strftime("%B %Y") for line in auckland.lines()}
    assert months == {"October 2022", "November 2022", "December 2022"}
    assert "October to December 2022" in DOC
    assert (evening.END_MS - evening.EVENING_MS) / SPEED == 24_000  # "Four hours are played in 24 seconds"
    assert (square.BUILD_UP, len(QUESTIONS)) == (20, 3)  # "within 20 minutes", "three questions"


def test_roles_ports_and_defaults_that_are_named_are_so() -> None:
    assert f"to `127.0.0.1:{config.Broker().port}`" in DOC
    assert all(f"`{role}`" in DOC for role in ROLES)
    assert config.Notify().give_up_after_secs == 86_400  # "given up after a day"


def test_every_command_that_is_named_exists(city: Path) -> None:
    named = set(re.findall(r"`gridbeacon ([a-z-]+)", DOC)) | set(
        re.findall(r"^ *gridbeacon ([a-z-]+)$", DOC, re.MULTILINE)
    )
    assert named >= {"check", "up", "alerts", "status"}
    for command in named:
        assert run(command, "--help", cwd=city)


def test_the_scripts_that_are_named_can_be_run() -> None:
    scripts = set(re.findall(r"\./(scripts/\w+)", DOC))
    assert scripts == {"scripts/demo", "scripts/test"}
    assert all(os.access(ROOT / script, os.X_OK) for script in scripts)
