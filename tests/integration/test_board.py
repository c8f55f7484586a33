"""The duty board in a real browser (Chromium): every page, both languages and themes, keyboard, hostile text, old data.

Pictures of the pages are kept as test artefacts: in the directory that GRIDBEACON_PICTURES names, else a temporary one.
"""

import re
import time
from html import unescape
from itertools import pairwise

import httpx
import pytest
from axe_core_python.sync_playwright import Axe

from gridbeacon.cli.fixture import load
from gridbeacon.config import Api, ClickHouse, Config
from gridbeacon.demo.fixture.plan import START_MS, TIMEZONE, Size, camera, code, registry
from gridbeacon.model import Sensor
from gridbeacon.reasons import Certainty, Level
from gridbeacon.registry import Registry
from gridbeacon.vocabulary import Kind
from sinks.clickhouse import connect
from sinks.migrate import migrate
from tests.board import WAIT_SECS, Served, situation, until
from tests.browser import live, needs_chromium
from tests.servers import Server, free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240), needs_chromium]
SIZE = Size(days=3, sensors=120, interval_secs=900, events_per_day=20)
NOW = START_MS + 2 * 86_400_000 + 19 * 3_600_000


def crossing(cell: int, level: str, in_min: int, **more) -> dict:
    """Return a row of ``crossings``: people in view of a camera will pass a limit so many minutes after NOW."""
    at = at_ms(in_min)
    return {
        "crossing_id": f"x-{cell}-{level}",
        "version": 1,
        "kind": "crowd",
        "metric": "density_max_per_m2",
        "source": camera(cell),
        "grid_id": code(cell),
        "level": level,
        "threshold": {"yellow": 3.0, "orange": 4.0, "red": 5.0}[level],
        "tier": "warning",
        "made_at": at_ms(-30),
        "warned_at": at_ms(-20),
        "first_expected_at": at,
        "expected_at": at,
        "expected_from": at_ms(in_min - 10),
        "expected_until": at_ms(in_min + 25),
        "probability": 0.87,
        "model": "prophet_batch",
        "outcome": "open",
        "reason": "forecast_warning",
        "ended_at": None,
    } | more


def at_ms(in_min: int) -> int:
    return NOW + in_min * 60_000


CROSSINGS = [
    crossing(37, "red", 40),
    crossing(
        20, "yellow", 95, tier="watch", reason="forecast_watch", warned_at=None, probability=0.31, expected_until=None
    ),
    crossing(11, "orange", 30, outcome="withdrawn", reason="forecast_faded", ended_at=at_ms(-12)),
    crossing(7, "orange", -50, outcome="came_true", reason="forecast_came_true", ended_at=at_ms(-45)),
    crossing(3, "orange", -300, outcome="withdrawn", reason="forecast_faded", ended_at=at_ms(-320)),
]
FORECASTS = [
    {
        "kind": "crowd",
        "metric": "density_max_per_m2",
        "source": camera(37),
        "grid_id": code(37),
        "target_at": at_ms(minutes),
        "made_at": at_ms(-5),
        "model": "prophet_batch",
        "expected": 0.6 + 0.11 * minutes,
        "lower_80": 0.5 + 0.09 * minutes,
        "upper_80": 0.9 + 0.13 * minutes,
        "lower_95": 0.4 + 0.08 * minutes,
        "upper_95": 1.1 + 0.15 * minutes,
        "valid_until": at_ms(120),
    }
    for minutes in range(5, 65, 5)
]
HOSTILE = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>\"'></textarea>{{7*7}}"


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    clickhouse = ClickHouse(port=free_port(), http_port=0)
    config = Config(timezone=TIMEZONE, clickhouse=clickhouse, api=Api(stale_after_secs=2.0))
    server = Server(tmp_path_factory.mktemp("clickhouse"), config.clickhouse.port).until_ready()
    load(SIZE, config, lambda _: None)
    with connect(config) as client:
        for table, rows in (("crossings", CROSSINGS), ("forecasts", FORECASTS)):
            client.execute(f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES", [tuple(row.values()) for row in rows])
    yield config
    server.end()


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


@pytest.mark.parametrize(
    ("language", "first", "second", "gone"),
    [
        (
            "en-GB",
            ("in 40 min", "about 19:40", "between 19:30 and 20:05", "≥ 5 people/m²", "Red", "87 % likely", "warning"),
            ("in 95 min", "about 20:35", "not before 20:25", "≥ 3 people/m²", "Yellow", "31 % likely", "watch"),
            (("18:48 taken back", "Orange", "the forecast has faded"), ("18:15 came true", "foreseen for 18:10")),
        ),
        (
            "zh-CN",
            ("40 分钟后", "约 19:40", "介于 19:30 与 20:05", "≥ 5 人/m²", "红色", "可能性 87 %", "预警"),
            ("95 分钟后", "约 20:35", "不早于 20:25", "≥ 3 人/m²", "黄色", "可能性 31 %", "关注"),
            (("18:48 已撤销", "橙色"), ("18:15 已应验", "预计时间 18:10")),
        ),
    ],
)
def test_ahead_says_what_will_cross_when_how_likely_and_what_was_taken_back(
    served, open_page, language, first, second, gone
) -> None:
    page = open_page(f"{served.url}/ahead", language=language)
    live(page)
    for place, words in enumerate((first, second)):
        said = page.inner_text(f".coming > li >> nth={place}")
        assert registry(SIZE).cells[code((37, 20)[place])].name in said
        assert [word for word in words if word not in " ".join(said.split())] == []
    assert page.locator(".coming > li").count() == 2
    # The forecast is drawn up to where it passes the limit, with its band.
    assert page.locator(".coming details[open] .line.ahead").count() == 1
    assert page.locator(".coming details[open] .ahead-band").count() == 1
    rows = [" ".join(one.split()) for one in page.locator(".gone li").all_inner_texts()]
    assert [words for words in gone if not any(all(word in row for word in words) for row in rows)] == []
    assert not any(registry(SIZE).cells[code(3)].name in row and "13:40" in row for row in rows)


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
    steps = (
        ("acknowledge", "acknowledged", "dispatch"),
        ("dispatch", "people on the way", "start"),
        ("resolve", "resolved", "verify"),
    )
    for action, state, following in steps:
        if action == "dispatch":
            page.fill("input[name=assignee]", "team-3")
            page.fill("textarea[name=note]", HOSTILE)
        page.focus(f"#do-{action}")
        page.keyboard.press("Enter")
        page.wait_for_selector(f"#head :text('{state}')")
        assert page.is_visible(".done")
        # The large button is the step that comes next.
        assert page.get_attribute(".buttons .main", "value") == following
    assert "team-3" in page.text_content("#head")
    # Nobody has judged it: only the button beside the judgement gives one.
    assert served.call(lambda: served.parts.view.cases[alert_of(served, 37)].alert.disposition) is None
    page.click("#do-feedback")
    page.wait_for_selector("#act .problem:has-text('say which disposition')")
    page.select_option("select[name=disposition]", "NOT_ANOMALY")
    page.click("#do-feedback")
    page.wait_for_selector(".timeline li >> nth=0 >> :text('It was nothing')")
    served.tell(code(37), None, NOW + 60_000)
    page.wait_for_selector("#head :text('Over')")
    assert page.locator(".timeline li").count() == 8
    assert page.evaluate("window.hacked") is None
    assert HOSTILE in page.locator(".timeline .note").all_text_contents()


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
        page.wait_for_selector("html.stale")
        assert re.search(r"No news from the engine for \d+ s", page.text_content("#stale"))
        served.start_clock(NOW + 60_000)
        page.wait_for_selector("html:not(.stale)")
        content = "getComputedStyle(document.querySelector('.n'), '::after').content"
        assert "?" not in page.evaluate(content)
        served.stop_clock()
    # The server is gone.
    page.wait_for_selector("html.stale")
    until(lambda: re.search(r"Connection lost \d+ s ago", page.text_content("#stale")), "the word")
    assert "?" in page.evaluate(content)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_on_a_wall_and_in_a_hand(served, open_page, pictures, theme) -> None:
    wall = open_page(f"{served.url}/?wall=1", theme, size=(1920, 1080))
    live(wall)
    assert wall.evaluate("parseFloat(getComputedStyle(document.querySelector('.alert.lead strong')).fontSize)") >= 40
    assert not wall.evaluate("document.documentElement.scrollWidth > innerWidth")
    parts = [wall.locator(f".alert.lead .{name}").bounding_box() for name in ("what", "how", "who")]
    for above, below in pairwise(parts):
        assert above["y"] + above["height"] <= below["y"] + 1
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


def test_ten_thousand_silent_sensors_do_not_hold_up_the_board(database) -> None:
    silent = (Sensor(sensor_id=f"NEW-{n:05d}", kind=Kind.CROWD, grid_id=code(n % 50)) for n in range(10_000))
    with Served(database, Registry({one.sensor_id: one for one in silent})) as served:
        served.tick(NOW)
        began = time.process_time()
        assert httpx.get(served.url, timeout=WAIT_SECS).is_success
        rows = httpx.get(f"{served.url}/api/sensors/health", timeout=WAIT_SECS).json()["rows"]
        # Each against each would be fifty million comparisons: more than ten seconds in which no page comes.
        assert time.process_time() - began < 8
    assert sum(row["state"] == "never" for row in rows) == 10_000


def test_while_the_database_is_away_the_last_known_is_shown_with_its_age(tmp_path) -> None:
    config = Config(clickhouse=ClickHouse(port=free_port(), http_port=0))
    server = Server(tmp_path, config.clickhouse.port).until_ready()
    migrate(config)
    said = "kind, metric, source, grid_id, observed_at, value, topic, partition, offset, item"
    row = ("crowd", "density_max_per_m2", "CAM-1", code(1), NOW - 60_000, 5.2, "crowd.metrics", 0, 1, 0)
    with connect(config) as client:
        client.execute(f"INSERT INTO observations ({said}) VALUES", [row])
    with Served(config, Registry()) as served:
        served.tell(code(1), situation(code(1), Level.RED, value=5.2), NOW)
        address = f"{served.url}/alerts/{alert_of(served, 1)}"
        assert "5.2" in httpx.get(address, timeout=20).text.partition("As figures")[2]
        server.end()
        for language, words in (("en", r"Last known, \d+ s old:"), ("zh", r"最后已知数据，\d+ 秒前：")):

            def last_known(headers=(("accept-language", language),), words=words):
                return re.search(words + ".{,200}", httpx.get(address, headers=headers, timeout=20).text, re.DOTALL)

            found = until(last_known, "the last known")[0]
            assert ("can't be reached" in unescape(found)) == (language == "en")
            assert ("无法连接" in found) == (language == "zh")
