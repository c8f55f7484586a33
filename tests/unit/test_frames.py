"""Frames on the wire: what goes in comes out, to the bit; anything else on our topics ends the process."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbeacon.errors import Fatal
from gridbeacon.frame import Frame, Judged, Rows
from gridbeacon.model import GridEvent, Position, Sensor, Tick
from gridbeacon.vocabulary import Kind
from streams.frames import Scored, decode_frame, decode_scored, encode_frame, encode_scored

EVENT = GridEvent(
    service_request_id="R-1",
    service_code="fire",
    grid_id="310101001002003",
    occurred_ms=1,
    reported_ms=2,
    position=Position("grid.events", 0, 7, 32),
    description="烟",
)
SENSOR = Sensor(sensor_id="CAM-1", kind=Kind.CROWD, grid_id="1", area_m2=2.5)


def rows_of(rng: np.random.Generator, n: int) -> Rows:
    return Rows(
        sources=("CAM-1", "摄像头", "a/b"),
        topics=("crowd.metrics", "traffic.counts"),
        source=rng.integers(0, 3, n).astype(np.int32),
        metric=rng.integers(0, 14, n).astype(np.uint8),
        observed_ms=rng.integers(0, 2**45, n),
        value=rng.normal(size=n),
        coverage=np.where(rng.random(n) < 0.5, np.nan, 0.5).astype(np.float32),
        confidence=rng.random(n).astype(np.float32),
        surface=rng.integers(0, 4, n).astype(np.uint8),
        motion=rng.integers(0, 3, n).astype(np.uint8),
        topic=rng.integers(0, 2, n).astype(np.uint8),
        partition=rng.integers(0, 99, n).astype(np.int32),
        offset=rng.integers(0, 2**40, n),
        index=rng.integers(0, 2**19, n).astype(np.int32),
    )


def assert_equal_rows(one: Rows, other: Rows) -> None:
    assert (one.sources, one.topics) == (other.sources, other.topics)
    for name in Rows.__dataclass_fields__:
        if name not in ("sources", "topics"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
            assert getattr(one, name).dtype == getattr(other, name).dtype


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 200))
def test_a_frame_comes_out_as_it_went_in(seed: int, n: int) -> None:
    """For any rows: decoding what was encoded gives the same frame, to the bit."""
    frame = Frame(
        ingested_ms=5,
        rows=rows_of(np.random.default_rng(seed), n),
        sensors=(SENSOR,),
        events=(EVENT,),
        ticks=(Tick("ingest", 9, 0), Tick("crowd.metrics/1", 8, 12)),
    )
    out = decode_frame(encode_frame(frame))
    assert (out.ingested_ms, out.sensors, out.events, out.ticks) == (5, frame.sensors, frame.events, frame.ticks)
    assert_equal_rows(out.rows, frame.rows)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 100))
def test_what_was_judged_comes_out_as_it_went_in(seed: int, n: int) -> None:
    """For any verdicts: decoding what was encoded gives the same columns, to the bit."""
    rng = np.random.default_rng(seed)
    judged = Judged(
        rows=rows_of(rng, n),
        grid=tuple(rng.choice(["310101001002003", "310101001002004"], n).tolist()),
        state=rng.integers(0, 3, n).astype(np.uint8),
        reason=rng.integers(0, 20, n).astype(np.uint8),
        level=rng.integers(0, 5, n).astype(np.uint8),
        expected=rng.normal(size=n),
        lower=np.full(n, np.nan),
        upper=rng.normal(size=n),
        alarm=rng.random(n),
        severity=rng.random(n),
        signal=rng.random(n),
        direction=rng.integers(-1, 2, n).astype(np.int8),
        confidence=rng.random(n).astype(np.float32),
        history=rng.integers(0, 2**32, n).astype(np.uint32),
    )
    scored = Scored(3, 77, judged, (EVENT,), 70, Tick("observations/3", 5), (SENSOR,))
    out = decode_scored(encode_scored(scored))
    assert (out.partition, out.offset, out.events, out.judged.grid) == (3, 77, (EVENT,), judged.grid)
    assert (out.previous, out.tick, out.sensors) == (70, scored.tick, (SENSOR,))
    assert_equal_rows(out.judged.rows, judged.rows)
    for name in Judged.__dataclass_fields__:
        if name not in ("rows", "grid"):
            np.testing.assert_array_equal(getattr(out.judged, name), getattr(judged, name))


@given(st.binary(max_size=300))
def test_garbage_on_our_own_topics_is_fatal(raw: bytes) -> None:
    """For any bytes: a message that is no frame raises Fatal and nothing else."""
    for decode in (decode_frame, decode_scored):
        with pytest.raises(Fatal):
            decode(raw)


def test_any_arrow_tool_reads_the_columns() -> None:
    raw = encode_frame(Frame(ingested_ms=1, rows=rows_of(np.random.default_rng(1), 3)))
    assert pa.ipc.open_stream(raw).read_all().column_names[:3] == ["source", "metric", "observed_ms"]
