"""The documentation builds as a site, strictly; nothing in it comes from another host; each reader has an entrance."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from gridbeacon.cli import app

ROOT = Path(__file__).resolve().parents[2]
ENTRANCES = ("duty-officer.md", "dispatcher.md", "analyst.md")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_in_it_and_in_the_navigation(site: Path) -> None:
    pages = {file.stem for file in (ROOT / "docs").glob("*.md")} | {"changelog", "contributing"}
    assert {file.stem for file in site.glob("*.html")} == pages | {"404"}
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert all(f"{page}.md" in text for page in pages)


def test_nothing_comes_from_another_host(site: Path) -> None:
    """Links to standards may lead elsewhere; whatever a page loads by itself is here."""
    for file in site.rglob("*.html"):
        text = file.read_text("utf-8")
        loaded = re.findall(r'<(?:script|img|iframe|source)\b[^>]*\bsrc="([^"]+)"', text)
        loaded += re.findall(r'<link\b[^>]*\brel="(?:stylesheet|icon|preload)"[^>]*\bhref="([^"]+)"', text)
        assert loaded
        assert not [one for one in loaded if re.match(r"(https?:)?//", one)], file.name
    for file in site.rglob("*.css"):
        assert not re.search(r"url\((['\"]?)(https?:)?//", file.read_text("utf-8")), file.name


@pytest.mark.parametrize("page", ENTRANCES)
def test_each_of_the_three_sees_a_picture_of_what_they_will_see(page: str) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    (first,) = re.findall(r"^!\[(.{20,})\]\((pictures/[\w-]+\.png)\)$", text, re.MULTILINE)
    picture = ROOT / "docs" / first[1]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 150_000
    assert text.index(first[1]) < 600  # before anybody scrolls
    assert f"]({page})" in (ROOT / "docs" / "index.md").read_text("utf-8")


@pytest.mark.parametrize("page", [*ENTRANCES, "index.md", "review.md", "dashboards.md"])
def test_every_command_that_is_named_exists(page: str) -> None:
    commands = typer.main.get_command(app).commands
    for name in re.findall(r"`(?:\S*/)?gridbeacon ([a-z-]+)", (ROOT / "docs" / page).read_text("utf-8")):
        assert name in commands, name


def test_every_picture_is_shown_and_made_by_the_script() -> None:
    shown = {
        name
        for file in (ROOT / "docs").glob("*.md")
        for name in re.findall(r"\(pictures/([\w.-]+)\)", file.read_text())
    }
    made = set(re.findall(r'picture\("([\w.-]+)"', (ROOT / "scripts" / "pictures").read_text()))
    there = {file.name for file in (ROOT / "docs" / "pictures").iterdir()}
    assert shown == there
    assert made <= there


def test_the_navigation_names_each_page_once() -> None:
    nav = yaml.safe_load(re.sub(r"!!\S+", "", (ROOT / "mkdocs.yml").read_text("utf-8")))["nav"]

    def pages(part) -> list[str]:
        if isinstance(part, str):
            return [part]
        parts = part if isinstance(part, list) else list(part.values())
        return [page for one in parts for page in pages(one)]

    found = pages(nav)
    assert len(found) == len(set(found))
