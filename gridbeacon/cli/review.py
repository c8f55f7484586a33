"""The morning after: review."""

import sys
import time
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from gridbeacon.cli.common import ConfigOption, config_of
from gridbeacon.errors import UsageError
from gridbeacon.labels import time_of

MOST_DAYS = 92
_DAY_MS, _HOUR_MS = 86_400_000, 3_600_000
_AROUND_MS = _HOUR_MS
"""An incident is shown with an hour before and after it, unless a time is given."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(review)


def review(
    *,
    begin: Annotated[
        str | None, typer.Option("--from", help="Begin, in the city's time; with offset or Z another.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="End, not itself included.")] = None,
    incident: Annotated[str | None, typer.Option(help="Id of an alert: its story minute by minute as well.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="File for the page.")] = None,
    pdf: Annotated[Path | None, typer.Option("--pdf", help="File for the same as PDF; needs the extra pdf.")] = None,
    config: ConfigOption = None,
) -> None:
    """Write one page on a night or a week: what happened, did we warn in time, were we right, what to change.

    The page holds everything in itself, with the SQL behind each figure. With --incident alone, the time is that of the
    alert, an hour more on either side.
    """
    from gridbeacon.review import page
    from sinks.review import figures, span_of

    if html is None and pdf is None:
        raise UsageError("there is no file to write; name one with --html, with --pdf, or with both")
    settings = config_of(config)
    span = _span(begin, end, ZoneInfo(settings.timezone), time.time_ns() // 1_000_000)
    if incident is not None:
        lasted = span_of(settings, incident)
        if lasted is None:
            raise UsageError(f"there is no alert {incident}; see gridbeacon alerts list for ids")
        span = span or (lasted[0] - _AROUND_MS, lasted[1] + _AROUND_MS)
    if span is None:
        raise UsageError("a review needs --from and --to, or --incident")
    text = page(figures(settings, *span, incident), *span, settings.timezone, incident)
    for file, made in ((html, _as_text), (pdf, _as_pdf)):
        if file is None:
            continue
        try:
            file.write_bytes(made(text))
        except OSError as error:
            raise UsageError(f"{file} can't be written ({error.strerror}); name another file") from error
        sys.stdout.write(f"{file} is ready\n")


def _span(begin: str | None, end: str | None, zone: ZoneInfo, now_ms: int) -> tuple[int, int] | None:
    if begin is None and end is None:
        return None
    if begin is None or end is None:
        raise UsageError("--from and --to go together; give both")
    begin_ms, end_ms = time_of(begin, zone, "--from"), time_of(end, zone, "--to")
    if end_ms <= begin_ms:
        raise UsageError("--to is not after --from; exchange them")
    if begin_ms > now_ms:
        raise UsageError("--from lies in the future, where nothing has happened yet; give an earlier one")
    if end_ms - begin_ms > MOST_DAYS * _DAY_MS:
        raise UsageError(f"a review is of {MOST_DAYS} days at most; give a shorter time, or ask the tables in SQL")
    return begin_ms, end_ms


def _as_text(text: str) -> bytes:
    return text.encode()


def _as_pdf(text: str) -> bytes:
    try:
        from weasyprint import HTML
    except (ImportError, OSError) as error:  # the second when the library of the system that it draws with is missing
        raise UsageError(
            "PDF needs the package weasyprint and the library Pango: pip install '.[pdf]', and on Debian "
            "apt install libpango-1.0-0 libpangoft2-1.0-0; or print the page of --html with a browser"
        ) from error
    made: bytes = HTML(string=text, url_fetcher=_nothing).write_pdf()
    return made


def _nothing(url: str, *_: object, **__: object) -> dict[str, object]:
    """Refuse to fetch: the page holds everything in itself."""
    raise ValueError(f"the page names {url}")
