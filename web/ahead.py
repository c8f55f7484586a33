"""What will cross a limit: the crossings that the role forecast foresees, soonest first, each with its series."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from web import charts, questions
from web.problems import Problem
from web.scene import Scene
from web.speech import HOUR_MS
from web.words import METRICS

MOST = 100
CHARTS = 6
GONE_HOURS = 3


@dataclass(frozen=True, slots=True)
class Coming:
    """One limit that will be passed: where, which, when, how likely; ``chart`` of the nearest ones."""

    cell: str
    place: str
    series: str
    title: str
    level: str
    threshold: float
    unit: str
    tier: str
    at_ms: int
    from_ms: int
    until_ms: int | None
    likely: float
    model: str
    made_ms: int
    chart: Markup | str


async def coming(scene: Scene) -> tuple[list[Coming], str]:
    """Return what is foreseen, the soonest and the worst first, and why it may not be all."""
    house, say = scene.house, scene.speech
    try:
        answer = await questions.ask(
            house,
            "SELECT * FROM crossings FINAL WHERE outcome = 'open' AND expected_at > "
            "fromUnixTimestamp64Milli(%(now)s) - INTERVAL 15 MINUTE ORDER BY expected_at, level DESC LIMIT 100",
            {"now": say.now_ms // 10_000 * 10_000},
        )
    except Problem as error:
        return [], error.text
    found = []
    for number, row in enumerate(answer.rows[:MOST]):
        series = f"{row['kind']}/{row['source']}/{row['metric']}"
        name, unit = METRICS.get(row["metric"], (row["metric"], ""))
        one = Coming(
            cell=row["grid_id"],
            place=house.place(row["grid_id"]),
            series=series,
            title=f"{row['source']}: {say.t(name)}",
            level=row["level"],
            threshold=row["threshold"],
            unit=say.t(unit),
            tier=row["tier"],
            at_ms=_ms(row["expected_at"]),
            from_ms=_ms(row["expected_from"]),
            until_ms=None if row["expected_until"] is None else _ms(row["expected_until"]),
            likely=row["probability"],
            model=row["model"],
            made_ms=_ms(row["made_at"]),
            chart=await _chart(scene, series, name, unit, row) if number < CHARTS else "",
        )
        found.append(one)
    return found, answer.problem


@dataclass(frozen=True, slots=True)
class Gone:
    """One crossing that is over: it came true, or it was taken back, and when."""

    place: str
    title: str
    level: str
    threshold: float
    unit: str
    came_true: bool
    reason: str
    ended_ms: int
    expected_ms: int


async def gone(scene: Scene) -> list[Gone]:
    """Return what was foreseen and ended within the last hours, the latest first; none while the database is away."""
    house, say = scene.house, scene.speech
    try:
        answer = await questions.ask(
            house,
            "SELECT * FROM crossings FINAL WHERE outcome != 'open' AND ended_at <= fromUnixTimestamp64Milli(%(now)s) "
            "AND ended_at > fromUnixTimestamp64Milli(%(now)s) - toIntervalHour(%(hours)s) "
            "ORDER BY ended_at DESC, level DESC LIMIT 20",
            {"now": say.now_ms // 10_000 * 10_000 + 10_000, "hours": GONE_HOURS},
        )
    except Problem:
        return []  # why is said by what is asked first
    found = []
    for row in answer.rows:
        name, unit = METRICS.get(row["metric"], (row["metric"], ""))
        one = Gone(
            place=house.place(row["grid_id"]),
            title=f"{row['source']}: {say.t(name)}",
            level=row["level"],
            threshold=row["threshold"],
            unit=say.t(unit),
            came_true=row["outcome"] == "came_true",
            reason=row["reason"],
            ended_ms=_ms(row["ended_at"]),
            expected_ms=_ms(row["expected_at"]),
        )
        found.append(one)
    return found


async def _chart(scene: Scene, series: str, name: str, unit: str, row: dict[str, Any]) -> Markup | str:
    say = scene.speech
    end_ms = say.now_ms // 10_000 * 10_000 + 10_000
    begin_ms = end_ms - 3 * HOUR_MS
    try:
        course = await questions.course(scene.house, series, questions.Span(begin_ms, end_ms))
    except Problem:
        return ""
    line = charts.Line(row["threshold"], f"{say.word(row['level'])} {row['threshold']:g}", row["level"])
    return charts.series(
        say, f"{row['source']}: {say.t(name)}", say.t(unit), course.points, course.forecast, [line], (begin_ms, end_ms)
    )


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
