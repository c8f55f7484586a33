"""The crossings of one partition: which are foreseen, what is told of each series, and how each ends."""

from collections.abc import Iterable
from dataclasses import fields
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import numpy.typing as npt

from forecasts.fits import Generation
from forecasts.fitted import FORECAST_REASONS, MODELS
from forecasts.known import Known, Seen
from forecasts.live import Forecast, probability_above
from gridbeacon import crossings
from gridbeacon.crossing_words import sentence
from gridbeacon.crossings import KEEP_SHARE, Crossing, Told
from gridbeacon.frame import F4, F8, I8
from gridbeacon.model import Position, Signal
from gridbeacon.reasons import ForecastModel, ForecastReason, Level, Reason, Tier
from gridbeacon.vocabulary import METRICS

FORECAST = "forecast"
"""The layer of what is foreseen."""
SCREENED_SLOTS = 4
"""Every fourth slot all series with a limit are looked at in full; between, those that the leads say come near."""
NEAR_SHARE = 0.7
"""A series comes near when the band at one of the leads reaches this share of its lowest limit that is not passed."""
_NAIVE = MODELS.index(ForecastModel.NAIVE)
_SHORT = FORECAST_REASONS.index(ForecastReason.SHORT_HISTORY)
"""The bands of so short a history are a guess: the point forecast alone is believed."""


_COLUMNS = tuple(one.name for one in fields(Forecast))
B1 = npt.NDArray[np.bool_]


class Said(msgspec.Struct, frozen=True):
    """What situate was last told of a series."""

    crossing_id: str
    version: int
    level: Level


class SeriesCrossings(msgspec.Struct):
    """The crossings of one series by level, ended ones until the value is below their limit; what was said of them."""

    held: dict[int, Crossing] = msgspec.field(default_factory=dict)
    said: Said | None = None


class CrossingBook:
    """A pure function of forecasts and observations, in the form of an object with its state."""

    def __init__(self, known: Known, zone: ZoneInfo, step_ms: int) -> None:
        self._known = known
        self._zone = zone
        self._step_ms = step_ms
        self._series: dict[int, SeriesCrossings] = {}
        self._open: set[int] = set()
        self._changed: set[int] = set()

    def observe(self, seen: Seen, at: Position) -> tuple[list[Told], list[Signal]]:
        """Take observations: an open crossing whose limit is now in force has come true."""
        told: list[Told] = []
        signals: list[Signal] = []
        if not self._open or not len(seen.number):
            return told, signals
        mine = np.isin(seen.number, np.fromiter(self._open, np.int64, len(self._open)))
        for i in np.flatnonzero(mine & (seen.level > 0)).tolist():
            number, value, level = int(seen.number[i]), float(seen.value[i]), int(seen.level[i])
            now_ms = int(seen.observed_ms[i])
            ended = [
                crossings.come_true(held, now_ms)
                for held in self._series[number].held.values()
                if held.open and held.level <= level and value >= held.limit
            ]
            if ended:
                told += self._put(number, ended)
                signals += self._say(number, now_ms, at)
        return told, signals

    def passed(self, means: F4, slot_ms: int, at: Position) -> tuple[list[Told], list[Signal]]:
        """Take the means of a slot that is over: an open crossing whose limit its mean passed has come true."""
        told: list[Told] = []
        signals: list[Signal] = []
        for number in sorted(self._open):
            mean = float(means[number]) if number < len(means) else float("nan")
            ended = [
                crossings.come_true(held, slot_ms + self._step_ms)
                for held in self._series[number].held.values()
                if held.open and mean >= held.limit
            ]
            if ended:
                told += self._put(number, ended)
                signals += self._say(number, slot_ms + self._step_ms, at)
        return told, signals

    def look(
        self, generation: Generation, now_ms: int, ahead_ms: int, screen_ms: list[int], at: Position, *, whole: bool
    ) -> tuple[list[Told], list[Signal]]:
        """Compare the forecasts of a generation with the limits, up to ``ahead_ms`` ahead of ``now_ms``."""
        numbers = generation.series
        limits = self._known.limits[numbers]
        latest = self._known.latest[numbers]
        limits = np.where(np.nan_to_num(latest)[:, None] >= limits, np.inf, limits)  # what is passed is not ahead
        lowest = limits.min(axis=1)
        wanted = generation.alive & np.isfinite(lowest) & (generation.fitted.model != _NAIVE)
        if not whole:
            band = generation.live.forecast(now_ms, screen_ms).upper80
            with np.errstate(invalid="ignore"):
                wanted &= np.nan_to_num(band).max(axis=1) >= NEAR_SHARE * lowest
        open_here = np.isin(numbers, np.fromiter(self._open, np.int64, len(self._open))) & generation.alive
        places = np.flatnonzero(wanted | open_here)
        if not len(places):
            return [], []
        leads_ms = np.arange(0, max(ahead_ms, self._step_ms), self._step_ms, dtype=np.int64)
        # Of many it is cheaper to forecast all than to take them out first.
        many = 4 * len(places) > len(numbers)
        live = generation.live if many else generation.live.take(places)
        path = live.forecast(now_ms, leads_ms.tolist())
        if many:
            path = _some(path, places)
        with np.errstate(invalid="ignore"):
            reached = np.nan_to_num(path.upper80).max(axis=1)[:, None] >= KEEP_SHARE * limits[places]
        here = np.flatnonzero(reached.any(axis=1) | open_here[places])
        # What is said of a slot is said of its middle.
        times = now_ms + leads_ms + self._step_ms // 2
        places, path = places[here], _some(path, here)
        short = generation.fitted.reason[places] == _SHORT
        return self._compare(path, times, numbers[places], limits[places], reached[here], short, now_ms, at)

    def _compare(
        self, path: Forecast, times: I8, numbers: I8, limits: F8, reached: B1, short: B1, now_ms: int, at: Position
    ) -> tuple[list[Told], list[Signal]]:
        """Go through the limits of each series along its forecast; ``reached`` says which are near enough."""
        told: list[Told] = []
        signals: list[Signal] = []
        chances = np.full(limits.shape, np.nan)
        highest = np.nan_to_num(path.upper80).argmax(axis=1)
        peak = _some(path, np.arange(len(numbers)), highest)
        for level in range(limits.shape[1]):
            near = np.flatnonzero(reached[:, level])
            above = probability_above(_some(peak, near), limits[near, level].astype(np.float32))
            chances[near, level] = above[:, 0]
        for place, number in enumerate(numbers.tolist()):
            series = self._series.get(number)
            new: list[Crossing] = []
            code = int(path.model[place, 0])
            lost = code == _NAIVE or not np.isfinite(path.point[place]).any()
            for level in range(limits.shape[1]):
                held = series.held.get(level + 1) if series is not None else None
                limit = float(limits[place, level])
                tier = held.foreseen.tier if held is not None and held.open else Tier.NONE
                found = None
                if np.isfinite(limit) and reached[place, level] and not lost:
                    found = crossings.foresee(
                        times,
                        path.point[place].astype(np.float64),
                        path.lower80[place].astype(np.float64),
                        path.upper80[place].astype(np.float64),
                        limit,
                        float(chances[place, level]),
                        tier,
                    )
                    if found is not None and found.tier is Tier.WATCH and short[place]:
                        found = None
                if held is not None and held.open:
                    if np.isfinite(limit):  # else it is being passed: observations say when
                        new.append(crossings.go_on(held, found, now_ms, told_from_ms=2 * self._step_ms, lost=lost))
                elif found is not None and self._rearmed(held, number):
                    model = MODELS[code].value
                    name = self._known.entries[number].name
                    new.append(crossings.begin(name, Level(level + 1), limit, found, now_ms, model))
            told += self._put(number, new)
            signals += self._say(number, now_ms, at)
        return told, signals

    def _rearmed(self, held: Crossing | None, number: int) -> bool:
        """Return whether a limit may be foreseen anew: one that came true, once the value is clearly below it."""
        if held is None or held.reason is not Reason.FORECAST_CAME_TRUE:
            return True
        return float(self._known.latest[number]) < KEEP_SHARE * held.limit

    def _put(self, number: int, new: Iterable[Crossing]) -> list[Told]:
        """Keep crossings in their new versions; return those of which there is something to store."""
        told: list[Told] = []
        for crossing in new:
            series = self._series.setdefault(number, SeriesCrossings())
            old = series.held.get(int(crossing.level))
            if old is crossing:
                continue
            series.held[int(crossing.level)] = crossing
            self._changed.add(number)
            if any(held.open for held in series.held.values()):
                self._open.add(number)
            else:
                self._open.discard(number)
            if old is None or (old.crossing_id, old.version) != (crossing.crossing_id, crossing.version):
                entry = self._known.entries[number]
                told.append(Told(entry.name, entry.cell, crossing))
        return told

    def _say(self, number: int, now_ms: int, at: Position) -> list[Signal]:
        """Return the finding of a series unless it was said: of the worst that is foreseen, or its end."""
        series = self._series.get(number)
        if series is None:
            return []
        standing = [held for held in series.held.values() if crossings.alert_level(held) > Level.NONE]
        best = max(standing, key=lambda one: (crossings.alert_level(one), one.level), default=None)
        if best is None:
            if series.said is None:
                return []
            ended = max(series.held.values(), key=lambda one: (one.ended_ms or 0, one.level))
            series.said = None
            self._changed.add(number)
            return [self._signal(number, ended, Level.NONE, now_ms, at)]
        level = crossings.alert_level(best)
        now = Said(best.crossing_id, best.version, level)
        if series.said == now:
            return []
        series.said = now
        self._changed.add(number)
        return [self._signal(number, best, level, now_ms, at)]

    def _signal(self, number: int, held: Crossing, level: Level, now_ms: int, at: Position) -> Signal:
        entry = self._known.entries[number]
        latest = float(self._known.latest[number])
        return Signal(
            cell=entry.cell,
            layer=FORECAST,
            series=entry.name,
            reason=held.reason,
            level=level,
            time_ms=now_ms,
            lineage=at,
            kind=METRICS[entry.metric].kind,
            value=None if np.isnan(latest) else latest,
            threshold=held.limit,
            text=sentence(entry.name, entry.metric, held, now_ms, self._zone) if level else "",
            foreseen=held.foreseen if level else None,
        )

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of what changed since the last call; None removes the key."""
        found: list[tuple[bytes, bytes | None]] = []
        for number in sorted(self._changed):
            series = self._series[number]
            found.append((b"x:%d" % number, msgspec.msgpack.encode(series)))
        self._changed.clear()
        return found

    def restore(self, key: bytes, value: bytes) -> None:
        """Take back one record of ``changed``."""
        number = int(key[2:])
        self._series[number] = series = msgspec.msgpack.decode(value, type=SeriesCrossings)
        if any(held.open for held in series.held.values()):
            self._open.add(number)


def _some(path: Forecast, places: I8, at: I8 | None = None) -> Forecast:
    """Return the forecasts of some of the series, of each at one place of the path alone where ``at`` says so."""
    columns = (getattr(path, name) for name in _COLUMNS)
    if at is None:
        return Forecast(*(column[places] for column in columns))
    return Forecast(*(column[places, at][:, None] for column in columns))
