"""``gridbeacon score``: row by row, strictly online, and one sentence for each mistake."""

import csv
import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gridbeacon.cli import app
from gridbeacon.cli.score import COLUMNS
from gridbeacon.errors import UsageError

BEGIN = datetime(2026, 3, 1)


def made(days: int, seed: int = 1) -> list[tuple[str, float]]:
    """Return a series of quarter hours with a burst on the last day but one."""
    dice = random.Random(seed)
    rows = [
        ((BEGIN + timedelta(minutes=15 * i)).isoformat(sep=" "), float(dice.randint(80, 120))) for i in range(days * 96)
    ]
    for i in range((days - 2) * 96 + 40, (days - 2) * 96 + 48):
        rows[i] = (rows[i][0], rows[i][1] * 4)
    return rows


def write(file: Path, rows: list[tuple[str, float]], header: str = "timestamp,value") -> Path:
    """Write a CSV file."""
    file.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return file


def scored(*arguments: str | Path, out: Path) -> list[dict[str, str]]:
    """Return the rows that the command writes."""
    done = CliRunner().invoke(app, ["score", *map(str, arguments), "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    with out.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_a_burst_is_a_finding_and_every_column_is_there(tmp_path: Path) -> None:
    rows = scored(write(tmp_path / "square.csv", made(21)), out=tmp_path / "out.csv")
    assert tuple(rows[0]) == COLUMNS
    assert {row["series"] for row in rows} == {"square"}
    assert {row["state"] for row in rows[:192]} == {"warming_up"}
    found = [n for n, row in enumerate(rows) if float(row["signal"]) >= 1 and n >= 7 * 96]
    assert found
    assert set(found) <= set(range(19 * 96 + 40, 19 * 96 + 52))
    burst = rows[found[0]]
    assert burst["state"] == "anomalous"
    assert float(burst["lower"]) <= float(burst["expected"]) <= float(burst["upper"]) < float(burst["value"])
    assert float(burst["severity"]) > 1


@pytest.mark.parametrize("n", [1, 60, 300, 1863])
def test_a_row_does_not_depend_on_later_rows(tmp_path: Path, n: int) -> None:
    rows = made(21)
    whole = scored(write(tmp_path / "a.csv", rows), out=tmp_path / "whole.csv")
    other = [*rows[:n], *((text, value * 50) for text, value in rows[n:])]
    begun = scored(write(tmp_path / "a.csv", rows[:n]), out=tmp_path / "begun.csv")
    changed = scored(write(tmp_path / "a.csv", other), out=tmp_path / "changed.csv")
    assert begun == whole[:n] == changed[:n]


def test_several_series_of_a_file_do_not_know_of_each_other(tmp_path: Path) -> None:
    first, second = made(5, 1), made(5, 2)
    mixed = [row for (t, a), (_, b) in zip(first, second, strict=True) for row in ((t, a, "A"), (t, b, "B"))]
    header = "at,count,place"
    options = ("--time-column", "at", "--value-column", "count", "--series-column", "place")
    both = scored(write(tmp_path / "both.csv", mixed, header), *options, out=tmp_path / "both_out.csv")
    alone = scored(write(tmp_path / "A.csv", first), out=tmp_path / "alone.csv")
    assert [row for row in both if row["series"] == "A"] == alone


def test_the_clock_of_the_city_decides_the_hour(tmp_path: Path) -> None:
    rows = [(text + "+00:00", value) for text, value in made(21)]
    file = write(tmp_path / "a.csv", rows)
    utc = scored(file, out=tmp_path / "utc.csv")
    city = scored(file, "--timezone", "Asia/Kolkata", out=tmp_path / "city.csv")
    assert [row["timestamp"] for row in utc] == [row["timestamp"] for row in city]
    assert [row["expected"] for row in utc] != [row["expected"] for row in city]


def test_the_hour_that_comes_twice_in_autumn_is_no_step_back(tmp_path: Path) -> None:
    texts = ["02:00", "02:15", "02:30", "02:45", "02:00", "02:15", "02:30", "02:45", "03:00"]
    file = write(tmp_path / "a.csv", [(f"2026-10-25 {text}:00", 1.0) for text in texts])
    rows = scored(file, "--timezone", "Europe/Berlin", out=tmp_path / "out.csv")
    assert not {row["reason"] for row in rows} & {"late", "duplicate"}


def test_what_comes_late_or_twice_is_kept_and_not_judged(tmp_path: Path) -> None:
    rows = made(4)
    rows.insert(200, rows[150])
    rows.insert(300, rows[299])
    out = scored(write(tmp_path / "a.csv", rows), out=tmp_path / "out.csv")
    assert (out[200]["reason"], out[300]["reason"]) == ("late", "duplicate")
    assert out[200]["state"] == "warming_up"
    clean = scored(write(tmp_path / "a.csv", made(4)), out=tmp_path / "clean.csv")
    assert [row for n, row in enumerate(out) if n not in (200, 300)] == clean


MISTAKES = {
    "no_such_column": ("time,value\n2026-01-01,1\n", "there is no column 'timestamp' (columns: time, value)"),
    "empty_file": ("", "there is no column 'timestamp' (columns: none)"),
    "no_number": ("timestamp,value\n2026-01-01,many\n", "a.csv:2: value is 'many', no finite number"),
    "not_finite": ("timestamp,value\n2026-01-01,1\n2026-01-02,nan\n", "a.csv:3: value is 'nan', no finite number"),
    "nothing_measured": ("timestamp,value\n2026-01-01,\n", "a.csv:2: value is '', no finite number"),
    "no_time": ("timestamp,value\nyesterday,1\n", "a.csv:2: 'yesterday' is no time"),
    "mixed_offsets": (
        "timestamp,value\n2026-01-01T00:00:00Z,1\n2026-01-01T01:00:00,1\n",
        "a.csv:3: some times have an offset and some have none",
    ),
    "out_of_order": (
        "timestamp,value\n2026-01-02,1\n2026-01-01,1\n",
        "a.csv:3: the time goes back in series 'a', and 1 of 2 lines come late; sort the file",
    ),
    "short_line": ("timestamp,value\n2026-01-01\n", "a.csv:2: the line is too short"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_with_its_place(tmp_path: Path, mistake: str) -> None:
    text, said = MISTAKES[mistake]
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"a\.csv") as error:
        scored(tmp_path / "a.csv", out=tmp_path / "out.csv")
    assert said in str(error.value)


def test_an_unknown_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="IANA name"):
        scored(write(tmp_path / "a.csv", made(1)), "--timezone", "Atlantis", out=tmp_path / "out.csv")


def test_the_input_is_never_overwritten(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", made(1))
    for out in (file, tmp_path):
        with pytest.raises(UsageError, match="would overwrite"):
            scored(file, out=out)
    assert file.read_text(encoding="utf-8").startswith("timestamp,value\n")
