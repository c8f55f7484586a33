"""The duty board in a real browser (Chromium): every page, both languages and themes, keyboard, hostile text, old data.

Pictures of the pages are kept as test artefacts: in the directory that GRIDBEACON_PICTURES names, else a temporary one.
"""

import os
import re
import shutil
from pathlib import Path

import httpx
import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from gridbeacon.cli.fixture import load
from gridbeacon.config import Api, ClickHouse, Config
from gridbeacon.demo.fixture.plan import START_MS, TIMEZONE, Size, camera, code, registry
from gridbeacon.reasons import Certainty, Level
from gridbeacon.registry import Registry
from tests.board import Served, situation, until
from tests.servers import Server, free_port

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in _NAMES if (path := shutil.which(name))), None)
pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(240),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]
SIZE = Size(days=3, sensors=120, interval_secs=900, events_per_day=20)
NOW = START_MS + 2 * 86_400_000 + 19 * 3_600_000
HOSTILE = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>\"'></textarea>{{7*7}}"
WAIT_MS = 20_000


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    clickhouse = ClickHouse(port=free_port(), http_port=0)
    config = Config(timezone=TIMEZONE, clickhouse=clickhouse, api=Api(stale_after_secs=2.0))
    server = Server(tmp_path_factory.mktemp("clickhouse"), config.clickhouse.port).until_ready()
    load(SIZE, config, lambda _: None)
    yield config
    server.end()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = Path(os.environ.get("GRIDBEACON_PICTURES") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def open_page(browser):
    """Open a page; whatever its console says, and every request to another host, fails the test."""
    contexts, said = [], []

    def open_one(url: str, theme: str = "dark", language: str = "en-GB", size=(1600, 900)) -> Page:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=theme, locale=language, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on(
            "request",
            lambda one: said.append(one.url) if not one.url.startswith(("http://127.0.0.1", "data:")) else None,
        )
        page.goto(url)
        return page

    yield open_one
    for context in contexts:
        context.close()
    # A page that is refused, or a server that is gone, is an error to the console; the tests bring those about.
    assert [line for line in said if "Failed to load resource" not in line and "net::ERR" not in line] == []


def crowd(served: Served, cell: int, level: Level, value: float, at_ms: int, **more) -> None:
    served.tell(code(cell), situation(code(cell), level, value=value, source=camera(cell), **more), at_ms)


@pytest.fixture
def served(database):
    with Served(database, registry(SIZE)) as running:
        crowd(running, 37, Level.ORANGE, 4.3, NOW - 420_000)
        crowd(running, 37, Level.RED, 5.4, NOW - 180_000)
        crowd(running, 20, Level.YELLOW, 3.2, NOW - 900_000, certainty=Certainty.LIKELY)
        crowd(running, 5, Level.BLUE, 2.1, NOW - 7_200_000, certainty=Certainty.POSSIBLE)
        running.start_clock(NOW)
        yield running
        running.stop_clock()


def alert_of(served: Served, cell: int) -> str:
    return served.log.alerts[code(cell), "safety"].alert_id


def live(page: Page) -> None:
    page.wait_for_selector("#live.live")


def pages(served: Served) -> dict[str, str]:
    return {
        "now": "/",
        "alert": f"/alerts/{alert_of(served, 37)}",
        "ahead": "/ahead",
        "review": "/review?day=2024-01-02&at=19:30",
        "engine": "/engine",
    }


@pytest.mark.parametrize(("theme", "language"), [("dark", "en-GB"), ("light", "zh-CN")])
def test_every_page_is_accessible_and_in_its_language(served, open_page, pictures, theme, language) -> None:
    until(lambda: httpx.get(f"{served.url}/api/sensors/health", timeout=20).json()["rows"], "the sensors")
    for name, path in pages(served).items():
        page = open_page(served.url + path, theme, language)
        live(page)
        page.screenshot(path=pictures / f"{name}-{language[:2]}-{theme}.png", full_page=True)
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
        assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found["violations"]] == [], name
        assert page.get_attribute("html", "lang") == language[:2]
        assert ("当前" in page.text_content("nav")) == (language == "zh-CN")
        page.context.close()


def test_in_three_seconds_what_where_how_sure_and_who(served, open_page) -> None:
    page = open_page(served.url)
    lead = page.text_content(".alert.lead")
    place = registry(SIZE).cells[code(37)].name
    for words in ("Red", place, f"{camera(37)} is crowded", "Observed", "Nobody has taken it", "7 min"):
        assert words in lead, words
    levels = page.eval_on_selector_all("#alerts li", "all => all.map(one => one.querySelector('.badge').innerText)")
    assert levels == ["Red", "Yellow", "Blue"]
    assert page.locator("#over svg.symbol.red").count() == 1


def test_what_happens_is_on_the_board_at_once(served, open_page) -> None:
    page = open_page(served.url)
    live(page)
    served.call(served.parts.hub.wake)
    crowd(served, 11, Level.RED, 5.9, NOW + 1000)
    page.wait_for_selector(f"#a-{alert_of(served, 11)}")
    assert page.text_content("#totals .red b") == "2"
    assert "red alert" in page.text_content("#announce")
    served.tell(code(11), None, NOW + 2000)
    page.wait_for_selector(f"#a-{alert_of(served, 37)} >> nth=0")
    until(lambda: page.text_content("#totals .red b") == "1", "the end of it")


def test_the_whole_path_by_keyboard(served, open_page) -> None:
    page = open_page(served.url)
    live(page)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/alerts/"))
    for action, state in (("acknowledge", "acknowledged"), ("dispatch", "people on the way"), ("resolve", "resolved")):
        if action == "dispatch":
            page.fill("input[name=assignee]", "team-3")
            page.fill("textarea[name=note]", HOSTILE)
        page.focus(f"#do-{action}")
        page.keyboard.press("Enter")
        page.wait_for_selector(f"#head :text('{state}')")
        assert page.is_visible(".done")
    assert "team-3" in page.text_content("#head")
    served.tell(code(37), None, NOW + 60_000)
    page.wait_for_selector("#head :text('Over')")
    assert page.locator(".timeline li").count() == 6
    assert page.evaluate("window.hacked") is None
    assert HOSTILE in page.text_content(".timeline .note")


def test_an_action_that_comes_too_late_is_refused_in_words(served, open_page) -> None:
    page = open_page(f"{served.url}/alerts/{alert_of(served, 20)}")
    live(page)
    page.fill("textarea[name=note]", "my words")
    crowd(served, 20, Level.ORANGE, 4.4, NOW + 1000)
    page.wait_for_selector(".changed")
    page.click("#do-acknowledge")
    page.wait_for_selector("#act .problem")
    assert "look again" in page.text_content("#act")
    assert page.input_value("textarea[name=note]") == "my words"


def test_old_data_never_looks_live(database, open_page) -> None:
    with Served(database, registry(SIZE)) as served:
        crowd(served, 37, Level.RED, 5.4, NOW)
        served.start_clock(NOW)
        page = open_page(served.url)
        live(page)
        served.stop_clock()
        # The engine falls silent: the server is there, and no time comes any more.
        page.wait_for_selector("html.stale", timeout=8000)
        assert "No news from the engine" in page.text_content("#stale")
        served.start_clock(NOW + 60_000)
        page.wait_for_selector("html:not(.stale)")
        content = "getComputedStyle(document.querySelector('.n'), '::after').content"
        assert "?" not in page.evaluate(content)
        served.stop_clock()
    # The server is gone.
    page.wait_for_selector("html.stale", timeout=8000)
    until(lambda: "Connection lost" in page.text_content("#stale"), "the word")
    assert "?" in page.evaluate(content)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_on_a_wall_and_in_a_hand(served, open_page, pictures, theme) -> None:
    wall = open_page(f"{served.url}/?wall=1", theme, size=(1920, 1080))
    live(wall)
    assert wall.evaluate("parseFloat(getComputedStyle(document.querySelector('.alert.lead strong')).fontSize)") >= 40
    assert not wall.evaluate("document.documentElement.scrollWidth > innerWidth")
    wall.screenshot(path=pictures / f"wall-{theme}.png")
    hand = open_page(served.url, theme, size=(390, 844))
    live(hand)
    assert not hand.evaluate("document.documentElement.scrollWidth > innerWidth")
    hand.screenshot(path=pictures / f"hand-{theme}.png")
    hand.goto(f"{served.url}/alerts/{alert_of(served, 37)}")
    assert not hand.evaluate("document.documentElement.scrollWidth > innerWidth")
    hand.screenshot(path=pictures / f"hand-alert-{theme}.png")


def test_without_data_registry_or_database_it_says_what_to_do(open_page) -> None:
    with Served(Config(clickhouse=ClickHouse(port=free_port())), Registry()) as served:
        page = open_page(served.url)
        assert "No data yet" in page.text_content("main")
        assert "registry.cells" in page.text_content("main")
        crowd(served, 3, Level.ORANGE, 4.1, NOW)
        page.wait_for_selector(".tile.orange")
        for path in ("/ahead", "/review", "/engine", f"/alerts/{alert_of(served, 3)}"):
            page.goto(served.url + path)
            assert "can't be reached" in page.text_content("main"), path
            assert "Traceback" not in page.content()


def test_a_viewer_looks_an_ended_token_is_told_and_a_session_ends(tmp_path, open_page) -> None:
    from datetime import UTC, datetime, timedelta

    from web import tokens

    file = tmp_path / "tokens.json"
    token = tokens.add(file, "li", "viewer", datetime.now(UTC) + timedelta(days=1))
    config = Config(clickhouse=ClickHouse(port=free_port()), api=Api(tokens_file="tokens.json"))
    with Served(config, Registry(), folder=tmp_path) as served:
        crowd(served, 3, Level.ORANGE, 4.1, NOW)
        page = open_page(f"{served.url}/alerts/{alert_of(served, 3)}")
        page.wait_for_url(re.compile("/login"))
        page.fill("input[name=token]", "gbt_wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector(".problem")
        assert "administrator" in page.text_content("main")
        page.fill("input[name=token]", token)
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("/alerts/"))
        assert page.locator("#act button").count() == 0
        assert "you can look, not act" in page.text_content("#act")
        (cookie,) = [one for one in page.context.cookies() if one["name"] == "gridbeacon_session"]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        tokens.add(file, "li", "viewer", datetime.now(UTC) - timedelta(days=1))
        # The next thing that happens shows the page that it may not look any more.
        crowd(served, 3, Level.RED, 5.5, NOW + 1000)
        page.wait_for_url(re.compile("/login"))
        page.wait_for_selector("text=Log in again")


def test_ten_thousand_alerts_are_counted_and_the_worst_are_shown(open_page) -> None:
    with Served(Config(clickhouse=ClickHouse(port=free_port())), Registry()) as served:
        for number in range(10_000):
            cell = f"31010100{number:07d}"
            for offset, value in served.log.say(cell, situation(cell, Level.YELLOW if number else Level.RED), NOW):
                served.parts.view.take(0, offset, value)
        served.start_clock(NOW)
        page = open_page(served.url)
        live(page)
        served.stop_clock()
        assert page.text_content("#totals .yellow b") == "9999"
        assert page.locator("#alerts li").count() == 60
        assert "lead" in page.get_attribute("#alerts li >> nth=0", "class")
        page.click("text=9940 more")
        page.wait_for_selector("text=More urgent ones")
