"""What is announced, and what is foreseen: the calendar and forecasts."""

from enum import IntEnum, StrEnum


class CalendarMode(StrEnum):
    """What a window of the calendar asks for while it is open."""

    MUTE = "mute"
    RAISE_THRESHOLD = "raise_threshold"
    EXPECTED_LOAD = "expected_load"
    TRAIN_MASK = "train_mask"


class DayType(StrEnum):
    """What kind of day a civil date is in this city."""

    WORKDAY = "workday"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"
    MAKEUP_WORKDAY = "makeup_workday"


class ForecastModel(StrEnum):
    """Which model a forecast of a series comes from."""

    PROPHET_BATCH = "prophet_batch"
    """Prophet, fitted for all series at once, averaged with the weekly profile."""
    PROFILE = "profile"
    """What is usual at this time of the day and week."""
    NAIVE = "naive"
    """The latest value, or nothing where there is none."""
    PROPHET = "prophet"
    """Stock Prophet."""


class ForecastReason(StrEnum):
    """Why a series' forecast comes from that model."""

    FITTED = "fitted"
    SHORT_HISTORY = "short_history"
    """Less than two weeks of history, or less than a day."""
    SPARSE_HISTORY = "sparse_history"
    """Days enough, but most of their slots are missing."""
    NO_HISTORY = "no_history"
    """Nothing was measured before: there is no forecast."""
    CONSTANT = "constant"
    """Every value is the same."""
    NOT_CONVERGED = "not_converged"
    """The fit of Prophet did not end; the profile stands in."""
    NOT_FINITE = "not_finite"
    """Values are infinite or beyond what can be computed with; they are left out."""
    EXPIRED = "expired"
    """The fit is older than its ``valid_until``: the profile stands in."""
    FAILED = "failed"
    """The fit ended with an error; the profile or the last forecast stands in."""


class Tier(IntEnum):
    """How surely a forecast says that a limit will be passed."""

    NONE = 0
    WATCH = 1
    """The upper end of the 80 % band passes it."""
    WARNING = 2
    """The point forecast passes it."""

    @property
    def word(self) -> str:
        """The tier as it is written in tables and notices, for example ``'watch'``."""
        return self.name.lower()


class CrossingOutcome(StrEnum):
    """What became of a crossing that was foreseen."""

    OPEN = "open"
    CAME_TRUE = "came_true"
    WITHDRAWN = "withdrawn"


class FitFailure(StrEnum):
    """Why a refit that was asked for gave nothing; the last forecast stays valid until its end."""

    HISTORY_AWAY = "history_away"
    """ClickHouse can't be reached."""
    HISTORY_BEHIND = "history_behind"
    """The role store has not yet written what the refit is to learn from."""
    TIMED_OUT = "timed_out"
    """It took longer than ``forecast.fit_limit_secs``."""
    CRASHED = "crashed"
    """The process that fitted ended with an error."""
    SUPERSEDED = "superseded"
    """A newer request for the same series came while this one waited."""
