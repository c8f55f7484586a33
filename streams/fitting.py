"""One fit: history from ClickHouse, then a child process with a time limit, which leaves nothing behind.

``python -m streams.fitting FILE`` is the child: it reads the job from the file and writes the result beside it.
"""

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

import msgspec
import numpy as np

from forecasts.fitted import Fitted
from forecasts.history import DayTypes, History, day_types_of
from forecasts.requests import FitAnswer, FitRequest
from gridbeacon.calendar import Calendar
from gridbeacon.config import Config
from gridbeacon.config_forecast import Forecast
from gridbeacon.reasons import CalendarMode, FitFailure
from gridbeacon.vocabulary import Kind
from sinks.history import masked_means
from streams.embedded.child import die_with_parent
from streams.forecast_frames import Audit

JOB, RESULT, SAID = "job", "result", "child.log"


class Failed(Exception):
    """A fit gave nothing; ``failure`` says why."""

    def __init__(self, failure: FitFailure, detail: str) -> None:
        super().__init__(detail)
        self.failure = failure


class Job(msgspec.Struct, frozen=True):
    """What the child is to do."""

    section: Forecast
    request: FitRequest
    start_ms: int
    step_ms: int
    values: bytes
    timezone: str
    first_day: str
    day_types: tuple[str, ...]
    country: str


class Result(msgspec.Struct, frozen=True):
    """What it did: a fit in parts, or what an audit found."""

    answers: tuple[FitAnswer, ...] = ()
    audits: tuple[Audit, ...] = ()


async def fit(config: Config, calendar: Calendar, folder: Path, request: FitRequest) -> Result:
    """Return what became of a request. Raises ``Failed``, and ``Transient`` when ClickHouse is away.

    Whatever an earlier process, that was killed, left in ``folder`` is removed first, and all of this one at the end.
    """
    history = await asyncio.to_thread(history_of, config, calendar, request)
    await asyncio.to_thread(_lay_out, folder, _job(config, request, history))
    try:
        await _child(config, folder)
        return await asyncio.to_thread(_result, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lay_out(folder: Path, job: Job) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / JOB).write_bytes(msgspec.msgpack.encode(job))


def _result(folder: Path) -> Result:
    return msgspec.msgpack.decode((folder / RESULT).read_bytes(), type=Result)


def history_of(config: Config, calendar: Calendar, request: FitRequest) -> History:
    """Return the history of the series of a request, masked where nothing may be learned."""
    section = config.forecast
    step_ms = section.step_minutes * 60_000
    slots = section.history_days * 86_400_000 // step_ms
    start_ms = request.end_ms - slots * step_ms
    opened = calendar.active(start_ms, request.end_ms)
    untrained = [one for one in opened if one.window.mode is CalendarMode.TRAIN_MASK]
    values = masked_means(config, request.names, request.cells, start_ms, request.end_ms, step_ms)
    for series, cell in enumerate(request.cells):
        kind, _, rest = request.names[series].partition("/")
        for window in untrained:
            if window.window.scope.covers(cell, Kind(kind), rest.rpartition("/")[2]):
                first, last = (window.start_ms - start_ms) // step_ms, -((start_ms - window.end_ms) // step_ms)
                values[series, max(first, 0) : max(last, 0)] = np.nan
    ahead_ms = request.end_ms + 3 * section.horizon_hours * 3_600_000
    days = day_types_of(calendar.day_type, start_ms, ahead_ms)
    return History(request.names, start_ms, step_ms, values, config.timezone, days, config.calendar.country)


def _job(config: Config, request: FitRequest, history: History) -> Job:
    return Job(
        section=config.forecast,
        request=request,
        start_ms=history.start_ms,
        step_ms=history.step_ms,
        values=history.values.tobytes(),
        timezone=history.timezone,
        first_day=history.day_types.first.isoformat(),
        day_types=tuple(one.value for one in history.day_types.types),
        country=history.country,
    )


async def _child(config: Config, folder: Path) -> None:
    """Run the child on the job in ``folder``; raises ``Failed`` when it ends with an error or takes too long."""
    limit_secs = config.forecast.fit_limit_secs
    with (folder / SAID).open("wb") as said:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "streams.fitting",
            str(folder),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env={**os.environ, "TMPDIR": str(folder)},
            process_group=0,
            preexec_fn=die_with_parent(),
        )
        try:
            code = await asyncio.wait_for(child.wait(), limit_secs)
        except TimeoutError as error:
            raise Failed(
                FitFailure.TIMED_OUT, f"it took longer than forecast.fit_limit_secs, {limit_secs:g}"
            ) from error
        finally:
            if child.returncode is None:
                os.killpg(child.pid, signal.SIGKILL)
                await child.wait()
    if code:
        last = (folder / SAID).read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise Failed(FitFailure.CRASHED, f"the process that fits ended with code {code}: {last[0][:300]}")


def work(folder: Path) -> None:
    """Do the job in ``folder``: the whole life of the child."""
    from datetime import date

    from gridbeacon.reasons import DayType

    job = msgspec.msgpack.decode((folder / JOB).read_bytes(), type=Job)
    names = job.request.names
    values = np.frombuffer(job.values, np.float32).reshape(len(names), -1)
    days = DayTypes(date.fromisoformat(job.first_day), tuple(map(DayType, job.day_types)))
    history = History(names, job.start_ms, job.step_ms, values, job.timezone, days, job.country)
    if job.request.audit:
        from forecasts.audit import audited

        found = audited(history, job.section)
        audits = tuple(Audit(audited_ms=job.request.asked_ms, **msgspec.structs.asdict(one)) for one in found)
        result = Result(audits=audits)
    else:
        from forecasts import forecaster

        fitted: Fitted = forecaster.fit(history, forecaster.Settings.of(job.section))
        if job.section.series:
            from forecasts import stock

            fitted = stock.replaced(fitted, history, job.section)
        result = Result(tuple(FitAnswer.of(job.request, fitted)))
    (folder / RESULT).write_bytes(msgspec.msgpack.encode(result))


if __name__ == "__main__":
    work(Path(sys.argv[1]))
