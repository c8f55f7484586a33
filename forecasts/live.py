"""Between refits the forecast moves with every observation: the residuals of the last hours correct the curve."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import msgspec
import numpy as np

from forecasts.correction import gains_of
from forecasts.correction_kernel import JOINT, forecast_rows, observe_rows
from forecasts.fitted import MODELS, Fitted
from forecasts.history import DAY_MS, slots_of
from gridbeacon.frame import F4, F8, I8, U1
from gridbeacon.reasons import ForecastModel

_PROBABILITIES = (0.025, 0.1, 0.5, 0.9, 0.975)
_NORMAL = tuple(NormalDist().inv_cdf(p) for p in _PROBABILITIES)
PROFILE, NAIVE = MODELS.index(ForecastModel.PROFILE), MODELS.index(ForecastModel.NAIVE)


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
        self._gains = gains_of(fitted.step_ms)
        self._members = [np.flatnonzero(fitted.group == number) for number in range(len(fitted.common))]
        self._last_ms = fitted.end_ms - fitted.step_ms
        # A slot of all series is read at once: slot by slot in memory.
        self._curves, self._weeks = np.ascontiguousarray(fitted.curve.T), np.ascontiguousarray(fitted.week.T)
        self._state, self._ring, self._common = fitted.state.copy(), fitted.ring.T.copy(), fitted.common.copy()
        self._z = np.zeros(len(fitted.names), np.float32)
        if state is not None:
            end_ms, names, self._last_ms, *arrays = msgspec.msgpack.decode(state)
            if (end_ms, tuple(names)) != (fitted.end_ms, fitted.names):
                raise ValueError("the state is that of another fit; begin without it")
            for array, data in zip((self._state, self._ring, self._common), arrays, strict=True):
                array[:] = np.frombuffer(data, np.float32).reshape(array.shape)

    @property
    def last_ms(self) -> int:
        """The slot that was observed last: where it begins."""
        return self._last_ms

    def observe(self, at_ms: int, values: F4) -> None:
        """Learn what the series measured in the slot that begins at ``at_ms``, NaN where nothing.

        Slots come in order; one that was left out counts as not measured, one that was taken before changes nothing.
        """
        step_ms = self.fitted.step_ms
        if at_ms <= self._last_ms:
            return
        nothing = np.full(len(values), np.nan, np.float32)
        # After a day without anything the past has faded from state and ring alike.
        first_ms = max(self._last_ms + step_ms, at_ms - DAY_MS)
        for slot_ms in range(first_ms + (at_ms - first_ms) % step_ms, at_ms, step_ms):
            self._take(slot_ms, nothing)
        self._take(at_ms, np.asarray(values, np.float32))
        self._last_ms = at_ms

    def _take(self, at_ms: int, values: F4) -> None:
        fitted = self.fitted
        slot = (at_ms - fitted.end_ms) // fitted.step_ms
        finite = np.where(np.isfinite(values) & (values >= 0), values, np.float32(np.nan))
        observe_rows(self._state, self._z, finite, self._curve(slot)[0], fitted.level, self._gains)
        self._ring[slot % len(self._ring)] = self._z
        for number, members in enumerate(self._members):
            own = fitted.loads[members].T @ self._z[members]
            self._common[number, 0] = own
            self._common[number, 1] += self._gains[-1] * (own - self._common[number, 1])

    def forecast(self, at_ms: int, leads_ms: Sequence[int]) -> Forecast:
        """Return what will be measured in the slots that hold ``at_ms`` + each lead, from what was observed.

        After the fit's ``valid_until_ms`` the profile is all there is, and the forecast says so. The first two
        calls in a process may compile for some seconds.
        """
        fitted = self.fitted
        count, day = len(fitted.names), len(self._ring)
        found = np.empty((len(leads_ms), 5, count), np.float32)
        model = np.empty((count, len(leads_ms)), np.uint8)
        nothing, unknown = np.zeros(count, np.float32), np.full(count, np.nan, np.float32)
        joint = self._joint()
        for place, lead_ms in enumerate(leads_ms):
            slot = (at_ms + lead_ms - fitted.end_ms) // fitted.step_ms
            curve, model[:, place] = self._curve(slot)
            ahead = max((fitted.end_ms - self._last_ms) // fitted.step_ms + slot, 1)
            left, share = self._between(ahead)
            forecast_rows(
                curve,
                self._weeks[slot] if 0 <= slot < len(self._weeks) else unknown,
                self._state,
                self._ring[slot % day] if ahead <= day else nothing,
                joint,
                fitted.level,
                fitted.highest,
                fitted.weights,
                fitted.quantiles,
                left,
                share,
                found[place],
            )
        # N × L like the rest of the interface; in memory one lead lies after the other.
        lower95, lower80, point, upper80, upper95 = (found[:, number].T for number in range(5))
        return Forecast(point, lower80, upper80, lower95, upper95, model)

    def _joint(self) -> F4:
        """Return what all series of each one's group are off by, as it sees it (JOINT × N)."""
        joint = np.empty((JOINT, len(self.fitted.names)), np.float32)
        for number, members in enumerate(self._members):
            loads, (own, slow) = self.fitted.loads[members], self._common[number]
            joint[:, members] = loads[:, 0] * own[0], loads @ own, loads @ slow
        return joint

    def take(self, numbers: I8) -> "Live":
        """Return some of the series as they stand, in the order of ``numbers``."""
        part = Live(self.fitted.take(numbers))
        part._state, part._last_ms = np.ascontiguousarray(self._state[:, numbers]), self._last_ms
        part._ring, part._common = np.ascontiguousarray(self._ring[:, numbers]), self._common.copy()
        return part

    def state(self) -> bytes:
        """Return what is needed to go on from here with the same fit, lossless."""
        arrays = (self._state.tobytes(), self._ring.tobytes(), self._common.tobytes())
        return msgspec.msgpack.encode((self.fitted.end_ms, self.fitted.names, self._last_ms, *arrays))

    def _curve(self, slot: int) -> tuple[F4, U1]:
        fitted = self.fitted
        at_ms = fitted.end_ms + slot * fitted.step_ms
        if 0 <= slot < len(self._curves) and at_ms < fitted.valid_until_ms:
            return self._curves[slot], fitted.model
        when = slots_of(at_ms, fitted.step_ms, 1, fitted.timezone, fitted.day_types)
        usual = fitted.profile[:, when.kind[0], when.slot[0]]
        naive = fitted.model == NAIVE
        return np.where(naive & ~np.isnan(self._curves[0]), fitted.last, usual), np.where(
            naive, np.uint8(NAIVE), np.uint8(PROFILE)
        )

    def _between(self, ahead: int) -> tuple[int, float]:
        """Return the lead before, and how far on the way to the next one a lead of ``ahead`` slots is."""
        leads = self.fitted.leads
        left = int(np.clip(np.searchsorted(leads, ahead, side="right") - 1, 0, len(leads) - 1))
        if left == len(leads) - 1:
            return left, 0.0
        return left, float(np.clip((ahead - leads[left]) / (leads[left + 1] - leads[left]), 0.0, 1.0))


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
