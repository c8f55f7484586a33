"""Charts as SVG, drawn here: a series with its expected band, forecast and limits; lanes of alerts over time.

Classes give the colours (light and dark are matters of the style sheet); shapes and words say the same without them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from markupsafe import Markup, escape

from web.speech import Speech, number

WIDTH, HEIGHT = 760, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 96, 12, 26
LANE = 26
LANE_LEFT, LANE_RIGHT = 150, 24
"""Lanes have their words on the left, where a line of text begins."""
LANE_SHARES = {"blue": 0.35, "yellow": 0.55, "orange": 0.75, "red": 1.0}
"""Of a lane's height: the worse, the taller, so that no colour is needed."""
TICKS_MIN = (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080, 40320, 525600)
MOST_TICKS = 8


@dataclass(frozen=True, slots=True)
class Line:
    """A horizontal line: a limit, with the word beside it and the class of its level."""

    value: float
    text: str
    level: str


@dataclass(frozen=True, slots=True)
class Frame:
    """Where values and times are on the picture."""

    begin_ms: int
    end_ms: int
    top: float
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT

    def x(self, time_ms: float) -> float:
        """Return where a time is."""
        share = (time_ms - self.begin_ms) / max(1, self.end_ms - self.begin_ms)
        return round(self.left + share * (WIDTH - self.left - self.right), 1)

    def y(self, value: float) -> float:
        """Return where a value is."""
        share = max(0.0, min(1.05, value / self.top)) if self.top else 0.0
        return round(self.height - BOTTOM - share * (self.height - TOP - BOTTOM), 1)


def ms(stamp: str) -> int:
    """Return a time of the API in milliseconds."""
    return int(datetime.fromisoformat(stamp).timestamp() * 1000)


def series(
    speech: Speech,
    title: str,
    unit: str,
    points: Sequence[dict[str, Any]],
    forecast: Sequence[dict[str, Any]],
    limits: Iterable[Line],
    span: tuple[int, int],
) -> Markup:
    """Return a chart of one series; a gap of more than three steps is left open."""
    ahead = [one for one in forecast if ms(one["at"]) > (ms(points[-1]["at"]) if points else 0)]
    end_ms = max(span[1], ms(ahead[-1]["at"]) if ahead else 0)
    seen = [one["value"] for one in points]
    seen += [one["upper"] for one in points if one["upper"] is not None] + [one["upper_80"] for one in ahead]
    highest = max(seen, default=1.0)
    shown = [line for line in limits if line.value <= highest * 1.6]
    frame = Frame(span[0], end_ms, _nice(max([highest, *(line.value for line in shown)], default=1.0) * 1.05))
    parts = [_grid(frame, speech)]
    band = [(ms(p["at"]), p["lower"], p["upper"]) for p in points if p["lower"] is not None and p["upper"] is not None]
    parts.append(_area(frame, band, "band"))
    parts.append(_area(frame, [(ms(p["at"]), p["lower_80"], p["upper_80"]) for p in ahead], "ahead-band"))
    for line in shown:
        y = frame.y(line.value)
        parts.append(
            f'<line class="limit {line.level}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
            f'<text class="limit-word" x="{WIDTH - RIGHT + 6}" y="{y + 4}">{escape(line.text)}</text>'
        )
    parts.append(_line(frame, [(ms(p["at"]), p["expected"]) for p in points if p["expected"] is not None], "expected"))
    parts.append(_line(frame, [(ms(p["at"]), p["expected"]) for p in ahead], "ahead"))
    parts.append(_line(frame, [(ms(p["at"]), p["value"]) for p in points], "value"))
    if points:
        x, y = frame.x(ms(points[-1]["at"])), frame.y(points[-1]["value"])
        parts.append(f'<circle class="last" cx="{x}" cy="{y}" r="4"/>')
        side, to = ("end", x - 8) if ahead else ("start", x + 8)  # off the forecast's line
        word = escape(number(points[-1]["value"]))
        parts.append(f'<text class="last-word {side}" x="{to}" y="{y - 8}">{word}</text>')
    if frame.begin_ms < speech.now_ms < end_ms:
        x = frame.x(speech.now_ms)
        parts.append(f'<line class="now" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text class="now-word" x="{x - 4}" y="{TOP + 10}">{escape(speech.t("now"))}</text>')
    words = f"{title} ({unit})" if unit else title
    return _svg(words, HEIGHT, parts)


def lanes(speech: Speech, rows: Sequence[tuple[str, Sequence[tuple[int, int, str]]]], span: tuple[int, int]) -> Markup:
    """Return lanes over time: for each row its spans (from, to, level)."""
    height = TOP + BOTTOM + LANE * len(rows)
    frame = Frame(span[0], span[1], 1.0, height, LANE_LEFT, LANE_RIGHT)
    parts = [_times(frame, speech, height)]
    for place, (name, spans) in enumerate(rows):
        y = TOP + place * LANE
        foot = y + LANE - 3
        parts.append(f'<line class="rule" x1="{LANE_LEFT}" x2="{WIDTH - LANE_RIGHT}" y1="{foot}" y2="{foot}"/>')
        for begin_ms, end_ms, level in spans:
            x, to = frame.x(max(begin_ms, span[0])), frame.x(min(end_ms, span[1]))
            word = escape(f"{speech.word(level)}, {speech.time(begin_ms)}")
            tall = round((LANE - 6) * LANE_SHARES[level], 1)
            parts.append(
                f'<rect class="lane {level}" x="{x}" y="{foot - tall:g}" width="{max(2, to - x):g}" height="{tall:g}">'
                f"<title>{word}</title></rect>"
            )
        parts.append(f'<text class="lane-word end" x="{LANE_LEFT - 8}" y="{foot - 5}">{escape(_short(name))}</text>')
    return _svg(speech.t("Alerts over time, by level"), height, parts)


def _svg(title: str, height: int, parts: Iterable[str]) -> Markup:
    inside = "".join(parts)
    return Markup(  # noqa: S704 - every text in it has been escaped
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">{inside}</svg>'
    )


def _grid(frame: Frame, speech: Speech) -> str:
    parts = []
    for step in range(5):
        value = frame.top * step / 4
        y = frame.y(value)
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="axis right" x="{LEFT - 6}" y="{y + 4}">{escape(number(value))}</text>')
    return "".join(parts) + _times(frame, speech, frame.height)


def _times(frame: Frame, speech: Speech, height: int) -> str:
    parts, named = [], None
    for time_ms in ticks(speech, frame.begin_ms, frame.end_ms):
        x = frame.x(time_ms)
        parts.append(f'<line class="rule" x1="{x}" x2="{x}" y1="{TOP}" y2="{height - BOTTOM}"/>')
        # A day is named where it begins on the picture, not at each of its hours.
        day, clock = speech.date(time_ms), speech.clock(time_ms)
        word = clock if day == (named or speech.date(speech.now_ms)) else speech.time(time_ms)
        named = day
        parts.append(f'<text class="axis middle" x="{x}" y="{height - 8}">{escape(word)}</text>')
    return "".join(parts)


def ticks(speech: Speech, begin_ms: int, end_ms: int) -> list[int]:
    """Return times for an axis: whole steps of the civil clock, at most eight of them."""
    length_min = max(1, (end_ms - begin_ms) // 60_000)
    step_ms = 60_000 * next((step for step in TICKS_MIN if length_min / step <= MOST_TICKS), TICKS_MIN[-1])
    offset_ms = speech.offset_ms(begin_ms)
    first = -(-(begin_ms + offset_ms) // step_ms) * step_ms - offset_ms
    return list(range(first, end_ms + 1, step_ms))


def _short(name: str) -> str:
    """Return a name that fits beside a lane; letters of Chinese are as wide as two."""
    wide = 0
    for place, letter in enumerate(name):
        wide += 2 if ord(letter) > 0x2E80 else 1
        if wide > 20:
            return name[:place] + "…"
    return name


def _line(frame: Frame, points: Sequence[tuple[int, float]], name: str) -> str:
    if not points:
        return ""
    gaps = sorted(b[0] - a[0] for a, b in pairwise(points))
    usual = gaps[len(gaps) // 2] if gaps else 0
    said, before = "", None
    for time_ms, value in points:
        joined = before is not None and time_ms - before <= max(3 * usual, 1)
        said += f"{'L' if joined else 'M'}{frame.x(time_ms):g} {frame.y(value):g}"
        before = time_ms
    return f'<path class="line {name}" d="{said}"/>'


def _area(frame: Frame, points: Sequence[tuple[int, float, float]], name: str) -> str:
    if len(points) < 2:
        return ""
    upper = "".join(f"L{frame.x(t):g} {frame.y(high):g}" for t, _, high in points)
    lower = "".join(f"L{frame.x(t):g} {frame.y(low):g}" for t, low, _ in reversed(points))
    return f'<path class="{name}" d="M{upper[1:]}{lower}z"/>'


def _nice(value: float) -> float:
    """Return a round number at or above a value, for the top of an axis."""
    if value <= 0:
        return 1.0
    size = 1.0
    while size * 10 <= value:
        size *= 10
    while size > value:
        size /= 10
    return next(size * step for step in (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10) if size * step >= value)
