"""Every decision's reason, once. The same word is the metric label, the ClickHouse column and the webhook field.

The order of ``Reason`` is part of the frame format (a reason travels as its number): append, never reorder.
"""

from gridbeacon.reasons.ahead import (
    CalendarMode,
    CrossingOutcome,
    DayType,
    FitFailure,
    ForecastModel,
    ForecastReason,
    Tier,
)
from gridbeacon.reasons.alerts import (
    ActionKind,
    ActionSource,
    BudgetReason,
    CallbackRefusal,
    Certainty,
    ConditionState,
    DeliveryOutcome,
    Disposition,
    HandlingState,
    HoldReason,
    LessonKind,
    Mode,
    Refusal,
    Role,
    SituationKind,
    Trend,
)
from gridbeacon.reasons.observed import CAP_SEVERITY, REASON_NUMBER, REASONS, Level, Reason, Rejection, Stage, State

__all__ = [
    "CAP_SEVERITY",
    "REASONS",
    "REASON_NUMBER",
    "ActionKind",
    "ActionSource",
    "BudgetReason",
    "CalendarMode",
    "CallbackRefusal",
    "Certainty",
    "ConditionState",
    "CrossingOutcome",
    "DayType",
    "DeliveryOutcome",
    "Disposition",
    "FitFailure",
    "ForecastModel",
    "ForecastReason",
    "HandlingState",
    "HoldReason",
    "LessonKind",
    "Level",
    "Mode",
    "Reason",
    "Refusal",
    "Rejection",
    "Role",
    "SituationKind",
    "Stage",
    "State",
    "Tier",
    "Trend",
]
