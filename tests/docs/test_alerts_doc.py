"""``docs/alerts.md`` draws the life of an alert from the table that the engine obeys."""

import re
from pathlib import Path

from gridbeacon.config import Situate
from gridbeacon.lifecycle import TRANSITIONS, Event
from gridbeacon.model import AlertEvent
from gridbeacon.notices import LEVEL_RAISED, NOTICE_TYPES, OPENED
from gridbeacon.reasons import CAP_SEVERITY, ConditionState, HandlingState, HoldReason, Level
from gridbeacon.situation import RULES

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return DOC.partition(f"\n## {title}: ")[2].partition("\n## ")[0]


def rows(title: str) -> list[str]:
    return [line for line in section(title).splitlines() if line.startswith("|")][2:]


def test_the_diagram_is_the_table_of_transitions() -> None:
    (drawn,) = re.findall(r"^```mermaid\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)
    lines = [f"    {before or '[*]'} --> {after}: {event}" for (before, event), after in TRANSITIONS.items()]
    assert drawn.splitlines() == ["stateDiagram-v2", *lines]


def test_the_table_is_the_table_of_transitions() -> None:
    assert rows("Condition") == [
        f"| {f'`{before}`' if before else 'none'} | `{event}` | `{after}` |"
        for (before, event), after in TRANSITIONS.items()
    ]
    assert {event for _, event in TRANSITIONS} == set(Event)


def test_the_two_rules_that_matter_hold() -> None:
    assert (ConditionState.UNKNOWN, Event.CLEARED) not in TRANSITIONS
    assert not [event for before, event in TRANSITIONS if before is ConditionState.CLEARED]


def test_every_level_has_its_row() -> None:
    begin = [row.split(" | ")[:2] for row in rows("Level")]
    assert begin == [[f"| `{level.word}`", CAP_SEVERITY[level]] for level in Level if level]


def test_every_event_says_its_notice_and_why_it_may_be_held() -> None:
    found = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows("Notice")]
    assert [event for event, *_ in found] == [f"`{event}`" for event in Event]
    for event, notice, held in found:
        name = event.strip("`")
        types = re.findall(r"`([\w.]+)`", notice)
        assert types[:1] == [NOTICE_TYPES[name]] if name in NOTICE_TYPES else types == []
        assert types[1:] == ([OPENED] if types[:1] == [LEVEL_RAISED] else [])
        assert held.strip("`") == (HoldReason.BELOW_MIN_LEVEL if types else HoldReason.LEVEL_LOWERED)
    assert all(f"`{reason}`" in DOC for reason in HoldReason)


def test_rules_keys_and_fields_that_are_named_exist() -> None:
    assert all(f"`{rule}`" in DOC for rule in RULES)
    keys = re.findall(r"`situate\.(\w+)`", DOC)
    assert keys
    assert set(keys) <= set(Situate.__struct_fields__)
    assert {"version", "reason", "notice_id"} <= set(AlertEvent.__struct_fields__)
    assert f"stays `{HandlingState.NEW}`" in DOC
