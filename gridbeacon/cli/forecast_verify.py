"""How good forecasts would have been: a table by lead, a page, and every forecast as a row."""

import sys
from contextlib import ExitStack
from html import escape
from pathlib import Path
from typing import Annotated, Any

import typer

from gridbeacon.cli import forecast as shared
from gridbeacon.errors import UsageError

HEADINGS = (
    ("lead", "lead_secs"), ("forecasts", "forecasts"), ("MAE", "mae"), ("/ last week", "ratio"), ("MASE", "mase"),
    ("in 80 %", "held80"), ("in 95 %", "held95"), ("width 80", "width80"), ("width 95", "width95"),
    ("busy below upper 80", "busy_upper"), ("crossings", "crossings"), ("watch recall", "watch_recall"),
    ("precision", "watch_precision"), ("warning recall", "warning_recall"), ("precision", "warning_precision"),
    ("average precision", "average_precision"),
)  # fmt: skip


def verify(
    file: shared.FileArgument,
    *,
    begin: Annotated[str, typer.Option("--from", metavar="TIME", help="The first origin.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="No origin from here on.")],
    every: Annotated[str, typer.Option(help="Time from one refit to the next.")] = "24h",
    leads: Annotated[str, typer.Option(help="How far ahead of each origin, several with commas.")] = "1h,4h,24h",
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="A page with the table and pictures.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CSV file for every forecast with its origin.")
    ] = None,
    step: shared.StepOption = None,
    timezone: shared.ZoneOption = "UTC",
    country: shared.CountryOption = None,
    columns: shared.ColumnsOption = "timestamp,series,value",
) -> None:
    """Say how good the forecasts of a file would have been, had they been made as time went on.

    Every slot is an origin: it knows the rows before it. Between refits each observation moves the forecast.
    """
    from forecasts.rolling import gathered, roll
    from forecasts.verification import figures
    from gridbeacon.cli.data import progress
    from gridbeacon.labels import time_of
    from gridbeacon.spans import span_ms

    every_ms = span_ms(every, "--every")
    leads_ms = tuple(span_ms(text, "--leads") for text in leads.split(","))
    if list(leads_ms) != sorted(set(leads_ms)):
        raise UsageError(f"--leads {leads} do not rise; write them in order, each once")
    grid = shared.grid_of(file, columns, timezone, step, at=None)
    from_ms, to_ms = time_of(begin, grid.zone, "--from"), time_of(end, grid.zone, "--to")
    if to_ms <= from_ms:
        raise UsageError("--to is not after --from; exchange them")
    wrong = next((lead for lead in (every_ms, *leads_ms) if lead % grid.step_ms), None)
    if wrong is not None:
        raise UsageError(f"{wrong / 60_000:g} minutes are no multiple of the slot of {grid.step_ms / 60_000:g} minutes")
    first = -((grid.start_ms - from_ms) // grid.step_ms)
    if not 0 < first < grid.values.shape[1]:
        raise UsageError(f"--from {begin} is not within the file: give a time after its first row and before its last")
    history = shared.history_of(grid, timezone, country, to_ms + 2 * leads_ms[-1] + every_ms)
    settings = shared.settings_of(grid.step_ms, leads_ms[-1] + every_ms)
    rolled = []
    with ExitStack() as stack:
        rows = None if out is None else stack.enter_context(shared.written(out, ("origin", *shared.COLUMNS)))
        advance = stack.enter_context(progress("refits", -((from_ms - to_ms) // every_ms)))
        for one in roll(
            history, settings, from_ms=grid.start_ms + first * grid.step_ms, to_ms=to_ms, every_ms=every_ms,
            leads_ms=leads_ms, history_days=shared.HISTORY_DAYS, told=lambda done, _all: advance(1 if done else 0),
        ):  # fmt: skip
            rolled.append(one)
            if rows is not None:
                _write(rows, grid, one, leads_ms)
    before = grid.values[:, :first]
    by_lead = gathered(rolled)
    found = [
        figures(said, lead // 1000, before, 86_400_000 // grid.step_ms)
        for said, lead in zip(by_lead, leads_ms, strict=True)
    ]
    table = [[_figure(name, getattr(one, name)) for _, name in HEADINGS] for one in found]
    shared.shown_table([heading for heading, _ in HEADINGS], table)
    if html is not None:
        with shared.whole(html) as text:
            text.write(_page(file.name, table, grid, by_lead, leads_ms))
    if out is not None:
        sys.stdout.write(f"every forecast is in {out}\n")


def _write(rows: Any, grid: Any, one: Any, leads_ms: tuple[int, ...]) -> None:
    origin = grid.written(one.at_ms)
    stamps = [grid.written(one.at_ms + lead) for lead in leads_ms]
    for n, name in enumerate(grid.names):
        rows.writerows((origin, *row) for row in shared.forecast_rows(name, stamps, leads_ms, one.forecast, n))


def _figure(name: str, value: float) -> str:
    from gridbeacon.spans import written_span

    if name == "lead_secs":
        return written_span(int(value) * 1000)
    if value != value:
        return "-"
    if name in ("forecasts", "crossings"):
        return f"{value:,.0f}"
    return f"{value:.4g}" if name == "mae" else f"{value:.3f}"


def _page(title: str, table: list[list[str]], grid: Any, by_lead: list[Any], leads_ms: tuple[int, ...]) -> str:
    """Return a page: the table, and for each lead the first fortnight of the largest series."""
    import numpy as np

    from gridbeacon.spans import written_span

    with np.errstate(invalid="ignore"):
        largest = int(np.argmax(np.nansum(grid.values, axis=1)))
    head = "".join(f"<th>{escape(name)}</th>" for name, _ in HEADINGS)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table)
    pictures = "".join(
        f"<h2>{escape(grid.names[largest])}, {written_span(lead)} ahead</h2>{_picture(said, largest)}"
        for said, lead in zip(by_lead, leads_ms, strict=True)
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f"<h1>Forecasts of {escape(title)}</h1><table><tr>{head}</tr>{body}</table>"
        f"<p>Black: what was measured. Blue: the forecast. Shaded: its 80 % band.</p>{pictures}</html>\n"
    )


_STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1200px; color: #1a1a1a; background: #fff }
table { border-collapse: collapse } th, td { padding: .2em .6em; text-align: right; border-bottom: 1px solid #ddd }
path { fill: none; stroke-width: 1.2 } .band { fill: #d8e6f3; stroke: none } .said { stroke: #4878a8 }
.seen { stroke: #1a1a1a }
"""
_WIDTH, _HEIGHT, _MOST = 1160, 220, 2016


def _picture(said: Any, n: int) -> str:
    lines = {name: said.columns[name][n][:_MOST].tolist() for name in ("lower80", "upper80", "point")}
    lines["seen"] = said.actual[n][:_MOST].tolist()
    highest = max([value for line in lines.values() for value in line if value == value] + [1e-9])
    across = _WIDTH / max(len(lines["seen"]) - 1, 1)

    def path(values: list[float], kind: str) -> str:
        text, pen = [], "M"
        for place, value in enumerate(values):
            if value != value:
                pen = "M"
                continue
            text.append(f"{pen}{place * across:.1f} {_HEIGHT - value / highest * _HEIGHT:.1f}")
            pen = "L"
        return f'<path class="{kind}" d="{"".join(text)}"/>'

    known = [place for place, value in enumerate(lines["point"]) if value == value]
    edge = [(place, lines["upper80"][place]) for place in known]
    edge += [(place, lines["lower80"][place]) for place in reversed(known)]
    around = "L".join(f"{place * across:.1f} {_HEIGHT - value / highest * _HEIGHT:.1f}" for place, value in edge)
    band = f'<path class="band" d="M{around}Z"/>' if edge else ""
    inside = band + path(lines["seen"], "seen") + path(lines["point"], "said")
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{inside}</svg>'
