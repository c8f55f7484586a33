"""Foresee: the state of one partition of the log ``scores``; judged observations, time and fits in, crossings out.

No clock, no input or output: what was measured comes with the log, and so does every fit that was asked for. Slots of
time are closed by ticks; at each the fits learn what was measured, and what they say of the hours ahead is compared
with the limits.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from forecasts.crossing_book import SCREENED_SLOTS, CrossingBook
from forecasts.fits import Fits, Generation
from forecasts.known import Known
from forecasts.outlook import ForecastRows, Outlook
from forecasts.requests import FitAnswer, FitRequest
from forecasts.sums import Sums
from gridbeacon.civil import civil_ms
from gridbeacon.config import Config
from gridbeacon.crossings import Told
from gridbeacon.frame import I8, Judged
from gridbeacon.model import Position, Sensor, Signal, Tick
from gridbeacon.watermark import Watermark

LOG = "scores"
MINUTE_MS = 60_000
ROWS = 40_000
"""Forecasts of one message at most."""
NEW_SERIES_MS = 60 * MINUTE_MS
"""New series wait this long for company before all are fitted together."""
UNANSWERED_MS = 6 * 60 * MINUTE_MS
"""A fit that was asked for and has not come by then is asked for again."""


class Heard(msgspec.Struct):
    """Where the log stands: the offset of ``observations`` last taken, the time, and until when slots are closed."""

    taken: int = -1
    clock: Watermark = msgspec.field(default_factory=Watermark)
    closed_ms: int | None = None


class Foresight:
    """A pure function of one ordered ``scores`` partition, in the form of an object with its state.

    Slots are kept for ``keep_ms`` when they are over, for those who fit from them.
    """

    def __init__(self, config: Config, partition: int, keep_ms: int = 0) -> None:
        section = config.forecast
        self._config = config
        self._section = section
        self._partition = partition
        self._keep_ms = keep_ms
        self._step_ms = section.step_minutes * MINUTE_MS
        self._zone = ZoneInfo(config.timezone)
        self._heard = Heard()
        self.known = Known(config.limits)
        self.sums = Sums(self._step_ms)
        self.fits = Fits()
        self.book = CrossingBook(self.known, self._zone, self._step_ms)
        self._leads_ms = [minutes * MINUTE_MS for minutes in section.leads_minutes]
        self._ahead_ms = round(section.warn_hours * 60) * MINUTE_MS
        self._screen_ms = [lead for lead in self._leads_ms if lead <= self._ahead_ms] or self._leads_ms[:1]
        self._later: dict[bytes, bytes] = {}

    def observe(
        self,
        judged: Judged,
        sensors: Sequence[Sensor],
        tick: Tick | None,
        identity: tuple[int, int],
        offset: int,
    ) -> Outlook:
        """Take one judged frame at ``offset`` of the log; return what follows.

        ``identity`` is (offset, previous) of the frame on ``observations``: one that was taken is a repeat, one whose
        predecessor was not will come again.
        """
        self._settle()
        out = Outlook()
        number, previous = identity
        if number <= self._heard.taken or previous > self._heard.taken:
            out.repeats = len(judged.rows) or 1
            return out
        self._heard.taken = number
        at = Position(LOG, self._partition, offset)
        for sensor in sensors:
            self.known.define(sensor)
        if len(judged.rows):
            seen = self.known.see(judged)
            in_time = seen.observed_ms >= (self._heard.closed_ms or 0)
            out.late = int((~in_time).sum())
            self.sums.add(seen.number[in_time], seen.observed_ms[in_time], seen.value[in_time], len(self.known))
            _extend(out, self.book.observe(seen, at))
        if tick is not None and self._heard.clock.hear(tick._replace(of=0)):
            out.tick = tick
            now_ms = self._heard.clock.time_ms or 0
            self._close(now_ms - round(self._section.grace_secs * 1000), at, out)
        return _numbered(out)

    def take(self, answer: FitAnswer, offset: int) -> Outlook:
        """Take one part of what became of a request; a fit that is complete is in force from here on."""
        self._settle()
        out = Outlook()
        now_ms = self._heard.closed_ms or 0
        retry_ms = round(self._section.retry_minutes * MINUTE_MS)
        came = self.fits.take(answer, self.known.numbers, self.sums, now_ms, retry_ms)
        if came is None:
            out.repeats = 1
        elif came:
            self._look(now_ms, Position(LOG, self._partition, offset), out, fresh=True)
        return _numbered(out)

    def _close(self, until_ms: int, at: Position, out: Outlook) -> None:
        """Close the slots that end by ``until_ms``, look ahead from there, and ask for fits that are due."""
        closed_ms = until_ms // self._step_ms * self._step_ms
        before_ms, self._heard.closed_ms = self._heard.closed_ms, max(closed_ms, self._heard.closed_ms or 0)
        if before_ms is not None and closed_ms <= before_ms:
            return
        for slot_ms in self.sums.begun():
            if (before_ms or 0) <= slot_ms < closed_ms:
                means = self.sums.means(slot_ms, len(self.known))
                self.fits.observe(slot_ms, means)
                _extend(out, self.book.passed(means, slot_ms, at))
        self._look(closed_ms, at, out, fresh=False)
        self._ask(closed_ms, at, out)
        needed_ms = self.fits.needed_ms()
        self.sums.forget(min(closed_ms - self._keep_ms, closed_ms if needed_ms is None else needed_ms))

    def _look(self, now_ms: int, at: Position, out: Outlook, *, fresh: bool) -> None:
        """Compare with the limits what the fits say from here on, and store it when it is time to."""
        number = now_ms // self._step_ms
        whole = fresh or number % SCREENED_SLOTS == 0
        stored = now_ms % (self._section.stored_minutes * MINUTE_MS) < self._step_ms
        for generation in self.fits.generations:
            if fresh and generation is not self.fits.generations[-1]:
                continue
            told = self.book.look(generation, now_ms, self._ahead_ms, self._screen_ms, at, whole=whole)
            _extend(out, told)
            if fresh:
                leads = range(0, self._section.horizon_hours * 60 * MINUTE_MS, self._step_ms)
                out.rows += self._rows(generation, now_ms, list(leads))
            elif stored:
                out.rows += self._rows(generation, now_ms, self._leads_ms)

    def _rows(self, generation: Generation, now_ms: int, leads_ms: list[int]) -> list[ForecastRows]:
        """Return the forecasts of a generation as rows, in messages of at most ``ROWS``."""
        alive = np.flatnonzero(generation.alive)
        names = tuple(generation.fitted.names[n] for n in alive.tolist())
        cells = tuple(self.known.entries[number].cell for number in generation.series[alive].tolist())
        valid_ms = generation.fitted.valid_until_ms
        found = []
        for part in _batched(leads_ms, max(1, ROWS // max(len(alive), 1))):
            made = generation.live.forecast(now_ms, part)
            there = np.isfinite(made.point[alive])
            series, lead = np.nonzero(there)
            if not len(series):
                continue
            target: I8 = (now_ms + np.array(part, np.int64)) // self._step_ms * self._step_ms
            found.append(
                ForecastRows(
                    made_ms=now_ms,
                    valid_until_ms=max(valid_ms, now_ms),
                    names=names,
                    cells=cells,
                    series=series.astype(np.int64),
                    target_ms=target[lead],
                    model=made.model[alive][there],
                    point=made.point[alive][there],
                    lower80=made.lower80[alive][there],
                    upper80=made.upper80[alive][there],
                    lower95=made.lower95[alive][there],
                    upper95=made.upper95[alive][there],
                )
            )
        return found

    def _ask(self, now_ms: int, at: Position, out: Outlook) -> None:
        """Ask for a fit of all series when one is due; once a day also for an audit of a few."""
        if not len(self.known):
            return
        nightly = self._nightly_ms(now_ms)
        newest = self.fits.newest_ms()
        counters = self.fits.counters
        since_ms = now_ms if counters.asked_ms is None else now_ms - counters.asked_ms
        stale = newest is None or newest < nightly
        fresh_night = counters.asked_ms is None or counters.asked_ms < nightly
        if self.fits.asked is not None:
            due = since_ms >= UNANSWERED_MS or (stale and fresh_night)
        elif now_ms < counters.retry_ms:
            due = False
        else:
            due = (stale and (fresh_night or counters.failure is not None)) or (
                since_ms >= NEW_SERIES_MS and self.fits.unfitted(len(self.known))
            )
        if due:
            generation = counters.next_generation
            names = [entry.name for entry in self.known.entries]
            requests = [
                self._request(f"{self._partition}/{at.offset}/{place}", part, now_ms, at)
                for place, part in enumerate(_batched(names, self._section.fit_series))
            ]
            self.fits.ask(generation, requests, now_ms)
            out.requests += requests
        day = datetime.fromtimestamp(nightly / 1000, UTC).astimezone(self._zone).date().toordinal()
        if day != counters.audited_day and newest is not None:
            counters.audited_day = day
            if chosen := self._audited(day):
                request = self._request(f"{self._partition}/{at.offset}/audit", chosen, now_ms, at)
                out.requests.append(msgspec.structs.replace(request, audit=True))

    def _request(self, name: str, series: Sequence[str], now_ms: int, at: Position) -> FitRequest:
        return FitRequest(
            request_id=name,
            partition=self._partition,
            offset=at.offset,
            asked_ms=now_ms,
            end_ms=now_ms,
            names=tuple(series),
            cells=tuple(self.known.entries[self.known.numbers[name]].cell for name in series),
        )

    def _audited(self, day: int) -> list[str]:
        """Return this partition's share of the series of a night's audit: chosen by chance, and by the date alone."""
        share = -(-self._section.audit_series // self._config.topics.observations_partitions)
        names = (self.known.entries[n].name for g in self.fits.generations for n in g.series[g.alive].tolist())
        return sorted(names, key=lambda name: sha256(f"{day}|{name}".encode()).digest())[:share]

    def _nightly_ms(self, now_ms: int) -> int:
        """Return the last time at which a nightly fit was due."""
        now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(self._zone)
        at = time.fromisoformat(self._section.refit_at)
        found = civil_ms(datetime.combine(now.date(), at), self._zone)
        return found if found <= now_ms else civil_ms(datetime.combine(now.date() - timedelta(1), at), self._zone)

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call; None removes the key."""
        self._settle()
        heard: list[tuple[bytes, bytes | None]] = [(b"h:", msgspec.msgpack.encode(self._heard))]
        return [*heard, *self.known.changed(), *self.sums.changed(), *self.fits.changed(), *self.book.changed()]

    def restore(self, key: bytes, value: bytes) -> None:
        """Take back one record of ``changed``, in any order."""
        self._later[key] = value

    def _settle(self) -> None:
        """Restore, once all records are here: fits need the series, crossings their numbers."""
        if not self._later:
            return
        records, self._later = self._later, {}
        if b"h:" in records:
            self._heard = msgspec.msgpack.decode(records[b"h:"], type=Heard)
        self.known.restore(records)
        self.fits.restore(records, self.known.numbers)
        for key, value in records.items():
            if key[:2] == b"s:":
                self.sums.restore(key, value)
            elif key[:2] == b"x:":
                self.book.restore(key, value)


def _batched(items: list[Any], size: int) -> Iterator[list[Any]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]


def _extend(out: Outlook, found: tuple[list[Told], list[Signal]]) -> None:
    out.crossings += found[0]
    out.signals += found[1]


def _numbered(out: Outlook) -> Outlook:
    out.signals = [msgspec.structs.replace(signal, index=n) for n, signal in enumerate(out.signals)]
    return out
