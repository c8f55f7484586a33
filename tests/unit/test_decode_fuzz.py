"""Whatever the bytes, decode gives at least one outcome, and each is typed values within range or a refusal."""

import json
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbeacon.config import Config, Ingest
from gridbeacon.config import Registry as Files
from gridbeacon.model import Rejected, Sensor
from gridbeacon.reasons import Rejection, Stage
from gridbeacon.registry import Registry
from gridbeacon.vocabulary import METRICS, MOTIONS, SURFACES, Kind
from streams.decode import EARLIEST_MS, KINDS, OBJECT_SLOTS, Decoded, Decoder
from streams.intake import Intake

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
NOW_MS = 1_795_348_800_000
CELL = "310101001002003"
TRAFFIC_ID = "TrafficFlowObserved-Valladolid-osm-60821110"
URN = "urn:ngsi-ld:"
SENSORS = (
    Sensor(sensor_id=f"{URN}CrowdFlowObserved:Valladolid_1", kind=Kind.CROWD, grid_id=CELL, area_m2=100.0),
    Sensor(sensor_id=TRAFFIC_ID, kind=Kind.TRAFFIC, grid_id=CELL),
    Sensor(sensor_id=f"{URN}TrafficFlowObserved:{TRAFFIC_ID}", kind=Kind.TRAFFIC, grid_id=CELL),
    Sensor(sensor_id="CAM-1", kind=Kind.CROWD, grid_id=CELL, area_m2=100.0),
)
REGISTRY = Registry({sensor.sensor_id: sensor for sensor in SENSORS})
REPLAY = Config(clock="event", registry=Files(unknown_sensors="register"))
CONFIGS = (REPLAY, Config(), Config(ingest=Ingest(max_record_bytes=300, max_objects=2, max_depth=4)))
TOPICS = (*KINDS, "alerts")
#: Fields of the GridEvent that are times.
EVENT_TIMES = ("updated_ms", "expected_ms")
quick = settings(max_examples=200, deadline=None)


def sound(config: Config, topic: str, raw: bytes | None) -> list[Decoded]:
    """Return what became of a record, having checked that it is as promised."""
    found = Decoder(config, REGISTRY).decode(topic, 3, 9, raw, NOW_MS)
    assert isinstance(found, list)
    assert found
    for number, one in enumerate(found):
        said = [bool(one.observations), one.event is not None, one.rejected is not None, one.tick is not None]
        assert said.count(True) == 1
        first = number * OBJECT_SLOTS
        for o in one.observations:
            metric = METRICS[o.metric]
            assert metric.kind is KINDS[topic]
            assert metric.low <= o.value <= metric.high
            assert isinstance(o.value, float)
            assert EARLIEST_MS <= o.observed_ms <= NOW_MS + 300_000
            assert (o.surface in SURFACES, o.motion in MOTIONS) == (True, True)
            assert all(math.isnan(share) or 0 <= share <= 1 for share in (o.coverage, o.count_confidence))
            assert o.position == (topic, 3, 9, first + o.metric)
            assert 0 < len(o.source) <= 700
            assert o.source.isprintable()
            assert one.sensor is not None or o.source in REGISTRY.sensors
        if one.event is not None:
            event = one.event
            assert topic == "grid.events"
            assert event.service_request_id
            assert event.service_code
            assert len(event.grid_id) == 15
            assert min(event.occurred_ms, event.reported_ms) >= EARLIEST_MS
            assert max(event.occurred_ms, event.reported_ms) <= NOW_MS + 300_000
            assert all(0 <= (getattr(event, name) or 0) < 7_258_118_400_000 for name in EVENT_TIMES)
            assert event.position == (topic, 3, 9, first)
        if one.tick is not None:
            assert EARLIEST_MS <= one.tick.time_ms <= NOW_MS + 300_000
        if one.rejected is not None:
            check_refusal(one.rejected, first)
    return found


def check_refusal(rejected: Rejected, index: int) -> None:
    assert rejected.reason in set(Rejection) - {Rejection.NOT_STORABLE}
    assert rejected.stage is Stage.DECODE
    assert rejected.index == index
    assert 0 < len(rejected.detail) <= 600


def balanced(config: Config, topic: str, raw: bytes | None) -> None:
    """Check that ingest takes the same record without an error and loses none of its objects."""
    if topic not in KINDS:
        return
    intake = Intake(config, REGISTRY)
    intake.add(topic, 3, 9, raw, NOW_MS)
    batch = intake.take(NOW_MS)
    assert batch.records == 1
    assert batch.objects == batch.observation_objects + batch.events + batch.rejected_objects + batch.ticks >= 1
    assert len(batch.dead_letters) == batch.rejected_objects


# Made records

NAMES = [
    *(m.wire for m in METRICS if m.wire),
    *"id type sensor_id camera_id zone_id laneId vehicleType grid_id".split(),
    *"dateObserved dateObservedFrom dateObservedTo interval_secs".split(),
    *"area_m2 capacity surface motion coverage count_confidence location lat long data time".split(),
    *"service_request_id service_code description requested_datetime occurred_at reported_at expected_datetime".split(),
    *"reporter_role verification subscriptionId value @value face".split(),
]
WORDS = [
    *("CAM-1", CELL, "CrowdFlowObserved", "TrafficFlowObserved", "Notification", "Tick", "service_requests", "Point"),
    *(
        "2026-11-22T12:00:00Z",
        "2026-11-22T11:00:00/2026-11-22T12:00:00",
        "1970-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
    ),
    *("0001-01-01T00:00:00+14:00", "stairs", "static", "citizen_app", "", " ", "\x00", "A" * 600, "/", "Z"),
]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 1, 1e308, 5e-324, -0.0, 2**63, 2**64, 10**30, 10**309, math.nan, math.inf, -math.inf]),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=8),
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner),
    max_leaves=25,
)
records = st.dictionaries(st.sampled_from(NAMES), anything, max_size=12)
topics = st.sampled_from(TOPICS)
configs = st.sampled_from(CONFIGS)


@quick
@given(configs, topics, st.none() | st.binary(max_size=400))
def test_any_bytes(config, topic, raw):
    sound(config, topic, raw)
    balanced(config, topic, raw)


@quick
@given(configs, topics, anything | records | st.lists(records, max_size=4))
def test_any_json(config, topic, value):
    raw = json.dumps(value).encode()
    sound(config, topic, raw)
    balanced(config, topic, raw)


@quick
@given(
    topics, st.lists(st.sampled_from([b"{", b"}", b"[", b"]", b'"', b":", b",", b"NaN", b"1e999", b"\\ud800", b"a"]))
)
def test_any_json_like_bytes(topic, parts):
    sound(REPLAY, topic, b"".join(parts))


@pytest.mark.parametrize("depth", [10, 500, 5000, 400_000])
@pytest.mark.parametrize(("begin", "end"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
def test_any_depth(depth, begin, end):
    for middle in (b"1", b"NaN", b""):
        sound(CONFIGS[1], "crowd.metrics", (begin * depth + middle + end * depth)[:900_000])


# Real records


@pytest.fixture(scope="module")
def real() -> dict[str, bytes]:
    """Real payloads by file: the fiware examples and the Open311 ones."""
    paths = [*DATA.glob("fiware/*/examples/*.json*"), *DATA.glob("open311/*.json")]
    if not paths:
        pytest.skip(f"the public example payloads are not at {DATA}")
    return {str(path.relative_to(DATA)): path.read_bytes() for path in sorted(paths)}


EXTREMES: list[Any] = [
    0,
    -1,
    1e308,
    -1e308,
    5e-324,
    2**64,
    10**400,
    math.nan,
    math.inf,
    "12",
    "",
    None,
    True,
    [],
    {},
    [[]],
]


HOMES = {
    "CrowdFlowObserved": "crowd.metrics",
    "TrafficFlowObserved": "traffic.counts",
    "service_requests": "grid.events",
}


def mutate(raw: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Return the payload with one to three things done to it."""
    for _ in range(chance.randint(1, 3)):
        how = chance.randrange(12)
        if how == 0:
            raw = raw[: chance.randrange(len(raw) + 1)]
        elif how == 1:
            other = chance.choice(others)
            raw = raw[: chance.randrange(len(raw) + 1)] + other[chance.randrange(len(other)) :]
        elif how == 2 and raw:
            at = chance.randrange(len(raw))
            raw = raw[:at] + bytes([chance.randrange(256)]) + raw[at + 1 :]
        else:
            raw = restructure(raw, others, chance)
    return raw


def restructure(raw: bytes, others: list[bytes], chance: random.Random) -> bytes:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    holders = [value]
    for holder in holders:
        inner = holder.values() if isinstance(holder, dict) else holder if isinstance(holder, list) else ()
        holders += [item for item in inner if isinstance(item, dict | list)]
    holder = chance.choice(holders)
    if not isinstance(holder, dict | list) or not holder:
        return raw
    key = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    how = chance.randrange(5)
    if how == 0:
        del holder[key]
    elif how == 1:
        holder[key] = chance.choice(EXTREMES)
    elif how == 2:
        holder[key] = {"type": "Property", "value": holder[key]}
    elif how == 3:
        holder[key] = chance.choice([str, lambda v: [v], lambda v: {"a": v}])(holder[key])
    else:
        # The same key twice, with another value.
        text = json.dumps(value)
        return text.replace("{", '{"id": 5, "dateObserved": 1, ', 1).encode()
    return json.dumps([value, value] if chance.random() < 0.1 else value).encode()


def test_real_payloads_however_mutated(real):
    chance = random.Random(7)
    payloads = list(real.values())
    homes = [(name, topic) for name in real for model, topic in HOMES.items() if f"/{model}/" in name]
    outcomes: Counter[str] = Counter()
    for number in range(3000):
        name, topic = chance.choice(homes)
        if number % 4 == 0:
            name, topic = chance.choice(list(real)), chance.choice(TOPICS)
        raw = mutate(real[name], payloads, chance)
        for one in sound(CONFIGS[number % 2], topic, raw):
            outcomes[one.rejected.reason.value if one.rejected else "taken"] += 1
        balanced(CONFIGS[number % 2], topic, raw)
    # The mutations reach deep enough to be worth their time.
    assert len(outcomes) >= 10, outcomes
    assert outcomes["taken"] >= 200, outcomes


def tally(real: dict[str, bytes], model: str, topic: str, config: Config = REPLAY) -> dict[str, str]:
    found = {}
    for name, raw in real.items():
        if f"/{model}/" in f"/{name}":
            (one,) = sound(config, topic, raw)
            taken = "event" if one.event else f"{len(one.observations)} observations"
            found[Path(name).name] = one.rejected.reason.value if one.rejected else taken
    return found


def test_real_crowd_examples_are_taken(real):
    assert tally(real, "CrowdFlowObserved", "crowd.metrics") == {
        "example.json": "5 observations",
        "example.jsonld": "5 observations",
        "example-normalized.json": "5 observations",
        "example-normalized.jsonld": "5 observations",
    }


def test_real_traffic_examples_are_taken(real):
    assert tally(real, "TrafficFlowObserved", "traffic.counts") == {
        "example.json": "3 observations",
        "example.jsonld": "3 observations",
        "example-normalized.json": "3 observations",
        "example-normalized.jsonld": "3 observations",
    }


def test_real_service_requests_lack_a_cell_of_the_grid(real):
    assert tally(real, "service_requests", "grid.events") == {
        "example.json": "unknown_grid",
        "example.jsonld": "unknown_grid",
        "example-normalized.json": "unknown_grid",
        "example-normalized.jsonld": "unknown_grid",
    }


def test_real_service_requests_with_a_cell_are_taken(real):
    inside = {
        name: json.dumps({**json.loads(raw), "grid_id": CELL}).encode()
        for name, raw in real.items()
        if "/service_requests/" in name
    }
    assert tally(inside, "service_requests", "grid.events") == {
        "example.json": "event",
        "example.jsonld": "event",
        "example-normalized.json": "event",
        "example-normalized.jsonld": "wrong_type",  # a time with two zones, "-08:00Z"
    }


def test_real_payloads_of_other_models_are_on_the_wrong_topic(real):
    assert set(tally(real, "RoadAccident", "grid.events").values()) == {"wrong_topic"}
    assert set(tally(real, "Anomaly", "traffic.counts").values()) == {"wrong_topic"}


def test_real_answers_of_open311_report_no_event(real):
    reasons = tally(real, "open311", "grid.events")
    assert reasons == {
        "json-request-from-token.json": "missing_field",
        "json-service-definition.json": "missing_field",
        "json-service-request-post.json": "privacy",  # account_id
    }
