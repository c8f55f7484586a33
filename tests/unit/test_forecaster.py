"""The forecaster: what a fit says of whom, what observations change, and that its bytes lose nothing."""

from datetime import date

import numpy as np
import pytest

from forecasts import parallel
from forecasts.fitted import Fitted
from forecasts.forecaster import History, Live, Settings, fit, probability_above
from forecasts.history import DAY_MS, DayTypes, offsets_ms, slots_of
from gridbeacon.reasons import ForecastModel

HOUR_MS = 3_600_000
START_MS = 1_772_409_600_000  # Monday 2026-03-02 00:00 UTC
SETTINGS = Settings(leads_ms=(HOUR_MS, 4 * HOUR_MS, 24 * HOUR_MS))


def made(days=28, series=4, seed=1, step_ms=HOUR_MS, timezone="UTC"):
    """Counts with two peaks on workdays and one at the weekend; some days are busier than others, all day long."""
    rng = np.random.default_rng(seed)
    day = DAY_MS // step_ms
    slots = slots_of(START_MS, step_ms, days * day, timezone, DayTypes(date(2026, 1, 1)))
    hour = slots.slot * step_ms / HOUR_MS
    work = 20 + 200 * np.exp(-(((hour - 8) / 1.5) ** 2)) + 150 * np.exp(-(((hour - 18) / 2) ** 2))
    free = 20 + 120 * np.exp(-(((hour - 14) / 3) ** 2))
    busy = np.repeat(rng.lognormal(0, 0.2, (series, days)), day, axis=1)
    usual = np.where(slots.kind == 0, work, free) * rng.uniform(0.5, 3, (series, 1)) * busy
    values = rng.poisson(usual).astype(np.float32)
    names = tuple(f"s{n}" for n in range(series))
    return History(names, START_MS, step_ms, values, timezone, DayTypes(date(2026, 1, 1)))


def test_a_forecast_is_near_what_is_usual_and_bands_hold_the_point():
    history = made()
    fitted = fit(history, SETTINGS)
    found = Live(fitted).forecast(history.end_ms, [h * HOUR_MS for h in range(24)])
    usual = history.values[:, -7 * 24 : -6 * 24]
    assert np.abs(found.point - usual).mean() < 0.4 * usual.mean()
    for low, high in (("lower95", "lower80"), ("lower80", "point"), ("point", "upper80"), ("upper80", "upper95")):
        assert (getattr(found, low) <= getattr(found, high)).all()
    assert (found.lower95 >= 0).all()


def test_bytes_lose_nothing_and_equal_fits_have_equal_bytes():
    first, second = fit(made(), SETTINGS), fit(made(), SETTINGS)
    data = first.to_bytes()
    assert data == second.to_bytes()
    again = Fitted.from_bytes(data)
    assert again.to_bytes() == data
    one, other = Live(first), Live(again)
    for live in (one, other):
        live.observe(first.end_ms, np.full(4, 50, np.float32))
    assert one.state() == other.state()
    for a, b in zip(
        one.forecast(first.end_ms, [0]).__getstate__(), other.forecast(first.end_ms, [0]).__getstate__(), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_the_number_of_cores_changes_nothing(monkeypatch):
    history = made(series=300)
    several = fit(history, SETTINGS)
    monkeypatch.setattr(parallel, "_cores", lambda: 1)
    assert fit(history, SETTINGS).to_bytes() == several.to_bytes()
    monkeypatch.setattr(parallel, "_cores", lambda: 4)
    assert fit(history, SETTINGS).to_bytes() == several.to_bytes()


def test_observations_move_the_forecast_and_a_repeat_changes_nothing():
    fitted = fit(made(), SETTINGS)
    live, quiet = Live(fitted), Live(fitted)
    for n in range(3):
        at_ms = fitted.end_ms + n * HOUR_MS
        live.observe(at_ms, fitted.curve[:, n] * 2)
        quiet.observe(at_ms, fitted.curve[:, n])
    now = fitted.end_ms + 3 * HOUR_MS
    assert (live.forecast(now, [0]).point > quiet.forecast(now, [0]).point).all()
    before = live.state()
    live.observe(fitted.end_ms, np.zeros(4, np.float32))
    assert live.state() == before
    taken_up = Live(fitted, before)
    np.testing.assert_array_equal(taken_up.forecast(now, [0]).point, live.forecast(now, [0]).point)


def test_the_state_of_another_fit_is_refused():
    with pytest.raises(ValueError, match="another fit"):
        Live(fit(made(series=3), SETTINGS), Live(fit(made(), SETTINGS)).state())


def test_after_the_fit_expires_the_profile_takes_over_and_says_so():
    fitted = fit(made(), SETTINGS)
    late = fitted.valid_until_ms + 3 * HOUR_MS
    found = Live(fitted).forecast(late, [0])
    assert np.isfinite(found.point).all()
    assert found.model.tolist() == [[list(ForecastModel).index(ForecastModel.PROFILE)]] * 4


def test_a_part_of_the_series_forecasts_as_the_whole_did():
    fitted = fit(made(), SETTINGS)
    part = fitted.take(np.array([2, 0]))
    assert part.names == ("s2", "s0")
    whole = Live(fitted).forecast(fitted.end_ms, [0, HOUR_MS])
    np.testing.assert_array_equal(Live(part).forecast(fitted.end_ms, [0, HOUR_MS]).upper95, whole.upper95[[2, 0]])


def test_probabilities_are_those_of_the_bands():
    found = Live(fit(made(), SETTINGS)).forecast(made().end_ms, [8 * HOUR_MS])
    for column, expected in (("upper95", 0.025), ("upper80", 0.1), ("point", 0.5), ("lower80", 0.9)):
        above = probability_above(found, getattr(found, column)[:, 0])
        assert np.diag(above[:, [0] * 4]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"])
def test_offsets_are_those_of_the_zone_over_both_changes(zone):
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    times = START_MS + np.arange(0, 300 * 24) * HOUR_MS
    known = [datetime.fromtimestamp(t / 1000, UTC).astimezone(ZoneInfo(zone)).utcoffset() for t in times.tolist()]
    assert offsets_ms(times, zone).tolist() == [each.total_seconds() * 1000 for each in known]


def test_what_was_taken_apart_is_joined_again_and_goes_on_alike():
    fitted = fit(made(), SETTINGS)
    numbers = np.arange(len(fitted.names))
    parts = [fitted.take(numbers[:1]), fitted.take(numbers[1:])]
    assert Fitted.join(parts).to_bytes() == fitted.to_bytes()
    live = Live(fitted)
    live.observe(fitted.end_ms, np.full(len(numbers), 3.0, np.float32))
    last = live.take(numbers[-1:])
    at_ms = fitted.end_ms + fitted.step_ms
    whole, one = (each.forecast(at_ms, SETTINGS.leads_ms).upper80 for each in (live, last))
    assert np.array_equal(whole[-1:], one, equal_nan=True)
