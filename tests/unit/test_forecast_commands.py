"""``gridbeacon forecast``: what comes out, that nothing later is looked at, and one sentence for each mistake."""

import csv
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import typer

from gridbeacon.cli import app
from gridbeacon.cli.forecast import COLUMNS, whole
from gridbeacon.errors import UsageError

START = datetime(2026, 3, 2, tzinfo=UTC)
AT = "2026-03-30T00:00:00"


def lines(days=30, series=("a", "b"), seed=1, step_minutes=60):
    rng = np.random.default_rng(seed)
    for name in series:
        for n in range(days * 1440 // step_minutes):
            at = START.replace(tzinfo=None) + timedelta(minutes=n * step_minutes)
            usual = 20 + 150 * np.exp(-(((at.hour - (9 if at.weekday() < 5 else 14)) / 3.0) ** 2))
            yield at.isoformat(sep=" "), name, int(rng.poisson(usual))


def write(file, rows, header=("timestamp", "series", "value")):
    with file.open("w", newline="") as text:
        csv.writer(text).writerows([header, *rows])
    return file


def run(*words):
    typer.main.get_command(app)([str(word) for word in words], standalone_mode=False)


def read(file):
    with file.open() as text:
        return list(csv.DictReader(text))


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    return write(tmp_path_factory.mktemp("counts") / "counts.csv", lines())


def test_a_forecast_has_its_columns_its_times_and_bands_around_the_point(counts, tmp_path):
    out = tmp_path / "out.csv"
    run("forecast", counts, "--at", AT, "--out", out, "--country", "CN")
    found = read(out)
    assert tuple(found[0]) == COLUMNS
    assert [row["series"] for row in found] == ["a"] * 25 + ["b"] * 25
    assert [int(row["lead_secs"]) for row in found[:25]] == [3600 * n for n in range(25)]
    assert found[0]["timestamp"] == "2026-03-30 00:00:00"
    assert {row["model"] for row in found} == {"prophet_batch"}
    for row in found:
        bounds = [float(row[name]) for name in ("lower95", "lower80", "forecast", "upper80", "upper95")]
        assert bounds == sorted(bounds)
        assert bounds[0] >= 0


def test_the_word_file_may_be_left_out_or_said(counts, tmp_path):
    outs = [tmp_path / "1.csv", tmp_path / "2.csv"]
    run("forecast", "--at", AT, counts, "--out", outs[0])
    run("forecast", "file", counts, "--at", AT, "--out", outs[1])
    assert outs[0].read_text() == outs[1].read_text()


def test_rows_at_the_time_or_later_change_nothing(counts, tmp_path):
    at = AT.replace("T", " ")
    later = [(when, name, 999_999) for when, name, _ in lines(days=40) if when >= at]
    other = write(tmp_path / "other.csv", [row for row in lines() if row[0] < at] + later)
    outs = [tmp_path / "1.csv", tmp_path / "2.csv"]
    for file, out in zip((counts, other), outs, strict=True):
        run("forecast", file, "--at", AT, "--out", out)
    assert outs[0].read_text() == outs[1].read_text()


def read_rows(file):
    return [(row["timestamp"], row["series"], row["value"]) for row in read(file)]


def test_finer_rows_are_averaged_and_other_columns_may_be_named(tmp_path):
    file = write(tmp_path / "fine.csv", lines(days=16, series=("a",), step_minutes=20), ("at", "place", "count"))
    out = tmp_path / "out.csv"
    words = ("--step", "1h", "--columns", "at,place,count", "--horizon", "6h", "--timezone", "Asia/Shanghai")
    run("forecast", file, "--at", "2026-03-17 12:00", "--out", out, *words)
    found = read(out)
    assert [row["timestamp"] for row in found] == [f"2026-03-17 {hour}:00:00" for hour in range(12, 19)]


BAD = {
    "no zone and zone": (
        [("2026-03-02 00:00:00", "a", 1), ("2026-03-02T01:00:00Z", "a", 1)], (), "some times have an offset"
    ),
    "infinite": ([("2026-03-02 00:00:00", "a", "inf")], (), "no finite number"),
    "nothing": ([], (), "no rows"),
    "one row": ([("2026-03-02 00:00:00", "a", 1)], (), "--step"),
    "unknown country": (list(lines(days=3)), ("--country", "XX"), "--country"),
    "unknown zone": (list(lines(days=3)), ("--timezone", "Mars/Base"), "--timezone"),
    "step": (list(lines(days=3)), ("--step", "7m"), "--step"),
    "horizon": (list(lines(days=3)), ("--horizon", "soon"), "--horizon"),
    "ended long before": (list(lines(days=3)), ("--at", "2026-09-01"), "no row lies in the 42 days before"),
    "columns": (list(lines(days=3)), ("--columns", "at"), "--columns"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_one_sentence_and_leaves_nothing(name, tmp_path):
    rows, words, said = BAD[name]
    file, out = write(tmp_path / "in.csv", rows), tmp_path / "out.csv"
    at = () if "--at" in words else ("--at", "2026-03-20")
    with pytest.raises(UsageError, match=said.replace("(", r"\(")) as caught:
        run("forecast", file, *at, "--out", out, *words)
    assert "\n" not in str(caught.value)
    assert [each.name for each in tmp_path.iterdir()] == ["in.csv"]


def test_strange_series_are_marked_and_do_not_stop_the_others(tmp_path, capsys):
    good = list(lines(series=("good",)))
    times = [at for at, _, _ in good]
    rows = [
        *good,
        *good[-3:],  # duplicate time stamps
        *((at, "constant", 7) for at in times),
        *((at, "zero", 0) for at in times),
        *((at, "two rows", 5) for at in times[648:650]),
        *((at, "hole", value) for at, _, value in good if not "2026-03-05" < at < "2026-03-25"),
        *((at, "large", value * 1e12) for at, _, value in good),
        *((at, "ends early", value) for at, _, value in good[:400]),
        *((at, "blank", "") for at in times),
    ]
    file, out = write(tmp_path / "in.csv", rows), tmp_path / "out.csv"
    run("forecast", file, "--at", AT, "--out", out)
    models = {row["series"]: row["model"] for row in read(out)}
    assert models == {
        "good": "prophet_batch", "constant": "profile", "zero": "profile", "two rows": "naive", "hole": "profile",
        "large": "prophet_batch", "ends early": "prophet_batch",
    }  # fmt: skip
    assert "blank: no forecast (no_history)" in capsys.readouterr().err
    large = [float(row["forecast"]) for row in read(out) if row["series"] == "large"]
    assert 1e13 < max(large) < 1e15


def test_verify_prints_a_row_for_each_lead_and_writes_every_forecast_with_its_origin(counts, tmp_path, capsys):
    out, page = tmp_path / "all.csv", tmp_path / "page.html"
    words = ("--from", "2026-03-28", "--to", "2026-03-30", "--leads", "1h,4h", "--out", out, "--html", page)
    run("forecast", "verify", counts, *words)
    said = capsys.readouterr().out
    assert said.splitlines()[1].startswith("1h ")
    assert said.splitlines()[2].startswith("4h ")
    found = read(out)
    assert len(found) == 48 * 2 * 2
    for row in found[:8]:
        origin, target = (datetime.fromisoformat(row[name]) for name in ("origin", "timestamp"))
        assert (target - origin).total_seconds() == int(row["lead_secs"])
    assert "<svg" in page.read_text()


def test_explain_draws_the_components(counts, tmp_path):
    out = tmp_path / "a.png"
    run("forecast", "explain", "a", "--file", counts, "--out", out)
    assert out.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="no series 'c'"):
        run("forecast", "explain", "c", "--file", counts, "--out", out)
    assert {each.name for each in tmp_path.iterdir()} == {"a.png"}


def test_an_interrupted_command_leaves_nothing_and_spares_what_was_there(tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("before")

    def half():
        with whole(out) as text:
            text.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert out.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["out.csv"]
