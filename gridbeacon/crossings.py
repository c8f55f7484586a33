"""Crossings: a forecast beside the limits of its place -> what will be passed, when, how surely; and what became of it.

A crossing is about one limit of one series, and it is only ever ahead: of a limit that is passed now, nothing is
foreseen. Where the upper end of the 80 % band passes the limit it is a watch, where the point forecast does a warning.
It ends once: it comes true, or it is withdrawn with a reason.
"""

from hashlib import sha256

import msgspec
import numpy as np

from gridbeacon.config import Limits
from gridbeacon.frame import F8, I8
from gridbeacon.model import Foreseen
from gridbeacon.reasons import CrossingOutcome, Level, Reason, Tier
from gridbeacon.vocabulary import METRIC_NUMBER, METRICS, Kind, Motion, Surface

KEEP_SHARE = 0.95
"""Once foreseen, a crossing stands until the forecast is below this share of the limit, so that it does not flicker."""
PATIENCE = 2
"""So many forecasts in a row must be below it before a crossing is withdrawn."""
_DENSITIES = (METRIC_NUMBER[Kind.CROWD, "density_max_per_m2"], METRIC_NUMBER[Kind.CROWD, "density_mean_per_m2"])
_FLOW = METRIC_NUMBER[Kind.CROWD, "flow_per_m_min"]
_PEOPLE = METRIC_NUMBER[Kind.CROWD, "people_count"]
_OCCUPANCY = METRIC_NUMBER[Kind.CROWD, "occupancy"]
_UNITS = {
    **dict.fromkeys(_DENSITIES, "people/m²"),
    _FLOW: "people per metre and minute",
    _PEOPLE: "people",
    _OCCUPANCY: "of its capacity",
}


def limits_of(
    limits: Limits, metric: int, surface: Surface, motion: Motion, capacity: float | None
) -> tuple[float, float, float, float]:
    """Return the values from which blue, yellow, orange and red begin, infinite where the ladder has no such level.

    >>> limits_of(Limits(), 8, Surface.LEVEL, Motion.MIXED, None)
    (2.0, 3.0, 4.0, 5.0)
    >>> limits_of(Limits(), 0, Surface.LEVEL, Motion.MIXED, 50)
    (40.0, 45.0, 50.0, inf)
    """
    never = float("inf")
    level = surface is Surface.LEVEL
    if metric in _DENSITIES:
        ladder = limits.stairs if not level else limits.standing if motion is Motion.STATIC else limits.moving
        return ladder.blue, ladder.yellow, ladder.orange, ladder.red
    if metric == _FLOW:
        yellow, orange = limits.flow_level_per_m_min if level else limits.flow_stairs_per_m_min
        return never, yellow, orange, never
    if metric == _OCCUPANCY or (metric == _PEOPLE and capacity):
        times = 1.0 if metric == _OCCUPANCY or capacity is None else capacity
        blue, yellow, orange = (share * times for share in limits.capacity_shares)
        return blue, yellow, orange, never
    return never, never, never, never


def foresee(
    times_ms: I8, point: F8, lower80: F8, upper80: F8, limit: float, probability: float, held: Tier = Tier.NONE
) -> Foreseen | None:
    """Return whether, when and how surely a forecast passes a limit; None when not even its band does.

    Columns of one length, NaN where there is no forecast; ``probability`` is that of measuring more than the limit
    where the band reaches highest. ``held`` is the tier in which the crossing stands: it is kept while the forecast
    reaches ``KEEP_SHARE`` of it.

    A warning is expected when the point forecast passes; its 80 % interval is from the band's upper to its lower end
    passing. A watch is expected where the band reaches highest; its interval is as long as it reaches the limit.

    >>> times = np.array([0, 600_000, 1_200_000])
    >>> point, spread = np.array([2.0, 4.0, 6.0]), np.array([1.0, 1.0, 1.0])
    >>> found = foresee(times, point, point - spread, point + spread, 4.5, 0.9)
    >>> found.tier.word, found.expected_ms, found.from_ms, found.until_ms
    ('warning', 750000, 450000, 1050000)
    """
    known = np.isfinite(point) & np.isfinite(upper80)
    if not known.any():
        return None
    times, middle, low, high = times_ms[known], point[known], lower80[known], upper80[known]
    warned = _first(times, middle, limit, kept=held >= Tier.WARNING)
    begins = _first(times, high, limit, kept=held >= Tier.WATCH)
    if warned is None and begins is None:
        return None
    begins = warned if begins is None else begins
    assert begins is not None  # noqa: S101 - one of both is known here
    chance = min(max(probability, 0.0), 1.0) if probability == probability else 0.0
    if warned is not None:
        return Foreseen(
            tier=Tier.WARNING,
            expected_ms=warned,
            from_ms=min(begins, warned),
            until_ms=_first(times, low, limit, kept=False),
            probability=chance,
        )
    reaching = high >= limit * (KEEP_SHARE if held else 1.0)
    last = int(np.flatnonzero(reaching)[-1])
    expected_ms = int(times[np.argmax(high)])
    return Foreseen(
        tier=Tier.WATCH,
        expected_ms=max(expected_ms, begins),
        from_ms=begins,
        until_ms=max(int(times[last]), expected_ms, begins) if last + 1 < len(times) else None,
        probability=chance,
    )


def _first(times: I8, values: F8, limit: float, *, kept: bool) -> int | None:
    """Return when values first reach a limit, between two of them in proportion; None when they never do.

    What is ``kept`` need only reach ``KEEP_SHARE`` of it.
    """
    for share in (1.0, KEEP_SHARE) if kept else (1.0,):
        wanted = limit * share
        reached = np.flatnonzero(values >= wanted)
        if len(reached):
            at = int(reached[0])
            if at == 0:
                return int(times[0])
            rise = values[at] - values[at - 1]
            part = (wanted - values[at - 1]) / rise if rise > 0 else 1.0
            return int(times[at - 1] + part * (times[at] - times[at - 1]))
    return None


class Crossing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One crossing, from the first word of it to its end. ``version`` counts its changes from 1.

    ``made_ms`` is when it was first foreseen, ``warned_ms`` when first as a warning. ``first_expected_ms`` is what was
    said then, ``foreseen`` what is said now. ``below`` counts the latest forecasts in a row that no longer reach it.
    """

    crossing_id: str
    version: int
    level: Level
    limit: float
    made_ms: int
    first_expected_ms: int
    foreseen: Foreseen
    model: str
    warned_ms: int | None = None
    below: int = 0
    outcome: CrossingOutcome = CrossingOutcome.OPEN
    reason: Reason = Reason.FORECAST_WATCH
    ended_ms: int | None = None

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return self.outcome is CrossingOutcome.OPEN

    @property
    def lead_ms(self) -> int | None:
        """How long before it came true it was first foreseen; None unless it came true."""
        if self.outcome is not CrossingOutcome.CAME_TRUE or self.ended_ms is None:
            return None
        return self.ended_ms - self.made_ms

    @property
    def warning_lead_ms(self) -> int | None:
        """How long before it came true it was a warning; None unless it was one and came true."""
        if self.lead_ms is None or self.warned_ms is None or self.ended_ms is None:
            return None
        return self.ended_ms - self.warned_ms


class Told(msgspec.Struct, frozen=True):
    """A crossing in the version that is to be stored, and whose it is: the series' name and cell."""

    name: str
    cell: str
    crossing: Crossing


def crossing_id_of(series: str, level: Level, made_ms: int) -> str:
    """Return the name of a crossing, a function of what it is about and when it was foreseen."""
    return "x-" + sha256(f"{series}|{int(level)}|{made_ms}".encode()).hexdigest()[:16]


def begin(series: str, level: Level, limit: float, found: Foreseen, now_ms: int, model: str) -> Crossing:
    """Return a crossing that is foreseen for the first time."""
    warning = found.tier is Tier.WARNING
    return Crossing(
        crossing_id=crossing_id_of(series, level, now_ms),
        version=1,
        level=level,
        limit=limit,
        made_ms=now_ms,
        first_expected_ms=found.expected_ms,
        foreseen=found,
        model=model,
        warned_ms=now_ms if warning else None,
        reason=Reason.FORECAST_WARNING if warning else Reason.FORECAST_WATCH,
    )


def go_on(held: Crossing, found: Foreseen | None, now_ms: int, *, told_from_ms: int, lost: bool = False) -> Crossing:
    """Return an open crossing after the forecast of ``now_ms``: the same object when there is nothing new to say.

    A new tier, or an expected time that moved by ``told_from_ms`` or more, is a new version. A forecast that no longer
    reaches the limit withdraws it after ``PATIENCE`` of them: as overdue when its time has passed, else as faded; as
    lost when there is no forecast any more.
    """
    if found is None:
        if held.below + 1 < PATIENCE:
            return msgspec.structs.replace(held, below=held.below + 1)
        end = held.foreseen.until_ms or held.foreseen.expected_ms
        reason = Reason.FORECAST_FADED if now_ms < end else Reason.FORECAST_OVERDUE
        return _ended(held, CrossingOutcome.WITHDRAWN, Reason.FORECAST_LOST if lost else reason, now_ms)
    warning = found.tier is Tier.WARNING
    moved = abs(found.expected_ms - held.foreseen.expected_ms) >= told_from_ms
    if found.tier is held.foreseen.tier and not moved:
        return msgspec.structs.replace(held, below=0) if held.below else held
    return msgspec.structs.replace(
        held,
        version=held.version + 1,
        foreseen=found,
        below=0,
        warned_ms=now_ms if warning and held.warned_ms is None else held.warned_ms,
        reason=Reason.FORECAST_WARNING if warning else Reason.FORECAST_WATCH,
    )


def come_true(held: Crossing, at_ms: int) -> Crossing:
    """Return an open crossing whose limit was passed at ``at_ms``."""
    return _ended(held, CrossingOutcome.CAME_TRUE, Reason.FORECAST_CAME_TRUE, at_ms)


def _ended(held: Crossing, outcome: CrossingOutcome, reason: Reason, at_ms: int) -> Crossing:
    return msgspec.structs.replace(
        held, version=held.version + 1, outcome=outcome, reason=reason, ended_ms=max(at_ms, held.made_ms)
    )


def alert_level(held: Crossing) -> Level:
    """Return the level of the finding: a forecast is never as bad as what it foresees.

    A warning is one below its limit, at most yellow, at least blue; a watch is blue from a yellow limit on, else nobody
    is told. What has ended has no level.

    >>> seen = Foreseen(tier=Tier.WARNING, expected_ms=9, from_ms=8, until_ms=10, probability=0.6)
    >>> [alert_level(begin("s", level, 4.0, seen, 0, "")).word for level in (Level.BLUE, Level.ORANGE, Level.RED)]
    ['blue', 'yellow', 'yellow']
    """
    if not held.open:
        return Level.NONE
    if held.foreseen.tier is Tier.WARNING:
        return Level(max(Level.BLUE, min(held.level - 1, Level.YELLOW)))
    return Level.BLUE if held.level >= Level.YELLOW else Level.NONE


def quantity(metric: int, value: float) -> str:
    """Return a limit in words.

    >>> quantity(8, 4.0), quantity(3, 0.9), quantity(0, 900.0)
    ('4 people/m²', '90 % of its capacity', '900 people')
    """
    if metric == _OCCUPANCY:
        return f"{100 * value:g} % {_UNITS[metric]}"
    return f"{value:.0f} people" if metric == _PEOPLE else f"{value:g} {_UNITS.get(metric, METRICS[metric].name)}"
