"""``docs/alerts.md`` draws the life of an alert from the table that the engine obeys."""

import re
from pathlib import Path

from gridbeacon.config import Situate
from gridbeacon.config_routing import Routing
from gridbeacon.lifecycle import ACTIONS, DONE, HANDLING, TRANSITIONS, Event
from gridbeacon.model import AlertEvent
from gridbeacon.notices import LEVEL_RAISED, NOTICE_TYPES, OPENED
from gridbeacon.reasons import (
    CAP_SEVERITY,
    ActionKind,
    Certainty,
    ConditionState,
    Disposition,
    HandlingState,
    HoldReason,
    Level,
    Refusal,
    SituationKind,
    Trend,
)
from gridbeacon.roll import RULES
from gridbeacon.stages import STAGES

BESIDE = {
    Event.REFUSED,
    Event.SILENCED,
    Event.UNSILENCED,
    Event.ESCALATED,
    Event.REPEATED,
    Event.GROUPED,
    Event.RELEASED,
}
"""What is written down without moving either axis."""
SENTENCE = "3 reports of crowding and camera CAM-12 at 3.2 people/m², outflow falling, for 4 min"
"""As ``tests/unit/test_situations.py`` has it."""
ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return DOC.partition(f"\n## {title}: ")[2].partition("\n## ")[0]


def rows(title: str) -> list[str]:
    return [line for line in section(title).splitlines() if line.startswith("|")][2:]


def test_the_diagrams_are_the_tables_of_transitions() -> None:
    condition, handling = re.findall(r"^```mermaid\n(stateDiagram.*?)^```$", DOC, re.MULTILINE | re.DOTALL)
    lines = [f"    {before or '[*]'} --> {after}: {event}" for (before, event), after in TRANSITIONS.items()]
    assert condition.splitlines() == ["stateDiagram-v2", *lines]
    steps = [f"    {before} --> {after}: {kind}" for (before, kind), after in HANDLING.items() if before is not after]
    assert handling.splitlines() == ["stateDiagram-v2", f"    [*] --> {HandlingState.NEW}: opened", *steps]


def test_what_changes_no_state_is_said() -> None:
    open_states = set(HandlingState) - set(DONE)
    stays = {(state, kind) for (state, kind), after in HANDLING.items() if state is after}
    assert stays == (
        {(state, ActionKind.ASSIGN) for state in open_states}
        | {(state, kind) for state in HandlingState for kind in (ActionKind.COMMENT, ActionKind.FEEDBACK)}
        | {(state, ActionKind.REOPEN) for state in DONE}
        | {(HandlingState.DISPATCHED, ActionKind.DISPATCH)}
    )


def test_every_action_says_its_state_and_who_may() -> None:
    found = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows("Handling") if row.count("|") == 5]
    assert [kind for kind, *_ in found] == [f"`{kind}`" for kind in ActionKind]
    for kind, after, who, _ in found:
        action = ActionKind(kind.strip("`"))
        states = {to for (before, one), to in HANDLING.items() if one is action and before is not to}
        assert after == (f"`{states.pop()}`" if states else "as it was")
        assert who == ACTIONS[action][1]


def test_every_refusal_and_disposition_is_explained() -> None:
    for word in (*Refusal, *Disposition):
        assert f"| `{word}` |" in section("Handling")


def test_the_table_is_the_table_of_transitions() -> None:
    assert rows("Condition") == [
        f"| {f'`{before}`' if before else 'none'} | `{event}` | `{after}` |"
        for (before, event), after in TRANSITIONS.items()
    ]
    people = {event for event, _ in ACTIONS.values()}
    assert {event for _, event in TRANSITIONS} == set(Event) - people - BESIDE


def test_every_kind_and_trend_of_a_situation_is_explained() -> None:
    said = [row.split(" | ")[0] for row in rows("Situation")]
    assert said == [f"| `{kind}`" for kind in SituationKind]
    assert all(f"`{word}`" in section("Situation") for word in (*Trend, Certainty.LIKELY, Certainty.POSSIBLE))
    example = re.search(r'"(3 reports .*?)"', re.sub(r"\s+", " ", section("Situation")))
    assert example is not None
    assert example[1] == SENTENCE


def test_the_two_rules_that_matter_hold() -> None:
    assert (ConditionState.UNKNOWN, Event.CLEARED) not in TRANSITIONS
    assert not [event for before, event in TRANSITIONS if before is ConditionState.CLEARED]


def test_every_level_has_its_row() -> None:
    begin = [row.split(" | ")[:2] for row in rows("Level")]
    assert begin == [[f"| `{level.word}`", CAP_SEVERITY[level]] for level in Level if level]


def test_every_event_says_its_notice_and_why_it_may_be_held() -> None:
    found = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows("Notice")]
    people = [event for event in NOTICE_TYPES if event in {one for one, _ in ACTIONS.values()}]
    assert [event for event, *_ in found] == [
        f"`{event}`" for event in [*dict.fromkeys(e for _, e in TRANSITIONS), *people]
    ]
    for event, notice, held in found:
        name = event.strip("`")
        types = re.findall(r"`([\w.]+)`", notice)
        assert types[:1] == [NOTICE_TYPES[name]] if name in NOTICE_TYPES else types == []
        assert types[1:] == ([OPENED] if types[:1] == [LEVEL_RAISED] else [])
        assert held.strip("`") == (HoldReason.BELOW_MIN_LEVEL if types else HoldReason.LEVEL_LOWERED)
    assert all(f"`{reason}`" in DOC for reason in HoldReason)


def test_rules_keys_and_fields_that_are_named_exist() -> None:
    assert all(f"`{rule}`" in DOC for rule in RULES)
    for section, kind in (("situate", Situate), ("routing", Routing)):
        keys = re.findall(rf"`{section}\.(\w+)`", DOC)
        assert keys
        assert set(keys) <= set(kind.__struct_fields__)
    assert {"version", "reason", "notice_id"} <= set(AlertEvent.__struct_fields__)


def test_the_stages_are_those_of_the_engine_in_their_order() -> None:
    found = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows("Hold back")]
    assert [name for name, *_ in found] == [stage.__name__ for stage in STAGES]
    told = [reason for *_, why in found for reason in re.findall(r"`(\w+)`", why)]
    assert sorted(told) == sorted(HoldReason)


def test_the_times_to_acknowledge_are_the_defaults() -> None:
    words = {3600: "an hour", 900: "15 minutes", 300: "5 minutes", 120: "2 minutes"}
    within = Routing().acknowledge_within_secs
    assert rows("Routing") == [f"| `{level.word}` | {words[getattr(within, level.word)]} |" for level in Level if level]
    assert Routing().repeat_secs == 600
    for event in (Event.ESCALATED, Event.REPEATED, Event.GROUPED, Event.RELEASED):
        assert f"`{event}`" in DOC
