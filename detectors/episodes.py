"""The learned layer of one frame: the banks judge, the calendar is asked, and what is unusual begins and ends episodes.

Learn or not is decided here and in ``kernel``: nothing doubted, nothing that breaks a limit unless it lasts, nothing
that the calendar keeps out of the profiles.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.bank import ANOMALOUS, BAND, FINDING, states_of
from detectors.findings import position, unusual
from detectors.judge_layout import SHORT, STATISTICS, Statistic
from detectors.kernel import LEARN
from detectors.states import States
from gridbeacon.calendar import NOTHING, Calendar, Effect
from gridbeacon.frame import F8, I8, U1, Rows
from gridbeacon.model import Signal
from gridbeacon.reasons import REASON_NUMBER, Reason, State
from gridbeacon.tails import FLOOR
from gridbeacon.vocabulary import METRICS

CALM, CALM_BELOW = 3, 1.0
"""So many observations in a row with a severity below this end an episode."""
#: The reason of each statistic, by its number; the first one decides nothing.
_REASONS = np.array(
    [REASON_NUMBER[Reason.WITHIN_BAND if s is Statistic.NONE else Reason(s.value)] for s in STATISTICS], np.uint8
)


@dataclass(frozen=True, slots=True)
class Learned:
    """What the learned layer says of each row of a frame, as columns; ``signals`` come with the number of their row.

    ``expected``, ``lower``, ``upper`` are in the metric's unit; they and the scores are NaN where nothing was judged.
    """

    state: U1
    reason: U1
    expected: F8
    lower: F8
    upper: F8
    spread: F8
    alarm: F8
    severity: F8
    signal: F8
    learned: U1
    direction: Any
    confidence: Any
    signals: list[tuple[int, Signal]]


def judge(
    states: States,
    rows: Rows,
    at_series: I8,
    at_source: I8,
    results: Any,
    civil_ms: I8,
    calendar: Calendar,
    warm_up_ms: int,
) -> Learned:
    """Judge and learn the rows that may be, in order; a series of less than ``warm_up_ms`` is learned only."""
    at = np.flatnonzero(results["learn"])
    value = rows.value[at]
    effects = _effects(states, rows, at, at_source, calendar)
    learn = ((results["learn"][at] & LEARN) != 0).astype(np.uint8)
    for k, effect in effects.items():
        learn[k] &= effect.train
    said = states.banks.judge(at_series[at], value, rows.observed_ms[at], civil_ms[at], learn)
    expected, spread = np.maximum(said["expected"], 0.0), said["spread"]
    lower, upper = np.maximum(expected - BAND * spread, 0.0), expected + BAND * spread
    way = np.where(said["statistic"] >= SHORT, said["direction"], np.sign(value - said["expected"])).astype(np.int8)
    state = states_of(said)
    state[rows.observed_ms[at] - states.series["first_ms"][at_series[at]] < warm_up_ms] = State.WARMING_UP
    reason, worth = _REASONS[said["statistic"]], said["signal"].copy()
    reason[said["shifted"] != 0] = REASON_NUMBER[Reason.LEVEL_SHIFT]
    for k, effect in effects.items():
        worth[k] /= effect.factor
        if state[k] == State.ANOMALOUS and said["severity"][k] < effect.factor * ANOMALOUS and worth[k] < FINDING:
            state[k] = State.NORMAL
        expected[k] *= effect.expected
        upper[k] = max(upper[k] * effect.expected, effect.up_to or 0.0)
        loaded = way[k] >= 0 and value[k] <= upper[k] and (effect.expected > 1.0 or effect.up_to is not None)
        if effect.mute or loaded:
            worth[k] = 0.0
            if state[k] == State.ANOMALOUS:
                state[k], reason[k] = State.NORMAL, REASON_NUMBER[Reason.MUTED if effect.mute else Reason.EXPECTED_LOAD]
    by_calendar = (reason == REASON_NUMBER[Reason.MUTED]) | (reason == REASON_NUMBER[Reason.EXPECTED_LOAD])
    reason[(state == State.NORMAL) & ~by_calendar] = REASON_NUMBER[Reason.WITHIN_BAND]
    reason[state == State.WARMING_UP] = REASON_NUMBER[Reason.WARMING_UP]
    known = state != State.WARMING_UP
    worth[~known] = 0.0
    n = len(rows)
    signals = _episodes(states, rows, at, at_series, at_source, said, worth, way, expected)
    return Learned(
        state=_spread(np.full(n, State.WARMING_UP, np.uint8), at, state),
        reason=_spread(np.full(n, REASON_NUMBER[Reason.WARMING_UP], np.uint8), at, reason),
        expected=_spread(np.full(n, np.nan), at, np.where(known, expected, np.nan)),
        lower=_spread(np.full(n, np.nan), at, np.where(known, lower, np.nan)),
        upper=_spread(np.full(n, np.nan), at, np.where(known, upper, np.nan)),
        spread=_spread(np.full(n, np.nan), at, np.where(known, spread, np.nan)),
        alarm=_spread(np.full(n, np.nan), at, np.where(known, said["alarm"], np.nan)),
        severity=_spread(np.full(n, np.nan), at, np.where(known, said["severity"], np.nan)),
        signal=_spread(np.full(n, np.nan), at, np.where(known, said["signal"], np.nan)),
        learned=_spread(np.zeros(n, np.uint8), at, learn),
        direction=_spread(np.zeros(n, np.int8), at, np.where(state == State.ANOMALOUS, way, 0)),
        confidence=_spread(np.zeros(n, np.float32), at, said["confidence"]),
        signals=signals,
    )


def _spread(column: Any, at: I8, values: Any) -> Any:
    """Return ``column`` with ``values`` in the rows ``at``."""
    column[at] = values
    return column


def _effects(states: States, rows: Rows, at: I8, at_source: I8, calendar: Calendar) -> dict[int, Effect]:
    """Return what the calendar says, by number in ``at``, where it says anything."""
    if not len(at):
        return {}
    times = rows.observed_ms[at]
    if not calendar.active(int(times.min()), int(times.max()) + 1):
        return {}
    found: dict[int, Effect] = {}
    for k, (time_ms, source, metric) in enumerate(
        zip(times.tolist(), at_source[at].tolist(), rows.metric[at].tolist(), strict=True)
    ):
        named = METRICS[metric]
        effect = calendar.at(time_ms, states.cells[source], named.kind, named.name)
        if effect != NOTHING:
            found[k] = effect
    return found


def _episodes(
    states: States,
    rows: Rows,
    at: I8,
    at_series: I8,
    at_source: I8,
    said: Any,
    worth: F8,
    way: Any,
    expected: F8,
) -> list[tuple[int, Signal]]:
    """Begin, go on with and end episodes; return the findings that this is."""
    signals: list[tuple[int, Signal]] = []
    series = at_series[at]
    touched = (states.series["episode"][series] != 0) | np.isin(series, series[worth >= FLOOR])
    for k in np.flatnonzero(touched).tolist():
        i, state = int(at[k]), states.series[series[k]]

        def say(direction: int, *, ends: bool, i: int = i, k: int = k) -> None:
            signals.append(
                (
                    i,
                    unusual(
                        states.sensors[at_source[i]],
                        int(rows.metric[i]),
                        direction,
                        int(rows.observed_ms[i]),
                        position(rows, i),
                        float(rows.value[i]),
                        float(expected[k]),
                        STATISTICS[int(said["statistic"][k])],
                        float(worth[k]),
                        ends=ends,
                    ),
                )
            )

        before, direction = int(state["episode"]), int(way[k])
        if worth[k] >= FLOOR and direction:
            if before and before != direction:
                say(before, ends=True)
            say(direction, ends=False)
            state["episode"], state["calm"] = direction, 0
        elif before and said["severity"][k] >= CALM_BELOW:
            state["calm"] = 0
        elif before and state["calm"] + 1 < CALM:
            state["calm"] += 1
        elif before:
            say(before, ends=True)
            state["episode"] = state["calm"] = 0
    return signals
