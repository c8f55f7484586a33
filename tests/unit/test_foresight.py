"""Foresee: judged frames, time and fits in, crossings out; a crash at any message changes nothing."""

import itertools
from collections import Counter

import msgspec
import numpy as np
import pytest

from forecasts.foresight import Foresight
from forecasts.requests import FitAnswer, FitRequest, decode_answer, encode_answer, is_answer
from gridbeacon.config import Config
from gridbeacon.config_forecast import Forecast
from gridbeacon.crossings import Told
from gridbeacon.demo import auckland
from gridbeacon.model import AlertEvent
from gridbeacon.reasons import CrossingOutcome, FitFailure, Reason
from gridbeacon.registry import Registry
from gridbeacon.timeline import Line, tick_record, ticked
from streams import topics
from streams.backtest import backtest
from streams.detect import DetectMachine
from streams.forecast import ForecastMachine
from streams.frames import encode_scored
from streams.inline import Inline
from streams.intake import Intake

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
DAYS = 11
NAMES = ("45 Queen Street", "150 K Road")
SECTION = Forecast(step_minutes=60, history_days=14, leads_minutes=(60, 120, 240, 720, 1440))
CONFIG = Config(clock="event", timezone=auckland.TIMEZONE, forecast=SECTION)


def city():
    """Two streets of Auckland, each with room for what is its busiest hour in four days."""
    lines = [line for line in auckland.lines() if line.key in NAMES]
    begin_ms = lines[0].time_ms
    lines = [line for line in lines if line.time_ms < begin_ms + DAYS * 24 * HOUR_MS]
    counts = {name: [msgspec.json.decode(x.raw)["peopleCount"] for x in lines if x.key == name] for name in NAMES}
    sensors = {
        sensor.sensor_id: msgspec.structs.replace(sensor, capacity=float(np.quantile(counts[sensor.sensor_id], 0.99)))
        for sensor in auckland.sensors()
        if sensor.sensor_id in NAMES
    }
    return Registry(sensors, {cell.grid_id: cell for cell in auckland.cells()}), lines


@pytest.fixture(scope="module")
def frames():
    """What detect says of it: one partition of ``scores``, message by message, as values."""
    registry, lines = city()
    one = msgspec.structs.replace(CONFIG.topics, source_partitions=1, observations_partitions=1, signals_partitions=1)
    config = msgspec.structs.replace(CONFIG, topics=one)
    intake, detect = Intake(config, registry), DetectMachine(config, 0)
    frames = list(intake.definitions(NOW_MS).values())
    for number, item in enumerate(ticked(lines, HOUR_MS)):
        if isinstance(item, Line):
            intake.add(item.topic, 0, number, item.raw, NOW_MS)
            continue
        for topic in ("grid.events", "traffic.counts", "crowd.metrics"):
            intake.add(topic, 0, number, tick_record(item), NOW_MS)
        frames += intake.take(NOW_MS).frames.get(0, [])
    scored = (detect.scored(detect.observer.observe(f, n), f.sensors, n) for n, f in enumerate(frames))
    return config, [one for one in scored if one is not None]


@pytest.fixture(scope="module")
def log(frames):
    """The log of forecast as it stands after a calm run: frames, and the answers to what was asked, as bytes."""
    config, scored = frames
    inline = Inline(config, None)
    machine = ForecastMachine(config, 0)
    messages, outputs = [], []

    def write(message):
        outputs.append(machine.apply(len(messages), message))
        messages.append(message)

    for one in scored:
        write(encode_scored(one))
        for outlook, _ in inline.take(one):
            for request in outlook.requests:
                if not request.audit:
                    asked = msgspec.structs.replace(request, request_id=f"0/{len(messages) - 1}/0")
                    for answer in inline._fit(asked):
                        write(encode_answer(answer))
    return config, messages, outputs


def test_crossings_are_foreseen_before_they_come_true_and_alerts_follow(frames):
    registry, lines = city()
    found = list(backtest(CONFIG, registry, ticked(lines, HOUR_MS), NOW_MS, forecast=True))
    ended = {one.crossing.crossing_id: one.crossing for one in found if isinstance(one, Told)}
    outcomes = Counter(one.outcome for one in ended.values())
    assert outcomes[CrossingOutcome.CAME_TRUE] > 2
    for one in ended.values():
        assert one.lead_ms is None or one.lead_ms > 0
        assert one.warned_ms is None or one.warned_ms >= one.made_ms
    reasons = {one.reason for one in found if isinstance(one, AlertEvent) and one.event == "opened"}
    assert Reason.FORECAST_WARNING in reasons
    # Without forecasts the same time line has none, and says the same of the limits.
    plain = list(backtest(CONFIG, registry, ticked(lines, HOUR_MS), NOW_MS))
    assert not any(isinstance(one, Told) for one in plain)


def test_a_crash_at_any_message_changes_nothing(log):
    """Over the log: a machine that is saved and restored anywhere, with repeats after it, says what a calm one said."""
    config, messages, outputs = log
    rng = np.random.default_rng(3)
    crashes = set(rng.integers(1, len(messages), 12).tolist())
    store = {}
    machine = ForecastMachine(config, 0)
    saved = 0
    offset = 0
    while offset < len(messages):
        assert machine.apply(offset, messages[offset]) == outputs[offset]
        offset += 1
        if rng.random() < 0.05:
            for key, value in machine.changed():
                store.pop(key, None) if value is None else store.update({key: value})
            saved = offset
        if offset in crashes:
            crashes.discard(offset)
            machine, offset = ForecastMachine(config, 0), saved
            for key in rng.permutation(sorted(store)).tolist():
                machine.restore(key, store[key])


def test_a_frame_that_comes_again_and_one_that_comes_too_early_are_left_out(frames):
    config, scored = frames
    foresight = Foresight(config, 0)

    def take(one, offset):
        return foresight.observe(one.judged, one.sensors, one.tick, (one.offset, one.previous), offset)

    first, second, third = scored[:3]
    assert take(first, 0).repeats == 0
    assert take(third, 1).repeats
    assert take(second, 2).repeats == 0
    assert take(second, 3).repeats
    assert take(third, 4).repeats == 0


def test_a_fit_that_fails_is_asked_for_again_and_the_last_one_stays(frames):
    config, scored = frames
    foresight = Foresight(config, 0, 42 * 24 * HOUR_MS)
    asked = []
    for offset, one in enumerate(scored):
        out = foresight.observe(one.judged, one.sensors, one.tick, (one.offset, one.previous), offset)
        for request in out.requests:
            asked.append(request)
            foresight.take(FitAnswer(request_id=request.request_id, failure=FitFailure.TIMED_OUT), offset)
    assert foresight.fits.generations == []
    assert foresight.fits.counters.failure is FitFailure.TIMED_OUT
    gaps = [later.asked_ms - sooner.asked_ms for sooner, later in itertools.pairwise(asked)]
    assert min(gaps) >= config.forecast.retry_minutes * 60_000
    assert max(gaps) <= 24 * HOUR_MS


def test_an_answer_that_nobody_asked_for_counts_for_nothing(frames):
    config, scored = frames
    foresight = Foresight(config, 0)
    one = scored[0]
    foresight.observe(one.judged, one.sensors, one.tick, (one.offset, one.previous), 0)
    assert foresight.take(FitAnswer(request_id="0/77/0", failure=FitFailure.CRASHED), 1).repeats == 1


def test_every_part_of_an_answer_comes_out_as_it_went_in():
    answer = FitAnswer(request_id="1/2/3", part=1, parts=4, fitted=b"\x00\xff", failure=None)
    assert is_answer(encode_answer(answer))
    assert decode_answer(encode_answer(answer)) == answer


def test_refits_come_once_a_night_in_civil_time(log):
    _, _, outputs = log
    asked = [
        msgspec.msgpack.decode(output.value, type=FitRequest)
        for step in outputs
        for output in step
        if output.topic == topics.FORECAST_REQUESTS
    ]
    nightly = [one for one in asked if not one.audit][1:]
    assert len(nightly) in (DAYS - 1, DAYS)
    assert {(one.asked_ms + 13 * HOUR_MS) % (24 * HOUR_MS) // HOUR_MS for one in nightly} <= {2, 3, 4}
    assert len({one.request_id for one in asked}) == len(asked)
