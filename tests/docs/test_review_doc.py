"""``docs/review.md`` names every section of the page, in its order, and nothing else."""

import re
from pathlib import Path

from gridbeacon.cli.review import MOST_DAYS
from gridbeacon.review import Figures, page
from sinks.review import INCIDENT, QUESTIONS

DOC = (Path(__file__).resolve().parents[2] / "docs" / "review.md").read_text(encoding="utf-8")


def test_every_section_has_its_row() -> None:
    asked = {name: [] for name in QUESTIONS | INCIDENT}
    text = page(Figures(asked, dict.fromkeys(asked, "")), 0, 86_400_000, "UTC", "a-1")
    sections = [found.replace("Incident a-1", "Incident") for found in re.findall(r"<h2>(.*?)</h2>", text)]
    rows = [row for row in re.findall(r"^\| ([^|]+) \| [A-Z]", DOC, re.MULTILINE) if row != "section"]
    said = [part for row in rows for part in row.split(", ")] if rows else []
    assert sorted(said) == sorted(sections)


def test_the_longest_time_is_that_of_the_command() -> None:
    assert f"A review is of {MOST_DAYS} days at most." in DOC
