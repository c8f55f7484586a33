"""The command that scores recorded series: no broker, no database, no configuration."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from gridbeacon.errors import UsageError

COLUMNS = (
    "timestamp", "value", "series", "state", "alarm", "severity", "signal", "expected", "lower", "upper", "reason",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(score)


def score(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="CSV files with a time and a value on each line.")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", help="CSV file for all rows, or a directory for a file each.")],
    time_column: Annotated[str, typer.Option(help="Column of the time.")] = "timestamp",
    value_column: Annotated[str, typer.Option(help="Column of the value.")] = "value",
    series_column: Annotated[
        str | None, typer.Option(help="Column that names the series; none: a file is one.")
    ] = None,
    timezone: Annotated[
        str, typer.Option(help="Time zone of the city: of times without an offset, and of profiles.")
    ] = "UTC",
    detector: Annotated[
        str, typer.Option(help="The detector: ours, or river.anomaly. and the name of one of river's.")
    ] = "novelty_and_departure",
    parameter: Annotated[
        list[str] | None, typer.Option(help="What the detector takes, as NAME=VALUE. May be repeated.")
    ] = None,
) -> None:
    """Score recorded series row by row, as if they came live: no row knows of a later one.

    `alarm`, `severity` and `signal` are scores, higher is more unusual; from 1 on, a `signal` is a finding.
    """
    from gridbeacon.series_file import Columns, read_series, zone_of

    zone = zone_of(timezone)
    chosen = _bank(detector, parameter or [])
    chosen()
    columns = Columns(time_column, value_column, series_column)
    each = out.is_dir()
    if each and len({file.name for file in files}) < len(files):
        raise UsageError(f"two files have the same name, which {out} can hold only once; give --out a file instead")
    for file in files:
        if file.resolve() in (out.resolve(), (out / file.name).resolve()):
            raise UsageError(f"--out would overwrite {file}; name another file or directory")
    rows = 0
    targets = [out / file.name for file in files] if each else [out]
    for number, target in enumerate(targets):
        with _open(target) as lines:
            writer = csv.writer(lines, lineterminator="\n")
            writer.writerow(COLUMNS)
            for file in [files[number]] if each else files:
                for series in read_series(file, columns, zone):
                    rows += _write(writer, series, timezone, chosen())
                    if series.late:
                        told = f"the time goes back; {series.late} lines that come late are not judged"
                        sys.stderr.write(f"{series.first_late}: {told}\n")
    sys.stdout.write(f"{rows:,} rows scored, in {out}\n")


def _bank(detector: str, parameters: list[str]) -> Callable[[], Any]:
    """Return what makes an empty bank. Raises ``UsageError`` and ``ConfigError``."""
    from detectors.detectors import new_bank

    given: dict[str, Any] = {}
    for one in parameters:
        name, equals, text = one.partition("=")
        if not equals:
            raise UsageError(f"--parameter {one!r} is not NAME=VALUE")
        given[name] = _plain(text)
    return lambda: new_bank(detector, given)


def _plain(text: str) -> bool | int | float | str:
    """Return a value as a configuration would read it.

    >>> _plain("3"), _plain("0.5"), _plain("true"), _plain("x")
    (3, 0.5, True, 'x')
    """
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _open(target: Path) -> Any:
    try:
        return target.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"{target} can't be written: {error.strerror}; name another file with --out") from None


def _write(writer: Any, series: Any, timezone: str, bank: Any) -> int:
    import numpy as np

    from detectors.judge_layout import STATISTICS
    from detectors.scoring import band, in_time, score, states
    from gridbeacon.reasons import Reason, State

    time_ms, values = np.array(series.time_ms, np.int64), np.array(series.values)
    said = score(time_ms, values, timezone, bank)
    lower, upper = band(said, values)
    scores = [said[name].tolist() for name in ("alarm", "severity", "signal", "expected")]
    words = [State(state).name.lower() for state in states(said, time_ms).tolist()]
    reasons = [STATISTICS[number].value for number in said["statistic"].tolist()]
    newest = np.maximum.accumulate(time_ms)
    for i in np.flatnonzero(~in_time(time_ms)).tolist():
        reasons[i] = Reason.DUPLICATE.value if time_ms[i] == newest[i] else Reason.LATE.value
    columns = (*scores, lower.tolist(), upper.tolist())
    for row in zip(series.texts, series.values, words, *columns, reasons, strict=True):
        text, value, word, *numbers, reason = row
        writer.writerow((text, value, series.name, word, *(f"{x:.6g}" for x in numbers), reason))
    return len(series.values)
