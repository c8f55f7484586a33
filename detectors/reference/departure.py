"""Departure: how far sums of residuals are from the profile. The formulae are in ``detectors.reference``."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from detectors.judge_layout import Statistic
from detectors.reference.bins import FIRST_ERRORS, FIRST_SCORES, Bins, clip, f4

HOURLY_MIN = 59.0
"""From this interval on an observation stands for its hour, wherever in it its time is."""
SIGMA = 1.48
"""The unit of a sum, its 93 % quantile, in standard deviations of a normal one."""


class Profile:
    """What whole hours are like: the expectation of departure."""

    def __init__(self, c: Mapping[str, float]) -> None:
        self.c = c
        self.week, self.day = Bins(168, 4), Bins(24, 250)
        self.hours = self.error = self.day_error = self.week_error = self.lean = 0.0
        self.slot, self.sum, self.count = -1, 0.0, 0

    def at(self, slot: int, level: float) -> tuple[float, float]:
        """Return (mean, visits) of one hour of the week."""
        kappa = 20.0
        if self.week_error == 0.0:
            kappa = 4.0
        elif self.day_error > self.week_error:
            kappa = self.week_error**2 / (self.day_error**2 - self.week_error**2)
        kappa = min(max(kappa, 0.1), 20.0)
        hour, visits = slot % 24, self.week.visits[slot]
        by_day = self.day.means[hour] if self.day.visits[hour] else level
        mean = (visits * self.week.means[slot] + kappa * by_day) / (visits + kappa)
        return mean, visits + 0.3 * self.day.visits[hour]

    def enter(self, slot: int, level: float) -> None:
        """Learn the hour that has ended when another begins."""
        if slot == self.slot:
            return
        if self.slot >= 0 and self.count:
            self._learn(self.slot, self.sum / self.count, level)
        self.slot, self.sum, self.count = slot, 0.0, 0

    def _learn(self, slot: int, y: float, level: float) -> None:
        c, hour, known = self.c, slot % 24, self.hours > 24
        by_day = self.day.means[hour] if self.day.visits[hour] else y
        by_week, visits = self.week.means[slot], self.week.visits[slot]
        off = y - self.at(slot, level)[0]
        if known and self.error > 0:
            self.lean += (clip(off / self.error, 3.0) - self.lean) / 24
        lasting = (self.lean > c["lean_from"] and off > 0) or (self.lean < -c["lean_from"] and off < 0)
        limit = 3.0 * self.error if known and not lasting else math.inf
        size = min(abs(off), 3.0 * self.error) if known else abs(off)
        if self.day.visits[hour]:
            self.error += max(1.0 / (self.hours + 1.0), 1 / 168) * (size - self.error)
            self.hours += 1
            if visits:
                day_off = min(abs(y - by_day), limit)
                week_off = min(abs(y - by_week) * math.sqrt(visits / (visits + 1.0)), limit)
                if self.week_error == 0.0:
                    self.day_error, self.week_error = day_off, week_off + 1e-12
                else:
                    self.day_error += (day_off - self.day_error) / 168
                    self.week_error += (week_off - self.week_error) / 168
        least = 2.0 * c["hour_gain"] if lasting else 0.0
        self.day.learn(hour, by_day, y, max(0.5 * c["hour_gain"], least), limit)
        if visits:
            self.week.learn(slot, by_week, y, max(c["hour_gain"], least), limit)
        else:
            self.week.means[slot], self.week.visits[slot] = f4(y), 1


@dataclass(slots=True)
class Sum:
    """A sum of residuals over one time scale; units of its rises and falls."""

    minutes: float
    value: float = 0.0
    units: list[float] = field(default_factory=lambda: [0.0, 0.0])
    squares: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def add(self, u: float, n: int, dt: float, gap: float, c: Mapping[str, float], most: float) -> None:
        """Add one residual; after a gap the sum has faded."""
        if gap > 1.5 * dt:
            self.value *= self.minutes / (self.minutes + gap - dt)
        rise, fall = (max(most, c["reach"] * unit) if n >= 500 else most for unit in self.units)
        self.value += dt / (dt + self.minutes) * (min(max(u, -fall), rise) - self.value)

    def z(self, floor: float) -> float:
        """Return the sum in its unit, signed."""
        side = 0 if self.value > 0 else 1
        return self.value / self.unit(side, floor)

    def unit(self, side: int, floor: float) -> float:
        """Return the unit of rises (0) or falls (1)."""
        return max(math.sqrt(2.0 * self.squares[side]), self.units[side]) + floor

    def learn(self, n: int, gain: float, floor: float, tail: float) -> None:
        """Learn both units."""
        for side, m in enumerate((self.value, -self.value)):
            self.squares[side] += gain * ((m * m if m > 0 else 0.0) - self.squares[side]) + 1e-12
            if n < FIRST_ERRORS:
                self.units[side] = max(self.units[side], m)
            else:
                unit = self.units[side] * (1.0 + 5.0 * gain * ((1.0 if m > self.units[side] else 0.0) - tail))
                self.units[side] = max(unit, 0.2 * floor)


class Departure:
    """The second half of the detector."""

    def __init__(self, c: Mapping[str, float]) -> None:
        self.c = c
        self.profile = Profile(c)
        self.sums = [Sum(c["short_min"]), Sum(c["long_min"])]
        self.interval = self.level = self.swing = self.low = self.high = self.step = 0.0
        self.negative = self.open = False
        self.height = 0.0

    def observe(
        self, x: float, last: float, n: int, civil_ms: float, gap: float, *, young: bool, learn: bool
    ) -> tuple[float, float, float, float, float, int, float, Statistic]:
        """Return (found, support, severity, expected, spread, direction, confidence, statistic); learn."""
        c = self.c
        if n == 0:
            self.level = x
        dt = self._interval(gap, n)
        hours = (civil_ms - 1_800_000) / 3_600_000 if dt < HOURLY_MIN else civil_ms // 3_600_000
        begin = math.floor(hours)
        along = hours - begin
        (mean, visits), (mean1, visits1) = (self.profile.at((begin + k) % 168, self.level) for k in (0, 1))
        expected = mean + along * (mean1 - mean)
        visits += along * (visits1 - visits)
        high = min(max(0.5 + 0.5 * (expected - self.level) / self.swing, 0.0), 1.0) if self.swing > 0 else 0.5
        variance = (1.0 - high) * self.low + high * self.high
        spread, rate = self._spread(x, last, expected, variance)
        most = c["departure_clip"] * (math.sqrt(dt / 5.0) if dt > 5 else 1.0)
        gain = max(dt / (dt + c["spread_min"]), 1.0 / (n + 1.0))
        trust = math.sqrt(visits / (visits + 1.0))
        best = support = severity = 0.0
        direction, statistic = 0, Statistic.NONE
        for k, one in enumerate(self.sums):
            one.add((x - expected) / spread, n, dt, gap, c, most)
            floor = c["unit_floor"] * math.sqrt(dt / (dt + one.minutes))
            if n > FIRST_ERRORS:
                z = abs(one.z(floor))
                rises = one.value > 0
                if rises and z > 1 and not self.negative and rate > 0:
                    rho = max(SIGMA * rate / (spread * one.unit(0, floor)), 0.5)
                    z = 1.5 * rho * ((1.0 + SIGMA * z / rho) ** (2 / 3) - 1.0) / SIGMA
                z *= trust
                weighed = z if rises else z * c["fall_weight"]
                if weighed > best:
                    best, statistic = weighed, (Statistic.SHORT_DEPARTURE, Statistic.LONG_DEPARTURE)[k]
                if z > severity:
                    severity, direction = z, 1 if rises else -1
                support = max(support, z if rises else z * c["fall_support"])
            if learn:
                one.learn(n, gain, floor, c["tail"])
        found = self._episode(best, c["forget_min"] / (c["forget_min"] + gap), young=young)
        if learn:
            self._learn(x, expected, variance, high, gain, n)
        self.profile.enter(int(civil_ms // 3_600_000) % 168, self.level)
        if learn:
            self.profile.sum += x
            self.profile.count += 1
        self.negative = self.negative or x < 0
        return found, support, severity, expected, spread, direction, trust, statistic

    def _interval(self, gap: float, n: int) -> float:
        if n <= 2:
            self.interval = gap
        elif gap < self.interval:
            self.interval += 0.1 * (gap - self.interval)
        else:
            self.interval += 0.01 * (min(gap, 2.0 * self.interval) - self.interval)
        self.interval = max(self.interval, 1e-3)
        return self.interval

    def _spread(self, x: float, last: float, expected: float, variance: float) -> tuple[float, float]:
        moved = abs(x - last)
        if moved > 0 and (moved < self.step or self.step == 0):
            self.step = moved
        least = min(max(expected, self.level), self.step)
        if least < 0 or self.negative:
            least = 0.0
        swing = self.c["profile_share"] * self.swing
        spread = math.sqrt(max(variance, least * self.step) + swing * swing) + 1e-9 + 1e-6 * abs(self.level)
        return spread, max(expected, least)

    def _episode(self, best: float, fading: float, *, young: bool) -> float:
        c = self.c
        if young:
            return 0.0
        grown = best > self.height * c["growth"]
        if not self.open and not (best > c["open_from"] and grown):
            self.height *= fading
            return 0.0
        if grown:
            self.open, self.height = True, best
            return best
        if best < 1.0:
            self.open = False
        return 0.0

    def _learn(self, x: float, expected: float, variance: float, high: float, gain: float, n: int) -> None:
        square = (x - expected) ** 2
        if n > FIRST_SCORES:
            square = min(square, 9.0 * variance)
        low, top = (gain, gain) if n <= 10 else (2.0 * gain * (1.0 - high), 2.0 * gain * high)
        self.low += low * (square - self.low)
        self.high += top * (square - self.high)
        move = x - self.level
        self.level += gain * (clip(move, 5.0 * self.swing) if n >= FIRST_SCORES else move)
        self.swing += gain * (abs(expected - self.level) - self.swing)
