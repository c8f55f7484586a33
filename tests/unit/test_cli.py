"""The command line: exit codes, one sentence per mistake, JSON for scripts, and backtests that say what they find."""

import io
import json
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from gridbeacon.cli import EXIT_CODES, main
from gridbeacon.cli.data import speed_of
from gridbeacon.cli.roles import NUMBER
from gridbeacon.cli.run import ROLES
from gridbeacon.config_rules import ROLES as COUNTED_ROLES
from gridbeacon.errors import STAY_DOWN_CODE, StayDown, UsageError
from gridbeacon.timeline import rfc3339

T0 = 1_700_000_040_000


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str, cwd: Path) -> Done:
    """Run a command in this process, as its entry point does."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    code = 0
    with chdir(cwd), redirect_stdout(out), redirect_stderr(err), patch.object(sys, "argv", ["gridbeacon", *arguments]):
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 0
        out.flush()
    return Done(code, out.buffer.getvalue().decode(), err.getvalue())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gridbeacon.yaml").write_text("clock: event\nregistry:\n  sensors: [sensors.csv]\n")
    (tmp_path / "sensors.csv").write_text("sensor_id,kind,grid_id\nCAM-1,crowd,310101001002003\n")
    records = [
        {
            "id": "CAM-1",
            "type": "CrowdFlowObserved",
            "dateObserved": rfc3339(T0 + n * 60_000),
            "density_max_per_m2": 0.5 if n < 3 or n > 8 else 4.5,
        }
        for n in range(14)
    ]
    lines = [json.dumps(record) for record in records] + ["{", '{"id":"nobody","dateObserved":"2023-11-14T22:40:00Z"}']
    (tmp_path / "crowd.metrics-day.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_a_backtest_prints_everything_that_it_finds(folder: Path) -> None:
    done = run("backtest", "crowd.metrics-day.jsonl", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [one["kind"] for one in found]
    assert (kinds.count("verdict"), kinds.count("dead_letter")) == (14, 2)
    events = [one["event"] for one in found if one["kind"] == "alert_event"]
    # The crush opens and clears; then the camera is silent until the last record, ten minutes later.
    assert events == ["opened", "cleared", "opened"]
    only = run("backtest", "crowd.metrics-day.jsonl", "--only", "notice", cwd=folder)
    assert {json.loads(line)["kind"] for line in only.stdout.splitlines()} == {"notice"}


def test_results_do_not_depend_on_how_often_time_is_told(folder: Path) -> None:
    outs = {
        run("backtest", "crowd.metrics-day.jsonl", "--only", "alert_event", "--tick-secs", secs, cwd=folder).stdout
        for secs in ("1", "60", "100000")
    }
    assert len(outs) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["backtest"], 2, "--from-topics"),
        (["backtest", "missing.jsonl"], 2, "missing.jsonl"),
        (["backtest", "crowd.metrics-day.jsonl", "--only", "nosuch"], 2, "nosuch"),
        (["worker", "nosuch"], 2, "ingest, detect"),
        (["check", "--config", "missing.yaml"], 2, "missing.yaml"),
        (["replay", "crowd.metrics-day.jsonl", "--speed", "fast"], 2, "60x"),
        (["demo", "--data", "."], 2, "not empty"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_fix(folder: Path, arguments: list[str], code: int, words: str) -> None:
    done = run(*arguments, cwd=folder)
    assert done.returncode == code
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_check_says_what_is_in_force(folder: Path) -> None:
    done = run("check", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 sensors" in done.stdout
    assert json.loads(run("check", "--json", cwd=folder).stdout)["config"]["clock"] == "event"


def test_a_speed_is_a_factor_or_max() -> None:
    assert (speed_of("1x"), speed_of("0.5"), speed_of("max")) == (1.0, 0.5, None)
    for text in ("0x", "-1x", "x", "1y", ""):
        with pytest.raises(UsageError):
            speed_of(text)


def test_every_role_has_a_number_and_ports_are_counted_rightly() -> None:
    assert tuple(NUMBER) == ROLES
    assert sorted(NUMBER.values()) == list(range(COUNTED_ROLES))


def test_exit_codes_are_told_apart() -> None:
    assert {kind: code for kind, code, _ in EXIT_CODES}[StayDown] == STAY_DOWN_CODE
    kinds = [kind for kind, _, _ in EXIT_CODES]
    for n, kind in enumerate(kinds):
        assert not any(issubclass(kind, earlier) for earlier in kinds[:n]), "a later kind would never be reached"
