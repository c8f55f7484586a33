"""``docs/wire.md`` says what is so: every example does what its comment says, and every word of the wire is there."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from gridbeacon.config import Config
from gridbeacon.model import Cell, Sensor
from gridbeacon.reasons import Rejection
from gridbeacon.registry import Registry
from gridbeacon.vocabulary import METRICS, MOTIONS, SURFACES, Kind
from streams.decode import KINDS, Decoder
from streams.decode.privacy import CHINESE, ENCODED_CHARS, NAMES, WORDS
from streams.decode.reports import ROLES, VERIFICATIONS
from streams.decode.sensed import ENTITY_TYPES

DOC = (Path(__file__).resolve().parents[2] / "docs" / "wire.md").read_text(encoding="utf-8")
NOW_MS = 1_795_348_800_000  # 2026-11-22T12:00:00Z, the time of the examples
CELL = "310101001002003"
REGISTRY = Registry(
    {
        "CAM-0012": Sensor(sensor_id="CAM-0012", kind=Kind.CROWD, grid_id=CELL, area_m2=60.0),
        "LOOP-7": Sensor(sensor_id="LOOP-7", kind=Kind.TRAFFIC, grid_id=CELL),
    },
    {CELL: Cell(grid_id=CELL, polygon=((121.0, 31.0), (122.0, 31.0), (122.0, 32.0), (121.0, 32.0)))},
)
EXAMPLES = re.findall(
    r"^<!-- ([a-z.]+)(, replay)?: (.+?) -->\n```json\n(.*?)^```$",
    DOC,
    re.MULTILINE | re.DOTALL,
)


def section(title: str) -> str:
    """Return the text under one heading, up to the next of its level or above."""
    level, _, rest = re.search(rf"^(#+) ({re.escape(title)})\n(.*)", DOC, re.MULTILINE | re.DOTALL).groups()
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def test_every_block_says_what_becomes_of_it():
    assert len(EXAMPLES) == DOC.count("```json") >= 10
    assert {topic for topic, *_ in EXAMPLES} == set(KINDS)


@pytest.mark.parametrize(("topic", "replay", "expected", "text"), EXAMPLES)
def test_an_example_does_what_its_comment_says(topic, replay, expected, text):
    config = Config(clock="event" if replay else "arrival")
    outcome: Counter[str] = Counter()
    refused = []
    for one in Decoder(config, REGISTRY).decode(topic, 0, 0, text.encode(), NOW_MS):
        assert one.ignored in ((), ("notifiedAt",))
        outcome["observations"] += len(one.observations)
        outcome["events"] += one.event is not None
        outcome["ticks"] += one.tick is not None
        refused += [one.rejected.reason.value] if one.rejected else []
    found = [f"{name}={count}" for name, count in outcome.items() if count]
    found += [f"rejected={','.join(refused)}"] if refused else []
    assert " ".join(found) == expected


def test_the_examples_are_json():
    for *_, text in EXAMPLES:
        json.loads(text)


@pytest.mark.parametrize("kind", ENTITY_TYPES)
def test_every_metric_stands_with_its_range(kind):
    topic = next(name for name, of in KINDS.items() if of is kind)
    table = section(f"`{topic}`")
    for metric in METRICS:
        if metric.kind is kind:
            (row,) = (line for line in table.splitlines() if line.startswith(f"| `{metric.wire}` |"))
            wanted = "`true` or `false`" if metric.wire == "congested" else f"{metric.high:,g}"
            assert wanted.replace("1e+06", "1,000,000") in row, row
    assert ENTITY_TYPES[kind] in DOC


def test_every_reason_stands_with_its_repair():
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", section("What is refused"), re.MULTILINE)
    assert sorted(name for name, *_ in rows) == sorted(Rejection)


def test_every_private_name_is_there_and_no_other():
    text = section("Privacy")
    for title, names in (("Words", WORDS), ("Names", NAMES), ("Chinese words", CHINESE)):
        (paragraph,) = re.findall(rf"^{title}: (.*?)\.\n", text, re.MULTILINE | re.DOTALL)
        assert re.findall(r"`(.+?)`", paragraph) == sorted(names)
    assert f"{ENCODED_CHARS} " in text


def test_every_word_that_a_field_may_have_is_there():
    for word in (*SURFACES, *MOTIONS, *ROLES, *VERIFICATIONS):
        assert f"`{word}`" in DOC, word


def test_the_limits_are_those_of_the_configuration():
    ingest = Config().ingest
    text = section("What is refused")
    assert f"`ingest.max_record_bytes` ({ingest.max_record_bytes:,})" in text
    assert f"`ingest.max_objects` ({ingest.max_objects:,})" in text
    assert f"`ingest.max_depth` ({ingest.max_depth})" in text
    assert (ingest.max_age_secs, ingest.max_ahead_secs) == (86_400, 300)
    assert re.sub(r"\s+", " ", section("Times")).count("(a day)") == 1
