"""Forecasts as they would have been: refitted at regular times, moved by every observation, blind to later ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from forecasts.forecaster import Settings, fit
from forecasts.history import DAY_MS, History
from forecasts.live import Forecast, Live
from gridbeacon.frame import F4, U1


@dataclass(frozen=True, slots=True, eq=False)
class Rolled:
    """What was said at one origin: only slots that begin before ``at_ms`` were known. N × L as in ``Forecast``.

    ``actual`` and ``naive`` (N × L) are what was measured in the target slots, and a week before them.
    """

    at_ms: int
    forecast: Forecast
    actual: F4
    naive: F4


def roll(
    history: History,
    settings: Settings,
    *,
    from_ms: int,
    to_ms: int,
    every_ms: int,
    leads_ms: tuple[int, ...],
    history_days: int,
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> Iterator[Rolled]:
    """Yield what was said at each slot from ``from_ms`` to before ``to_ms``, after a refit every ``every_ms``.

    A refit sees the ``history_days`` before it. ``told`` hears how many of how many refits are done.
    """
    step_ms = history.step_ms
    first, last = ((ms - history.start_ms) // step_ms for ms in (from_ms, min(to_ms, history.end_ms)))
    every, week = max(every_ms // step_ms, 1), 7 * DAY_MS // step_ms
    shifts = [lead_ms // step_ms for lead_ms in leads_ms]
    refits = range(max(first, 1), last, every)
    for done, begin in enumerate(refits):
        told(done, len(refits))
        oldest = max(0, begin - history_days * DAY_MS // step_ms)
        seen = replace(history, start_ms=history.start_ms + oldest * step_ms, values=history.values[:, oldest:begin])
        live = Live(fit(seen, settings))
        for slot in range(begin, min(begin + every, last)):
            at_ms = history.start_ms + slot * step_ms
            forecast = live.forecast(at_ms, leads_ms)
            targets = [slot + shift for shift in shifts]
            actual, naive = (_columns(history.values, [t - back for t in targets]) for back in (0, week))
            yield Rolled(at_ms, forecast, actual, naive)
            live.observe(at_ms, history.values[:, slot])
    told(len(refits), len(refits))


def _columns(values: F4, places: list[int]) -> F4:
    found = np.full((len(values), len(places)), np.nan, np.float32)
    for number, place in enumerate(places):
        if 0 <= place < values.shape[1]:
            found[:, number] = values[:, place]
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """All of a run, for one lead: N × origins, quantiles in the order of ``COLUMNS``."""

    at_ms: np.ndarray
    actual: F4
    naive: F4
    model: U1
    columns: dict[str, F4]


COLUMNS = ("lower95", "lower80", "point", "upper80", "upper95")


def gathered(rolled: list[Rolled]) -> list[Said]:
    """Return a run's forecasts by lead."""
    at_ms = np.array([one.at_ms for one in rolled], np.int64)
    leads = rolled[0].actual.shape[1] if rolled else 0
    return [
        Said(
            at_ms=at_ms,
            actual=np.stack([one.actual[:, lead] for one in rolled], axis=1),
            naive=np.stack([one.naive[:, lead] for one in rolled], axis=1),
            model=np.stack([one.forecast.model[:, lead] for one in rolled], axis=1),
            columns={
                name: np.stack([getattr(one.forecast, name)[:, lead] for one in rolled], axis=1) for name in COLUMNS
            },
        )
        for lead in range(leads)
    ]
