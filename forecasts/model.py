"""What a forecast model is made of: additive Prophet, described in plain values that can be compared and stored."""

from datetime import date
from enum import StrEnum

import msgspec


class Growth(StrEnum):
    """The trend: one level, or a line that may bend at the changepoints."""

    FLAT = "flat"
    LINEAR = "linear"


class Seasonality(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Fourier sum of ``order`` sines and cosines that repeats every ``period_days``.

    With ``condition`` it holds only where the column of that name is true. ``prior_scale`` is the standard deviation
    of a coefficient before any data, as a share of the largest value.
    """

    name: str
    period_days: float
    order: int
    prior_scale: float = 10.0
    condition: str | None = None


class Holiday(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days with an effect of their own, one coefficient for each day from ``first_day`` to ``last_day`` around them."""

    name: str
    days: tuple[date, ...]
    first_day: int = 0
    last_day: int = 0
    prior_scale: float = 10.0


class Regressor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column of numbers with one coefficient. As in Prophet, it is standardised unless it holds only 0 and 1."""

    name: str
    prior_scale: float = 10.0


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Additive Prophet: a trend, seasonalities, holidays and regressors. Nothing is added that is not named here.

    ``changepoints`` places for a bend stand evenly over the first ``changepoint_range`` of the rows (linear growth
    only); ``changepoint_prior_scale`` is the mean size of a bend before any data. Raises ``ValueError`` on a value
    that makes no model.

    >>> daily = Seasonality("daily", period_days=1, order=4)
    >>> weekly = Seasonality("weekly", period_days=7, order=3)
    >>> Model(seasonalities=(daily, weekly)).changepoints  # what Prophet fits by default
    25
    >>> Model(seasonalities=(Seasonality("daily", period_days=1, order=0),))
    Traceback (most recent call last):
    ValueError: seasonality 'daily': order is 0, it must be 1 or more
    """

    growth: Growth = Growth.LINEAR
    seasonalities: tuple[Seasonality, ...] = ()
    holidays: tuple[Holiday, ...] = ()
    regressors: tuple[Regressor, ...] = ()
    changepoints: int = 25
    changepoint_range: float = 0.8
    changepoint_prior_scale: float = 0.05

    def __post_init__(self) -> None:
        """Refuse what Prophet would refuse later, or would take for something else."""
        _above_zero("changepoint_prior_scale", self.changepoint_prior_scale)
        if self.changepoints < 0:
            raise ValueError(f"changepoints is {self.changepoints}, it must be 0 or more")
        if not 0 <= self.changepoint_range <= 1:
            raise ValueError(f"changepoint_range is {self.changepoint_range}, it must be from 0 to 1")
        for wave in self.seasonalities:
            _above_zero(f"seasonality {wave.name!r}: period_days", wave.period_days)
            _above_zero(f"seasonality {wave.name!r}: prior_scale", wave.prior_scale)
            if wave.order < 1:
                raise ValueError(f"seasonality {wave.name!r}: order is {wave.order}, it must be 1 or more")
        for holiday in self.holidays:
            _above_zero(f"holiday {holiday.name!r}: prior_scale", holiday.prior_scale)
            if not holiday.days:
                raise ValueError(f"holiday {holiday.name!r} has no days; name one or leave it out")
            if not holiday.first_day <= 0 <= holiday.last_day:
                raise ValueError(f"holiday {holiday.name!r}: first_day must be 0 or less, last_day 0 or more")
        for regressor in self.regressors:
            _above_zero(f"regressor {regressor.name!r}: prior_scale", regressor.prior_scale)
        names = [wave.name for wave in self.seasonalities] + [holiday.name for holiday in self.holidays]
        names += [regressor.name for regressor in self.regressors]
        twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
        if twice is not None:
            raise ValueError(f"the name {twice!r} occurs twice in the model; rename one")


def _above_zero(what: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise ValueError(f"{what} is {value}, it must be above 0")
