"""Decode: each form of the wire, each reason of refusal, and nothing that names a person in what is kept."""

import json
import math
from typing import Any

import pytest

from gridbeacon.config import Config, Ingest
from gridbeacon.config import Registry as Files
from gridbeacon.model import Cell, GridEvent, Sensor, Tick
from gridbeacon.reasons import Rejection, Stage
from gridbeacon.registry import Registry
from gridbeacon.vocabulary import METRICS, Kind, Motion, Surface
from streams.decode import OBJECT_SLOTS, Decoded, Decoder
from streams.decode.privacy import CHINESE, NAMES, WORDS, PrivacyRule
from streams.decode.sensed import MEASURED
from streams.intake import Intake

NOW_MS = 1_795_348_800_000  # 2026-11-22T12:00:00Z
NOON = "2026-11-22T12:00:00Z"
CELL = "310101001002003"
OTHER_CELL = "310101001002004"
REGISTRY = Registry(
    {
        sensor.sensor_id: sensor
        for sensor in (
            Sensor(sensor_id="CAM-1", kind=Kind.CROWD, grid_id=CELL, area_m2=50.0, surface=Surface.STAIRS),
            Sensor(sensor_id="CAM-2", kind=Kind.CROWD, grid_id=CELL),
            Sensor(sensor_id="LOOP-1", kind=Kind.TRAFFIC, grid_id=CELL, interval_secs=300.0),
        )
    },
    {CELL: Cell(grid_id=CELL, polygon=((121.0, 31.0), (122.0, 31.0), (122.0, 32.0), (121.0, 32.0)))},
)
LIVE = Config()
REPLAY = Config(clock="event")
OPEN = Config(registry=Files(unknown_sensors="register"))
KNOWN_CELLS = Config(registry=Files(unknown_sensors="register", unknown_cells="reject"))
SMALL = Config(ingest=Ingest(max_record_bytes=1000, max_objects=3, max_depth=6))

CROWD = {"type": "CrowdFlowObserved", "id": "CAM-2", "dateObserved": NOON, "peopleCount": 12}
TRAFFIC = {"type": "TrafficFlowObserved", "id": "LOOP-1", "dateObserved": NOON, "intensity": 5}
REPORT = {
    "service_request_id": "R-1",
    "service_code": "crowding",
    "grid_id": CELL,
    "requested_datetime": NOON,
}
RECORD_OF = {"crowd.metrics": CROWD, "traffic.counts": TRAFFIC, "grid.events": REPORT}


def decode(record: Any, topic: str = "crowd.metrics", config: Config = LIVE) -> list[Decoded]:
    raw = record if isinstance(record, bytes | None) else json.dumps(record).encode()
    return Decoder(config, REGISTRY).decode(topic, 1, 7, raw, NOW_MS)


def one(record: Any, topic: str = "crowd.metrics", config: Config = LIVE) -> Decoded:
    (found,) = decode(record, topic, config)
    return found


def values(record: Any, topic: str = "crowd.metrics", config: Config = LIVE) -> dict[str, float]:
    found = one(record, topic, config)
    assert found.rejected is None, found.rejected
    return {METRICS[o.metric].name: o.value for o in found.observations}


def reasons(found: list[Decoded]) -> list[str | None]:
    return [None if one.rejected is None else one.rejected.reason.value for one in found]


def normalized(record: dict[str, Any], style: str) -> dict[str, Any]:
    if style == "key-values":
        return record

    def wrap(name: str, value: Any) -> Any:
        if name in ("id", "type", "@context"):
            return value
        if style == "ngsi-ld":
            dated = name.startswith("dateObserved")
            return {"type": "Property", "value": {"@type": "DateTime", "@value": value} if dated else value}
        return {"type": "Number" if isinstance(value, int | float) else "Text", "value": value, "metadata": {}}

    return {name: wrap(name, value) for name, value in record.items()}


# Forms


@pytest.mark.parametrize("style", ["key-values", "ngsi-ld", "ngsi-v2"])
@pytest.mark.parametrize("topic", ["crowd.metrics", "traffic.counts"])
def test_every_fiware_style_says_the_same(style, topic):
    found = one(normalized(RECORD_OF[topic], style), topic)
    assert repr(found) == repr(one(RECORD_OF[topic], topic))  # unknown is NaN, which equals nothing
    (observation,) = found.observations
    assert observation.observed_ms == NOW_MS
    assert observation.value == (12 if topic == "crowd.metrics" else 60)
    assert observation.position == (topic, 1, 7, observation.metric)


@pytest.mark.parametrize("style", ["key-values", "ngsi-ld", "ngsi-v2"])
@pytest.mark.parametrize(
    "envelope",
    [
        lambda data: data,
        lambda data: {"id": "urn:ngsi-ld:Notification:1", "type": "Notification", "notifiedAt": NOON, "data": data},
        lambda data: {"subscriptionId": "57458eb60962ef754e7c0998", "data": data},
    ],
    ids=["array", "ngsi-ld notification", "ngsi-v2 notification"],
)
def test_arrays_and_notifications_are_read_object_by_object(style, envelope):
    data = [normalized({**CROWD, "peopleCount": number}, style) for number in range(3)]
    found = decode(envelope(data))
    assert [o.value for each in found for o in each.observations] == [0, 1, 2]
    assert [o.position.index for each in found for o in each.observations] == [0, OBJECT_SLOTS, 2 * OBJECT_SLOTS]


def test_an_entity_with_a_data_field_is_no_notification():
    assert values({**CROWD, "data": [1], "subscriptionId": "x"}) == {"people_count": 12}


@pytest.mark.parametrize("style", ["key-values", "ngsi-ld", "ngsi-v2"])
@pytest.mark.parametrize("extra", [{}, {"type": "service_requests", "id": "service-request:1"}])
def test_an_open311_request_is_an_event(style, extra):
    record = {**REPORT, **extra, "lat": 31.2, "long": 121.4, "status": "open", "updated_datetime": NOON}
    found = one(normalized(record, style), "grid.events")
    assert found.event == GridEvent(
        service_request_id="R-1",
        service_code="crowding",
        grid_id=CELL,
        occurred_ms=NOW_MS,
        reported_ms=NOW_MS,
        position=("grid.events", 1, 7, 0),
        lat=31.2,
        long=121.4,
        status="open",
        updated_ms=NOW_MS,
    )


def test_an_array_of_open311_requests_gives_an_event_each():
    found = decode([REPORT, {**REPORT, "service_request_id": 638344}], "grid.events")
    assert [each.event and each.event.service_request_id for each in found] == ["R-1", "638344"]


def test_an_event_takes_its_cell_from_its_point():
    record = {**REPORT, "grid_id": None, "location": {"type": "Point", "coordinates": [121.5, 31.5]}}
    event = one(record, "grid.events").event
    assert event is not None
    assert (event.grid_id, event.lat, event.long) == (CELL, 31.5, 121.5)


def test_an_event_may_have_happened_long_before_its_report():
    event = one({**REPORT, "occurred_at": "2026-01-01T00:00:00Z", "reported_at": NOON}, "grid.events").event
    assert event is not None
    assert event.reported_ms == NOW_MS > event.occurred_ms


def test_a_tick_moves_the_clock_of_a_replay():
    found = one({"type": "Tick", "time": "2022-12-31T10:00:00Z"}, config=REPLAY)
    assert found.tick == Tick("crowd.metrics/1", 1_672_480_800_000, 12)
    assert found.observations == ()


# Values


@pytest.mark.parametrize(("number", "kind"), [(n, m.kind) for n, m in enumerate(METRICS) if m.wire])
@pytest.mark.parametrize("end", ["low", "high"])
def test_both_ends_of_a_metrics_range_are_in_it(number, kind, end):
    metric = METRICS[number]
    value = getattr(metric, end)
    sent = bool(value) if metric.wire == "congested" else value
    topic, name = ("crowd.metrics", "CAM-2") if kind is Kind.CROWD else ("traffic.counts", "LOOP-1")
    record = {"id": name, "dateObserved": NOON, "interval_secs": 3600, metric.wire: sent}
    assert values(record, topic) == {metric.name: value}


@pytest.mark.parametrize(
    ("fields", "per_hour"),
    [
        ({}, 12 * 5),
        ({"interval_secs": 60}, 60 * 5),
        ({"dateObserved": "2026-11-22T11:50:00Z/2026-11-22T12:00:00Z"}, 6 * 5),
        ({"dateObservedFrom": "2026-11-22T11:59:30Z"}, 120 * 5),
        ({"dateObservedFrom": "2026-11-22T11:45:00Z", "dateObservedTo": NOON, "interval_secs": 60}, 4 * 5),
        ({"dateObservedFrom": "2026-11-22T12:30:00Z"}, 12 * 5),
    ],
    ids=["registered", "record's interval", "interval as text", "from", "from and to win", "backwards: registered"],
)
def test_intensity_becomes_vehicles_per_hour(fields, per_hour):
    assert values({**TRAFFIC, **fields}, "traffic.counts") == {"intensity_per_h": pytest.approx(per_hour)}


def test_the_end_of_the_period_is_the_time_of_the_observation():
    record = {**CROWD, "dateObserved": "2026-11-22T10:00:00Z", "dateObservedTo": "2026-11-22T11:00:00+00:00"}
    assert one(record).observations[0].observed_ms == NOW_MS - 3_600_000


def test_density_is_derived_from_count_and_registered_area():
    assert values({**CROWD, "id": "CAM-1", "peopleCount": 100}) == {"people_count": 100, "density_mean_per_m2": 2}


def test_a_measured_density_is_kept():
    record = {**CROWD, "id": "CAM-1", "peopleCount": 100, "density_mean_per_m2": 3.5}
    assert values(record) == {"people_count": 100, "density_mean_per_m2": 3.5}


def test_a_derived_density_is_cut_to_the_range_rather_than_refused():
    found = values({**CROWD, "id": "CAM-1", "peopleCount": 1e6})
    assert found == {"people_count": 1e6, "density_mean_per_m2": 20}


def test_what_the_registry_says_of_a_sensor_wins():
    record = {**CROWD, "id": "CAM-1", "area_m2": 1, "grid_id": OTHER_CELL}
    found = one(record)
    assert found.sensor is None
    assert [o.value for o in found.observations] == [12, 12 / 50]
    assert found.observations[0].surface is Surface.STAIRS


def test_a_record_describes_its_own_observation():
    record = {**CROWD, "surface": "slope", "motion": "static", "coverage": 0.5, "count_confidence": 0.25}
    observation = one(record).observations[0]
    assert observation.surface is Surface.SLOPE
    assert observation.motion is Motion.STATIC
    assert (observation.coverage, observation.count_confidence) == (0.5, 0.25)


def test_absent_and_null_mean_unknown():
    observation = one({**CROWD, "coverage": None, "congested": None}).observations[0]
    assert math.isnan(observation.coverage)
    assert len(one({**CROWD, "congested": None}).observations) == 1


def test_zones_and_lanes_are_sources_of_their_own():
    crowd = one({**CROWD, "id": None, "camera_id": "CAM-2", "zone_id": "west"})
    assert crowd.observations[0].source == "CAM-2/west"
    assert crowd.sensor == Sensor(sensor_id="CAM-2/west", kind=Kind.CROWD, grid_id=CELL)
    lane = one({**TRAFFIC, "laneId": 1, "vehicleType": "car"}, "traffic.counts")
    assert lane.observations[0].source == "LOOP-1:lane1:car"


def test_a_new_sensor_is_registered_when_that_is_allowed():
    record = {**CROWD, "id": "NEW", "grid_id": CELL, "area_m2": 24, "capacity": 40, "surface": "stairs", "lat": 1}
    found = one(record, config=OPEN)
    assert found.sensor == Sensor(
        sensor_id="NEW", kind=Kind.CROWD, grid_id=CELL, area_m2=24, capacity=40, surface=Surface.STAIRS
    )
    assert [o.value for o in found.observations] == [12, 0.5]


def test_unknown_fields_are_ignored_and_named():
    assert one({**CROWD, "battery": 3, "reversedLane": False}).ignored == ("battery", "reversedLane")


# Refusals: reason -> record -> topic -> configuration

NESTED: Any = 1
for _ in range(8):
    NESTED = {"a": NESTED}
REFUSED: list[tuple[Rejection, str, Any, str, Config]] = [
    (Rejection.EMPTY, "tombstone", None, "crowd.metrics", LIVE),
    (Rejection.EMPTY, "no-bytes", b"", "grid.events", LIVE),
    (Rejection.EMPTY, "no-objects", [], "traffic.counts", LIVE),
    (Rejection.EMPTY, "notification-of-nothing", {"type": "Notification", "data": []}, "crowd.metrics", LIVE),
    (Rejection.NOT_JSON, "words", b"people: 12", "crowd.metrics", LIVE),
    (Rejection.NOT_JSON, "cut-off", json.dumps(CROWD).encode()[:-3], "crowd.metrics", LIVE),
    (Rejection.NOT_JSON, "not-utf-8", b'{"id": "\xff"}', "crowd.metrics", LIVE),
    (Rejection.NOT_JSON, "half-a-surrogate-pair", b'{"id": "\\ud800", "a": NaN}', "crowd.metrics", LIVE),
    (Rejection.NOT_AN_OBJECT, "number", 12, "crowd.metrics", LIVE),
    (Rejection.NOT_AN_OBJECT, "null", b"null", "grid.events", LIVE),
    (Rejection.NOT_AN_OBJECT, "element", [[CROWD]], "crowd.metrics", LIVE),
    (Rejection.MISSING_FIELD, "id", {**CROWD, "id": None}, "crowd.metrics", LIVE),
    (Rejection.MISSING_FIELD, "blank-id", {**CROWD, "id": "  "}, "crowd.metrics", LIVE),
    (Rejection.MISSING_FIELD, "time", {**CROWD, "dateObserved": None}, "crowd.metrics", LIVE),
    (Rejection.MISSING_FIELD, "value", {**CROWD, "peopleCount": None}, "crowd.metrics", LIVE),
    (Rejection.MISSING_FIELD, "service-code", {**REPORT, "service_code": ""}, "grid.events", LIVE),
    (Rejection.MISSING_FIELD, "request-id", {**REPORT, "service_request_id": None}, "grid.events", LIVE),
    (Rejection.MISSING_FIELD, "requested", {**REPORT, "requested_datetime": None}, "grid.events", LIVE),
    (Rejection.WRONG_TYPE, "text-for-number", {**CROWD, "peopleCount": "12"}, "crowd.metrics", LIVE),
    (Rejection.WRONG_TYPE, "true-for-number", {**CROWD, "peopleCount": True}, "crowd.metrics", LIVE),
    (Rejection.WRONG_TYPE, "number-for-flag", {**CROWD, "congested": 1}, "crowd.metrics", LIVE),
    (Rejection.WRONG_TYPE, "number-for-time", {**CROWD, "dateObserved": NOW_MS}, "crowd.metrics", LIVE),
    (Rejection.WRONG_TYPE, "control-character", {**CROWD, "id": "a\nb"}, "crowd.metrics", LIVE),
    (Rejection.WRONG_TYPE, "live-tick", {"type": "Tick", "time": NOON}, "crowd.metrics", LIVE),
    (Rejection.WRONG_TYPE, "tick-without-time", {"type": "Tick"}, "crowd.metrics", REPLAY),
    (Rejection.WRONG_TYPE, "object-for-text", {**REPORT, "description": {"a": 1}}, "grid.events", LIVE),
    (Rejection.NOT_FINITE, "nan", {**CROWD, "peopleCount": math.nan}, "crowd.metrics", LIVE),
    (Rejection.NOT_FINITE, "infinity", {**CROWD, "peopleCount": -math.inf}, "crowd.metrics", LIVE),
    (Rejection.NOT_FINITE, "too-big", b'{"id": "CAM-2", "peopleCount": 1e309}', "crowd.metrics", LIVE),
    (Rejection.NOT_FINITE, "many-digits", b'{"id": "CAM-2", "peopleCount": %s}' % (b"9" * 5000), "grid.events", LIVE),
    (Rejection.NOT_FINITE, "field-not-read", {**CROWD, "battery": [{"volt": math.nan}]}, "crowd.metrics", LIVE),
    (Rejection.OUT_OF_RANGE, "negative", {**CROWD, "peopleCount": -1}, "crowd.metrics", LIVE),
    (Rejection.OUT_OF_RANGE, "1e308", {**CROWD, "peopleCount": 1e308}, "crowd.metrics", LIVE),
    (Rejection.OUT_OF_RANGE, "whole-number-of-400-digits", {**CROWD, "peopleCount": 10**400}, "crowd.metrics", LIVE),
    (Rejection.OUT_OF_RANGE, "percent", {**TRAFFIC, "occupancy": 76}, "traffic.counts", LIVE),
    (Rejection.OUT_OF_RANGE, "rate", {**TRAFFIC, "intensity": 1e5}, "traffic.counts", LIVE),
    (Rejection.OUT_OF_RANGE, "no-interval", {**TRAFFIC, "interval_secs": 0}, "traffic.counts", LIVE),
    (Rejection.OUT_OF_RANGE, "surface", {**CROWD, "surface": "roof"}, "crowd.metrics", LIVE),
    (Rejection.OUT_OF_RANGE, "long-id", {**CROWD, "id": "x" * 201}, "crowd.metrics", LIVE),
    (Rejection.OUT_OF_RANGE, "role", {**REPORT, "reporter_role": "mayor"}, "grid.events", LIVE),
    (Rejection.OUT_OF_RANGE, "lat", {**REPORT, "lat": 91, "long": 0}, "grid.events", LIVE),
    (Rejection.OUT_OF_RANGE, "year-1", {**REPORT, "updated_datetime": "0001-01-01T00:00:00Z"}, "grid.events", LIVE),
    (Rejection.OUT_OF_RANGE, "9999", {**REPORT, "expected_datetime": "9999-12-31T23:59:59Z"}, "grid.events", LIVE),
    (Rejection.UNKNOWN_SOURCE, "stranger", {**CROWD, "id": "NEW"}, "crowd.metrics", LIVE),
    (Rejection.UNKNOWN_SOURCE, "loop-as-camera", {**CROWD, "id": "LOOP-1"}, "crowd.metrics", OPEN),
    (Rejection.UNKNOWN_GRID, "no-cell", {**REPORT, "grid_id": None}, "grid.events", LIVE),
    (Rejection.UNKNOWN_GRID, "pattern", {**REPORT, "grid_id": "31010"}, "grid.events", LIVE),
    (Rejection.UNKNOWN_GRID, "number", {**REPORT, "grid_id": int(CELL)}, "grid.events", LIVE),
    (Rejection.UNKNOWN_GRID, "unregistered", {**REPORT, "grid_id": OTHER_CELL}, "grid.events", KNOWN_CELLS),
    (Rejection.UNKNOWN_GRID, "outside", {**REPORT, "grid_id": None, "lat": 0, "long": 0}, "grid.events", LIVE),
    (Rejection.UNKNOWN_GRID, "sensor-without", {**CROWD, "id": "NEW"}, "crowd.metrics", OPEN),
    (
        Rejection.UNKNOWN_GRID,
        "sensor-elsewhere",
        {**CROWD, "id": "N", "grid_id": OTHER_CELL},
        "crowd.metrics",
        KNOWN_CELLS,
    ),
    (Rejection.PRIVACY, "plate", {**TRAFFIC, "licensePlate": "A"}, "traffic.counts", LIVE),
    (Rejection.PRIVACY, "null", {**CROWD, "faceId": None}, "crowd.metrics", LIVE),
    (Rejection.PRIVACY, "nested", {**CROWD, "quality": [{"x": {"person_id": 1}}]}, "crowd.metrics", LIVE),
    (Rejection.PRIVACY, "deeper-than-allowed", {**CROWD, "quality": [NESTED, {"face": NESTED}]}, "grid.events", SMALL),
    (Rejection.PRIVACY, "image", {**CROWD, "note": "see data:image/png;base64,iVBO"}, "crowd.metrics", LIVE),
    (Rejection.PRIVACY, "vector", {**REPORT, "attributes": ["QUJD" * 200]}, "grid.events", LIVE),
    (Rejection.PRIVACY, "lines-of-base64", {**REPORT, "note": ("QUJD" * 19 + "\n") * 10}, "grid.events", LIVE),
    (
        Rejection.PRIVACY,
        "operator",
        {**CROWD, "badge": 1},
        "crowd.metrics",
        Config(ingest=Ingest(privacy_fields=("badge",))),
    ),
    (Rejection.TOO_LATE, "1970", {**CROWD, "dateObserved": "1970-01-01T00:00:00Z"}, "crowd.metrics", LIVE),
    (
        Rejection.TOO_LATE,
        "1970-in-a-replay",
        {**CROWD, "dateObserved": "1970-01-01T00:00:00Z"},
        "crowd.metrics",
        REPLAY,
    ),
    (Rejection.TOO_LATE, "two-days", {**CROWD, "dateObserved": "2026-11-20T12:00:00Z"}, "crowd.metrics", LIVE),
    (Rejection.TOO_LATE, "report", {**REPORT, "requested_datetime": "2026-11-20T12:00:00Z"}, "grid.events", LIVE),
    (Rejection.TOO_LATE, "occurred", {**REPORT, "occurred_at": "0001-01-01T00:00:00Z"}, "grid.events", LIVE),
    (Rejection.FROM_THE_FUTURE, "2099", {**CROWD, "dateObserved": "2099-01-01T00:00:00Z"}, "crowd.metrics", LIVE),
    (Rejection.FROM_THE_FUTURE, "replay", {**CROWD, "dateObserved": "2099-01-01T00:00:00Z"}, "crowd.metrics", REPLAY),
    (
        Rejection.FROM_THE_FUTURE,
        "report",
        {**REPORT, "requested_datetime": "2099-01-01T00:00:00Z"},
        "grid.events",
        LIVE,
    ),
    (Rejection.FROM_THE_FUTURE, "occurred", {**REPORT, "occurred_at": "2099-01-01T00:00:00Z"}, "grid.events", LIVE),
    (Rejection.FROM_THE_FUTURE, "tick", {"type": "Tick", "time": "2099-01-01T00:00:00Z"}, "grid.events", REPLAY),
    (Rejection.TOO_LARGE, "bytes", {**CROWD, "note": "a " * 600}, "crowd.metrics", SMALL),
    (Rejection.TOO_LARGE, "objects", [{}] * 4, "crowd.metrics", SMALL),
    (Rejection.TOO_LARGE, "objects-as-usual", [{}] * 10_001, "crowd.metrics", LIVE),
    (Rejection.TOO_DEEP, "field", {**CROWD, "quality": NESTED}, "crowd.metrics", SMALL),
    (Rejection.TOO_DEEP, "arrays", b"[" * 100_000 + b"]" * 100_000, "crowd.metrics", LIVE),
    (Rejection.TOO_DEEP, "objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "grid.events", LIVE),
    (Rejection.WRONG_TOPIC, "traffic", CROWD, "traffic.counts", LIVE),
    (Rejection.WRONG_TOPIC, "crowd", TRAFFIC, "crowd.metrics", LIVE),
    (Rejection.WRONG_TOPIC, "event", CROWD, "grid.events", LIVE),
    (Rejection.WRONG_TOPIC, "no-source", CROWD, "alerts", LIVE),
]


@pytest.mark.parametrize(
    ("reason", "record", "topic", "config"),
    [pytest.param(reason, *rest, id=f"{reason.value}-{name}") for reason, name, *rest in REFUSED],
)
def test_refused_as(reason, record, topic, config):
    found = one(record, topic, config)
    assert found.rejected is not None
    assert (found.rejected.reason, found.rejected.stage, found.rejected.index) == (reason, Stage.DECODE, 0)
    assert 0 < len(found.rejected.detail) <= 300
    assert found == Decoded(rejected=found.rejected)


def test_every_reason_of_decode_has_its_examples():
    # What can't be stored is the store's to say.
    assert {reason for reason, *_ in REFUSED} == set(Rejection) - {Rejection.NOT_STORABLE}


@pytest.mark.parametrize(
    "text",
    [
        "2026-W47-7T12:00:00",  # a week date
        "2026-11-22",
        "20261122T120000Z",
        "2026-11-22T12:00Z",
        "2026-11-22T12:00:00,5Z",
        "2026-11-22T12:00:60Z",
        "2026-11-22T12:00:00+08",
        "2026-11-22T12:00:00-08:00Z",
        "2026-11-22T12:00:00." + "0" * 1000 + "Z",
        "2026-11-22T12:00:00Z/",
        "２０２６-11-22T12:00:00Z",
        "",
    ],
)
def test_what_is_no_rfc_3339_time_is_a_wrong_type(text):
    assert reasons(decode({**CROWD, "dateObserved": text})) == ["wrong_type"]


@pytest.mark.parametrize(
    "text",
    [
        NOON,
        "2026-11-22t12:00:00z",
        "2026-11-22 12:00:00",
        "2026-11-22T20:00:00+08:00",
        "2026-11-22T12:00:00.000000000Z",
    ],
)
def test_times_are_read_in_any_rfc_3339_form(text):
    assert one({**CROWD, "dateObserved": text}).observations[0].observed_ms == NOW_MS


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({**CROWD, "peopleCount": -1}, "out_of_range"),
        ({**CROWD, "peopleCount": math.nan}, "not_finite"),
        ({**CROWD, "face": "x"}, "privacy"),
        ("text", "not_an_object"),
        ({**CROWD, "quality": NESTED}, "too_deep"),
        ({**CROWD, "type": "TrafficFlowObserved"}, "wrong_topic"),
    ],
)
def test_one_bad_object_of_an_array_rejects_that_object_only(bad, reason):
    config = Config(ingest=Ingest(max_depth=6))
    found = decode([CROWD, bad, CROWD], config=config)
    assert reasons(found) == [None, reason, None]
    assert found[1].rejected is not None
    assert found[1].rejected.index == OBJECT_SLOTS
    assert [len(each.observations) for each in found] == [1, 0, 1]


def test_the_largest_array_that_is_allowed_is_read():
    found = decode([CROWD] * 10_000, config=Config(ingest=Ingest(max_record_bytes=10_000_000)))
    positions = {o.position for each in found for o in each.observations}
    assert len(positions) == 10_000


# Privacy

SECRET = "Zq7secretZq7"


@pytest.mark.parametrize("name", sorted(WORDS | NAMES | CHINESE))
def test_privacy_refuses_every_listed_name(name):
    assert reasons(decode({**CROWD, name: SECRET})) == ["privacy"]


@pytest.mark.parametrize(
    "name",
    "licensePlate LICENSE_PLATE license-plate licenseplate plateNumber faceID faces face2 trackIds personCount "
    "frameBase64 pedestrianId frameData openId deviceid firstName 身份证号码 联系电话 车牌号 人脸图片".split(),
)
def test_privacy_refuses_a_name_however_it_is_written(name):
    found = one({**CROWD, "quality": {"cameras": [{name: SECRET}]}})
    assert found.rejected is not None
    assert found.rejected.reason is Rejection.PRIVACY
    assert found.rejected.detail == f"field {name!r} carries identity"


@pytest.mark.parametrize(
    "name",
    "service_name reversedLane media_url surface interface address status_notes refDevice platform replaced "
    "averageVehicleLength".split(),
)
def test_privacy_leaves_harmless_names_alone(name):
    assert not PrivacyRule().refuses(name)


def test_no_field_of_the_wire_is_on_the_privacy_list():
    rule = PrivacyRule()
    assert [field for measured in MEASURED.values() for _, field, _, _ in measured if rule.refuses(field)] == []


@pytest.mark.parametrize("added", ["badge", "badge_number", "badgeNumber", "工号"])
def test_operators_add_names(added):
    rule = PrivacyRule((added,))
    assert rule.refuses(added)
    assert not PrivacyRule().refuses(added)


@pytest.mark.parametrize("topic", RECORD_OF)
def test_a_private_value_reaches_neither_the_detail_nor_the_dead_letter(topic):
    raw = json.dumps({**RECORD_OF[topic], "quality": [{"face": SECRET}]}).encode()
    intake = Intake(LIVE, REGISTRY)
    intake.add(topic, 0, 0, raw, NOW_MS)
    batch = intake.take(NOW_MS)
    (letter,) = batch.dead_letters
    assert letter.reason is Rejection.PRIVACY
    assert "'face'" in letter.detail
    assert letter.body == b""
    assert letter.body_bytes == len(raw)
    assert SECRET not in repr(batch)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps([{**CROWD, "peopleCount": -1}, {**CROWD, "face": SECRET}]).encode(),
        b'{"face": "Zq7',
        b'{"\\u0066ace": "Zq7',
        b"{'license plate': 'Zq7'}",
        b"id=3; phone=555",
        b"face:\tZq7",
        b'{"a": {"\xe8\xba\xab\xe4\xbb\xbd\xe8\xaf\x81\xe5\x8f\xb7": 3',
        b'["' + b"QUJD" * 200 + b'"]',
        json.dumps([("QUJD" * 19 + "\r\n") * 10]).encode(),
        b'"data:image/png;base64,iVBO"',
        b"\xff\xfe" + b"QUJD" * 200,
    ],
)
def test_a_body_that_may_show_a_person_is_not_kept(body):
    assert not PrivacyRule().may_keep(body)


@pytest.mark.parametrize("body", [json.dumps(record).encode() for record in (CROWD, TRAFFIC, REPORT)] + [b"\xff", b""])
def test_a_harmless_body_is_kept(body):
    assert PrivacyRule().may_keep(body)
    assert PrivacyRule().may_keep(body[:-7])
