"""Pages of the board without a browser: what they say when something is missing or asked for wrongly."""

import re
from html import unescape

import httpx
import pytest

from gridbeacon.config import ClickHouse, Config
from gridbeacon.model import Cell
from gridbeacon.reasons import Level
from gridbeacon.registry import Registry
from tests.board import T0, Served, situation
from tests.servers import free_port

CELL, OTHER = "310101001002003", "310101001002004"
SQUARE = ((121.0, 31.0), (121.001, 31.0), (121.001, 31.001), (121.0, 31.001))
CONFIG = Config(clickhouse=ClickHouse(port=free_port()), timezone="Asia/Shanghai")
CLIENT = httpx.Client(timeout=20)


@pytest.fixture(scope="module")
def served():
    city = {CELL: Cell(grid_id=CELL, name="Square", polygon=SQUARE), OTHER: Cell(grid_id=OTHER, name="Pier")}
    with Served(CONFIG, Registry(cells=city)) as running:
        running.tell(CELL, situation(CELL, Level.RED))
        running.tell(OTHER, situation(OTHER, Level.ORANGE), T0 + 1000)
        yield running


def page(served: Served, path: str, language: str = "en", status: int = 200) -> str:
    """Return the text of a page, without its tags."""
    answer = CLIENT.get(served.url + path, headers={"accept-language": language})
    assert answer.status_code == status, answer.text
    assert "Traceback" not in answer.text
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2])).split())


def test_a_cell_without_an_outline_is_listed_below_the_map(served: Served) -> None:
    said = page(served, "/")
    assert "Not on the map Pier Orange" in said
    assert "There is no map" not in said
    with Served(CONFIG, Registry(cells={OTHER: Cell(grid_id=OTHER, name="Pier")})) as running:
        running.tell(OTHER, situation(OTHER, Level.ORANGE))
        assert "no cell of the registry has an outline. Places with alerts are shown below. Pier Orange" in page(
            running, "/"
        )


@pytest.mark.parametrize(
    ("path", "status", "english", "chinese"),
    [
        ("/review?day=2999-01-01", 200, "This day has not come yet", "该日尚未到来"),
        ("/review?day=yesterday", 200, "This is no day", "日期无效"),
        ("/review?day=0001-01-01", 200, "This is no day", "日期无效"),
        ("/review?day=2014-01-01", 200, "can't be reached; start it with", "无法连接，请用同一配置"),
        ("/review?incident=310101-none", 200, "This alert is older than the log, and", "此警情早于日志，且"),
        ("/alerts/310101-none", 503, "This alert is older than the log, and", "此警情早于日志，且"),
        ("/nothing", 404, "There is nothing here; go to the board.", "此处没有内容，请回到看板。"),
        ("/ahead", 200, "Forecasts could not be asked: ClickHouse at", "无法连接，请用同一配置"),
        ("/engine", 200, "can't be reached", "无法连接"),
    ],
)
def test_what_can_not_be_shown_is_a_sentence_that_says_what_to_do(
    served: Served, path: str, status: int, english: str, chinese: str
) -> None:
    assert english in page(served, path, "en", status)
    assert chinese in page(served, path, "zh-CN", status)


def test_language_and_theme_are_changed_where_one_is(served: Served) -> None:
    text = CLIENT.get(f"{served.url}/review?day=2024-01-01&at=19:00&theme=dark").text
    for choice in ("theme=light", "lang=zh"):
        assert f'href="/review?day=2024-01-01&amp;at=19%3A00&amp;{choice}"' in text


def test_a_form_that_is_too_old_says_so_in_the_language_of_the_page(served: Served) -> None:
    alert_id = served.log.alerts[CELL, "safety"].alert_id
    for language, words in (("en", "This page is too old for that"), ("zh", "页面已过时，请重新加载后再操作一次。")):
        answer = CLIENT.post(
            f"{served.url}/alerts/{alert_id}/actions", data={"action": "close"}, headers={"accept-language": language}
        )
        assert (answer.status_code, words in answer.text) == (403, True)


@pytest.mark.parametrize(
    ("action", "english", "chinese"),
    [
        ("close", "its condition is active; say why it is closed", "警情状态为“持续中”，请说明结案理由"),
        ("verify", "it is new; legal is acknowledge", "当前为“无人接手”，可执行：确认接警"),
        ("feedback", "say which disposition", "请选择评判结果"),
    ],
)
def test_an_action_that_is_refused_says_why_there_and_in_the_course(
    served: Served, action: str, english: str, chinese: str
) -> None:
    path = f"/alerts/{served.log.alerts[CELL, 'safety'].alert_id}"
    for language, words in (("en", english), ("zh", chinese)):
        with httpx.Client(base_url=served.url, headers={"accept-language": language}, timeout=20) as browser:
            key = re.search(r'name="key" value="([^"]+)"', browser.get(path).text)
            assert key is not None
            answer = browser.post(f"{path}/actions", data={"action": action, "key": key[1]})
            assert answer.status_code in (409, 422)
            assert answer.text.count(words) >= 2  # beside the buttons, and in the course
