"""Every decision's reason, once. The same word is the metric label, the ClickHouse column and the webhook field.

The order of ``Reason`` is part of the frame format (a reason travels as its number): append, never reorder.
"""

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


class ConditionState(StrEnum):
    """What the engine knows of the condition; people never set it."""

    PENDING = "pending"
    ACTIVE = "active"
    CLEARED = "cleared"
    UNKNOWN = "unknown"


class HandlingState(StrEnum):
    """What people have done about it: the closed loop of digital grid management."""

    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    CASE_FILED = "case_filed"
    DISPATCHED = "dispatched"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"
    VERIFIED = "verified"
    CLOSED = "closed"
    REVIEWED = "reviewed"


class ActionKind(StrEnum):
    """What a person can do about an alert."""

    ACKNOWLEDGE = "acknowledge"
    ASSIGN = "assign"
    FILE_CASE = "file_case"
    DISPATCH = "dispatch"
    START = "start"
    RESOLVE = "resolve"
    VERIFY = "verify"
    CLOSE = "close"
    REVIEW = "review"
    REOPEN = "reopen"
    FEEDBACK = "feedback"
    COMMENT = "comment"


class ActionSource(StrEnum):
    """By which door an action came in."""

    CLI = "cli"
    API = "api"
    WEBHOOK = "webhook"


class Role(StrEnum):
    """What a person may do; each may do what those before it may."""

    VIEWER = "viewer"
    DISPATCHER = "dispatcher"
    OFFICER = "officer"
    ADMIN = "admin"


class Disposition(StrEnum):
    """What people say of an alert afterwards."""

    ANOMALY = "ANOMALY"
    ANOMALY_EXPECTED = "ANOMALY_EXPECTED"
    NOT_ANOMALY = "NOT_ANOMALY"
    ANOMALY_NEW_TREND = "ANOMALY_NEW_TREND"
    NO_FEEDBACK = "NO_FEEDBACK"


class LessonKind(StrEnum):
    """What ``detect`` is to learn of a feedback."""

    MASK = "mask"
    """The series is not learned from, from one time to another."""
    RESET = "reset"
    """What is usual for the series is learned anew."""


class Refusal(StrEnum):
    """Why an action of a person changed nothing."""

    UNKNOWN_ALERT = "unknown_alert"
    OLD_VERSION = "old_version"
    ILLEGAL_STEP = "illegal_step"
    NOT_PERMITTED = "not_permitted"
    REASON_MISSING = "reason_missing"
    """To close what is not over, to comment, or to silence, takes words."""
    ASSIGNEE_MISSING = "assignee_missing"
    DISPOSITION_MISSING = "disposition_missing"
    OWNER_MISSING = "owner_missing"
    END_MISSING = "end_missing"
    """A silence has an end, after its beginning and after now."""
    UNKNOWN_SILENCE = "unknown_silence"


class Certainty(StrEnum):
    """CAP 1.2 certainty of an alert."""

    OBSERVED = "Observed"
    LIKELY = "Likely"
    POSSIBLE = "Possible"
    UNKNOWN = "Unknown"


class SituationKind(StrEnum):
    """What a situation is mainly about."""

    CROWDING = "crowding"
    COUNTERFLOW = "counterflow"
    """People in both directions at once, more than is usual."""
    TRAFFIC_SHOCK = "traffic_shock"
    INCIDENT_REPORTS = "incident_reports"
    FORECAST = "forecast"
    """Nothing yet, but a limit will be crossed."""
    DATA_LOSS = "data_loss"
    DATA_DOUBT = "data_doubt"
    """Data come, and can't be right."""


class Trend(StrEnum):
    """Which way a situation has gone in the last ten minutes."""

    RISING = "rising"
    STEADY = "steady"
    FALLING = "falling"


class Mode(StrEnum):
    """Whether an alert is about the world, or about a replay, an exercise or a test."""

    LIVE = "live"
    REPLAY = "replay"
    EXERCISE = "exercise"
    TEST = "test"


class HoldReason(StrEnum):
    """Why a transition became no notice."""

    BELOW_MIN_LEVEL = "below_min_level"
    NOT_FOR_DISPATCH = "not_for_dispatch"
    LEVEL_LOWERED = "level_lowered"
    FOR_THE_RECORD = "for_the_record"
    """A step of people that others need not hear of: a comment, an assignment."""
    REFUSED = "refused"
    REOPENED = "reopened"
    """It goes on as a new alert, and that one is told."""
    CLOSED = "closed"
    """People have closed it."""
    SILENCED = "silenced"
    INHIBITED = "inhibited"
    """A graver alert that has labels in common is open."""
    GROUPED = "grouped"
    """Others of its group were told just now: they become one notice."""
    ALREADY_TOLD = "already_told"
    """It is at a level that was told not long ago."""
    ANSWERED = "answered"
    """Somebody has acknowledged it, or it is over: nobody is called any further."""


class BudgetReason(StrEnum):
    """Why a learned finding became an alarm, or did not."""

    TOLD = "told"
    SAME_SITUATION = "same_situation"
    """It belongs to an alarm that was told already, and costs nothing."""
    TOO_COMMON = "too_common"
    """As odd as this comes more often than the limit allows."""
    COOL_DOWN = "cool_down"
    """An alert cleared here not long ago: it is told whatever it is worth, and costs nothing."""
    TOO_WEAK_ALONE = "too_weak_alone"
    """Its score is too small for a finding that nothing corroborates."""


class DeliveryOutcome(StrEnum):
    """How one attempt to deliver a notice to one endpoint ended."""

    DELIVERED = "delivered"
    RETRY = "retry"
    PERMANENT = "permanent"
    DISABLED = "disabled"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    """Not sent: the fallback has had a later notice of the alert, or it is a call and somebody has taken the alert."""
    ENABLED = "enabled"
    """No attempt: an endpoint that was disabled gets notices again."""


class CallbackRefusal(StrEnum):
    """Why a callback of a dispatcher's system did not even become an action."""

    UNKNOWN_ENDPOINT = "unknown_endpoint"
    NOT_PERMITTED = "not_permitted"
    TOO_LARGE = "too_large"
    UNVERIFIED = "unverified"
    """Forged, changed on the way, or too old."""
    REPLAYED = "replayed"
    BAD_BODY = "bad_body"


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
