"""Hold back: which transitions become a notice, and what the notice says."""

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from gridbeacon.alert_book import AlertBook
from gridbeacon.config import Config, Situate
from gridbeacon.lifecycle import advance
from gridbeacon.model import Alert, Evidence, Notice, Position, Situation
from gridbeacon.notices import EVIDENCE_MAX, Telling, notice_id_of
from gridbeacon.reasons import Certainty, HoldReason, Level, Mode, Reason
from gridbeacon.roll import DATA_HEALTH, SAFETY
from gridbeacon.stages import hold_back

T0 = 1_672_484_400_000  # 2022-12-31T11:00:00Z


def evidence(level: Level, number: int = 0, kind: str = "crowd") -> Evidence:
    return Evidence(
        series=f"{kind}/CAM-{number:04d}/density_max_per_m2",
        layer="limit",
        reason=Reason.DENSITY,
        level=level,
        since_ms=T0,
        lineage=Position("crowd.metrics", 3, 41_000 + number, 2),
        value=4.2,
        threshold=4.0,
        text="CAM-0000: 4.2 people/m², limit 4",
    )


def situation(
    level: Level, *, rule: str = SAFETY, lost: bool = False, findings: int = 1, kind: str = "crowd"
) -> Situation:
    return Situation(
        cell="310101001002003",
        rule=rule,
        level=level,
        reason=Reason.DENSITY,
        certainty=Certainty.OBSERVED,
        data_lost=lost,
        headline="CAM-0000: 4.2 people/m², limit 4",
        evidence=tuple(evidence(level, n, kind) for n in range(findings)),
    )


@dataclass
class Story:
    """An alert's life, told as situations; what came out of hold back, in order."""

    mode: Mode = Mode.LIVE
    config: Situate = field(default_factory=Situate)
    alert: Alert | None = None
    at_ms: int = T0
    out: list[Notice | HoldReason] = field(default_factory=list)

    @property
    def notices(self) -> list[Notice]:
        return [n for n in self.out if isinstance(n, Notice)]

    @property
    def types(self) -> list[str]:
        return [n.type if isinstance(n, Notice) else n for n in self.out]

    def then(self, now: Situation | None) -> "Story":
        self.at_ms += 60_000
        for alert, event in advance(self.alert, now, self.at_ms, mode=self.mode, area_digits=6):
            self.alert = alert
            telling = Telling(alert=alert, event=event, notices=len(self.notices))
            self.out.append(hold_back(telling, AlertBook(Config(situate=self.config))))
        return self

    def last(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.notices[-1].body)
        return body


def test_an_alert_is_told_from_its_opening_to_its_end() -> None:
    story = Story().then(situation(Level.YELLOW)).then(situation(Level.RED)).then(situation(Level.ORANGE)).then(None)
    assert story.types == ["alert.opened", "alert.level_raised", HoldReason.LEVEL_LOWERED, "alert.cleared"]
    assert [n.sequence for n in story.notices] == [1, 2, 3]
    assert [n.level for n in story.notices] == [Level.YELLOW, Level.RED, Level.NONE]


def test_what_nobody_was_told_of_is_not_told_to_have_ended() -> None:
    story = Story().then(situation(Level.BLUE)).then(situation(Level.BLUE, lost=True)).then(situation(Level.BLUE))
    assert story.then(None).types == [HoldReason.BELOW_MIN_LEVEL] * 4


def test_the_first_notice_opens_the_alert_even_when_it_rose_to_get_there() -> None:
    story = Story().then(situation(Level.BLUE)).then(situation(Level.ORANGE))
    assert story.types == [HoldReason.BELOW_MIN_LEVEL, "alert.opened"]
    data = story.last()["data"]
    assert (data["event"], data["previous_level"], data["level"]) == ("level_raised", "blue", "orange")


def test_lost_data_is_unknown_and_not_all_clear() -> None:
    story = Story().then(situation(Level.ORANGE)).then(situation(Level.ORANGE, lost=True))
    data = story.last()["data"]
    assert story.types[-1] == "alert.unknown"
    assert data["condition_state"] == "unknown"
    assert (data["cap"]["certainty"], data["cap"]["urgency"]) == ("Unknown", "Unknown")
    assert story.then(situation(Level.ORANGE)).types[-1] == "alert.active"


def test_a_lowered_alert_is_still_told_to_have_cleared() -> None:
    story = Story().then(situation(Level.ORANGE)).then(situation(Level.BLUE)).then(None)
    assert story.types == ["alert.opened", HoldReason.LEVEL_LOWERED, "alert.cleared"]


def test_findings_about_data_are_not_for_dispatch() -> None:
    story = Story().then(situation(Level.ORANGE, rule=DATA_HEALTH)).then(None)
    assert story.types == [HoldReason.NOT_FOR_DISPATCH] * 2


@pytest.mark.parametrize("minimum", list(Level)[1:])
def test_the_minimum_level_is_included(minimum: Level) -> None:
    config = Situate(min_notice_level=minimum.word)  # type: ignore[arg-type]
    for level in list(Level)[1:]:
        told = bool(Story(config=config).then(situation(level)).notices)
        assert told == (level >= minimum)


def test_the_same_story_gives_the_same_bytes_and_ids_of_its_own() -> None:
    def tell(mode: Mode = Mode.LIVE) -> list[Notice]:
        story = Story(mode=mode).then(situation(Level.YELLOW)).then(situation(Level.RED, findings=3)).then(None)
        return story.notices

    assert tell() == tell()
    ids = [n.notice_id for n in tell() + tell(Mode.EXERCISE)]
    assert len(set(ids)) == len(ids) == 6
    assert all(i.startswith("msg_") and len(i) >= 31 for i in ids)


def test_the_words_of_cap_follow_level_and_mode() -> None:
    story = Story().then(situation(Level.RED, kind="traffic"))
    assert story.last()["data"]["cap"] == {
        "status": "Actual",
        "msgType": "Alert",
        "scope": "Restricted",
        "references": [],
        "category": ["Transport"],
        "responseType": ["Execute"],
        "urgency": "Immediate",
        "severity": "Extreme",
        "certainty": "Observed",
    }
    cap = story.then(None).last()["data"]["cap"]
    assert cap["references"] == [story.notices[0].notice_id] == [notice_id_of(story.notices[0].alert_id, 1)]
    assert (cap["msgType"], cap["responseType"], cap["urgency"]) == ("Cancel", ["AllClear"], "Past")
    statuses = {m: Story(mode=m).then(situation(Level.RED)).last()["data"]["cap"]["status"] for m in Mode}
    assert statuses == {"live": "Actual", "replay": "System", "exercise": "Exercise", "test": "Test"}


def test_the_body_names_the_source_record_and_stays_small() -> None:
    story = Story().then(situation(Level.RED, findings=500))
    data = story.last()["data"]
    assert data["evidence_count"] == 500
    assert len(data["evidence"]) == EVIDENCE_MAX
    assert data["evidence"][1]["source"] == {"topic": "crowd.metrics", "partition": 3, "offset": 41_001, "index": 2}
    assert len(story.notices[0].body.encode()) < 20_000


def test_times_are_utc_and_keep_their_milliseconds() -> None:
    story = Story(at_ms=T0 + 7).then(situation(Level.RED))
    assert story.last()["timestamp"] == "2022-12-31T11:01:00.007Z"
    assert Story().then(situation(Level.RED)).last()["timestamp"] == "2022-12-31T11:01:00Z"


def test_a_notice_survives_the_wire_unchanged() -> None:
    notice = Story().then(situation(Level.RED)).notices[0]
    assert msgspec.json.decode(msgspec.json.encode(notice), type=Notice) == notice
