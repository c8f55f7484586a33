"""The reading half of the HTTP API."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Header, Path, Query
from fastapi.responses import Response, StreamingResponse

from web import events, questions, schemas
from web.deeds import permitted
from web.door import come_in, parts_of
from web.parts import Parts
from web.problems import Problem
from web.shapes import alert_json, shaped, stamp
from web.tokens import Viewer
from web.view import Case, levels_by_cell

Me = Annotated[Viewer, Depends(come_in)]
House = Annotated[Parts, Depends(parts_of)]
#: Nothing that the engine makes holds a control character.
AlertId = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f/]+$")]
Text = Annotated[str, Query(max_length=200, pattern=r"^[^\x00-\x1f]*$")]

REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.ProblemOut, "description": text, "content": {"application/problem+json": {}}}
    for status, text in {
        401: "No token, or one that is not known or has ended.",
        403: "The role does not permit it.",
        404: "There is no such thing.",
        409: "Not as the alert stands now: `legal` names what is.",
        413: "The body is too large.",
        421: "The server is not called by this name.",
        422: "Something is missing or out of range.",
        429: "Too often; see Retry-After.",
        503: "A part that is needed is away; trying again may help.",
    }.items()
}


def refused(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of these refusals and of those that any request may meet."""
    return {status: REFUSED[status] for status in sorted({*statuses, 401, 413, 421, 422, 429})}


router = APIRouter(prefix="/api", tags=["read"], responses=refused())


def said(value: Any, status: int = 200) -> Response:
    """Return a value as JSON."""
    return Response(msgspec.json.encode(value, enc_hook=_plain), status, media_type="application/json")


def _plain(value: Any) -> Any:
    return stamp(int(value.timestamp() * 1000)) if isinstance(value, datetime) else str(value)


@router.get("/me", response_model=schemas.MeOut)
async def me(viewer: Me) -> Response:
    """Say whose token this is and what it permits."""
    return said({"name": viewer.name, "role": viewer.role, "may": permitted(viewer.role)})


@router.get("/alerts", response_model=schemas.AlertsOut)
async def alerts(
    _: Me,
    house: House,
    *,
    state: Literal["open", "unfinished", "all"] = "open",
    level: schemas.LevelWord = "none",
    cell: Text = "",
    rule: Text = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    skip: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Response:
    """List alerts, the most urgent first: at least of a level, in cells whose code begins so, of one rule.

    `open`: the condition is not over. `unfinished`: it is, but people have not closed the case. `all`: whatever the log
    still has; older ones are in the table `alerts`.
    """
    view = house.view
    found: list[Case]
    if state == "open":
        found = view.open()
    elif state == "unfinished":
        found = view.unfinished()
    else:
        found = sorted(view.cases.values(), key=lambda case: (not case.is_open, case.urgency))
    found = [
        case
        for case in found
        if case.alert.level.word in _at_least(level)
        and case.alert.cell.startswith(cell)
        and rule in ("", case.alert.rule)
    ]
    page = [alert_json(case, house.place(case.alert.cell)) for case in found[skip : skip + limit]]
    return said({"alerts": page, "total": len(found), "log_time": _time(house)})


def _at_least(level: str) -> tuple[str, ...]:
    words = ("none", "blue", "yellow", "orange", "red")
    return words[words.index(level) :]


@router.get("/alerts/{alert_id}", response_model=schemas.CaseOut, responses=refused(404, 503))
async def alert(_: Me, house: House, alert_id: AlertId) -> Response:
    """Show one alert: how it stands, the evidence, every transition, every attempt to deliver its notices."""
    case, problems = await questions.case_of(house, alert_id)
    return said(
        {
            **alert_json(case, house.place(case.alert.cell)),
            "transitions": [shaped(step) for step in case.steps],
            "deliveries": [shaped(one) for one in case.deliveries],
            "problems": problems,
        }
    )


@router.get("/situations", response_model=schemas.RowsOut, responses=refused(503))
async def situations(_: Me, house: House) -> Response:
    """List the situations that are not over, the worst first."""
    return _rows(await questions.situations(house))


@router.get("/cells", response_model=schemas.CellsOut)
async def cells(
    _: Me,
    house: House,
    *,
    cell: Text = "",
    polygons: bool = False,
    limit: Annotated[int, Query(ge=1, le=100_000)] = 10_000,
) -> Response:
    """List the grid cells with the worst level of each."""
    opened = house.view.open()
    levels = levels_by_cell(opened)
    counts: dict[str, int] = {}
    for case in opened:
        counts[case.alert.cell] = counts.get(case.alert.cell, 0) + 1
    known = house.registry.cells
    names = [name for name in dict.fromkeys((*known, *levels)) if name.startswith(cell)]
    found = []
    for name in names[:limit]:
        one = known.get(name)
        found.append(
            {
                "grid_id": name,
                "name": one.name if one else "",
                "parent": one.parent if one else "",
                "level": levels[name].word if name in levels else "none",
                "open_alerts": counts.get(name, 0),
                "polygon": one.polygon if one and one.polygon and polygons else None,
            }
        )
    return said({"cells": found, "total": len(names)})


@router.get("/sensors/health", response_model=schemas.RowsOut, responses=refused(503))
async def sensors_health(_: Me, house: House) -> Response:
    """Say of each sensor when it last reported, and whether it is late."""
    return _rows(await questions.sensors(house))


@router.get("/series/{series:path}", response_model=schemas.SeriesOut, responses=refused(404, 503))
async def series(
    _: Me,
    house: House,
    series: Annotated[str, Path(max_length=400, pattern=r"^[^\x00-\x1f]+$", examples=["crowd/CAM-1/people_count"])],
    *,
    begin: Annotated[datetime | None, Query(alias="from")] = None,
    end: Annotated[datetime | None, Query(alias="to")] = None,
) -> Response:
    """Show one series (`kind/source/metric`): values with the expected band, and the forecast. Default: three hours."""
    try:
        span = questions.span(house, begin, end)
    except ValueError as error:
        raise Problem(422, str(error)) from error
    course = await questions.course(house, series, span)
    return said(
        {
            "series": series,
            "step_secs": course.step_secs,
            "points": course.points,
            "forecast": course.forecast,
            "age_secs": round(course.age_secs, 1),
            "problem": course.problem or None,
        }
    )


@router.get("/status", response_model=schemas.StatusOut)
async def status(_: Me, house: House) -> Response:
    """Say how the engine does: the log's time, open alerts by level, roles with their lag, health of the data."""
    found = await questions.status(house)
    return said({**found, "log_time": _time(house), "quiet_secs": round(house.hub.quiet_secs, 1)})


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={
        **refused(503),
        200: {"description": "Events `alert`, `time` and `reset`.", "content": {"text/event-stream": {}}},
    },
)
async def event_stream(
    _: Me,
    house: House,
    *,
    last_event_id: Annotated[str, Header(alias="Last-Event-ID", max_length=4000)] = "",
    after: Annotated[str, Query(max_length=4000)] = "",
) -> Response:
    """Send each transition of each alert as it comes (server-sent events).

    The id of an event names positions of the log. Come back with it (`Last-Event-ID`, or `?after=`) and you get what
    came since, each transition once. `reset` says that this was too long ago.
    """
    text = last_event_id or after
    seen = events.positions(text) if text else None
    if text and seen is None:
        raise Problem(422, "this is no id of an event of this stream; send the last id that you got, or none")
    return open_stream(house, events.stream(house.hub, seen))


def open_stream(house: Parts, source: Any) -> Response:
    """Return a stream of events, unless too many are open."""
    if house.hub.streams >= house.config.api.max_streams:
        raise Problem(503, "too many viewers are connected; try again, or raise api.max_streams", headers=_SOON)
    return StreamingResponse(source, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


_SOON = {"retry-after": "10"}


def _rows(answer: Any) -> Response:
    return said({"rows": answer.rows, "age_secs": round(answer.age_secs, 1), "problem": answer.problem or None})


def _time(house: Parts) -> str | None:
    return None if house.view.time_ms is None else stamp(house.view.time_ms)
