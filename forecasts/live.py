"""Between refits the forecast moves with every observation: the residuals of the last hours correct the curve."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import msgspec
import numpy as np

from forecasts.fitted import MODELS, Fitted
from forecasts.history import slots_of
from gridbeacon.frame import F4, F8, I8, U1
from gridbeacon.reasons import ForecastModel

FAST, SLOW = 0.5, 0.1
"""Gains of the two means of residuals."""
HIGHEST_TIMES = 3.0
"""A forecast never passes three times the largest value of the history."""
FLOOR_SHARE = 0.05
"""Errors are scaled by √(forecast + this share of the mean): counts spread like that, and none is exact."""
_PROBABILITIES = (0.025, 0.1, 0.5, 0.9, 0.975)
_NORMAL = tuple(NormalDist().inv_cdf(p) for p in _PROBABILITIES)
PROFILE = MODELS.index(ForecastModel.PROFILE)


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """N × L values in each series' unit, NaN where there is nothing to say (closed hours, no history).

    ``model`` (N × L) indexes ``forecasts.fitted.MODELS``. The 80 % and the 95 % band are meant to hold that share of
    what is measured later, and to be passed upwards in a tenth and a fortieth of the cases.
    """

    point: F4
    lower80: F4
    upper80: F4
    lower95: F4
    upper95: F4
    model: U1


class Live:
    """The latest observations of one batch of series, and what follows from them. Pure and deterministic."""

    def __init__(self, fitted: Fitted, state: bytes | None = None) -> None:
        """Begin at the end of the history, or where ``state()`` was taken. Raises ``ValueError`` on another's state."""
        self.fitted = fitted
        self._last_ms = fitted.end_ms - fitted.step_ms
        self._state: F4 = fitted.state.copy()
        if state is not None:
            end_ms, names, self._last_ms, shape, data = msgspec.msgpack.decode(state)
            if (end_ms, tuple(names), tuple(shape)) != (fitted.end_ms, fitted.names, fitted.state.shape):
                raise ValueError("the state is that of another fit; begin without it")
            self._state = np.frombuffer(data, np.float32).reshape(shape).copy()

    def observe(self, at_ms: int, values: F4) -> None:
        """Learn what the series measured in the slot that begins at ``at_ms``, NaN where nothing.

        Slots come in order; one that was left out counts as not measured, one that was taken before changes nothing.
        """
        step_ms = self.fitted.step_ms
        if at_ms <= self._last_ms:
            return
        curve = self._curve((at_ms - self.fitted.end_ms) // step_ms)[0]
        residual = np.where(np.isnan(values), np.float32(0), values - np.nan_to_num(curve))
        seen = ~np.isnan(values) & ~np.isnan(curve)
        for number, gain in enumerate((FAST, SLOW)):
            self._state[number] += np.where(seen, np.float32(gain) * (residual - self._state[number]), np.float32(0))
        self._last_ms = at_ms

    def forecast(self, at_ms: int, leads_ms: Sequence[int]) -> Forecast:
        """Return what will be measured in the slots that hold ``at_ms`` + each lead, from what was observed.

        After the fit's ``valid_until_ms`` the profile is all there is, and the forecast says so.
        """
        fitted = self.fitted
        shape = (len(fitted.names), len(leads_ms))
        found = [np.full(shape, np.nan, np.float32) for _ in range(5)]
        model = np.empty(shape, np.uint8)
        for place, lead_ms in enumerate(leads_ms):
            slot = (at_ms + lead_ms - fitted.end_ms) // fitted.step_ms
            curve, model[:, place] = self._curve(slot)
            ahead = fitted.end_ms + slot * fitted.step_ms - self._last_ms
            weights, quantiles = self._between(ahead / fitted.step_ms)
            point = np.clip(curve + (weights * self._state).sum(0), 0.0, HIGHEST_TIMES * fitted.highest)
            scale = np.sqrt(point + np.float32(FLOOR_SHARE) * fitted.level)
            found[2][:, place] = point
            for number, column in zip(range(4), (0, 1, 3, 4), strict=True):
                found[column][:, place] = np.maximum(point + quantiles[number] * scale, 0.0)
        lower95, lower80, point, upper80, upper95 = found
        return Forecast(point, lower80, upper80, lower95, upper95, model)

    def take(self, numbers: I8) -> "Live":
        """Return some of the series as they stand, in the order of ``numbers``."""
        part = Live(self.fitted.take(numbers))
        part._state, part._last_ms = np.ascontiguousarray(self._state[:, numbers]), self._last_ms
        return part

    def state(self) -> bytes:
        """Return what is needed to go on from here with the same fit, lossless."""
        parts = (self.fitted.end_ms, self.fitted.names, self._last_ms, self._state.shape, self._state.tobytes())
        return msgspec.msgpack.encode(parts)

    def _curve(self, slot: int) -> tuple[F4, U1]:
        fitted = self.fitted
        at_ms = fitted.end_ms + slot * fitted.step_ms
        if slot < fitted.curve.shape[1] and at_ms < fitted.valid_until_ms:
            return fitted.curve[:, slot], fitted.model
        when = slots_of(at_ms, fitted.step_ms, 1, fitted.timezone, fitted.day_types)
        usual = fitted.profile[:, when.kind[0], when.slot[0]]
        return usual, np.maximum(fitted.model, np.uint8(PROFILE))

    def _between(self, ahead: float) -> tuple[F4, F4]:
        """Return weights and quantiles of a lead, in slots, between those that were fitted."""
        leads = self.fitted.leads
        right = int(np.clip(np.searchsorted(leads, ahead), 1, max(len(leads) - 1, 1)))
        if len(leads) == 1:
            return self.fitted.weights[0], self.fitted.quantiles[0]
        left = right - 1
        share = np.float32(np.clip((ahead - leads[left]) / (leads[right] - leads[left]), 0.0, 1.0))
        mixed = [
            (1 - share) * each[left] + share * each[right] for each in (self.fitted.weights, self.fitted.quantiles)
        ]
        return mixed[0], mixed[1]


def probability_above(forecast: Forecast, level: F4) -> F8:
    """Return the probability, N × L, that each series (``level`` has shape N) measures more than a level.

    Between the five quantiles of the forecast the normal scale is interpolated, beyond them continued. NaN where
    there is no forecast.
    """
    columns = (forecast.lower95, forecast.lower80, forecast.point, forecast.upper80, forecast.upper95)
    quantiles = np.maximum.accumulate(np.stack(columns).astype(np.float64), axis=0)
    wanted = level.astype(np.float64)[:, None]
    z = np.full(forecast.point.shape, np.nan)
    for number in range(len(_NORMAL) - 1):
        low, high = quantiles[number], quantiles[number + 1]
        wide = np.maximum(high - low, 1e-9 * np.maximum(np.abs(high), 1.0))
        along = (wanted - low) / wide * (_NORMAL[number + 1] - _NORMAL[number]) + _NORMAL[number]
        inside = (wanted >= low) if number else np.isfinite(low)
        z = np.where(inside, along, z)
    return np.vectorize(_above, otypes=[np.float64])(z) if z.size else z


def _above(z: float) -> float:
    return float("nan") if z != z else 1.0 - NormalDist().cdf(max(min(z, 8.0), -8.0))
