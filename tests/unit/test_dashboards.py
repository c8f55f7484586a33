"""Dashboards as code: the golden files are current, every panel explains itself, no name is typed twice."""

import json
import re

import pytest

from dashboards.ask import DEFAULTS, SPANS, questions
from dashboards.build import DASHBOARDS, GOLDEN, built, stale, write
from dashboards.expand import Shown, expanded
from dashboards.look import UIDS
from dashboards.names import read, tables
from gridbeacon.config import AlarmBudget, Config, Ladder, Limits
from gridbeacon.levels import COLOURS, SYMBOLS
from sinks.migrate import migrations

CONFIG = Config()
BUILT = {uid: json.loads(text) for uid, text in built(CONFIG).items()}
PANELS = [(uid, panel) for uid, made in BUILT.items() for panel in made["panels"] if panel["type"] != "row"]


def name(value) -> str:
    return value if isinstance(value, str) else value["title"]


def test_the_golden_files_are_what_is_built() -> None:
    """When a dashboard has changed, run ``gridbeacon dashboards build --out dashboards/golden``."""
    assert stale(GOLDEN, CONFIG) == []
    assert {file.stem for file in GOLDEN.iterdir()} == set(BUILT) == set(UIDS.values())


def test_a_changed_or_missing_file_is_named(tmp_path) -> None:
    write(tmp_path, CONFIG)
    (tmp_path / "gridbeacon-engine.json").write_text("{}")
    (tmp_path / "gridbeacon-review.json").unlink()
    assert stale(tmp_path, CONFIG) == ["gridbeacon-review.json", "gridbeacon-engine.json"]


def test_limits_and_budget_are_those_of_the_configuration() -> None:
    ladder = Ladder(blue=1.25, yellow=2.25, orange=3.25, red=4.25)
    config = Config(limits=Limits(moving=ladder), alarm_budget=AlarmBudget(per_week=7))
    text = "".join(built(config).values())
    assert "4.25 * multiIf" in text
    assert "toFloat64(7) AS budget" in text
    assert text != "".join(built(CONFIG).values())


@pytest.mark.parametrize("uid", BUILT)
def test_rows_follow_situation_awareness(uid: str) -> None:
    rows = [panel["title"].partition(":")[0] for panel in BUILT[uid]["panels"] if panel["type"] == "row"]
    assert rows == ["Perceive", "Comprehend", "Project"]


@pytest.mark.parametrize(("uid", "panel"), PANELS, ids=name)
def test_a_panel_says_in_plain_words_what_it_shows(uid: str, panel) -> None:
    says = panel["description"]
    assert len(says) >= 40
    assert says.endswith(".")
    assert not re.search(r"\b(SELECT|SQL|_|p9\d|regex)\b", says)


@pytest.mark.parametrize(("uid", "panel"), PANELS, ids=name)
def test_panels_fill_the_grid_and_none_lies_on_another(uid: str, panel) -> None:
    def cells(one):
        at = one["gridPos"]
        return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}

    mine = cells(panel)
    assert max(x for x, _ in mine) < 24
    for other in BUILT[uid]["panels"]:
        assert other is panel or other["id"] == panel["id"] or not mine & cells(other)


@pytest.mark.parametrize("uid", BUILT)
def test_every_link_keeps_the_time_range_the_filters_and_the_cell(uid: str) -> None:
    text = json.dumps(BUILT[uid])
    urls = re.findall(r'"url": "(/d/[^ ]*?)"[,}]', text)
    assert len(urls) >= 4
    for url in urls:
        target = url.partition("?")[0].removeprefix("/d/")
        assert target in BUILT
        assert "${__url_time_range}" in url
        assert all(f"${{{one}:queryparam}}" in url for one in ("district", "kind", "level"))
        assert "${cell:queryparam}" in url or "var-cell=" in url


def test_a_level_is_never_shown_by_colour_alone() -> None:
    """Wherever a level's colour is given to a value, the text begins with the level's own symbol."""
    assert len(set(SYMBOLS.values())) == len(SYMBOLS)
    for _, panel in PANELS:
        for found in re.findall(r'\{"color": "(#\w+)", "index": \d+, "text": "([^"]*)"\}', _json(panel)):
            colour, text = found
            level = next(one for one, value in COLOURS.items() if value == colour)
            assert text.startswith(f"{SYMBOLS[level]} {level.word}")


def _json(value) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


@pytest.mark.parametrize("uid", BUILT)
def test_a_dashboard_has_its_variables_and_a_refresh_that_is_not_faster_than_its_queries(uid: str) -> None:
    made = BUILT[uid]
    assert [one["name"] for one in made["templating"]["list"]][:4] == ["district", "cell", "kind", "level"]
    assert made["refresh"] in ("", "10s", "30s", "1m")
    assert made["annotations"]["list"][0]["target"]["rawSql"]
    asked = set(re.findall(r"\$\{(\w+)(?::\w+)?\}", _json(made)))
    known = {one["name"] for one in made["templating"]["list"]}
    assert {one for one in asked if not one.startswith("__")} <= known | {"metric", "alert"}
    assert {one for one in asked if not one.startswith("__")} - known <= {"metric"}


def test_a_name_that_the_schema_does_not_have_fails_when_it_is_built() -> None:
    with pytest.raises(AttributeError, match="alerts has no column headlines; it has alert_id, "):
        _ = tables().alerts.headlines
    with pytest.raises(AttributeError, match="no table alert"):
        _ = tables().alert


@pytest.mark.parametrize("file", ["early_warning", "dispatch", "review", "engine", "standing", "filters"])
def test_no_table_is_named_in_the_text_of_a_query(file: str) -> None:
    text = (GOLDEN.parent / f"{file}.py").read_text("utf-8")
    typed = set(re.findall(r"\b(?:FROM|JOIN)\s+([a-z_0-9]+)\b", text)) - {"system"}
    assert not typed


def test_the_names_follow_what_migrations_add_and_drop() -> None:
    found = read(migrations())
    assert "signal" in found["observations"]
    assert found["alerts_now"] == found["alerts"]


def test_the_spans_are_those_that_dashboards_begin_with() -> None:
    assert set(SPANS) == set(DASHBOARDS)
    unit = {"h": 3600, "d": 86400}
    for title, (_, _, span, _) in DASHBOARDS.items():
        for (sign, number, letter), secs in zip(
            [re.fullmatch(r"now(?:([+-])(\d+)([hd]))?", end).groups() for end in span], SPANS[title], strict=True
        ):
            assert secs == (int(number) * unit[letter] if sign else 0)


def test_what_people_choose_is_quoted() -> None:
    hostile = "x' OR 1=1 --"
    shown = Shown(0, 60, DEFAULTS | dict.fromkeys(("district", "cell", "alert"), hostile))
    for _, panel, question in questions(CONFIG):
        assert "OR 1=1" not in expanded(question.sql, shown), panel.title


def test_a_variable_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="cell"):
        expanded("${cell}", Shown(0, 1))


def test_macros_are_expanded_as_the_plug_in_does() -> None:
    shown = Shown(1_415_792_726, 1_447_328_726, {"a": "b"})
    assert expanded("$__timeFilter(time)", shown) == "time >= toDateTime(1415792726) AND time <= toDateTime(1447328726)"
    assert expanded("$__fromTime $__toTime", shown) == "toDateTime(1415792726) toDateTime(1447328726)"
    short = Shown(0, 20_000)
    assert expanded("$__timeInterval(at)", short) == "toStartOfInterval(toDateTime(at), INTERVAL 20 second)"
    assert expanded("$__interval_s", short) == "20"
