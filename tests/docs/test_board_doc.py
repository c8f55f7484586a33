"""``docs/board.md`` says of the board what is so."""

import re
from pathlib import Path

from gridbeacon.config import Api

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "board.md").read_text(encoding="utf-8")


def test_the_pages_are_those_that_can_be_opened() -> None:
    base = (ROOT / "web" / "templates" / "base.html").read_text(encoding="utf-8")
    named = re.findall(r"^\| (\w+) \| \w+ .*\? ", DOC, re.MULTILINE)
    assert set(named) - {"Alert"} == {title for title in named if f"_('{title}')" in base}
    assert len(named) == 5


def test_address_and_patience_are_the_defaults() -> None:
    assert f"`http://127.0.0.1:{Api().port}/`" in DOC
    assert f"`api.stale_after_secs` ({Api().stale_after_secs:g})" in DOC


def test_the_picture_is_there_and_small() -> None:
    (name,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", DOC)
    assert 10_000 < (ROOT / "docs" / name).stat().st_size < 200_000


def test_the_shapes_are_as_it_says() -> None:
    base = (ROOT / "web" / "templates" / "base.html").read_text(encoding="utf-8")
    assert 'id="sym-blue" viewBox="0 0 24 24"><circle' in base
    for level in ("red", "orange", "yellow", "blue"):
        assert f'id="sym-{level}"' in base
