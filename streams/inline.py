"""Forecasts within a backtest: the role's own machine, its fits made in line from what the backtest has seen."""

from collections.abc import Iterator

import numpy as np

from forecasts.foresight import Foresight
from forecasts.history import History, day_types_of
from forecasts.outlook import Outlook
from forecasts.requests import FitAnswer, FitRequest
from gridbeacon.calendar import Calendar
from gridbeacon.config import Config
from gridbeacon.model import SignalBatch
from streams.forecast import ForecastMachine
from streams.frames import Scored

DAY_MS = 86_400_000


class Inline:
    """One partition of forecasts; a fit that is asked for is in force at once."""

    def __init__(self, config: Config, calendar: Calendar | None) -> None:
        self._config = config
        self._calendar = Calendar() if calendar is None else calendar
        self._machine = ForecastMachine(config, 0)
        self._machine.foresight = Foresight(config, 0, config.forecast.history_days * DAY_MS)
        self._offset = 0

    def take(self, scored: Scored) -> Iterator[tuple[Outlook, SignalBatch | None]]:
        """Yield what follows from one judged frame, each with its message for situate."""
        foresight = self._machine.foresight
        identity = scored.offset, scored.previous
        outlook = foresight.observe(scored.judged, scored.sensors, scored.tick, identity, self._offset)
        yield self._told(outlook)
        for request in outlook.requests:
            if not request.audit:
                for answer in self._fit(request):
                    yield self._told(foresight.take(answer, self._offset))

    def _told(self, outlook: Outlook) -> tuple[Outlook, SignalBatch | None]:
        batches = self._machine.batches(outlook, self._offset)
        self._offset += 1
        return outlook, batches[0][1] if batches else None

    def _fit(self, request: FitRequest) -> list[FitAnswer]:
        from forecasts.forecaster import Settings, fit

        foresight, section = self._machine.foresight, self._config.forecast
        step_ms = foresight.sums.step_ms
        start_ms = request.end_ms - section.history_days * DAY_MS
        numbers = np.array([foresight.known.numbers[name] for name in request.names])
        values = np.full((len(numbers), (request.end_ms - start_ms) // step_ms), np.nan, np.float32)
        for slot_ms in foresight.sums.begun():
            if start_ms <= slot_ms < request.end_ms:
                means = foresight.sums.means(slot_ms, len(foresight.known))
                values[:, (slot_ms - start_ms) // step_ms] = means[numbers]
        days = day_types_of(self._calendar.day_type, start_ms, request.end_ms + 3 * section.horizon_hours * 3_600_000)
        zone, country = self._config.timezone, self._config.calendar.country
        history = History(request.names, start_ms, step_ms, values, zone, days, country)
        return FitAnswer.of(request, fit(history, Settings.of(section)))
