"""A page with one picture: what was observed and expected around a label, and when something was told. Plain SVG."""

from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from gridbeacon.hindsight import Alarm, is_off, window
from gridbeacon.labels import Label
from gridbeacon.model import Verdict

WIDTH, HEIGHT, LOW, LEFT = 960, 320, 90, 60
_STYLE = """
path.band { fill: #d8e6f3; stroke: none }
body { font: 14px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1000px; color: #1a1a1a; background: #fff }
text { font: 11px system-ui, sans-serif; fill: #555 } .usual { stroke: #4878a8 }
.seen { stroke: #1a1a1a } .off { fill: #c0392b } .told { stroke: #c0392b; stroke-dasharray: 4 3 }
.label { fill: #fff3cf } .severity { stroke: #8a5a00 } path { fill: none; stroke-width: 1.4 }
"""


def page(label: Label, series: str, points: list[Verdict], alarms: list[Alarm], timezone: str) -> str:
    """Return an HTML page of a label: ``points`` are the verdicts of one series, in order."""
    begin_ms, end_ms = window(label)
    known = [p for p in points if p.expected is not None]
    highest = max([p.value for p in points] + [p.upper or 0.0 for p in known] + [1e-9])
    lowest = min([0.0, *(p.value for p in points)])
    severest = max([p.severity or 0.0 for p in points] + [2.4])

    def x(time_ms: int) -> float:
        return LEFT + (time_ms - begin_ms) / (end_ms - begin_ms) * (WIDTH - LEFT)

    def y(value: float) -> float:
        return HEIGHT - (value - lowest) / (highest - lowest) * (HEIGHT - 20)

    def low(severity: float) -> float:
        return HEIGHT + 30 + LOW - severity / severest * LOW

    band = [(x(p.observed_ms), y(p.upper or 0.0)) for p in known]
    band += [(x(p.observed_ms), y(p.lower or 0.0)) for p in reversed(known)]
    start, end = x(label.start_ms), x(label.end_ms)
    parts = [
        f'<rect class="label" x="{start:.1f}" y="0" width="{max(end - start, 1):.1f}" height="{HEIGHT}"/>',
        f'<path class="band" d="{_line(band)}Z"/>' if band else "",
        f'<path class="usual" d="{_line([(x(p.observed_ms), y(p.expected or 0.0)) for p in known])}"/>',
        f'<path class="seen" d="{_line([(x(p.observed_ms), y(p.value)) for p in points])}"/>',
        f'<path class="severity" d="{_line([(x(p.observed_ms), low(p.severity or 0.0)) for p in points])}"/>',
        f'<text x="0" y="{HEIGHT + 30:.0f}">severity</text>',
        f'<text x="0" y="{HEIGHT + 44:.0f}">up to {severest:.1f}</text>',
        f'<text x="0" y="20">{highest:.4g}</text><text x="0" y="{HEIGHT}">{lowest:.4g}</text>',
    ]
    parts += [
        f'<circle class="off" cx="{x(p.observed_ms):.1f}" cy="{y(p.value):.1f}" r="2.5"/>' for p in points if is_off(p)
    ]
    zone = ZoneInfo(timezone)
    for alarm in alarms:
        if begin_ms <= alarm.at_ms <= end_ms:
            at = x(alarm.at_ms)
            parts.append(f'<path class="told" d="M{at:.1f} 0V{HEIGHT}"><title>{escape(alarm.headline)}</title></path>')
    for n in range(7):
        at_ms = begin_ms + (end_ms - begin_ms) * n // 6
        clock = datetime.fromtimestamp(at_ms / 1000, zone).strftime("%d %b %H:%M")
        parts.append(f'<text x="{min(x(at_ms), WIDTH - 70):.0f}" y="{HEIGHT + 16}">{clock}</text>')
    told = "".join(f"<li>{_clock(a.at_ms, zone)} {escape(a.level)}: {escape(a.headline)}</li>" for a in alarms)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(label.name)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(label.name)}</h1><p>{escape(series)}, {escape(timezone)}; "
        f"shaded: the label; blue: what was expected; dashed: an alarm.</p>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT + LOW + 40}" role="img">{"".join(parts)}</svg><ul>{told}</ul></html>\n'
    )


def _clock(time_ms: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(time_ms / 1000, zone).strftime("%d %b %H:%M")


def _line(points: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) if points else ""
