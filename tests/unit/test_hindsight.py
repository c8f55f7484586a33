"""Backtests in tables: what was told is counted, and held against what is known to have happened."""

import csv
import re
from pathlib import Path

import pytest

from gridbeacon.config import Config
from gridbeacon.demo import auckland, evening
from gridbeacon.demo.files import write_files
from gridbeacon.hindsight import WEEK_MS, Hindsight
from gridbeacon.labels import Label
from gridbeacon.lifecycle import Event
from gridbeacon.model import Alert, AlertEvent, Evidence, Position
from gridbeacon.reasons import Certainty, ConditionState, HandlingState, Level, Mode, Reason
from tests.unit.test_cli import run

BEGIN_MS = 1_667_559_600_000  # 2022-11-05, midnight in Auckland
LABELS = """start,end,name
2022-12-31 18:00,2023-01-01 01:00,New Year's Eve
2022-12-13 02:00,2022-12-13 05:00,A night in the middle of nowhere
"""


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight weeks of real counts of Auckland with the registry of the demonstration."""
    folder = tmp_path_factory.mktemp("city")
    write_files(folder, Config(clock="event", timezone=auckland.TIMEZONE), evening.registry())
    (folder / "crowd.metrics-2022.jsonl").write_bytes(
        b"".join(line.raw + b"\n" for line in auckland.lines() if line.time_ms >= BEGIN_MS)
    )
    (folder / "labels.csv").write_text(LABELS, encoding="utf-8")
    return folder


def test_new_years_eve_is_found_and_shown(city: Path) -> None:
    given = (
        "backtest",
        "crowd.metrics-2022.jsonl",
        "--from",
        "2022-12-10",
        "--labels",
        "labels.csv",
        "--out",
        "review",
    )
    done = run(*given, "--tick-secs", "3600", cwd=city)
    assert done.returncode == 0, done.stderr
    out = city / "review"
    figures = dict(list(csv.reader((out / "against-the-labels.csv").open(encoding="utf-8")))[1:])
    assert figures["recall"] == "1 of 2"
    assert float(figures["false alarms a week"]) < 20
    told, missed = list(csv.DictReader((out / "labels.csv").open(encoding="utf-8")))[::-1]
    assert (told["name"], told["told"], missed["told"]) == ("New Year's Eve", "yes", "no")
    assert 0 <= float(told["delay, minutes"]) <= 420
    alarms = list(csv.DictReader((out / "alarms.csv").open(encoding="utf-8")))
    layers = list(csv.DictReader((out / "alarms-by-layer.csv").open(encoding="utf-8")))
    assert sum(int(row["alarms"]) for row in layers) == len(alarms) > 0
    assert f"{len(alarms)} alarms in" in done.stdout
    pages = sorted(out.glob("*.html"))
    assert len(pages) == 2
    shown = pages[1].read_text(encoding="utf-8")
    assert "New Year&#x27;s Eve" in shown
    assert told["headline"].split(":")[0] in shown
    assert not re.search(r"(?:src|href)=|<script", shown)
    assert shown.count('class="told"') >= 1


def test_what_is_before_only_teaches(city: Path) -> None:
    everything = run("backtest", "crowd.metrics-2022.jsonl", "--summary", "--tick-secs", "3600", cwd=city)
    nothing = run("backtest", "crowd.metrics-2022.jsonl", "--from", "2022-12-31 23:59", "--tick-secs", "3600", cwd=city)
    assert int(everything.stdout.split()[0]) > int(nothing.stdout.split()[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "yesterday"], "--from: 'yesterday' is no time; write 2026-11-23"),
        (["--from", "2022-12-02", "--to", "2022-12-01"], "--to is not after --from"),
        (["--labels", "none.csv"], "none.csv can't be read"),
        (["--labels", "short.csv"], "short.csv: there is no column 'end'"),
        (["--labels", "back.csv"], "back.csv:2: the end is before the start"),
        (["--labels", "word.csv"], "word.csv:2: start: 'noon' is no time"),
        (["--summary", "--only", "alert"], "go with files alone"),
        (["--out", "labels.csv"], "labels.csv can't be made"),
    ],
)
def test_a_mistake_is_one_sentence(city: Path, arguments: list[str], words: str) -> None:
    (city / "short.csv").write_text("start,name\n2022-12-01,x\n", encoding="utf-8")
    (city / "back.csv").write_text("start,end,name\n2022-12-02,2022-12-01,x\n", encoding="utf-8")
    (city / "word.csv").write_text("start,end,name\nnoon,2022-12-01,x\n", encoding="utf-8")
    done = run("backtest", "crowd.metrics-2022.jsonl", *arguments, cwd=city)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def opened(at_ms: int, layer: str, rule: str = "safety") -> tuple[Alert, AlertEvent]:
    """Return an alert that opens, as a backtest yields it."""
    evidence = Evidence(
        series="crowd/A/people_count",
        layer=layer,
        reason=Reason.DENSITY,
        level=Level.RED,
        since_ms=at_ms,
        lineage=Position("crowd.metrics", 0, 0),
    )
    alert = Alert(
        alert_id=f"a{at_ms}",
        fingerprint="f",
        rule=rule,
        cell="310101001001001",
        area="310101",
        version=1,
        level=Level.RED,
        highest_level=Level.RED,
        condition_state=ConditionState.ACTIVE,
        handling_state=HandlingState.NEW,
        certainty=Certainty.OBSERVED,
        mode=Mode.REPLAY,
        opened_ms=at_ms,
        changed_ms=at_ms,
        cleared_ms=None,
        headline="h",
        evidence=(evidence,),
    )
    event = AlertEvent(
        alert_id=alert.alert_id,
        version=1,
        at_ms=at_ms,
        actor="engine",
        event=Event.OPENED,
        reason=Reason.DENSITY,
        level_from=Level.NONE,
        level_to=Level.RED,
        condition_from=None,
        condition_to=ConditionState.ACTIVE,
        handling_from=None,
        handling_to=HandlingState.NEW,
    )
    return alert, event


def test_counting_by_hand() -> None:
    labels = [Label(1000, 2000, "early"), Label(5000, 6000, "late"), Label(8000, 9000, "never")]
    seen = Hindsight(0, 2 * WEEK_MS, labels)
    seen._last_ms = 2 * WEEK_MS
    for at_ms, layer, rule in (
        (1500, "limit", "safety"),
        (1700, "limit", "safety"),
        (3000, "learned", "safety"),
        (5000, "learned", "safety"),
        (8500, "quality", "data_health"),
        (2 * WEEK_MS, "limit", "safety"),
    ):
        for one in opened(at_ms, layer, rule):
            seen.take(one)
    assert seen.weeks == 2
    assert [alarm.at_ms for alarm in seen.alarms] == [1500, 1700, 3000, 5000, 8500]  # the last one is beyond the end
    assert [(one.label.name, one.delay_ms) for one in seen.outcomes()] == [("early", 500), ("late", 0), ("never", None)]
    assert [alarm.at_ms for alarm in seen.false()] == [3000]
    assert seen.tables()[0][2] == [["learned", "2", "1.00"], ["limit", "2", "1.00"], ["quality", "1", "0.50"]]
