"""What is decided about situations, alerts, notices and deliveries, by the engine and by people."""

from enum import StrEnum


class ConditionState(StrEnum):
    """What the engine knows of the condition; people never set it. What has not lasted for its time is no alert yet."""

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
