"""Novelty: what has not been seen. The formulae are in ``detectors.reference``."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from detectors.judge_layout import HEADS, STATISTICS, Statistic
from detectors.reference.bins import FIRST_ERRORS, FIRST_SCORES, Bins, clip, f4


@dataclass(slots=True)
class Residual:
    """One residual of novelty: what is expected, and the mean absolute error of that."""

    scale: float = 0.0

    def limit(self, c: Mapping[str, float], n: int, eps: float) -> float:
        """Return the largest error that is learned from."""
        return c["clip"] * (self.scale + eps) if n >= FIRST_ERRORS else math.inf

    def learn(self, off: float, limit: float, gain: float) -> None:
        """Learn the size of an error."""
        self.scale += gain * (min(abs(off), limit) - self.scale)


class Novelty:
    """The first half of the detector."""

    def __init__(self, c: Mapping[str, float]) -> None:
        self.c = c
        self.week, self.day, self.change = Bins(168, 26), Bins(24, 250), Bins(24, 250)
        self.residuals = [Residual() for _ in range(5)]  # week, day, middle, change, slow
        self.slow = self.middle = self.highest = self.lowest = self.drift = self.drift_scale = 0.0
        self.usual = [[c["floor"]] * 5 for _ in range(HEADS)]
        self.surprised = [-math.inf] * HEADS
        self.alarmed, self.alarm = -math.inf, 0.0

    def observe(
        self, x: float, last: float, n: int, hour: int, elapsed_ms: float, support: float, *, learn: bool
    ) -> tuple[float, Statistic]:
        """Return (alarm, statistic); learn."""
        c, b = self.c, hour % 24
        if n == 0:
            self.slow = self.middle = self.highest = self.lowest = x
        extent = self.highest - self.lowest
        eps = 1e-9 + 1e-4 * extent
        by_day = self.day.means[b] if self.day.visits[b] else self.slow
        visits = self.week.visits[hour]
        by_week = (visits * self.week.means[hour] + c["day_weight"] * by_day) / (visits + c["day_weight"])
        off = [x - by_week, x - by_day, x - self.middle, x - last - self.change.means[b], x - self.slow]
        z, record = [c["floor"]] * 5, 0.0
        if n >= FIRST_ERRORS:
            size = off[0] / (self.residuals[0].scale + eps)
            self.drift += c["drift_gain"] * (clip(size, c["clip"]) - self.drift)
            for j in range(4):
                z[j] += abs(off[j]) / (self.residuals[j].scale + eps)
            z[4] += abs(self.drift) / (self.drift_scale + 1e-3)
            over = max(x - self.highest, self.lowest - x, 0.0) / (extent + 1e-12)
            record = c["record_weight"] * math.log(1.0 + over / c["record_share"]) if n >= FIRST_SCORES else 0.0
        score, why = self._surprise(z, record, n, learn=learn)
        score *= 1.0 + c["support"] * min(max(support - c["support_from"], 0.0), c["support_span"])
        alarm = self._say(score, n)
        days = elapsed_ms / 86_400_000
        if learn:
            self._learn(x, off, n, hour, by_day, eps)
        return alarm * days / (days + c["maturity_days"]), why

    def _surprise(self, z: list[float], record: float, n: int, *, learn: bool) -> tuple[float, Statistic]:
        c, norm = self.c, self.c["norm"]
        score, largest, why = 0.0, record, Statistic.RECORD if record > 0 else Statistic.NONE
        for head, usual in enumerate(self.usual):
            terms = [math.log(z[j] / usual[j]) if z[j] > usual[j] and n >= FIRST_SCORES else 0.0 for j in range(5)]
            for j, term in enumerate(terms):
                if term > largest:
                    largest, why = term, STATISTICS[j + 1]
            power = record**norm if record > 0 else 0.0
            for term in terms:
                power += term**norm if term > 0 else 0.0
            surprise = power ** (1.0 / norm) if power > 0 else 0.0
            score += surprise / HEADS
            held = n - self.surprised[head] <= c["refractory"]
            if not held and surprise > c["surprise"]:
                self.surprised[head] = n
            rise = c["habituation"] * (1.0 + (head - 1) * c["habituation_spread"])
            for j in range(5):
                usual[j] = max(usual[j] * 2.0 ** (-1.0 / c["half_life"]), c["floor"])
                if z[j] > usual[j] and n < FIRST_SCORES:
                    usual[j] = z[j]
                elif z[j] > usual[j] and not held and learn:
                    usual[j] = usual[j] ** (1.0 - rise) * z[j] ** rise
        return score, why

    def _say(self, score: float, n: int) -> float:
        c = self.c
        if n - self.alarmed <= c["refractory"]:
            if score <= self.alarm + c["alarm_growth"]:
                return 0.0
        elif score > c["alarm_from"]:
            self.alarmed = n
        else:
            return 0.0
        self.alarm = score
        return score

    def _learn(self, x: float, off: list[float], n: int, hour: int, by_day: float, eps: float) -> None:
        c, b = self.c, hour % 24
        first = 1.0 / (n + 1.0)
        limits = [residual.limit(c, n, eps) for residual in self.residuals]
        self.slow += max(c["slow_gain"], first) * clip(off[4], limits[4])
        self.middle += max(c["middle_gain"], first) * clip(off[2], limits[2])
        base = self.day.means[b] if self.day.visits[b] else self.slow
        gain = self.day.learn(b, base, x, c["bin_gain"], limits[1])
        self.change.means[b] = f4(self.change.means[b] + gain * clip(off[3], limits[3]))
        base = self.week.means[hour] if self.week.visits[hour] else by_day
        self.week.learn(hour, base, x, c["bin_gain"], limits[0])
        for residual, one, limit in zip(self.residuals, off, limits, strict=True):
            residual.learn(one, limit, max(c["scale_gain"], first))
        drift = min(abs(self.drift), c["clip"] * (self.drift_scale + 0.05))
        self.drift_scale += max(c["scale_gain"], first) * (drift - self.drift_scale)
        self.highest, self.lowest = max(self.highest, x), min(self.lowest, x)
