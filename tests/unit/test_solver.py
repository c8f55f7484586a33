"""The batch solver finds the minimum of Prophet's objective: Stan is never lower, and no series stops the others."""

import json
import tempfile
from pathlib import Path

import cmdstanpy
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from prophet import Prophet
from prophet.serialize import model_from_json, model_to_json

from forecasts import kernel
from forecasts.density import negative_log_posterior
from forecasts.design import design_of
from forecasts.model import Growth, Holiday, Model, Regressor, Seasonality
from forecasts.solver import Fits, FitStatus, as_prophet, fit, predict
from tests.stan import DATA, SETS, TIGHT, cases, compare, made, objective, parts_model, stan_on_grid, with_stan

DAY = Seasonality("daily", period_days=1, order=4)
WEEK = Seasonality("weekly", period_days=7, order=3)
FLAT, LINEAR = Model(Growth.FLAT, (DAY, WEEK)), Model(Growth.LINEAR, (DAY, WEEK))
MADE = made()
NOT_WORSE = 1e-8
"""Of an objective of some thousands: rounding of its sum."""
pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # Prophet, in its own files
USABLE = {FitStatus.OK, FitStatus.CONSTANT, FitStatus.NO_NOISE, FitStatus.NOT_CONVERGED}


def smooth(fits: Fits, n: int) -> bool:
    """Stan's line search needs a gradient; where a bend is 0 there is none."""
    return fits.design.model.growth is Growth.FLAT or bool((fits.delta[n] != 0).all())


def check_against_stan(case, n):
    fits = fit(case.model, case.series.times, case.series.values, case.columns)
    assert fits.status[n] is FitStatus.OK
    found = compare(case, n, fits)
    assert found.above >= -NOT_WORSE
    if smooth(fits, n):
        assert found.above < 1e-6
        assert found.apart < 1e-6
        assert found.sigma < 1e-6
    else:
        assert found.apart < 0.05


@pytest.mark.parametrize("case", list(cases(MADE)), ids=lambda case: case.name)
def test_stan_is_never_lower_and_agrees_where_its_line_search_can_go_on(case):
    check_against_stan(case, 1)


@pytest.mark.parametrize("number", [0, 5, 6])
@pytest.mark.parametrize("folder", SETS)
def test_real_series_too(folder, number):
    if not (DATA / folder).exists():
        pytest.skip(f"{DATA / folder} is absent: the comparison on real data needs it")
    series = SETS[folder]()
    check_against_stan(list(cases(series))[number], min(3, len(series.values) - 1))


@pytest.mark.parametrize("gaps", [False, True])
def test_stan_started_at_our_result_does_not_leave_it(gaps):
    series = MADE.with_gaps(seed=3) if gaps else MADE
    fits = fit(LINEAR, series.times, series.values)
    for n in range(3):
        begin = {name: getattr(fits, name)[n] for name in ("k", "m", "delta", "beta", "sigma_obs")}
        y = series.values[n] / fits.y_scale[n]
        ended = stan_on_grid(fits.design, y, init=dict(begin), **TIGHT)
        for name, value in begin.items():
            assert np.ravel(ended[name]) == pytest.approx(value, abs=1e-9)


def moves(fits: Fits, n: int, y: np.ndarray, step: float) -> np.ndarray:
    """How much the objective rises when one parameter, or a random mix of all, moves a step up or down."""
    design = fits.design
    flat = design.model.growth is Growth.FLAT
    point = np.concatenate([[fits.k[n], fits.m[n]], fits.delta[n], fits.beta[n]])
    bends = len(fits.delta[n])

    def value(at, sigma):
        return negative_log_posterior(
            design, y, k=at[0], m=at[1], delta=at[2 : 2 + bends], beta=at[2 + bends :], sigma_obs=sigma
        )

    rng = np.random.default_rng(0)
    ways = np.concatenate([np.eye(len(point)), rng.normal(0, 0.3, (40, len(point)))])
    if flat:
        ways[:, [0, *range(2, 2 + bends)]] = 0.0
    sigma = fits.sigma_obs[n]
    here = value(point, sigma)
    rises = [value(point + sign * step * way, sigma) - here for way in ways for sign in (-1, 1)]
    rises += [value(point, sigma * (1 + sign * step)) - here for sign in (-1, 1)]
    return np.array(rises)


def gapped(share: float) -> np.ndarray:
    """Some of the cells of the made series, the last third among the missing ones when there are many."""
    values = MADE.values.copy()
    rng = np.random.default_rng(5)
    values[rng.random(values.shape) < share] = np.nan
    if share > 0.1:
        values[:, -160:] = np.nan
    return values


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.6, 0.93])
@pytest.mark.parametrize("model", [FLAT, LINEAR], ids=["flat", "linear"])
def test_no_parameter_can_move_downhill(model, share):
    values = gapped(share)
    fits = fit(model, MADE.times, values)
    for n in range(len(values)):
        assert fits.status[n] is FitStatus.OK
        y = values[n] / fits.y_scale[n]
        assert moves(fits, n, y, 1e-6).min() > -1e-10
        assert moves(fits, n, y, 1e-3).max() > 1e-6  # the test can see a difference


@pytest.mark.parametrize("share", [0.005, 0.01, 0.2, 0.6])
@pytest.mark.parametrize("everywhere", [True, False])
def test_a_missing_cell_is_as_a_row_that_never_was(share, everywhere):
    missing = np.random.default_rng(2).random(len(MADE.times)) < share
    values = MADE.values.copy()
    values[: None if everywhere else -1, missing] = np.nan
    with_gaps = fit(FLAT, MADE.times, values)
    without = fit(FLAT, MADE.times[~missing], values[:, ~missing])
    assert missing.any()
    assert with_gaps.sigma_obs[:-1] == pytest.approx(without.sigma_obs[:-1], rel=1e-9)
    assert predict(with_gaps, MADE.later)[:-1] == pytest.approx(predict(without, MADE.later)[:-1], rel=1e-8)


def test_nothing_at_all_is_no_error():
    for values in (np.empty((0, len(MADE.times))), np.full((2, len(MADE.times)), np.nan)):
        fits = fit(LINEAR, MADE.times, values)
        assert fits.status == (FitStatus.TOO_SHORT,) * len(values)
        assert predict(fits, MADE.later).shape == (len(values), 24)


def test_no_series_stops_the_others():
    rows = len(MADE.times)
    odd = np.full((8, rows), np.nan)
    odd[0] = 0.0
    odd[1] = -7.0
    odd[3, 5] = 3.0
    odd[4, [5, 9]] = 3.0, 4.0
    odd[5] = MADE.values[0] * 1e12
    odd[6], odd[6, 3] = MADE.values[0], np.inf
    odd[7, 3:7] = 2.5
    values = np.concatenate([MADE.values[:2], odd, MADE.values[2:]])
    given = values.copy()
    fits = fit(LINEAR, MADE.times, values)
    np.testing.assert_array_equal(values, given, strict=True)
    assert fits.status[2:10] == (
        *(FitStatus.CONSTANT, FitStatus.CONSTANT, FitStatus.TOO_SHORT, FitStatus.TOO_SHORT),
        *(FitStatus.NO_NOISE, FitStatus.OK, FitStatus.INFINITE, FitStatus.CONSTANT),
    )
    curves = predict(fits, MADE.later)
    assert (curves[2] == 0).all()
    assert (curves[3] == -7).all()
    assert np.isnan(curves[[4, 5, 8]]).all()
    assert np.isfinite(curves[6]).all()
    assert (curves[9] == 2.5).all()
    alone = fit(LINEAR, MADE.times, MADE.values)
    assert curves[[0, 1, 10, 11, 12, 13]] == pytest.approx(predict(alone, MADE.later), rel=1e-9)
    assert curves[7] == pytest.approx(1e12 * predict(alone, MADE.later)[0], rel=1e-9)
    assert predict(fits, MADE.times[[5, 9]])[6] == pytest.approx([3.0, 4.0], abs=1e-3)


numbers = st.floats(-1e290, 1e290, allow_nan=False) | st.sampled_from([np.nan, 0.0, 1.0, 1e12, 5e-324, np.inf])


@given(arrays.arrays(np.float64, (3, 12), elements=numbers))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("model", [FLAT, LINEAR], ids=["flat", "linear"])
def test_whatever_the_values_every_series_has_a_status_and_a_forecast_where_it_has_parameters(model, values):
    fits = fit(model, MADE.times[:12], values)
    curves = predict(fits, MADE.later[:3])
    for status, curve, sigma in zip(fits.status, curves, fits.sigma_obs, strict=True):
        assert np.isfinite(curve).all() == (status in USABLE)
        assert (sigma > 0) == (status in USABLE)


def test_a_curve_without_noise_is_found_and_told():
    hours = np.arange(len(MADE.times))
    exact = 50 + 20 * np.sin(2 * np.pi * hours / 24)
    fits = fit(FLAT, MADE.times, exact[None])
    assert fits.status == (FitStatus.NO_NOISE,)
    later = 50 + 20 * np.sin(2 * np.pi * (len(hours) + np.arange(24)) / 24)
    assert predict(fits, MADE.later)[0] == pytest.approx(later, abs=1e-3)


def test_chunks_and_kinds_of_numbers_make_no_difference():
    rng = np.random.default_rng(4)
    values = np.round(MADE.values[rng.integers(0, 6, 1100)] * rng.uniform(1, 2, (1100, 1)))
    fits = fit(LINEAR, MADE.times, values.astype(np.float32))
    assert set(fits.status) == {FitStatus.OK}
    picked = [0, 511, 512, 1023, 1024, 1099]
    alone = fit(LINEAR, MADE.times, values[picked])
    assert predict(fits, MADE.later)[picked] == pytest.approx(predict(alone, MADE.later), rel=1e-9)
    seconds = MADE.times.astype("datetime64[s]").astype(np.int64)
    by_seconds = fit(LINEAR, seconds, values[picked])
    assert (by_seconds.beta == alone.beta).all()


def test_the_default_model_is_prophets_own_default():
    prophet = Prophet()
    made_by_prophet = prophet.preprocess(_frame(MADE.times, MADE.values[0]))
    design = design_of(Model(Growth.LINEAR, (WEEK, DAY)), MADE.times, {})
    assert list(design.template.seasonalities) == ["weekly", "daily"]
    assert (made_by_prophet.X.to_numpy() == design.gaussian[:, 2:]).all()
    assert made_by_prophet.sigmas == design.scales[2:].tolist()
    assert (made_by_prophet.t_change == design.changepoints_t).all()
    assert made_by_prophet.tau == design.tau


def _frame(times, y):
    return pd.DataFrame({"ds": times, "y": y})


def test_linear_growth_without_changepoints_is_one_line():
    """Prophet then has one bend, at the very start, and folds it into the slope: both ways round it is one line."""
    for prior, slope_is_a_bend in ((0.05, False), (1e4, True)):
        model = Model(Growth.LINEAR, (DAY,), changepoints=0, changepoint_prior_scale=prior)
        fits = fit(model, MADE.times, MADE.values)
        assert not fits.delta.any()
        prophet = with_stan(model, MADE.times, MADE.values[2], **TIGHT)
        stan = prophet.predict(_frame(MADE.later, 0.0))["yhat"].to_numpy()
        # A slope that is no bend has its bend at 0, where Stan's search has no gradient.
        assert predict(fits, MADE.later)[2] == pytest.approx(stan, rel=1e-7 if slope_is_a_bend else 1e-3)
        if not slope_is_a_bend:
            assert moves(fits, 2, MADE.values[2] / fits.y_scale[2], 1e-6).min() > -1e-10


def test_a_series_as_a_prophet_object():
    model, columns, later = parts_model(MADE)
    values = MADE.with_gaps(seed=2).values
    fits = fit(model, MADE.times, values, columns)
    prophet = as_prophet(fits, 3, values[3])
    frame = _frame(MADE.later, 0.0).drop(columns="y").assign(**later)
    shown = prophet.predict(frame)
    assert shown["yhat"].to_numpy() == pytest.approx(predict(fits, MADE.later, later)[3], rel=1e-12)
    assert (shown["yhat_upper"] > shown["yhat_lower"]).all()
    assert len(prophet.history) == np.isfinite(values[3]).sum()
    text = model_to_json(prophet)
    assert json.loads(text)["growth"] == "flat"
    again = model_from_json(text).predict(frame)
    assert again["yhat"].to_numpy() == pytest.approx(shown["yhat"].to_numpy(), rel=1e-12)
    assert {"workday", "free day", "holidays", "rain", "wet"} <= set(shown)


def test_the_components_of_a_series_are_drawn_by_prophet():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    fits = fit(LINEAR, MADE.times, MADE.values)
    prophet = as_prophet(fits, 0, MADE.values[0])
    shown = prophet.predict()
    assert shown["yhat"].to_numpy() == pytest.approx(predict(fits, MADE.times)[0], rel=1e-12)
    figures = [prophet.plot_components(shown), prophet.plot(shown)]
    assert len(figures[0].axes) == 3  # trend, weekly, daily
    for figure in figures:
        matplotlib.pyplot.close(figure)


def test_prophet_objects_share_nothing():
    fits = fit(LINEAR, MADE.times, MADE.values)
    first, second = (as_prophet(fits, n, MADE.values[n]) for n in (0, 1))
    first.params["beta"][:] = 0
    first.seasonalities.clear()
    first.changepoints_t[:] = 0
    first.train_component_cols.iloc[:] = 0
    assert fits.beta[0].any()
    assert second.predict(_frame(MADE.later, 0.0))["yhat"].to_numpy() == pytest.approx(
        predict(fits, MADE.later)[1], rel=1e-12
    )


def test_a_constant_series_is_as_prophet_has_it_and_one_without_parameters_is_no_object():
    values = np.array([[4.0] * len(MADE.times), [np.nan] * len(MADE.times)])
    for model in (FLAT, LINEAR):
        fits = fit(model, MADE.times, values)
        stock = with_stan(model, MADE.times, values[0])
        ours = as_prophet(fits, 0, values[0])
        for name, value in stock.params.items():
            assert np.ravel(ours.params[name]) == pytest.approx(np.ravel(value))
        with pytest.raises(ValueError, match="series 1 is too_short"):
            as_prophet(fits, 1, values[1])
        with pytest.raises(ValueError, match="give one per time"):
            as_prophet(fits, 0, values[0, 1:])


def test_no_file_is_left():
    stan, temporary = Path(cmdstanpy._TMPDIR), Path(tempfile.gettempdir())
    before = set(stan.iterdir()), set(temporary.iterdir())
    fits = fit(LINEAR, MADE.times, MADE.values)
    as_prophet(fits, 0, MADE.values[0]).predict()
    with_stan(FLAT, MADE.times, MADE.values[0])
    with pytest.raises(RuntimeError):
        with_stan(FLAT, MADE.times, MADE.values[0], init_alpha=1e300)
    assert set(stan.iterdir()) == before[0]
    # Others use this folder too.
    assert not [path for path in set(temporary.iterdir()) - before[1] if "prophet" in path.name or "stan" in path.name]


def test_the_density_is_that_of_its_text():
    """One value of the objective, by hand: y = (1, 0.5, missing, 0) on a flat model with one wave."""
    times = np.arange("2026-01-01", "2026-01-05", dtype="datetime64[D]")
    model = Model(Growth.FLAT, (Seasonality("four", period_days=4, order=1, prior_scale=2.0),))
    design = design_of(model, times, {})
    features = design.gaussian[:, 1:]
    beta, m, sigma = np.array([0.3, -0.2]), 0.4, 0.7
    by_hand = 3 * np.log(sigma) + m**2 / 50 + (0.3**2 + 0.2**2) / (2 * 2.0**2) + 2 * sigma**2
    for row, y in ((0, 1.0), (1, 0.5), (3, 0.0)):
        by_hand += (y - m - features[row] @ beta) ** 2 / (2 * sigma**2)
    found = negative_log_posterior(
        design, np.array([1, 0.5, np.nan, 0]), k=0.0, m=m, delta=np.zeros(3), beta=beta, sigma_obs=sigma
    )
    assert found == pytest.approx(by_hand, rel=1e-12)
    assert features[1] == pytest.approx(-features[3], abs=1e-9)  # half a period apart


@pytest.mark.parametrize("size", [1, 3, 25])
@pytest.mark.parametrize("rank", [1, 25])
def test_the_lasso_ends_where_nothing_pulls_more_than_the_edge(size, rank):
    rng = np.random.default_rng(size)
    for _ in range(20):
        factor = np.cumsum(rng.normal(size=(min(size, rank), size)), axis=1)
        h, r = factor.T @ factor, factor.T @ rng.normal(size=min(size, rank))
        edge = rng.uniform(0.01, 1) * np.abs(r).max()
        x = rng.normal(size=size) * (rng.random(size) < 0.5)
        assert kernel.lasso(h, r, edge, x)
        pull = r - h @ x
        off = x == 0
        assert np.abs(pull[off]).max(initial=0) <= edge * (1 + 1e-6)
        assert pull[~off] == pytest.approx(edge * np.sign(x[~off]), abs=1e-6 * edge)


def test_a_lasso_beyond_its_edge_is_zero_and_one_within_is_not():
    h, r = np.diag([2.0, 1.0]), np.array([4.0, 0.5])
    x = np.array([1.0, 1.0])
    assert kernel.lasso(h, r, 1.0, x)
    assert x == pytest.approx([1.5, 0.0])


MISTAKES = [
    ({"times": MADE.times[::-1]}, "times fall somewhere"),
    ({"times": MADE.times.astype(float)}, "datetime64 values without a zone, or of whole epoch seconds"),
    ({"times": np.array(["NaT", "2026-01-01"] * 252, "datetime64[h]")}, "datetime64 values"),
    ({"times": np.repeat(MADE.times[:1], 504)}, "at least two different times"),
    ({"values": MADE.values[:, 1:]}, r"shape \(6, 503\); give floats, series × 504"),
    ({"values": MADE.values.astype(int)}, "values are int64"),
    ({"columns": {}}, "needs the column 'free'"),
    ({"columns": {"free": np.zeros(503)}}, "one finite value for each of the 504 times"),
    ({"columns": {"free": np.full(504, np.nan)}}, "one finite value"),
    ({"columns": {"free": np.full(504, 2)}}, "is a condition; it must hold true and false alone"),
]


@pytest.mark.parametrize(("given", "message"), MISTAKES)
def test_what_does_not_fit_together_is_told(given, message):
    model = Model(Growth.FLAT, (Seasonality("free day", period_days=1, order=2, condition="free"),))
    right = {"times": MADE.times, "values": MADE.values, "columns": {"free": np.ones(504, bool)}}
    fit(model, **right)
    with pytest.raises(ValueError, match=message):
        fit(model, **(right | given))


WRONG_MODELS = [
    ({"changepoints": -1}, "changepoints is -1"),
    ({"changepoint_range": 1.5}, "changepoint_range is 1.5"),
    ({"changepoint_prior_scale": 0}, "changepoint_prior_scale is 0"),
    ({"seasonalities": (Seasonality("a", 0, 1),)}, "'a': period_days is 0"),
    ({"seasonalities": (Seasonality("a", 1, 0),)}, "'a': order is 0"),
    ({"seasonalities": (DAY, DAY)}, "'daily' occurs twice"),
    ({"regressors": (Regressor("a", -1),)}, "'a': prior_scale is -1"),
    ({"holidays": (Holiday("a", ()),)}, "'a' has no days"),
    ({"holidays": (Holiday("a", (MADE.times[0].item().date(),), first_day=1),)}, "'a': first_day must be 0 or less"),
]


@pytest.mark.parametrize(("given", "message"), WRONG_MODELS)
def test_a_model_that_is_none_is_told(given, message):
    with pytest.raises(ValueError, match=message):
        Model(**given)


def test_the_objective_of_stan_is_computed_with_stans_numbers():
    fits = fit(FLAT, MADE.times, MADE.values)
    stan = with_stan(FLAT, MADE.times, MADE.values[0]).params
    worse = {name: np.array(value) * 1.01 for name, value in stan.items()}
    at_ours = objective(fits, 0, MADE.values[0])
    assert objective(fits, 0, MADE.values[0], stan) == pytest.approx(at_ours, abs=1e-3)
    assert objective(fits, 0, MADE.values[0], worse) > at_ours + 1e-3
