"""Forecasters: additive Prophet for all series of a time grid at once (``solver``), corrected as observations come."""

__all__ = ["warm_up"]


def warm_up() -> None:
    """Compile the kernels now, once per machine, instead of at the first forecast."""
    from datetime import date

    import numpy as np

    from forecasts.forecaster import History, Live, Settings, fit
    from forecasts.history import DayTypes

    hour_ms, start_ms, hours = 3_600_000, 1_772_409_600_000, 30 * 24
    usual = 100.0 + 80.0 * np.sin(np.arange(hours) * np.pi / 12)
    counts = np.stack([usual, usual * 2.0, usual + np.arange(hours) % 7]).astype(np.float32)
    known = DayTypes(date(2026, 1, 1))
    for first in (0, 20 * 24):  # a whole history, and a short one
        history = History(("a", "b", "c"), start_ms + first * hour_ms, hour_ms, counts[:, first:], "UTC", known)
        fitted = fit(history, Settings(leads_ms=(hour_ms, 24 * hour_ms)))
        live = Live(fitted)
        live.observe(fitted.end_ms, counts[:, 0])
        live.forecast(fitted.end_ms + hour_ms, [0, hour_ms])
