"""From what the kernel decided to signals: when a finding begins, changes its level or ends, in words for people."""

from typing import Any

import msgspec
import numpy as np

from detectors.judge_layout import Statistic
from detectors.kernel import (
    FLOW,
    JUMP,
    LEVEL_SURFACE,
    LOW_CONFIDENCE,
    LOW_COVERAGE,
    MAX,
    MEAN,
    MOVING_LADDER,
    OCCUPANCY,
    QUIET,
    STAIRS_LADDER,
    STANDING,
    STANDING_LADDER,
    STUCK,
)
from detectors.layout import PRIMARY, PROJECTION, UP_DOWN
from detectors.states import States
from gridbeacon.frame import Rows
from gridbeacon.model import Position, Sensor, Signal
from gridbeacon.reasons import Level, Reason
from gridbeacon.roll import QUALITY
from gridbeacon.vocabulary import METRICS, series_name

LIMIT, LEARNED, EVENT = "limit", "learned", "event"
#: The reason of each thing that can be doubted, and whether it is said of the source (else of the series).
DOUBTS: dict[int, tuple[Reason, bool]] = {
    QUIET: (Reason.GONE_QUIET, True),
    LOW_COVERAGE: (Reason.LOW_COVERAGE, True),
    LOW_CONFIDENCE: (Reason.LOW_CONFIDENCE, True),
    STUCK: (Reason.STUCK, False),
    JUMP: (Reason.IMPOSSIBLE_JUMP, False),
}
#: What each statistic of the learned layer means, in words.
WORDS: dict[Statistic, str] = {
    Statistic.NONE: "unusual",
    Statistic.HOUR_OF_WEEK: "far from what this hour of the week is like",
    Statistic.HOUR_OF_DAY: "far from what this hour of the day is like",
    Statistic.RECENT_LEVEL: "far from the last hours",
    Statistic.CHANGE: "a jump",
    Statistic.DRIFT: "a little off, for long",
    Statistic.RECORD: "beyond all that has been seen here",
    Statistic.SHORT_DEPARTURE: "off for the better part of an hour",
    Statistic.LONG_DEPARTURE: "off for hours",
    Statistic.DETECTOR: "unusual to the configured detector",
}
BLOCK_REASONS = {PROJECTION: Reason.INFLOW_PROJECTION, UP_DOWN: Reason.DENSITY_UP_FLOW_DOWN}


def limit_reason(metric: int, block: int) -> Reason:
    """Return why a limit check of a metric speaks.

    >>> limit_reason(MAX, PRIMARY).value, limit_reason(FLOW, PRIMARY).value
    ('density', 'flow')
    """
    if block != PRIMARY:
        return BLOCK_REASONS[block]
    if metric in (MAX, MEAN):
        return Reason.DENSITY
    return Reason.FLOW if metric == FLOW else Reason.CAPACITY


def name_of(sensor: Sensor) -> str:
    """Return the name of a source in findings: ``kind/source``."""
    return f"{sensor.kind}/{sensor.sensor_id}"


class Findings:
    """Makes signals of one partition."""

    def __init__(self, rules: np.void, states: States) -> None:
        self._rules = rules
        self._states = states

    def of_row(self, rows: Rows, i: int, source: int, result: Any) -> list[Signal]:
        """Return what begins, changes or ends with row ``i``."""
        sensor = self._states.sensors[source]
        metric, time_ms = int(rows.metric[i]), int(rows.observed_ms[i])
        at = position(rows, i)
        value = float(rows.value[i])
        series = series_name(metric, sensor.sensor_id)
        found: list[Signal] = []
        turns, flags = int(result["turns"]), int(result["flags"])
        for bit, (reason, whole) in DOUBTS.items():
            if not turns & bit:
                continue
            subject = name_of(sensor) if whole else series
            if bit == QUIET:
                if result["quiet_from_ms"]:
                    found.append(self.gone_quiet(source, int(result["quiet_from_ms"]), at))
                found.append(_signal(sensor, subject, QUALITY, reason, Level.NONE, time_ms, at))
                continue
            begins = bool(flags & bit)
            level = Level.BLUE if begins else Level.NONE
            text = f"{subject}: {_doubt(reason, value)}" if begins else ""
            found.append(_signal(sensor, subject, QUALITY, reason, level, time_ms, at, value=value, text=text))
        for block in range(len(result["after"])):
            level = Level(int(result["after"][block]))
            if level != result["before"][block]:
                found.append(self._limit(rows, i, sensor, block, level, float(result["projected"])))
        return found

    def gone_quiet(self, source: int, since_ms: int, at: Position) -> Signal:
        """Return the finding that a source has not been heard in time."""
        sensor = self._states.sensors[source]
        row = self._states.sources[source]
        secs = int(row["quiet_after_ms"]) / 1000
        text = f"{name_of(sensor)}: nothing heard for {secs:g} s (it reports every {sensor.interval_secs:g} s)"
        return _signal(sensor, name_of(sensor), QUALITY, Reason.GONE_QUIET, Level.BLUE, since_ms, at, text=text)

    def threshold(self, metric: int, block: int, level: Level, sensor: Sensor, surface: int, motion: int) -> float:
        """Return the value from which a level begins, in the metric's unit (NaN where there is none)."""
        rules, n = self._rules, int(level) - 1
        on_level = surface == LEVEL_SURFACE
        if metric in (MAX, MEAN):
            which = STAIRS_LADDER if not on_level else STANDING_LADDER if motion == STANDING else MOVING_LADDER
            if block == UP_DOWN:
                return float(rules["ladders"][which][0])
            return float(rules["ladders"][which][n])
        if metric == FLOW:
            return float(rules["flows"][0 if on_level else 1][n - 1])
        share = float(rules["shares"][n])
        return share if metric == OCCUPANCY else share * (sensor.capacity or np.nan)

    def _limit(self, rows: Rows, i: int, sensor: Sensor, block: int, level: Level, ahead: float) -> Signal:
        metric, time_ms = int(rows.metric[i]), int(rows.observed_ms[i])
        reason = limit_reason(metric, block)
        value = ahead if block == PROJECTION else float(rows.value[i])
        series = series_name(metric, sensor.sensor_id)
        at = position(rows, i)
        if level is Level.NONE:
            return _signal(sensor, series, LIMIT, reason, level, time_ms, at, value=value)
        limit = self.threshold(metric, block, level, sensor, int(rows.surface[i]), int(rows.motion[i]))
        text = f"{series}: {_crossed(reason, value, limit, float(rows.value[i]), self._rules)}"
        return _signal(sensor, series, LIMIT, reason, level, time_ms, at, value=value, threshold=limit, text=text)


def unusual(
    sensor: Sensor,
    metric: int,
    way: int,
    time_ms: int,
    at: Position,
    value: float,
    expected: float,
    statistic: Statistic,
    score: float,
    *,
    ends: bool,
) -> Signal:
    """Return the finding that an episode of the learned layer begins or ends."""
    series = series_name(metric, sensor.sensor_id)
    reason = Reason.ABOVE_EXPECTED if way > 0 else Reason.BELOW_EXPECTED
    level = Level.NONE if ends else Level.BLUE
    word = METRICS[metric].name
    text = f"{series}: {word} {value:g} where {expected:.3g} is expected at this hour ({WORDS[statistic]})"
    found = _signal(sensor, series, LEARNED, reason, level, time_ms, at, value=value, expected=expected)
    return found if ends else msgspec.structs.replace(found, text=text, score=score)


def position(rows: Rows, i: int) -> Position:
    """Return the position of the source record of row ``i``."""
    topic = rows.topics[int(rows.topic[i])]
    return Position(topic, int(rows.partition[i]), int(rows.offset[i]), int(rows.index[i]))


def _signal(
    sensor: Sensor,
    series: str,
    layer: str,
    reason: Reason,
    level: Level,
    time_ms: int,
    at: Position,
    *,
    value: float | None = None,
    expected: float | None = None,
    threshold: float | None = None,
    text: str = "",
) -> Signal:
    return Signal(
        cell=sensor.grid_id,
        layer=layer,
        series=series,
        reason=reason,
        level=level,
        time_ms=time_ms,
        lineage=at,
        kind=sensor.kind,
        value=value,
        expected=expected,
        threshold=threshold,
        near=sensor.near,
        text=text,
    )


def _doubt(reason: Reason, value: float) -> str:
    return {
        Reason.STUCK: f"always {value:g}: the sensor seems stuck",
        Reason.IMPOSSIBLE_JUMP: f"fell to {value:g} people/m² at once, which a crowd can't",
        Reason.LOW_COVERAGE: "sees too little of its area",
        Reason.LOW_CONFIDENCE: "is not sure of its count",
    }[reason]


def _crossed(reason: Reason, value: float, limit: float, now: float, rules: np.void) -> str:
    return {
        Reason.DENSITY: f"{value:.2f} people/m², limit {limit:g}",
        Reason.CAPACITY: f"{value:g} of capacity, limit {limit:g}",
        Reason.FLOW: f"{value:.0f} people per metre and minute, limit {limit:g}",
        Reason.INFLOW_PROJECTION: (
            f"{now:.2f} people/m² now, {value:.2f} in {float(rules['inflow_minutes']):g} min at the present inflow"
        ),
        Reason.DENSITY_UP_FLOW_DOWN: f"{value:.2f} people/m² and rising while the flow falls: people come to a halt",
    }[reason]
