"""Pictures as plain SVG: no script, nothing from elsewhere, readable in print. Every mark has its words as a title."""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import NamedTuple
from zoneinfo import ZoneInfo

WIDTH, LEFT, ROW = 960, 190, 22
TICKS = 7
STYLE = """
svg { width: 100%; height: auto; display: block } svg text { font: 12px system-ui, sans-serif; fill: #333 }
svg .axis { stroke: #c9ced6; stroke-width: 1 } svg .band { fill: #cfe0f2 } svg .line { fill: none; stroke-width: 1.5 }
svg .bare { font-weight: 600 }
"""


class Bar(NamedTuple):
    """One bar of a time line: its row, begin and end (ms), colour, the text on it and the words for those who point."""

    row: str
    begin_ms: int
    end_ms: int
    colour: str
    text: str
    title: str


class Line(NamedTuple):
    """A named line of (ms, value)."""

    name: str
    colour: str
    points: Sequence[tuple[int, float]]


def time_line(bars: Sequence[Bar], begin_ms: int, end_ms: int, zone: ZoneInfo) -> str:
    """Return bars in rows over time, the rows in the order in which they first occur."""
    rows = list(dict.fromkeys(bar.row for bar in bars))
    height = ROW * len(rows) + 34
    parts = [_ticks(begin_ms, end_ms, height - 22, zone)]
    for number, row in enumerate(rows):
        parts.append(f'<text x="0" y="{number * ROW + 15}">{escape(_short(row))}</text>')
    for bar in bars:
        left, right = _x(max(bar.begin_ms, begin_ms), begin_ms, end_ms), _x(min(bar.end_ms, end_ms), begin_ms, end_ms)
        top = rows.index(bar.row) * ROW + 3
        parts.append(
            f'<g><title>{escape(bar.title)}</title><rect x="{left:.1f}" y="{top}" width="{max(right - left, 12):.1f}" '
            f'height="{ROW - 6}" rx="2" fill="{bar.colour}"/>'
            f'<text class="bare" style="fill:{_ink(bar.colour)}" x="{left + 2:.1f}" y="{top + 12}">'
            f"{escape(bar.text)}</text></g>"
        )
    return _svg(height, parts, "alerts over time")


def bars(values: Sequence[tuple[str, Sequence[tuple[float, str, str]]]], unit: str) -> str:
    """Return rows of stacked bars: (name, ((value, colour, words), …)), with the sum behind each."""
    most = max((sum(value for value, _, _ in pieces) for _, pieces in values), default=0) or 1
    parts = []
    for number, (name, pieces) in enumerate(values):
        top, x = number * ROW, float(LEFT)
        parts.append(f'<text x="0" y="{top + 15}">{escape(_short(name))}</text>')
        for value, colour, words in pieces:
            width = value / most * (WIDTH - LEFT - 90)
            parts.append(
                f'<g><title>{escape(words)}: {value:g} {escape(unit)}</title><rect x="{x:.1f}" y="{top + 3}" '
                f'width="{width:.1f}" height="{ROW - 6}" fill="{colour}"/></g>'
            )
            x += width
        total = sum(value for value, _, _ in pieces)
        parts.append(f'<text x="{x + 6:.1f}" y="{top + 15}">{total:.4g} {escape(unit)}</text>')
    return _svg(ROW * len(values) + 4, parts, f"bars, {unit}")


def lines(
    shown: Sequence[Line],
    band: Sequence[tuple[int, float, float]],
    marks: Sequence[tuple[int, str, str]],
    span: tuple[int, int],
    zone: ZoneInfo,
) -> str:
    """Return lines over time with a band of (ms, low, high) behind and marks of (ms, colour, words) before them."""
    begin_ms, end_ms = span
    height, low = 260, 0.0
    high = max([value for line in shown for _, value in line.points] + [top for _, _, top in band] + [1e-9])

    def y(value: float) -> float:
        return 10 + (high - max(value, low)) / (high - low) * (height - 44)

    def path(points: Sequence[tuple[int, float]]) -> str:
        return "M" + "L".join(f"{_x(at, begin_ms, end_ms):.1f} {y(value):.1f}" for at, value in points)

    parts = [_ticks(begin_ms, end_ms, height - 22, zone)]
    if band:
        edge = [(at, top) for at, _, top in band] + [(at, bottom) for at, bottom, _ in reversed(band)]
        parts.append(f'<path class="band" d="{path(edge)}Z"/>')
    for number, line in enumerate(line for line in shown if line.points):
        parts.append(f'<path class="line" stroke="{line.colour}" d="{path(line.points)}"/>')
        parts.append(f'<text x="0" y="{34 + 18 * number}" style="fill:{line.colour}">— {escape(line.name)}</text>')
    for at, colour, words in marks:
        x = _x(at, begin_ms, end_ms)
        parts.append(
            f"<g><title>{escape(words)}</title>"
            f'<path stroke="{colour}" stroke-dasharray="4 3" d="M{x:.1f} 6V{height - 34}"/>'
            f'<text x="{x + 2:.1f}" y="12">{escape(words[:1])}</text></g>'
        )
    parts.append(f'<text x="{LEFT - 6}" y="16" text-anchor="end">{high:.4g}</text>')
    parts.append(f'<text x="{LEFT - 6}" y="{height - 34}" text-anchor="end">0</text>')
    return _svg(height, parts, "values over time")


def clock(time_ms: int, zone: ZoneInfo, form: str = "%d %b %H:%M") -> str:
    """Return a time as the city's clocks show it.

    >>> clock(0, ZoneInfo("UTC"))
    '01 Jan 00:00'
    """
    return datetime.fromtimestamp(time_ms / 1000, zone).strftime(form)


def _x(at_ms: int, begin_ms: int, end_ms: int) -> float:
    return LEFT + (at_ms - begin_ms) / max(end_ms - begin_ms, 1) * (WIDTH - LEFT)


def _ticks(begin_ms: int, end_ms: int, y: float, zone: ZoneInfo) -> str:
    parts = []
    for n in range(TICKS):
        at = begin_ms + (end_ms - begin_ms) * n // (TICKS - 1)
        x, anchor = _x(at, begin_ms, end_ms), "start" if n == 0 else "end" if n == TICKS - 1 else "middle"
        parts.append(f'<path class="axis" d="M{x:.1f} 0V{y:.0f}"/>')
        parts.append(f'<text x="{x:.1f}" y="{y + 16:.0f}" text-anchor="{anchor}">{clock(at, zone)}</text>')
    return "".join(parts)


def _ink(colour: str) -> str:
    """Return black or white, whichever is easier to read on a colour (WCAG's relative luminance)."""
    red, green, blue = ((int(colour[n : n + 2], 16) / 255) ** 2.2 for n in (1, 3, 5))
    return "#000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 else "#fff"


def _short(text: str) -> str:
    return text if len(text) <= 28 else text[:27] + "…"


def _svg(height: float, parts: Sequence[str], words: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(words)}">{"".join(parts)}</svg>'
