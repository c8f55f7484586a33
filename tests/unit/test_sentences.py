"""Sentences that reach the board as text: each that the code can say is known, and each has words in every language."""

import ast
import itertools
import re
from pathlib import Path
from types import new_class as make
from zoneinfo import ZoneInfo

import msgspec
import pytest

from gridbeacon.alert_book import AlertBook
from gridbeacon.config import Config
from gridbeacon.feedback import Feedback
from gridbeacon.model import Action, AlertEvent, Silence, Unsilence
from gridbeacon.reasons import ActionKind, Disposition, Level, Refusal, Role
from streams.kafka import explain
from tests.board import T0, situation
from web.catalogues import LANGUAGES
from web.sentences import SENTENCES, known
from web.speech import Speech
from web.words import words_of

ROOT = Path(__file__).resolve().parents[2]
CELL = "310101001002003"


_numbers = itertools.count()


def action(kind: ActionKind, alert_id: str, **more: object) -> Action:
    given = {"actor": "li", "role": Role.OFFICER, "sent_ms": T0} | more
    return Action(action_id=f"act-{next(_numbers)}", alert_id=alert_id, kind=kind, **given)  # type: ignore[arg-type]


def silence(**more: object) -> Silence:
    given = {"owner": "li", "reason": "drill", "starts_ms": T0, "ends_ms": T0 + 1, "sent_ms": T0, "role": Role.OFFICER}
    return Silence(silence_id=f"s-{next(_numbers)}", **(given | more))  # type: ignore[arg-type]


def refusals() -> list[AlertEvent]:
    """Return events of every kind of refusal, as the engine makes them."""
    book = AlertBook(Config())
    (opened,) = book.situation("square", situation(CELL, Level.RED), T0)
    alert_id = opened.event.alert_id
    asked: list[Action | Silence | Unsilence] = [
        action(ActionKind.ACKNOWLEDGE, alert_id, role=Role.VIEWER),
        action(ActionKind.ACKNOWLEDGE, alert_id, version=7),
        action(ActionKind.VERIFY, alert_id),
        action(ActionKind.CLOSE, alert_id),
        action(ActionKind.COMMENT, alert_id),
        action(ActionKind.ASSIGN, alert_id),
        action(ActionKind.FEEDBACK, alert_id),
        action(ActionKind.ACKNOWLEDGE, "310101-none"),
        silence(role=Role.VIEWER),
        silence(owner=""),
        silence(reason=""),
        silence(ends_ms=T0),
        Unsilence(action_id="u-1", silence_id="none", actor="li", sent_ms=T0, role=Role.VIEWER),
        Unsilence(action_id="u-2", silence_id="none", actor="li", sent_ms=T0, role=Role.OFFICER),
    ]
    return [book.act(one, T0)[0].event for one in asked]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_is_said_in_the_language_of_the_board(language: str) -> None:
    events = refusals()
    assert {event.refusal for event in events} == set(Refusal)
    speech = Speech(language, words_of(language), ZoneInfo("UTC"), T0)
    for event in events:
        words, lang = speech.told(event.note.partition(": ")[2] or event.note)
        assert lang == language, event.note
        # What is put in is said in that language too: no word of the engine is left as it is.
        assert not re.search(r"[a-z]", words), words


def test_what_a_feedback_has_changed_is_said_in_the_language_of_the_board() -> None:
    speech = Speech("zh", words_of("zh"), ZoneInfo("UTC"), T0)
    alert = msgspec.structs.replace(
        AlertBook(Config()).situation("square", situation(CELL, Level.RED), T0)[0].alert, cleared_ms=T0
    )
    learned = msgspec.structs.replace(alert.evidence[0], layer="learned")
    for disposition in Disposition:
        for one in (alert, msgspec.structs.replace(alert, evidence=(learned,))):
            note = Feedback().apply(one, disposition, T0).words
            said = speech.answer(f"as on Friday; {note}")
            assert said[0] == ("as on Friday", "en")
            assert {language for _, language in said[1:]} == {"zh"}, note
    words = "told from now on: crowd/CAM-1/people_count up to 0.35 times the usual rate"
    assert speech.told(words)[0] == "今后的通报频率：CAM-1 人数 最多为通常的 0.35 倍"


def test_words_within_a_sentence_are_those_that_people_say() -> None:
    speech = Speech("zh", words_of("zh"), ZoneInfo("UTC"), T0)
    assert speech.told("it is new; legal is acknowledge, comment") == ("当前为“无人接手”，可执行：确认接警、备注", "zh")
    away = (
        "this alert is older than the log, and ClickHouse at h:1 can't be reached; check broker.bootstrap, or start it"
    )
    assert speech.told(away)[0] == "此警情早于日志，且ClickHouse（h:1）无法连接，请检查 broker.bootstrap，或启动它"
    foreseen = "crowd/CAM-1/density_max_per_m2: will pass 5 people/m² at about 19:40 (80 %: 19:30-later)"
    assert speech.told(foreseen)[0] == "CAM-1 最高密度：预计约 19:40 超过 5 人/m²（80 % 可能在 19:30 至更晚）"
    assert speech.told("the moon is full") == ("the moon is full", "en")
    assert Speech("en", words_of("en"), ZoneInfo("UTC"), T0).told("say to whom") == ("say to whom", "en")


#: Where sentences that a board shows are made -> the calls, keywords or returns that make them.
MAKERS = {
    "gridbeacon/crossing_words.py": {"return"},
    "gridbeacon/clusters.py": {"text"},
    "detectors/areas.py": {"text"},
    "detectors/cells.py": {"text"},
    "detectors/drift.py": {"text"},
    "detectors/observer.py": {"text"},
    "web/deeds.py": {"Problem"},
    "web/door.py": {"Problem", "Refusal"},
    "web/pages.py": {"Problem"},
    "web/questions.py": {"Problem", "Away"},
    "web/database.py": {"Away"},
    "web/scene.py": {"Problem"},
    "web/tokens.py": {"Refusal"},
    "sinks/clickhouse.py": {"Transient", "GridbeaconError", "kind"},
    "streams/act.py": {"Transient"},
    "streams/follow.py": {"_NotThere"},
}


def sentences_of(file: str, calls: set[str]) -> list[str]:
    """Return the sentences of calls in a file, with x for whatever is put into them."""
    found = []
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        match node:
            case ast.keyword(arg="text") if "text" in calls:
                found.append(_said(node.value))
            case ast.Assign(targets=[ast.Name(id="text")]) if "text" in calls:
                found.append(_said(node.value))
            case ast.Return(value=ast.JoinedStr()) if "return" in calls:
                found.append(_said(node.value))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in calls:
            found += [said for argument in node.args if (said := _said(argument))]
    return [one for one in found if one]


def _said(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "x" for one in node.values)
    if isinstance(node, ast.BinOp):
        return _said(node.left) + _said(node.right)
    return " or ".join(filter(None, map(_said, node.values))) if isinstance(node, ast.BoolOp) else ""


@pytest.mark.parametrize("file", MAKERS)
def test_every_sentence_that_the_code_can_say_to_the_board_is_known(file: str) -> None:
    said = sentences_of(file, MAKERS[file])
    assert said
    assert [one for one in said if known(one) is None] == []


def test_so_are_those_of_the_broker() -> None:
    config = Config()
    errors = [make(f"{name}Error", (Exception,))() for name in ("KafkaConnection", "UnknownTopicOrPartition", "SSL")]
    errors += [ConnectionError("gone"), ValueError("odd")]
    for embedded in ("embedded", "127.0.0.1:1"):
        there = msgspec.structs.replace(config, broker=msgspec.structs.replace(config.broker, bootstrap=embedded))
        for error in errors:
            assert known(explain(error, there)) is not None, explain(error, there)


def test_each_sentence_is_recognised_as_itself() -> None:
    for sentence in SENTENCES:
        found = known(re.sub(r"%\(\w+\)s", "x", sentence).replace("%%", "%"))
        assert found is not None
        assert found[0] == sentence
