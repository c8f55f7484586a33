"""Intake: the fast path says what the reference decoder says, frames carry everything once, and counts balance."""

import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridbeacon.config import Config, Ingest
from gridbeacon.config import Registry as Files
from gridbeacon.frame import Frame
from gridbeacon.model import Sensor
from gridbeacon.places import partition_of
from gridbeacon.registry import Registry
from gridbeacon.vocabulary import MOTIONS, SURFACES, Kind
from streams.decode import Decoder
from streams.intake import Intake

NOW_MS = 1_795_348_800_000
CELL = "310101001002003"
REGISTRY = Registry(
    {
        s.sensor_id: s
        for s in (
            Sensor(sensor_id="CAM-1", kind=Kind.CROWD, grid_id=CELL, area_m2=100.0),
            Sensor(sensor_id="CAM-2", kind=Kind.CROWD, grid_id=CELL),
            Sensor(sensor_id="1", kind=Kind.CROWD, grid_id=CELL),
            Sensor(sensor_id="LOOP-1", kind=Kind.TRAFFIC, grid_id=CELL, interval_secs=300.0),
            Sensor(sensor_id="LOOP-2:lane1", kind=Kind.TRAFFIC, grid_id=CELL),
        )
    }
)
TIMES = (
    "2026-11-22T12:00:00Z",
    "2026-11-22T11:55:00/2026-11-22T12:00:00",
    "2026-11-22T13:00:00+01:00",
    "1970-01-01T00:00:00Z",
    "2099-01-01T00:00:00Z",
    "noon",
    "",
    5,
    None,
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 200),
    st.floats(-1, 1e4, allow_nan=False),
    st.sampled_from([1e308, 10**30, "12", [], {}, {"value": 3, "type": "Number"}]),
)
names = st.sampled_from(["CAM-1", "CAM-2", "LOOP-1", "LOOP-2", "1", "nobody", 1, True, None, 1.0, "", [], "a\nb"])
records = st.fixed_dictionaries(
    {"dateObserved": st.sampled_from(TIMES)},
    optional={
        "id": names,
        "sensor_id": names,
        "camera_id": names,
        "zone_id": st.sampled_from(["z", "", None, 2]),
        "laneId": st.sampled_from([1, "1", 2, True, None, "CAM-1"]),
        "vehicleType": st.sampled_from(["car", None]),
        "type": st.sampled_from(["CrowdFlowObserved", "TrafficFlowObserved", "Tick", None, 3]),
        "peopleCount": scalars,
        "occupancy": scalars,
        "congested": scalars,
        "intensity": scalars,
        "density_max_per_m2": scalars,
        "density_mean_per_m2": scalars,
        "averageVehicleSpeed": scalars,
        "coverage": scalars,
        "surface": st.sampled_from(["level", "stairs", "roof", None, 1]),
        "motion": st.sampled_from(["static", "mixed", "flying", None]),
        "dateObservedTo": st.sampled_from([TIMES[0], "noon"]),
        "note": st.text(max_size=5),
        "plate": st.text(max_size=5),
    },
)


def rows_of(frames: list[Frame]) -> list[tuple[Any, ...]]:
    """Return the rows of frames as plain tuples."""
    out = []
    for frame in frames:
        r = frame.rows
        out += [
            (
                r.sources[r.source[n]],
                int(r.metric[n]),
                int(r.observed_ms[n]),
                float(r.value[n]),
                repr(float(r.coverage[n])),
                repr(float(r.confidence[n])),
                int(r.surface[n]),
                int(r.motion[n]),
                r.topics[r.topic[n]],
                int(r.partition[n]),
                int(r.offset[n]),
                int(r.index[n]),
            )
            for n in range(len(r))
        ]
    return out


@settings(max_examples=600, deadline=None)
@example(
    [{"dateObserved": TIMES[0], "id": "CAM-1", "congested": number} for number in (0, 1, True)], "crowd.metrics", False
)
@given(st.lists(records, min_size=1, max_size=4), st.sampled_from(["crowd.metrics", "traffic.counts"]), st.booleans())
def test_the_fast_path_says_what_the_reference_says(batch: list[dict[str, Any]], topic: str, register: bool) -> None:
    """Invariant: for any record, Intake's rows and rejections are those of Decoder."""
    config = Config(registry=Files(unknown_sensors="register" if register else "reject"))
    intake, decoder = Intake(config, REGISTRY), Decoder(config, REGISTRY)
    want, rejected = [], []
    for offset, record in enumerate(batch):
        raw = json.dumps(record).encode()
        intake.add(topic, 2, offset, raw, NOW_MS)
        for one in decoder.decode(topic, 2, offset, raw, NOW_MS):
            if one.rejected is not None:
                rejected.append((offset, one.rejected.reason, one.rejected.detail))
            want += [
                (
                    o.source,
                    o.metric,
                    o.observed_ms,
                    o.value,
                    repr(float(np.float32(o.coverage))),
                    repr(float(np.float32(o.count_confidence))),
                    SURFACES.index(o.surface),
                    MOTIONS.index(o.motion),
                    *o.position,
                )
                for o in one.observations
            ]
    taken = intake.take(NOW_MS)
    got = [row for frames in taken.frames.values() for row in rows_of(frames)]
    assert sorted(got) == sorted(want)
    assert [(d.offset, d.reason, d.detail) for d in taken.dead_letters] == rejected
    assert taken.records == len(batch) == taken.observation_records + taken.rejected_records


@given(
    st.lists(
        st.sampled_from(
            [
                b"",
                b"[]",
                b"{}",
                b'[1,{"id":"CAM-1","dateObserved":"2026-11-22T12:00:00Z","peopleCount":3}]',
                b'{"type":"Tick","time":"2026-11-22T12:00:00Z"}',
                b'{"service_request_id":1,"service_code":"x","grid_id":"310101001002003","requested_datetime":"2026-11-22T12:00:00Z"}',
                b'{"id":"CAM-1","dateObserved":"2026-11-22T12:00:00Z","peopleCount":3}',
                b"garbage",
            ]
        ),
        max_size=12,
    )
)
def test_counts_balance(raws: list[bytes]) -> None:
    """Invariant: every record and every object ends in exactly one of the outcomes."""
    intake = Intake(Config(clock="event"), REGISTRY)
    for offset, raw in enumerate(raws):
        intake.add("crowd.metrics" if b"service" not in raw else "grid.events", 0, offset, raw, NOW_MS)
    b = intake.take(NOW_MS)
    assert b.records == len(raws)
    assert b.records == b.observation_records + b.event_records + b.rejected_records + b.tick_records + b.mixed_records
    assert b.objects == b.observation_objects + b.events + b.rejected_objects + b.ticks
    assert b.observations == sum(len(f.rows) for frames in b.frames.values() for f in frames)
    assert sum(b.rejected.values()) == b.rejected_objects == len(b.dead_letters)


def test_rows_go_to_the_partition_of_their_source() -> None:
    config = Config()
    intake = Intake(config, REGISTRY)
    for offset, name in enumerate(REGISTRY.sensors):
        kind = REGISTRY.sensors[name].kind
        field = "intensity" if kind is Kind.TRAFFIC else "peopleCount"
        raw = json.dumps({"id": name, "dateObserved": TIMES[0], field: 5}).encode()
        intake.add("traffic.counts" if kind is Kind.TRAFFIC else "crowd.metrics", 0, offset, raw, NOW_MS)
    for number, frames in intake.take(NOW_MS).frames.items():
        for row in rows_of(frames):
            assert partition_of(row[0], config.topics.observations_partitions) == number


def test_ticks_reach_every_partition_after_the_rows() -> None:
    intake = Intake(Config(clock="event"), REGISTRY)
    intake.add("crowd.metrics", 1, 0, b'{"id":"CAM-1","dateObserved":"2022-11-22T12:00:00Z","peopleCount":3}', NOW_MS)
    for offset, time in ((1, "2022-11-22T12:00:00Z"), (2, "2022-11-22T12:00:10Z")):
        intake.add("crowd.metrics", 1, offset, f'{{"type":"Tick","time":"{time}"}}'.encode(), NOW_MS)
    frames = intake.take(NOW_MS).frames
    assert sorted(frames) == [0, 1, 2, 3]
    for per_partition in frames.values():
        (tick,) = per_partition[-1].ticks
        assert (tick.producer, tick.time_ms, tick.of) == ("crowd.metrics/1", 1_669_118_410_000, 12)


def test_large_batches_are_cut_into_frames_in_order() -> None:
    intake = Intake(Config(), REGISTRY)
    raw = b'{"id":"CAM-2","dateObserved":"2026-11-22T12:00:00Z","peopleCount":3}'
    for offset in range(45_000):
        intake.add("crowd.metrics", 0, offset, raw, NOW_MS)
    (frames,) = intake.take(NOW_MS).frames.values()
    assert [len(f.rows) for f in frames] == [20_000, 20_000, 5_000]
    assert [row[10] for row in rows_of(frames)] == list(range(45_000))


def test_definitions_are_announced_once_each() -> None:
    config = Config(registry=Files(unknown_sensors="register"))
    intake = Intake(config, REGISTRY)
    announced = [s.sensor_id for f in intake.definitions(NOW_MS).values() for s in f.sensors]
    assert sorted(announced) == sorted(REGISTRY.sensors)
    raw = json.dumps({"id": "NEW", "grid_id": CELL, "dateObserved": TIMES[0], "peopleCount": 1}).encode()
    seen = []
    for offset in range(3):
        intake.add("crowd.metrics", 0, offset, raw, NOW_MS)
        seen.append([s.sensor_id for fs in intake.take(NOW_MS).frames.values() for f in fs for s in f.sensors])
    assert seen == [["NEW"], [], []]


def test_a_private_record_leaves_no_body_in_the_dead_letter() -> None:
    intake = Intake(Config(), REGISTRY)
    intake.add("crowd.metrics", 0, 0, b'{"id":"CAM-1","faceId":"secret","dateObserved":"x"}', NOW_MS)
    (letter,) = intake.take(NOW_MS).dead_letters
    assert letter.reason == "privacy"
    assert letter.body == b""
    assert b"secret" not in msgspec.json.encode(letter)


def test_an_operator_can_refuse_a_usual_field() -> None:
    intake = Intake(Config(ingest=Ingest(privacy_fields=("camera_id",))), REGISTRY)
    raw = b'{"camera_id":"CAM-1","dateObserved":"2026-11-22T12:00:00Z","peopleCount":3}'
    intake.add("crowd.metrics", 0, 0, raw, NOW_MS)
    assert intake.take(NOW_MS).rejected == {"privacy": 1}


@pytest.mark.parametrize("value", [math.pi, 0.1, 1e-300])
def test_values_are_kept_to_the_last_digit(value: float) -> None:
    intake = Intake(Config(), REGISTRY)
    raw = json.dumps({"id": "CAM-2", "dateObserved": TIMES[0], "density_max_per_m2": value}).encode()
    intake.add("crowd.metrics", 0, 0, raw, NOW_MS)
    ((row,),) = [rows_of(frames) for frames in intake.take(NOW_MS).frames.values()]
    assert row[3] == value


@pytest.mark.parametrize(
    "raw",
    [
        b'[{"id":"CAM-1","dateObserved":"2026-11-22T12:00:00Z","peopleCount":-1},{"face":"SECRET"}]',
        b'{"face": "SECRET", oops',
        b'["' + b"QUJD" * 300 + b'"]',
    ],
)
def test_no_dead_letter_of_a_record_that_may_show_a_person_keeps_its_body(raw: bytes) -> None:
    """Whatever each object is refused for, the body stays out when any part of it may carry identity."""
    intake = Intake(Config(), REGISTRY)
    intake.add("crowd.metrics", 0, 1, raw, NOW_MS)
    letters = intake.take(NOW_MS).dead_letters
    assert letters
    assert {letter.body for letter in letters} == {b""}
    assert {letter.body_bytes for letter in letters} == {len(raw)}


@pytest.mark.parametrize(("limit", "reason"), [(1_000_000, "too_large"), (100_000_000, "too_deep")])
def test_fifty_megabytes_of_nested_arrays_are_one_dead_letter(limit: int, reason: str) -> None:
    intake = Intake(Config(ingest=Ingest(max_record_bytes=limit)), REGISTRY)
    intake.add("crowd.metrics", 0, 1, b"[" * 25_000_000 + b"]" * 25_000_000, NOW_MS)
    (letter,) = intake.take(NOW_MS).dead_letters
    assert (letter.reason, letter.body, letter.body_bytes) == (reason, b"", 50_000_000)
