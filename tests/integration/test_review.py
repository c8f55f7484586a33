"""gridbeacon review on the fixture city: its pages, its speed, and a sentence for whatever can't be reviewed."""

import re
import sys
import time
from html import unescape
from pathlib import Path

import pytest

from gridbeacon.cli import main
from gridbeacon.config import ClickHouse, Config
from gridbeacon.demo.fixture.plan import TIMEZONE
from sinks.clickhouse import query
from tests.servers import Server, free_port

pytestmark = pytest.mark.integration
WEEK = ("--from", "2024-01-01", "--to", "2024-01-08")


@pytest.fixture
def config(fixture_city: Server, tmp_path: Path) -> Path:
    file = tmp_path / "gridbeacon.yaml"
    file.write_text(f"timezone: {TIMEZONE}\nclickhouse: {{port: {fixture_city.port}}}\n")
    return file


@pytest.fixture
def review(config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run the command in this process, as ``gridbeacon`` does, and return exit code, output and error."""

    def run(*words: str, file: Path = config) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gridbeacon", "review", "--config", str(file), *words])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_week_is_one_page_with_all_its_figures(fixture_city: Server, review, tmp_path: Path) -> None:
    began = time.monotonic()
    html, pdf = tmp_path / "week.html", tmp_path / "week.pdf"
    code, out, err = review(*WEEK, "--html", str(html), "--pdf", str(pdf))
    secs = time.monotonic() - began
    assert (code, out, err) == (0, f"{html} is ready\n{pdf} is ready\n", "")
    assert secs < 30  # ten on a quiet machine: docs/benchmarks.md
    assert pdf.read_bytes().startswith(b"%PDF")
    text = html.read_text("utf-8")
    assert text.count("<svg") == 3
    assert "Nothing in this time" not in text
    ((alerts,),) = query(
        Config(clickhouse=ClickHouse(port=fixture_city.port)),
        "SELECT count() FROM alerts FINAL "
        "WHERE opened_at >= '2023-12-31 16:00:00' AND opened_at < '2024-01-07 16:00:00'",
    )
    assert f"{alerts} alerts" in text


def test_the_sql_of_a_figure_can_be_run_as_it_stands(fixture_city: Server, review, tmp_path: Path) -> None:
    ours = Config(clickhouse=ClickHouse(port=fixture_city.port, username="analyst"))
    ((alert,),) = query(ours, "SELECT argMin(alert_id, (-toInt8(highest_level), opened_at, alert_id)) FROM alerts")
    html = tmp_path / "incident.html"
    assert review("--incident", alert, "--html", str(html))[0] == 0
    text = html.read_text("utf-8")
    found = re.findall(r"<pre>(.*?)</pre>", text, re.DOTALL)
    assert len(found) > 10
    for sql in set(found):
        query(ours, unescape(sql))
    for words in (f"Incident {alert}", "level_raised, red", "acknowledged, ", "alert.level_raised to dispatch-centre"):
        assert words in text


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ((), 2, "a review needs --from and --to, or --incident"),
        (("--from", "2999-01-01", "--to", "2999-01-08"), 2, "--from lies in the future"),
        (("--from", "2016-01-01", "--to", "2026-01-01"), 2, "a review is of 92 days at most"),
        (("--from", "2024-01-08", "--to", "2024-01-01"), 2, "--to is not after --from"),
        (("--from", "2024-01-08"), 2, "--from and --to go together"),
        (("--from", "yesterday", "--to", "2024-01-01"), 2, "'yesterday' is no time"),
        (("--incident", "x' OR 1=1 --"), 2, "there is no alert x' OR 1=1 --"),
    ],
)
def test_what_cannot_be_reviewed_is_one_sentence(review, tmp_path: Path, words, code, sentence) -> None:
    file = tmp_path / "page.html"
    found = review(*words, "--html", str(file))
    assert (found[0], found[1], found[2].count("\n")) == (code, "", 1)
    assert sentence in found[2]
    assert not file.exists()


def test_no_file_no_database_and_no_data(fixture_city: Server, review, tmp_path: Path) -> None:
    assert "name one with --html" in review(*WEEK)[2]
    assert "can't be written" in review(*WEEK, "--html", str(tmp_path / "none" / "x.html"))[2]
    away = tmp_path / "away.yaml"
    away.write_text(f"clickhouse: {{port: {free_port()}}}\n")
    code, _, err = review(*WEEK, "--html", str(tmp_path / "x.html"), file=away)
    assert (code, err.count("\n")) == (1, 1)
    assert "can't be reached" in err
    empty = tmp_path / "empty.yaml"
    empty.write_text(f"clickhouse: {{port: {fixture_city.port}, database: empty}}\n")
    assert review(*WEEK, "--html", str(tmp_path / "empty.html"), file=empty)[0] == 0
    assert "nothing here means all clear" in (tmp_path / "empty.html").read_text("utf-8")
