"""Stock Prophet: curves of the classes that are configured for it, and the audit of the solver."""

import msgspec
import numpy as np

from forecasts.audit import audited
from forecasts.fitted import Fitted
from forecasts.forecaster import History, Live, Settings, fit
from forecasts.stock import Grid, replaced
from gridbeacon.config_forecast import Forecast, ForecasterOf
from gridbeacon.reasons import ForecastModel, ForecastReason
from gridbeacon.vocabulary import Kind
from tests.unit.test_forecaster import made

HOUR_MS = 3_600_000
SECTION = Forecast(
    step_minutes=60,
    leads_minutes=(60, 1440),
    series=(ForecasterOf(kind=Kind.CROWD, metric="people_count", forecaster="prophet"),),
)


def history() -> History:
    found = made(days=21, series=3)
    names = ("crowd/a/x/people_count", "traffic/b/intensity_per_h", "crowd/c/occupancy")
    return History(names, found.start_ms, found.step_ms, found.values, found.timezone, found.day_types)


def test_a_class_gets_the_curve_of_stock_prophet_and_says_so() -> None:
    settings = Settings.of(SECTION)
    before = fit(history(), settings)
    after = replaced(before, history(), SECTION)
    assert after.models()[0] is ForecastModel.PROPHET
    assert after.models()[1] is before.models()[1]
    np.testing.assert_array_equal(after.curve[1], before.curve[1])
    found = Live(Fitted.from_bytes(after.to_bytes())).forecast(after.end_ms, [0, 12 * HOUR_MS])
    usual = history().values[:, -7 * 24]
    assert np.isfinite(found.point).all()
    assert (found.lower80 <= found.point).all()
    assert abs(found.point[0, 0] - usual[0]) < 2 * usual.max()


def test_a_series_that_prophet_cannot_fit_keeps_its_curve_and_stops_no_other() -> None:
    before = fit(history(), Settings.of(SECTION))
    more = ForecasterOf(kind=Kind.CROWD, metric="occupancy", forecaster="prophet")
    both = msgspec.structs.replace(SECTION, series=(*SECTION.series, more))

    def fails_at_first(grid: Grid, roots: np.ndarray, day: int) -> np.ndarray:
        if roots[0] == np.sqrt(history().values[0, 0]):
            raise RuntimeError("Stan gave up")
        return np.zeros(len(grid.later))

    after = replaced(before, history(), both, fails_at_first)
    assert (after.models()[0], after.reasons()[0]) == (before.models()[0], ForecastReason.FAILED)
    np.testing.assert_array_equal(after.curve[0], before.curve[0])
    assert after.models()[2] is ForecastModel.PROPHET


def test_nothing_is_fitted_when_no_class_asks_for_it() -> None:
    before = fit(history(), Settings.of(SECTION))
    assert replaced(before, history(), msgspec.structs.replace(SECTION, series=())) is before


def test_the_audit_finds_the_solver_and_stan_together() -> None:
    whole = history()
    one = History(whole.names[:1], whole.start_ms, whole.step_ms, whole.values[:1], whole.timezone, whole.day_types)
    found = audited(one, SECTION)
    assert [one.name for one in found] == list(whole.names[:1])
    for one in found:
        assert one.slots == 24
        assert abs(one.mean_difference) <= one.largest_difference < 0.1
        assert one.objective_difference < 1e-6
