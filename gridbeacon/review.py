"""The review: one page that shows what happened, whether we warned in time and were right, and what to change.

It is a function of figures: equal figures, equal page. It loads nothing from elsewhere.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from gridbeacon import charts
from gridbeacon.lessons import counterfactuals, lessons, middle
from gridbeacon.levels import COLOURS, SYMBOLS, said
from gridbeacon.reasons import Disposition, Level

Row = Mapping[str, Any]
NOTHING = "Nothing in this time."
MOST_ROWS = 60
"""A table or picture shows so many rows; the SQL behind it gives all."""
OUTCOMES: dict[str, tuple[str, str]] = {
    Disposition.ANOMALY: ("#2f7fd6", "right"),
    Disposition.ANOMALY_EXPECTED: ("#7aa6d6", "right, and expected"),
    Disposition.ANOMALY_NEW_TREND: ("#8a63b8", "a new normal"),
    Disposition.NOT_ANOMALY: ("#b3541e", "false"),
    "": ("#c9ced6", "nobody said"),
}
_STYLE = """
:root { color-scheme: light }
body { font: 15px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; margin: 2em auto; max-width: 1000px; padding: 0 1em;
  color: #1a1a1a; background: #fff }
h1 { margin-bottom: 0 } h2 { margin: 1.8em 0 .3em; border-bottom: 1px solid #c9ced6 }
table { border-collapse: collapse; width: 100%; font-size: 13px } td, th { text-align: left; padding: 2px 10px 2px 0;
  border-bottom: 1px solid #e6e8ec; vertical-align: top } td.n { font-variant-numeric: tabular-nums }
.tiles { display: flex; flex-wrap: wrap; gap: .6em } .tiles div { border: 1px solid #c9ced6; border-radius: 4px;
  padding: .4em .9em } .tiles b { display: block; font-size: 22px } pre { font-size: 11px; white-space: pre-wrap;
  background: #f5f6f8; padding: .6em } details { margin: .3em 0 0; font-size: 12px; color: #555 } li { margin: .2em 0 }
@media print { details { display: none } section { break-inside: avoid } body { margin: 0; max-width: none } }
"""


class Figures(NamedTuple):
    """The answers of the questions by name, rows as dicts, and the SQL that gave each."""

    answers: Mapping[str, Sequence[Row]]
    sql: Mapping[str, str]


def page(figures: Figures, begin_ms: int, end_ms: int, timezone: str, alert: str | None = None) -> str:
    """Return the whole page of a time, and of one alert in it where it is named."""
    zone = ZoneInfo(timezone)
    title = f"Review {charts.clock(begin_ms, zone, '%Y-%m-%d %H:%M')} to {charts.clock(end_ms, zone, '%Y-%m-%d %H:%M')}"
    span = (begin_ms, end_ms)
    parts = [_short(figures), *([] if alert is None else _incident(figures, span, zone, alert))]
    parts += [_time_line(figures, span, zone), _leads(figures, zone), _responses(figures), _outcomes(figures)]
    parts += [
        _counterfactuals(figures),
        _skill(figures),
        _outages(figures, zone),
        _delivered(figures),
        _change(figures),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}{charts.STYLE}</style></head><body><h1>{escape(title)}</h1><p>Times are those of "
        f"{escape(timezone)}. Live alerts alone; drills and replays are not counted. Levels: "
        f"{', '.join(escape(said(level)) for level in sorted(Level, reverse=True) if level)}.</p>{''.join(parts)}"
        "</body></html>\n"
    )


def _section(figures: Figures, title: str, says: str, body: str, *names: str) -> str:
    sql = "".join(
        f"<details><summary>SQL: {name}</summary><pre>{escape(figures.sql[name])}</pre></details>" for name in names
    )
    return f"<section><h2>{escape(title)}</h2><p>{escape(says)}</p>{body or f'<p><i>{NOTHING}</i></p>'}{sql}</section>"


def _short(figures: Figures) -> str:
    alerts = figures.answers["alerts"]
    counts = Counter(row["level"] for row in alerts)
    judged = [row for row in alerts if row["disposition"]]
    false = sum(row["disposition"] == Disposition.NOT_ANOMALY for row in judged)
    stored = sum(row["observations"] for row in figures.answers["observations"])
    lead = middle([row["raised_after_minutes"] for row in alerts if row["level"] >= Level.ORANGE])
    taken = middle([row["acknowledged_after_minutes"] for row in alerts if row["notices"]])
    tiles = [(str(counts[level]), said(level)) for level in sorted(Level, reverse=True) if level]
    tiles += [
        (_minutes(lead), "warning before the worst, median"),
        (_minutes(taken), "until somebody took it, median"),
        (f"{false} of {len(judged)}" if judged else "unknown", "called false, of those judged"),
        (f"{stored:,}", "observations"),
    ]
    body = '<div class="tiles">' + "".join(f"<div><b>{escape(v)}</b>{escape(w)}</div>" for v, w in tiles) + "</div>"
    says = f"{len(alerts)} alerts, of which dispatchers were told {sum(row['notices'] for row in alerts)} times."
    if not stored:
        says = "There are no observations in this time: nothing was seen, so nothing here means all clear."
    return _section(figures, "In short", says, body, "alerts", "observations")


def _time_line(figures: Figures, span: tuple[int, int], zone: ZoneInfo) -> str:
    alerts = figures.answers["alerts"]
    grave = sorted(alerts, key=lambda row: (-row["level"], row["opened_ms"], row["alert_id"]))[: 2 * MOST_ROWS]
    rows = list(dict.fromkeys(str(row["place"]) for row in grave))[:MOST_ROWS]
    bars = [
        charts.Bar(
            str(row["place"]),
            row["opened_ms"],
            row["cleared_ms"] or span[1],
            COLOURS[Level(row["level"])],
            SYMBOLS[Level(row["level"])],
            f"{said(Level(row['level']))} {charts.clock(row['opened_ms'], zone)}: {row['headline']}",
        )
        for row in grave
        if row["place"] in rows
    ]
    left = len(alerts) - len(bars)
    says = (
        "Each bar is an alert, from its begin to its end, in the colour of its highest level; the gravest place first."
    )
    says += f" {left} less grave ones are left out." if left else ""
    return _section(figures, "Time line", says, charts.time_line(bars, *span, zone) if bars else "", "alerts")


def _leads(figures: Figures, zone: ZoneInfo) -> str:
    grave = [row for row in figures.answers["alerts"] if row["level"] >= Level.ORANGE]
    grave.sort(key=lambda row: (row["raised_after_minutes"] or 0.0, row["opened_ms"]))
    values = [
        (
            f"{SYMBOLS[Level(row['level'])]} {charts.clock(row['opened_ms'], zone)} {row['place']}",
            [(row["raised_after_minutes"] or 0.0, COLOURS[Level(row["level"])], str(row["headline"]))],
        )
        for row in grave[:MOST_ROWS]
    ]
    says = "From the first level of an alert to its highest, of those that reached orange; the shortest warning first."
    return _section(figures, "Lead times", says, charts.bars(values, "min") if values else "", "alerts")


def _responses(figures: Figures) -> str:
    rows = []
    for level in sorted(Level, reverse=True):
        told = [row for row in figures.answers["alerts"] if row["level"] == level and row["notices"]]
        if level and told:
            steps = [
                middle([row[f"{step}_after_minutes"] for row in told])
                for step in ("acknowledged", "dispatched", "resolved")
            ]
            never = sum(row["acknowledged_after_minutes"] is None for row in told)
            rows.append([said(level), len(told), *map(_minutes, steps), never, sum(row["escalations"] for row in told)])
    says = "Of alerts that dispatchers were told of: the median time until somebody took it, was sent, and was done."
    heads = ["level", "alerts", "taken", "sent", "resolved", "never taken", "escalations"]
    return _section(figures, "Response times", says, _table(heads, rows), "alerts")


def _outcomes(figures: Figures) -> str:
    values = []
    for level in sorted(Level, reverse=True):
        counts = Counter(str(row["disposition"]) for row in figures.answers["alerts"] if row["level"] == level)
        if counts:
            pieces = [(float(counts[key]), *OUTCOMES[key]) for key in OUTCOMES if counts[key]]
            words = ", ".join(f"{counts[key]} {OUTCOMES[key][1]}" for key in OUTCOMES if counts[key])
            values.append((said(level), pieces, words))
    picture = charts.bars([(name, pieces) for name, pieces, _ in values], "alerts") if values else ""
    table = _table(["level", "what people said of them"], [[name, words] for name, _, words in values])
    says = "What people said of the alerts of each level. What nobody said anything of is neither right nor false."
    return _section(figures, "Alerts by outcome", says, picture + table if values else "", "alerts", "feedback")


def _counterfactuals(figures: Figures) -> str:
    found = counterfactuals(figures.answers)
    rows = [
        [
            one["alert"],
            one["series"],
            f"{one['value']:.4g}",
            one["spared"],
            one["lost"],
            one["unknown"],
            "a safety limit: never moved by feedback"
            if one["layer"] == "limit"
            else "learned: may be raised by a step",
        ]
        for one in found[:MOST_ROWS]
    ]
    says = (
        "For each alert that people called false: a bar just above what it saw would have kept so many alerts of the "
        "same reason away, of which so many were right. Where something right is lost, the bar is not the answer."
    )
    heads = ["alert", "series", "value", "kept away", "of them right", "nobody said", "what it is"]
    told = [[row["alert_id"], row["disposition"], row["actor"], row["note"]] for row in figures.answers["feedback"]]
    body = _table(heads, rows)
    if told:
        body += "<h3>What the engine made of each</h3>"
        body += _table(["alert", "people said", "who", "what it changed, and would have changed"], told[:MOST_ROWS])
    return _section(figures, "What feedback would have changed", says, body, "evidence", "feedback")


def _skill(figures: Figures) -> str:
    rows = []
    for row in figures.answers["forecasts"]:
        still = row["standing_still_by"]
        skill = f"{1 - row['wrong_by'] / still:+.0%}" if still else "unknown"
        held = [f"{row['inside_80']:.0%}", f"{row['inside_95']:.0%}"]
        rows.append(
            [
                row["model"],
                f"{row['lead_minutes']} min",
                row["forecasts"],
                f"{row['wrong_by']:.4g}",
                f"{still:.4g}",
                skill,
                *held,
            ]
        )
    heads = [
        "model",
        "ahead",
        "forecasts",
        "wrong by",
        "nothing changes: wrong by",
        "skill",
        "in 80 % band",
        "in 95 % band",
    ]
    says = (
        "How wrong forecasts were on average, beside saying that nothing changes from when they were made; skill is "
        "the share of that error which they take away. 40 cells at most."
    )
    seen = []
    for row in figures.answers["foreseen"]:
        leads = [_minutes(row["lead_minutes"]), _minutes(row["warning_lead_minutes"])]
        became = row["outcome"].replace("_", " ")
        seen.append([said(Level(row["level"])), became, row["crossings"], row["warnings"], *leads])
    heads_seen = [
        "level",
        "what became of it",
        "foreseen",
        "of them warnings",
        "foreseen before, median",
        "warned before",
    ]
    more = "<h3>Limits that were foreseen</h3>" + _table(heads_seen, seen) if seen else ""
    return _section(figures, "Forecast skill", says, _table(heads, rows) + more, "forecasts", "foreseen")


def _outages(figures: Figures, zone: ZoneInfo) -> str:
    rows = [
        [
            row["source"],
            row["cell"],
            f"{row['silent_minutes']:.0f}",
            f"{row['longest_minutes']:.0f}",
            charts.clock(row["since_ms"], zone),
        ]
        for row in figures.answers["outages"]
    ]
    says = "Sensors that were silent for a quarter of an hour or longer between two measurements, the worst first."
    body = _table(["sensor", "cell", "silent, minutes", "longest", "since"], rows)
    refused = [[row["topic"], row["reason"], row["records"], row["example"]] for row in figures.answers["refused"]]
    more = "<h3>Refused records</h3>" + _table(["topic", "reason", "records", "example"], refused) if refused else ""
    return _section(figures, "Data outages", says, body + more, "outages", "refused")


def _delivered(figures: Figures) -> str:
    rows = [
        [row["endpoint"], row["notices"], row["delivered"], row["failed_attempts"], f"{row['p99_ms']:.0f} ms"]
        for row in figures.answers["deliveries"]
    ]
    held = [[row["held"], row["times"]] for row in figures.answers["held"]]
    body = _table(["endpoint", "notices", "delivered", "failed attempts", "99 in 100 answered within"], rows)
    more = "<h3>Why dispatchers were not told</h3>" + _table(["reason", "times"], held) if held else ""
    says = "Notices by endpoint, and the reasons for which transitions were held back."
    return _section(figures, "Deliveries", says, body + more, "deliveries", "held")


def _change(figures: Figures) -> str:
    found = "".join(f"<li>{escape(one)}</li>" for one in lessons(figures.answers))
    says = "What the figures suggest. Each sentence stands on numbers above; people decide."
    return _section(
        figures, "What to change", says, f"<ul>{found}</ul>" if found else "<p>The figures suggest nothing.</p>"
    )


def _incident(figures: Figures, span: tuple[int, int], zone: ZoneInfo, alert: str) -> Iterator[str]:
    points = figures.answers["series"]
    marks = [
        (row["at_ms"], COLOURS[Level[row["level"].upper()]], f"{SYMBOLS[Level[row['level'].upper()]]} {row['event']}")
        for row in figures.answers["story"]
        if row["event"] in ("opened", "level_raised", "level_lowered", "cleared") and span[0] <= row["at_ms"] < span[1]
    ]
    shown = [
        charts.Line("observed", "#1a1a1a", [(row["at_ms"], row["value"]) for row in points]),
        charts.Line("expected", "#2f7fd6", [(r["at_ms"], r["expected"]) for r in points if r["expected"] is not None]),
    ]
    band = [(row["at_ms"], row["lower"], row["upper"]) for row in points if row["lower"] is not None]
    picture = charts.lines(shown, band, marks, span, zone) if points else ""
    yield _section(
        figures, f"Incident {alert}", "The series that decided, its band, and each change of level.", picture, "series"
    )
    events = [
        (
            row["at_ms"],
            "alert",
            f"{row['event']}, {row['level']}",
            f"{row['actor']} {row['reason']} {row['note']} {row['held']}",
        )
        for row in figures.answers["story"]
    ]
    events += [
        (
            row["at_ms"],
            "notice",
            f"{row['type']} to {row['endpoint']}",
            f"attempt {row['attempt']}: {row['status']} {row['outcome']}",
        )
        for row in figures.answers["told"]
    ]
    events += [
        (
            row["at_ms"],
            "report",
            f"{row['service_code']}, {row['verification']}",
            f"{row['reporter_role']}: {row['description']}",
        )
        for row in figures.answers["reports"]
    ]
    rows = [[charts.clock(at, zone, "%d %b %H:%M:%S"), *rest] for at, *rest in sorted(events)]
    says = (
        "What we knew and did, in order: transitions, notices with their answers, and reports of people in that cell."
    )
    yield _section(
        figures, "Minute by minute", says, _table(["at", "what", "event", "more"], rows), "story", "told", "reports"
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return ""
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    body = "".join(
        "<tr>" + "".join(f"<td{' class=n' if isinstance(v, int) else ''}>{escape(str(v))}</td>" for v in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _minutes(value: float | None) -> str:
    """Return minutes as people read them.

    >>> _minutes(None), _minutes(0.5), _minutes(95.0)
    ('none', '30 s', '1 h 35 min')
    """
    if value is None:
        return "none"
    if value < 1:
        return f"{60 * value:.0f} s"
    return f"{value:.0f} min" if value < 60 else f"{value // 60:.0f} h {value % 60:.0f} min"
