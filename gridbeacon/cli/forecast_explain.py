"""The components of one series' model as a picture, drawn by Prophet's own plots."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gridbeacon.cli import forecast as shared
from gridbeacon.cli.common import ConfigOption, config_of, folder_of
from gridbeacon.errors import UsageError

_SQL = """
SELECT intDiv(toUnixTimestamp64Milli(observed_at), %(step)s) AS slot, avg(value) FROM observations FINAL
WHERE kind = %(kind)s AND source = %(source)s AND metric = %(metric)s
  AND observed_at < fromUnixTimestamp64Milli(%(at)s)
GROUP BY slot ORDER BY slot DESC LIMIT %(most)s
"""
_ALL_MS = 4_102_444_800_000  # 2100


def explain(
    series: Annotated[str, typer.Argument(metavar="SERIES", help="Name, such as crowd/CAM-1/people_count.")],
    *,
    out: Annotated[Path, typer.Option(help="File for the picture: .png, .svg or .pdf.")],
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CSV file with its history, instead of what ClickHouse has.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Explain the model of this time; none: of the newest value.")
    ] = None,
    step: shared.StepOption = None,
    timezone: shared.ZoneOption = "UTC",
    country: shared.CountryOption = None,
    columns: shared.ColumnsOption = "timestamp,series,value",
    config: ConfigOption = None,
) -> None:
    """Draw what a series' forecast is made of: trend, workday, free day and week, on square roots of the values.

    With ClickHouse, time zone, country and step are those of the configuration.
    """
    if out.suffix not in (".png", ".svg", ".pdf"):
        raise UsageError(f"--out {out} must end with .png, .svg or .pdf")
    if file is None:
        grid, timezone, type_of = _stored(series, at, config)
    else:
        grid = shared.grid_of(file, columns, timezone, step, at=at or _newest(file, columns, timezone, step))
        history = shared.history_of(grid, timezone, country, grid.start_ms + grid.values.shape[1] * grid.step_ms)
        type_of = history.day_types
    if series not in grid.names:
        raise UsageError(f"there is no series {series!r}; there are {', '.join(grid.names[:5])}")
    _draw(series, grid, grid.values[grid.names.index(series)], timezone, type_of, out)
    sys.stdout.write(f"the components of {series} are in {out}\n")


def _newest(file: Path, columns: str, timezone: str, step: str | None) -> str:
    grid = shared.grid_of(file, columns, timezone, step, at=None)
    end_ms = grid.start_ms + grid.values.shape[1] * grid.step_ms
    return datetime.fromtimestamp(end_ms / 1000, grid.zone).isoformat()


def _draw(series: str, grid: Any, values: Any, timezone: str, day_types: Any, out: Path) -> None:
    import matplotlib as mpl
    import numpy as np
    import pandas as pd

    mpl.use("Agg")
    from forecasts.curves import columns_of, prophet_model, times_of
    from forecasts.history import DAY_MS, slots_of
    from forecasts.ladder import believed
    from forecasts.solver import as_prophet, fit

    slots = slots_of(grid.start_ms, grid.step_ms, len(values), timezone, day_types)
    kept = believed(values[None], slots, DAY_MS // grid.step_ms)
    times, order = times_of(slots, grid.step_ms)
    conditions = {name: column[order] for name, column in columns_of(slots).items()}
    roots = np.sqrt(kept[:, order])
    fits = fit(prophet_model(DAY_MS // grid.step_ms), times, roots, conditions)
    try:
        prophet = as_prophet(fits, 0, roots[0])
    except ValueError as error:
        raise UsageError(f"{series} has no model to explain: {error}") from None
    prophet.uncertainty_samples = 0
    frame = pd.DataFrame({"ds": times.astype("datetime64[ns]"), **conditions})
    figure = prophet.plot_components(prophet.predict(frame))
    figure.suptitle(f"{series}: square roots of the values", y=1.0)
    part = out.with_name(f".{out.stem}.part{out.suffix}")
    try:
        figure.savefig(part, bbox_inches="tight")
        part.replace(out)
    except OSError as error:
        raise UsageError(f"{out} can't be written: {error.strerror}; name another file with --out") from None
    finally:
        part.unlink(missing_ok=True)
        mpl.pyplot.close(figure)


def _stored(series: str, at: str | None, config: Path | None) -> tuple[Any, str, Any]:
    """Return the history that ClickHouse has of one series, the city's time zone and its day types."""
    import numpy as np

    from forecasts.history import day_types_of
    from gridbeacon.calendar_file import load_calendar
    from gridbeacon.grid_file import GridFile
    from gridbeacon.labels import time_of
    from gridbeacon.series_file import zone_of
    from sinks.clickhouse import query

    kind, _, rest = series.partition("/")
    source, _, metric = rest.rpartition("/")
    if not source:
        raise UsageError(f"{series!r} is no series of the tables; write kind/source/metric, or give --file")
    settings = config_of(config)
    zone = zone_of(settings.timezone)
    step_ms = settings.forecast.step_minutes * 60_000
    found = query(
        settings,
        _SQL,
        {
            "step": step_ms,
            "kind": kind,
            "source": source,
            "metric": metric,
            "at": _ALL_MS if at is None else time_of(at, zone, "--at"),
            "most": settings.forecast.history_days * 86_400_000 // step_ms,
        },
    )
    if not found:
        raise UsageError(f"ClickHouse has nothing of series {series!r}; name it as in the table observations")
    slots = np.array([slot for slot, _ in found], np.int64)
    values = np.full((1, int(slots.max() - slots.min()) + 1), np.nan, np.float32)
    values[0, slots - slots.min()] = [value for _, value in found]
    start_ms = int(slots.min()) * step_ms
    types = day_types_of(
        load_calendar(settings, folder_of(config)).day_type, start_ms, start_ms + values.shape[1] * step_ms
    )
    return GridFile((series,), start_ms, step_ms, values, zone, "2026-01-01T00:00:00Z"), settings.timezone, types
