"""The pages of the duty board: Now, Alert, Ahead, Engine. Review and log-in are beside it."""

import asyncio
import gzip
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from gridbeacon.config import Config
from gridbeacon.model import Evidence
from gridbeacon.reasons import ActionKind, ConditionState, Disposition, HandlingState, Level, SituationKind
from web import ahead, charts, deeds, questions
from web.lately import Lately
from web.problems import Problem
from web.reads import AlertId
from web.scene import Scene, check_form, come_in
from web.speech import DAY_MS, HOUR_MS, Speech
from web.strip import strip_of
from web.view import Case
from web.words import METRICS

router = APIRouter(include_in_schema=False)
Look = Annotated[Scene, Depends(come_in)]

SHOWN = 60
"""Alerts on the first page; more are one link away."""
ON_WALL = 4
"""Alerts that a wall shows; as ``board.css`` says."""
PAGE = 200
MOST_MARKS = 2000
NAME_HEIGHT = 36.0
NAMED_LEFT_FROM = 650.0
"""From here on to the right a name stands left of its cell."""
MOST_NAMED = 6
"""Places named on the map: the worst; more would lie on one another."""
MOST_RENDERED = 100
FRESH_SECS = 1.0
"""Ages and the strip may be so old in parts that are shared."""
MOST_CHARTS = 4
#: The usual next step of each state of handling; the other legal ones stand beside it.
_NEXT = {
    HandlingState.NEW: ActionKind.ACKNOWLEDGE,
    HandlingState.ACKNOWLEDGED: ActionKind.DISPATCH,
    HandlingState.CASE_FILED: ActionKind.DISPATCH,
    HandlingState.DISPATCHED: ActionKind.START,
    HandlingState.IN_PROGRESS: ActionKind.RESOLVE,
    HandlingState.RESOLVED: ActionKind.VERIFY,
    HandlingState.VERIFIED: ActionKind.CLOSE,
    HandlingState.CLOSED: ActionKind.REVIEW,
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One cell with an open alert on the map or among the tiles."""

    cell: str
    place: str
    level: str
    unknown: bool
    alert_id: str
    count: int
    path: str = ""
    x: float = 0.0
    y: float = 0.0
    size: float = 0.0


@router.get("/")
async def now(scene: Look, rev: int = 0, skip: Annotated[int, Query(ge=0, le=1_000_000)] = 0) -> Response:
    """Show what is the case now: map, alerts by urgency, health of the data."""
    everything = "all" in scene.request.query_params
    if not scene.fragment:
        return (await _now(scene, skip, everything=everything))[1]
    # Nothing in it is of one viewer alone: who asks for the same gets the same, rendered and packed once.
    kept = scene.house.kept.setdefault("now", OrderedDict())
    key = (scene.speech.language, scene.wall, skip, everything)
    rendered = kept.pop(key, None) or Rendered()
    kept[key] = rendered
    while len(kept) > MOST_RENDERED:
        kept.popitem(last=False)
    async with rendered.lock:
        if rendered.rev < rev or time.monotonic() - rendered.at > FRESH_SECS:
            rendered.rev, answer = await _now(scene, skip, everything=everything)
            rendered.at, rendered.body = time.monotonic(), bytes(answer.body)
            rendered.packed = gzip.compress(rendered.body, 5)
    return _packed(scene, rendered.body, rendered.packed)


@dataclass
class Rendered:
    """Parts of the first page as they were rendered last; one renders, and whoever asks meanwhile waits for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    rev: int = -1
    at: float = float("-inf")
    body: bytes = b""
    packed: bytes = b""


async def _now(scene: Scene, skip: int, *, everything: bool) -> tuple[int, Response]:
    """Return the page, and the state of the view that it shows."""
    house = scene.house
    at_rev = house.view.rev
    opened = house.view.open()
    counts = dict.fromkeys(("red", "orange", "yellow", "blue"), 0)
    for case in opened:
        if case.alert.level:
            counts[case.alert.level.word] += 1
    marks, tiles = _marks(scene, opened)
    size = SHOWN if not skip and not everything else PAGE
    return at_rev, scene.render(
        "now.html",
        page="now",
        cases=opened[skip : skip + size],
        skip=skip,
        on_wall=ON_WALL,
        size=size,
        total=len(opened),
        counts=counts,
        waiting=sum(1 for case in opened if case.alert.handling_state is HandlingState.NEW and case.alert.level >= 2),
        unfinished=house.view.unfinished()[:20],
        looked=_not_looked_at(scene),
        plan=house.plan,
        marks=marks,
        named=_named(marks),
        left_from=NAMED_LEFT_FROM,
        tiles=tiles,
        strip=await strip_of(scene),
        rev=at_rev,
    )


def _packed(scene: Scene, body: bytes, packed: bytes) -> Response:
    """Return parts that were rendered for another viewer just now; packed once for all."""
    headers = {"vary": "Accept-Encoding"}
    if "gzip" in scene.request.headers.get("accept-encoding", ""):
        return Response(packed, media_type="text/html", headers={**headers, "content-encoding": "gzip"})
    return Response(body, media_type="text/html", headers=headers)


def _not_looked_at(scene: Scene) -> int:
    """Return how many alerts of the last day from yellow on are over and were never looked at."""
    since = scene.speech.now_ms - DAY_MS
    return sum(
        1
        for case in scene.house.view.cases.values()
        if not case.is_open
        and case.alert.handling_state is HandlingState.NEW
        and case.alert.highest_level >= Level.YELLOW
        and case.alert.changed_ms >= since
    )


def _marks(scene: Scene, opened: Iterable[Case]) -> tuple[list[Mark], list[Mark]]:
    """Return the cells with open alerts that are on the map, the worst last (on top), and those that are not."""
    plan = scene.house.plan
    worst: dict[str, tuple[Case, int]] = {}
    for case in opened:
        for cell in case.alert.cells or (case.alert.cell,):
            known = worst.get(cell)
            if known is None:
                worst[cell] = (case, 1)
            else:
                worst[cell] = (max(known[0], case, key=lambda one: (one.alert.level, one is known[0])), known[1] + 1)
    marks, tiles = [], []
    for cell, (case, count) in worst.items():
        alert = case.alert
        mark = Mark(
            cell=cell,
            place=scene.house.place(cell),
            level=alert.level.word,
            unknown=alert.condition_state is ConditionState.UNKNOWN,
            alert_id=alert.alert_id,
            count=count,
        )
        plot = plan.plots.get(cell)
        if plot is None:
            tiles.append(mark)
            continue
        size = 22.0 + 6 * int(alert.level) if cell == (alert.centre or alert.cell) else 0.0
        marks.append(replace(mark, path=plot.path, x=plot.x, y=plot.y, size=size))
    marks.sort(key=lambda mark: (LEVEL_OF[mark.level], mark.cell))
    return marks[-MOST_MARKS:], tiles


def _named(marks: Iterable[Mark]) -> list[Mark]:
    """Return the cells whose names stand on the map: the worst, as far as no name lies on another."""
    found: list[Mark] = []
    lines: list[tuple[float, float, float]] = []
    for mark in reversed([mark for mark in marks if mark.size and mark.level in ("red", "orange")]):
        wide = mark.size + sum(28 if ord(letter) > 0x2E80 else 17 for letter in mark.place)
        begin = mark.x - wide if mark.x > NAMED_LEFT_FROM else mark.x
        if len(found) < MOST_NAMED and not any(
            abs(mark.y - y) < NAME_HEIGHT and begin < other_end and other_begin < begin + wide
            for y, other_begin, other_end in lines
        ):
            found.append(mark)
            lines.append((mark.y, begin, begin + wide))
    return found


LEVEL_OF = {level.word: int(level) for level in Level}


@router.get("/alerts/{alert_id}")
async def alert(scene: Look, alert_id: AlertId, done: str = "") -> Response:
    """Show one alert: what it says, the evidence with its series, the course, who did what, and what can be done."""
    return await _alert_page(scene, alert_id, done=done if done in list(ActionKind) else "")


async def _alert_page(
    scene: Scene, alert_id: str, *, done: str = "", refusal: str = "", status: int = 200, given: Any = None
) -> Response:
    case, problems = await questions.case_of(scene.house, alert_id)
    state = case.alert.handling_state
    choices = deeds.choices(state, scene.viewer.role)
    following = _NEXT.get(state)
    if following not in choices or (following is ActionKind.CLOSE and case.is_open):
        following = None
    return scene.render(
        "alert.html",
        status,
        page="alert",
        case=case,
        alert=case.alert,
        problems=problems,
        evidence=sorted(case.alert.evidence, key=lambda one: (-int(one.level), one.since_ms)),
        charts=await _charts(scene, case),
        choices=[kind for kind in choices if kind not in (following, ActionKind.FEEDBACK)],
        may_judge=ActionKind.FEEDBACK in choices,
        following=following,
        dispositions=list(Disposition),
        done=done,
        refusal=refusal,
        given=given or {"note": "", "assignee": ""},
        follows=scene.house.view.cases.get(case.alert.follows or case.alert.reopens),
    )


async def _charts(scene: Scene, case: Case) -> list[dict[str, Any]]:
    """Return a chart of each series behind an alert, or the sentence that says why there is none."""
    alert = case.alert
    found: list[dict[str, Any]] = []
    end_ms = min(scene.speech.now_ms, (alert.cleared_ms or scene.speech.now_ms) + HOUR_MS) // 1000 * 1000 + 1000
    begin_ms = max(min(alert.opened_ms - 2 * HOUR_MS, end_ms - 3 * HOUR_MS), end_ms - 2 * DAY_MS)
    for one in {one.series: one for one in alert.evidence}.values():
        if len(found) == MOST_CHARTS:
            break
        metric = one.series.rpartition("/")[2]
        source = one.series.partition("/")[2].rpartition("/")[0]
        name, unit = METRICS.get(metric, (metric, ""))
        title = f"{source}: {scene.speech.t(name)}"
        try:
            course = await questions.course(scene.house, one.series, questions.Span(begin_ms, end_ms))
        except Problem as error:
            found.append({"title": title, "unit": "", "chart": "", "problem": error.text, "age": ""})
            continue
        limits = limits_of(scene.house.config, scene.speech, one, metric)
        drawn = charts.series(
            scene.speech, title, scene.speech.t(unit), course.points, course.forecast, limits, (begin_ms, end_ms)
        )
        found.append(
            {
                "title": title,
                "unit": scene.speech.t(unit),
                "chart": drawn if course.points else "",
                "points": course.points[-12:],
                "forecast": bool(course.forecast),
                "problem": course.problem,
                "age": scene.speech.length(course.age_secs * 1000) if course.problem else "",
            }
        )
    return found


def limits_of(config: Config, speech: Speech, one: Evidence, metric: str) -> list[charts.Line]:
    """Return the limits that a series is held against: the ladder of densities, else the threshold of the finding."""
    if metric == "density_max_per_m2":
        ladder = config.limits.moving
        if one.threshold is not None and one.layer == "limit":
            ladder = next(
                (
                    steps
                    for steps in (config.limits.moving, config.limits.stairs, config.limits.standing)
                    if one.threshold in (steps.blue, steps.yellow, steps.orange, steps.red)
                ),
                ladder,
            )
        return [
            charts.Line(getattr(ladder, level), f"{speech.word(level)} {getattr(ladder, level):g}", level)
            for level in ("blue", "yellow", "orange", "red")
        ]
    if one.threshold is None:
        return []
    return [charts.Line(one.threshold, f"{speech.word(one.level.word)} {one.threshold:g}", one.level.word)]


@router.post("/alerts/{alert_id}/actions")
async def act(
    request: Request,
    scene: Look,
    alert_id: AlertId,
    key: Annotated[str, Form(max_length=200)] = "",
    action: Annotated[str, Form(max_length=40)] = "",
    version: Annotated[int | None, Form(ge=0, le=2**31)] = None,
    note: Annotated[str, Form(max_length=2000)] = "",
    assignee: Annotated[str, Form(max_length=100)] = "",
    disposition: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Do what a button of the alert's page says, then show the page again."""
    check_form(request, scene.house, key)
    if action not in list(ActionKind):
        raise Problem(422, "there is no such action; go back and load the page again")
    try:
        await deeds.act(
            scene.house,
            scene.viewer,
            alert_id,
            ActionKind(action),
            version=version,
            note="".join(letter for letter in note if letter.isprintable() or letter == "\n"),
            assignee="".join(letter for letter in assignee if letter.isprintable()),
            # The list of the form is there for every button, but only one of them gives a judgement.
            disposition=Disposition(disposition)
            if action == ActionKind.FEEDBACK and disposition in list(Disposition)
            else None,
        )
    except Problem as error:
        if error.status not in (403, 409, 422, 503):
            raise
        given = {"note": note, "assignee": assignee}
        return await _alert_page(scene, alert_id, refusal=error.text, status=error.status, given=given)
    return RedirectResponse(f"/alerts/{quote(alert_id)}?done={action}", 303)


@router.get("/ahead")
async def ahead_page(scene: Look) -> Response:
    """Show what will cross a limit: when, and how likely."""
    coming, problem = await ahead.coming(scene)
    filling = [
        case
        for case in scene.house.view.open()
        if case.alert.kind is SituationKind.FORECAST
        or any(one.reason == "inflow_projection" for one in case.alert.evidence)
    ]
    gone = await ahead.gone(scene)
    return scene.render("ahead.html", page="ahead", coming=coming, problem=problem, filling=filling, gone=gone)


@router.get("/engine")
async def engine(scene: Look) -> Response:
    """Show how the engine does: roles, lag, refused records, sensors."""
    house = scene.house

    async def refusals() -> Any:
        now_ms = scene.house.now_ms()
        return await questions.ask(
            house,
            "SELECT reason, count() AS records, max(rejected_at) AS last_at FROM dead_letters FINAL "
            "WHERE rejected_at > now() - INTERVAL 1 DAY GROUP BY reason ORDER BY records DESC",
            {"now": now_ms // 60_000},
        )

    health = await questions.house_health(house, 3.0)
    refused = await house.kept.setdefault("refusals", Lately(refusals, 10.0)).get(2.0)
    sensors = await house.kept.setdefault("sensors", Lately(lambda: questions.sensors(house), 10.0)).get(2.0)
    rows = sensors.value.rows if sensors.value else []
    kinds: dict[str, dict[str, int]] = {}
    for row in rows:
        states = kinds.setdefault(row["kind"], {"reporting": 0, "late": 0, "never": 0})
        states[row["state"]] += 1
    silent = [row for row in rows if row["state"] != "reporting"][:50]
    return scene.render(
        "engine.html",
        page="engine",
        health=health,
        refused=refused.value.rows if refused.value else [],
        kinds=kinds,
        silent=silent,
        problems=list(dict.fromkeys([*health["problems"], *(p for p in (refused.problem, sensors.problem) if p)])),
        age_secs=sensors.age_secs,
    )
