"""The page Review: a day or one incident, what was known when, minute by minute."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from gridbeacon.civil import civil_ms, start_of_day_ms, utc
from gridbeacon.model import Alert, AlertEvent
from gridbeacon.reasons import ConditionState, Level
from web import charts, questions
from web.problems import Problem
from web.scene import Scene, come_in
from web.speech import DAY_MS, MINUTE_MS
from web.view import Case

router = APIRouter(include_in_schema=False)
Look = Annotated[Scene, Depends(come_in)]
MOST_STEPS = 2000
MOST_LANES = 40
MINUTES = 15
"""Buttons step so far."""


@dataclass(frozen=True, slots=True)
class Stand:
    """How one alert stood at one minute."""

    alert: Alert
    step: AlertEvent


@router.get("/review")
async def review(
    scene: Look,
    day: Annotated[str, Query(max_length=10)] = "",
    incident: Annotated[str, Query(max_length=200)] = "",
    at: Annotated[str, Query(max_length=5)] = "",
) -> Response:
    """Show a day or an incident: lanes of its alerts, how things stood at a minute, and every step in order."""
    say = scene.speech
    problem = ""
    cases: list[Case] = []
    try:
        if incident:
            case, _ = await questions.case_of(scene.house, incident)
            cases = [case]
            begin_ms, end_ms = case.alert.opened_ms - 10 * MINUTE_MS, _end(case, say.now_ms) + 10 * MINUTE_MS
        else:
            begin_ms, end_ms = _day(scene, day)
            cases = await _cases(scene, begin_ms, end_ms)
    except ValueError as error:
        begin_ms, end_ms, problem = say.now_ms - DAY_MS, say.now_ms, str(error)
    except Problem as error:
        if incident and error.status == 404:
            raise
        begin_ms, end_ms, problem = say.now_ms - DAY_MS, say.now_ms, error.text
        if not incident:
            cases = _known(scene, begin_ms, end_ms)
    at_ms = _minute(scene, at, begin_ms, end_ms)
    steps = sorted(
        ((step, case.alert) for case in cases for step in case.steps if begin_ms <= step.at_ms < end_ms),
        key=lambda pair: (pair[0].at_ms, pair[0].alert_id, pair[0].version),
    )
    rows = [(scene.house.place(case.alert.cell), _spans(case, end_ms, say.now_ms)) for case in cases[:MOST_LANES]]
    return scene.render(
        "review.html",
        page="review",
        day=say.date(begin_ms + 12 * 3_600_000) if not incident else say.date(begin_ms),
        incident=incident,
        problem=problem,
        lanes=charts.lanes(say, rows, (begin_ms, end_ms)) if rows else "",
        steps=[(step, alert) for step, alert in steps[:MOST_STEPS]],
        cases=cases,
        hidden=max(0, len(steps) - MOST_STEPS),
        stands=_stands(cases, at_ms) if at_ms is not None else [],
        at_ms=at_ms,
        earlier=_clock(scene, None if at_ms is None else at_ms - MINUTES * MINUTE_MS),
        later=_clock(scene, None if at_ms is None else at_ms + MINUTES * MINUTE_MS),
        begin_ms=begin_ms,
        end_ms=end_ms,
    )


def _day(scene: Scene, day: str) -> tuple[int, int]:
    """Return begin and end of a civil day. Raises ``ValueError`` with what to do."""
    say = scene.speech
    try:
        wanted = date.fromisoformat(day) if day else utc(say.now_ms).astimezone(say.zone).date()
        begin_ms = start_of_day_ms(wanted, say.zone)
        end_ms = start_of_day_ms(wanted + timedelta(days=1), say.zone)
    except (ValueError, OverflowError):
        raise ValueError("this is no day; choose one as year-month-day") from None
    if begin_ms > say.now_ms:
        raise ValueError("this day has not come yet; choose one that has happened; the last day is shown")
    return begin_ms, end_ms


async def _cases(scene: Scene, begin_ms: int, end_ms: int) -> list[Case]:
    """Return the alerts that were open at any time of a span, from the database, newer ones from the log."""
    span: dict[str, Any] = {"begin": begin_ms, "end": end_ms}
    chosen = (
        "opened_at < fromUnixTimestamp64Milli(%(end)s) AND "
        "(changed_at >= fromUnixTimestamp64Milli(%(begin)s) OR condition_state != 'cleared')"
    )
    house = scene.house
    alerts = await questions.ask(
        house,
        f"SELECT * FROM alerts FINAL WHERE {chosen} ORDER BY highest_level DESC, opened_at LIMIT 500",  # noqa: S608 - our own words
        span,
    )
    steps = await questions.ask(
        house,
        f"SELECT * FROM alert_events FINAL WHERE alert_id IN (SELECT alert_id FROM alerts FINAL WHERE {chosen} "  # noqa: S608 - our own words
        "ORDER BY highest_level DESC, opened_at LIMIT 500) ORDER BY alert_id, version, at",
        span,
    )
    found = {alert.alert_id: Case(alert) for alert in questions.alerts_of(alerts.rows)}
    for step in questions.steps_of(steps.rows):
        if step.alert_id in found:
            found[step.alert_id].steps.append(step)
    for case in _known(scene, begin_ms, end_ms):
        known = found.get(case.alert.alert_id)
        if known is None or known.alert.version < case.alert.version:
            found[case.alert.alert_id] = case
    return sorted(found.values(), key=lambda case: (-int(case.alert.highest_level), case.alert.opened_ms))


def _known(scene: Scene, begin_ms: int, end_ms: int) -> list[Case]:
    """Return the alerts of a span that the log still has."""
    found = [
        case
        for case in scene.house.view.cases.values()
        if case.steps and case.alert.opened_ms < end_ms and _end(case, scene.speech.now_ms) >= begin_ms
    ]
    return sorted(found, key=lambda case: (-int(case.alert.highest_level), case.alert.opened_ms))


def _end(case: Case, now_ms: int) -> int:
    return now_ms if case.is_open else max(case.alert.changed_ms, case.alert.opened_ms)


def _spans(case: Case, end_ms: int, now_ms: int) -> list[tuple[int, int, str]]:
    """Return from when to when an alert had which level."""
    found: list[tuple[int, int, str]] = []
    level, since = Level.NONE, case.alert.opened_ms
    for step in case.steps:
        if step.level_to is level:
            continue
        if level:
            found.append((since, step.at_ms, level.word))
        level, since = step.level_to, step.at_ms
    if level:
        found.append((since, min(end_ms, now_ms), level.word))
    return found


def _stands(cases: list[Case], at_ms: int) -> list[Stand]:
    """Return the alerts that were open at a minute, as they stood then."""
    found = []
    for case in cases:
        before = [step for step in case.steps if step.at_ms < at_ms + MINUTE_MS and step.refusal is None]
        if before and before[-1].condition_to is not ConditionState.CLEARED:
            found.append(Stand(case.alert, before[-1]))
    return sorted(found, key=lambda stand: (-int(stand.step.level_to), stand.alert.opened_ms))


def _minute(scene: Scene, at: str, begin_ms: int, end_ms: int) -> int | None:
    """Return the minute that was asked for, None when there is none or it is not of this span."""
    try:
        clock = time.fromisoformat(at) if at else None
    except ValueError:
        return None
    if clock is None:
        return None
    first = utc(begin_ms).astimezone(scene.speech.zone).date()
    for days in range(3):
        found = civil_ms(datetime.combine(first + timedelta(days=days), clock.replace(tzinfo=None)), scene.speech.zone)
        if begin_ms <= found < end_ms:
            return found
    return None


def _clock(scene: Scene, time_ms: int | None) -> str:
    return "" if time_ms is None else utc(time_ms).astimezone(scene.speech.zone).strftime("%H:%M")
