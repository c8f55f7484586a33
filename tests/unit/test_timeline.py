"""Time lines: every record once, in order of event time, ticks that never lie, files that are told apart."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbeacon.errors import UsageError
from gridbeacon.model import Tick
from gridbeacon.timeline import Line, rfc3339, shifted, survey, tick_record, ticked, timeline

T0 = 1_672_484_400_000


def crowd(time_ms: int, name: str = "CAM-1") -> str:
    return json.dumps({"id": name, "type": "CrowdFlowObserved", "dateObserved": rfc3339(time_ms)})


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 100_000), max_size=60), st.integers(1, 20_000))
def test_a_tick_says_only_what_has_been(times: list[int], tick_ms: int) -> None:
    """Whatever the times: records pass unchanged, and after a tick none comes that is not later."""
    lines = [Line(t, "crowd.metrics", "", b"") for t in sorted(times)]
    out = list(ticked(lines, tick_ms))
    assert [item for item in out if isinstance(item, Line)] == lines
    told = -1
    for item in out:
        if isinstance(item, Tick):
            assert item.time_ms > told
            told = item.time_ms
        else:
            assert item.time_ms > told
    assert (told == max(times)) if times else (out == [])


def test_files_are_merged_whatever_their_order(tmp_path: Path) -> None:
    one = write(tmp_path / "a.jsonl", [crowd(T0 + 3000), crowd(T0 + 1000), "", crowd(T0 + 5000)])
    two = tmp_path / "b.jsonl.gz"
    report = {"service_request_id": "1", "service_code": "fire", "requested_datetime": rfc3339(T0 + 2000)}
    two.write_bytes(gzip.compress(json.dumps(report).encode()))
    records = [item for item in timeline([one, two], 60_000) if isinstance(item, Line)]
    assert [r.time_ms - T0 for r in records] == [1000, 2000, 3000, 5000]
    assert [r.topic for r in records] == ["crowd.metrics", "grid.events", "crowd.metrics", "crowd.metrics"]
    found = survey([one, two])
    assert (found.records, found.first_ms, found.last_ms) == (4, T0 + 1000, T0 + 5000)


def test_a_file_named_after_a_topic_may_hold_anything(tmp_path: Path) -> None:
    file = write(tmp_path / "traffic.counts-bad.jsonl", [crowd(T0), "{", "[]", "NaN"])
    records = [item for item in timeline([file], 1000) if isinstance(item, Line)]
    assert {r.topic for r in records} == {"traffic.counts"}
    assert [r.raw for r in records][1:] == [b"{", b"[]", b"NaN"]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"{}\n", "a.jsonl:1"), (crowd(T0).encode() + b"\n{", "a.jsonl:2")],
)
def test_a_record_that_does_not_say_what_it_is_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        list(timeline([file], 1000))


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    damaged = tmp_path / "c.jsonl.gz"
    damaged.write_bytes(b"no gzip")
    for file in (tmp_path / "missing.jsonl", damaged, tmp_path):
        with pytest.raises(UsageError, match=str(file)):
            survey([file])


def test_shifting_moves_every_time_and_nothing_else(tmp_path: Path) -> None:
    record = {
        "type": "Notification",
        "data": [
            {"id": "a", "dateObserved": {"type": "DateTime", "value": "2022-12-31T11:00:00Z/2022-12-31T12:00:00Z"}}
        ],
    }
    file = write(tmp_path / "crowd.metrics.jsonl", [json.dumps([record["data"][0]])])
    (line, tick) = timeline([file], 1000, shift_ms=3_600_000)
    assert isinstance(line, Line)
    moved = json.loads(line.raw)[0]["dateObserved"]["value"]
    assert moved == "2022-12-31T12:00:00.000Z/2022-12-31T13:00:00.000Z"
    assert tick.time_ms == line.time_ms
    assert shifted(b"{", 5) == b"{"
    assert shifted(b'{"dateObserved":5,"x":null}', 5) == b'{"dateObserved":5,"x":null}'


def test_a_tick_is_a_record() -> None:
    assert json.loads(tick_record(Tick("x", T0))) == {"type": "Tick", "time": "2022-12-31T11:00:00.000Z"}
