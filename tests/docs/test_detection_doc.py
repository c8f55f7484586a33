"""``docs/detection.md`` has every reason, every number of the limits and every key, as the product has them."""

import re
from pathlib import Path

import msgspec
import pytest

from detectors import DETECTORS, episodes, kernel
from detectors.bank import ANOMALOUS, BAND, FINDING
from detectors.judge_layout import CONSTANTS
from detectors.observer import Observer
from gridbeacon.budget import ALONE_FROM, GAIN
from gridbeacon.config import AlarmBudget, Config, Detect, Ladder, Limits, Quality
from gridbeacon.config_section import Section
from gridbeacon.reasons import Reason

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "detection.md").read_text(encoding="utf-8")
FLAT = re.sub(r"\s+", " ", TEXT)
SECTIONS: dict[str, type[Section]] = {
    "limits": Limits,
    "quality": Quality,
    "detect": Detect,
    "alarm_budget": AlarmBudget,
}


def cells() -> list[list[str]]:
    """Return the cells of all rows of all tables."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("|")]


def row_of(key: str) -> list[str]:
    """Return the one row that has a word in code marks in its first or last cell."""
    found = [row for row in cells() if f"`{key}`" in (row[0], *re.findall(r"`[^`]+`", row[-1]))]
    assert len(found) == 1, f"{key} has {len(found)} rows"
    return found[0]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained(reason: Reason) -> None:
    rows = [row for row in cells() if row[0] == f"`{reason}`" and len(row) == 4 and not row[3].startswith("`quality.")]
    assert len(rows) == 1
    _, said_by, meaning, action = rows[0]
    assert len(meaning) > 10
    assert action
    assert set(said_by.split(", ")) <= {"verdict", "finding", "alert", ""}


def test_no_reason_is_invented() -> None:
    begin = TEXT.index("## What each reason means")
    named = re.findall(r"^\| `(\w+)` \|", TEXT[begin:], re.MULTILINE)
    assert named == [reason.value for reason in Reason]


@pytest.mark.parametrize(
    "key", [f"{name}.{field}" for name, kind in SECTIONS.items() for field in kind.__struct_fields__]
)
def test_every_key_is_named(key: str) -> None:
    assert f"`{key}`" in TEXT


def test_no_key_is_invented() -> None:
    for name, key in re.findall(r"`(limits|quality|detect)\.(\w+)`", TEXT):
        assert key in SECTIONS[name].__struct_fields__


@pytest.mark.parametrize("name", ["moving", "stairs", "standing"])
def test_the_ladders_are_the_defaults(name: str) -> None:
    ladder: Ladder = getattr(Limits(), name)
    assert [float(cell) for cell in row_of(f"limits.{name}")[1:5]] == [*msgspec.structs.astuple(ladder)]


@pytest.mark.parametrize("name", ["capacity_shares", "flow_level_per_m_min", "flow_stairs_per_m_min"])
def test_shares_and_flows_are_the_defaults(name: str) -> None:
    row = row_of(f"limits.{name}")
    assert tuple(float(cell) for cell in row[1:4] if cell) == getattr(Limits(), name)


@pytest.mark.parametrize("name", ["warm_up_days", "event_window_secs", "event_grace_secs"])
def test_numbers_of_the_learned_layer_are_the_defaults(name: str) -> None:
    assert float(row_of(f"detect.{name}")[1]) == getattr(Detect(), name)


def test_urgent_codes_are_the_defaults() -> None:
    assert tuple(row_of("detect.urgent_codes")[1].split(", ")) == Detect().urgent_codes


def test_other_numbers_are_the_defaults() -> None:
    limits, quality, detect = Limits(), Quality(), Detect()
    for words in (
        f"has held for {limits.for_secs:g} s (`limits.for_secs`)",
        f"more than {limits.hysteresis_per_m2:g} people/m² lower (`limits.hysteresis_per_m2`)",
        f"carried {limits.inflow_minutes:g} minutes ahead (`limits.inflow_minutes`)",
        f"after {quality.quiet_intervals:g} intervals without a word, at least {quality.quiet_min_secs:g} s",
        f"with the {quality.stuck_repeats}th equal value in a row",
        f"falls from at least {quality.jump_from_per_m2:g} people/m² to nothing within two intervals",
        f"sees less than {quality.min_coverage:g} of its area | at {quality.min_coverage:g} or more",
        f"less sure than {quality.min_confidence:g} of its count | at {quality.min_confidence:g} or more",
        f"saved every {detect.checkpoint_secs:g} s (`detect.checkpoint_secs`)",
        f"(`detect.detector`, `{detect.detector}` unless configured otherwise)",
    ):
        assert words in FLAT, words
    assert detect.detector in DETECTORS
    assert Observer(Config(), 0).series == 0


def test_numbers_that_are_not_configured_are_those_of_the_code() -> None:
    assert kernel.JUMP_INTERVALS == 2
    assert kernel.JUMP_HOLDS_MS == 15 * 60_000
    assert "after 15 minutes" in FLAT
    assert kernel.ZERO_REPEATS == 10
    assert kernel.ZERO_HOLDS_MS == 86_400_000
    assert "zeros are stuck after ten times as many, and not within a day" in FLAT
    assert f"Counts up to {kernel.SMALL_COUNT} may repeat ten times as often" in FLAT
    assert f"end {round(100 - 100 * kernel.CAPACITY_CLOSE)} % below where they begin" in FLAT
    assert (episodes.CALM, episodes.CALM_BELOW) == (3, 1)
    assert "after three observations in a row with a severity below 1" in FLAT
    assert f"from a severity of {ANOMALOUS:g} or a signal of {FINDING:g} on" in FLAT
    assert BAND == 4
    assert "four usual deviations on both sides" in FLAT
    assert CONSTANTS["growth"][0] == 1.2
    assert "said again when it grows by a fifth" in FLAT
    assert kernel.LASTS_MS == 3 * 86_400_000
    assert f"(`alarm_budget.per_week`, {AlarmBudget().per_week:g} by default)" in FLAT
    assert GAIN == 0.1
    assert "each alarm lowers it by a tenth" in FLAT
    assert ALONE_FROM == FINDING
