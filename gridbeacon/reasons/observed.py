"""What decode and observe decide, and the levels. ``Reason`` travels as its number: append, never reorder."""

from enum import IntEnum, StrEnum


class Rejection(StrEnum):
    """Why a record, or one object of a record, became a dead letter instead of an observation or event."""

    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_SOURCE = "unknown_source"
    UNKNOWN_GRID = "unknown_grid"
    PRIVACY = "privacy"
    TOO_LATE = "too_late"
    FROM_THE_FUTURE = "from_the_future"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    WRONG_TOPIC = "wrong_topic"
    EMPTY = "empty"
    NOT_STORABLE = "not_storable"


class Stage(StrEnum):
    """Where on the straight line a record was rejected."""

    DECODE = "decode"
    STORE = "store"


class Reason(StrEnum):
    """Why a verdict says what it says, and why a signal or a transition exists."""

    WITHIN_BAND = "within_band"
    WARMING_UP = "warming_up"
    # the observation itself
    DUPLICATE = "duplicate"
    LATE = "late"
    # layer 1, absolute limits
    DENSITY = "density"
    CAPACITY = "capacity"
    FLOW = "flow"
    DENSITY_UP_FLOW_DOWN = "density_up_flow_down"
    INFLOW_PROJECTION = "inflow_projection"
    # layer 2, learned
    ABOVE_EXPECTED = "above_expected"
    BELOW_EXPECTED = "below_expected"
    JOINT_DEPARTURE = "joint_departure"
    # layer 3, data quality
    GONE_QUIET = "gone_quiet"
    STUCK = "stuck"
    IMPOSSIBLE_JUMP = "impossible_jump"
    LOW_COVERAGE = "low_coverage"
    LOW_CONFIDENCE = "low_confidence"
    # grid events
    URGENT_REPORT = "urgent_report"
    REPORT_COUNT = "report_count"
    # ends and life cycle
    BACK_TO_NORMAL = "back_to_normal"
    LEVEL_LOWERED = "level_lowered"
    DATA_LOST = "data_lost"
    DATA_BACK = "data_back"
    # layer 2, learned: the statistic that decided (detectors.judge_layout.Statistic)
    HOUR_OF_WEEK = "hour_of_week"
    HOUR_OF_DAY = "hour_of_day"
    RECENT_LEVEL = "recent_level"
    CHANGE = "change"
    DRIFT = "drift"
    RECORD = "record"
    SHORT_DEPARTURE = "short_departure"
    LONG_DEPARTURE = "long_departure"
    DETECTOR = "detector"
    LEVEL_SHIFT = "level_shift"
    # layer 2, held back by the calendar
    MUTED = "muted"
    EXPECTED_LOAD = "expected_load"
    # situations
    CORROBORATED = "corroborated"
    """Two kinds of witness say so: the level is one higher than the worst finding's."""
    REPORT_CLUSTER = "report_cluster"
    """More reports in neighbouring cells together than chance would bring."""
    RECURRED = "recurred"
    """It begins again where an alert has cleared not long ago."""
    SPLIT_OFF = "split_off"
    """It was part of another situation, and is apart from it now."""
    MERGED = "merged"
    """It has become part of an older situation."""

    # people, and what the engine does because nobody did
    ACTION = "action"
    """A person acted."""
    NOT_ACKNOWLEDGED = "not_acknowledged"
    """Nobody acknowledged in time."""
    LEFT_OPEN = "left_open"
    """Its condition is long over and nobody closed it."""
    REOPENED = "reopened"
    """It goes on as a new alert."""
    # forecasts: a limit that will be passed, and how that ended
    FORECAST_WATCH = "forecast_watch"
    FORECAST_WARNING = "forecast_warning"
    FORECAST_CAME_TRUE = "forecast_came_true"
    FORECAST_FADED = "forecast_faded"
    FORECAST_OVERDUE = "forecast_overdue"
    FORECAST_LOST = "forecast_lost"
    MUTE_OVER = "mute_over"
    """The silence, or the graver alert, that held it back is over."""
    GROUP_WAITED = "group_waited"
    """It waited for the others of its group."""


REASONS: tuple[Reason, ...] = tuple(Reason)


REASON_NUMBER: dict[Reason, int] = {reason: number for number, reason in enumerate(REASONS)}


class State(IntEnum):
    """The three values of a verdict; ``warming_up`` means "can't tell yet", never "normal"."""

    WARMING_UP = 0
    NORMAL = 1
    ANOMALOUS = 2

    @property
    def word(self) -> str:
        """The state as it is written in tables and notices, for example ``'warming_up'``."""
        return self.name.lower()


class Level(IntEnum):
    """Four-colour warning scale; ``NONE`` (0) is "no warning"."""

    NONE = 0
    BLUE = 1
    YELLOW = 2
    ORANGE = 3
    RED = 4

    @property
    def word(self) -> str:
        """The level as it is written in tables and notices, for example ``'orange'``."""
        return self.name.lower()


#: CAP 1.2 severity of each level (the one place where the scales meet).
CAP_SEVERITY: dict[Level, str] = {
    Level.NONE: "Unknown",
    Level.BLUE: "Minor",
    Level.YELLOW: "Moderate",
    Level.ORANGE: "Severe",
    Level.RED: "Extreme",
}
