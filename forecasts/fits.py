"""The fits in force in one partition: what was asked, what came back, and the live forecasts that follow from it.

All series of a partition are fitted together, as one generation. What a new generation holds replaces what the older
ones said of the same series; what it lacks (a part that failed) stays with the older one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from forecasts.fitted import Fitted
from forecasts.live import Live
from forecasts.requests import FitAnswer, FitRequest
from forecasts.sums import Sums
from gridbeacon.frame import F4, I8
from gridbeacon.reasons import FitFailure

RECORD_BYTES = 500_000
"""Of a live state that is cut into records."""


@dataclass(slots=True, eq=False)
class Generation:
    """Series that were fitted together: their fit as it goes on, their numbers, and which it still speaks for."""

    number: int
    live: Live
    series: I8
    alive: npt.NDArray[np.bool_]
    records: int = 0
    """Of its live state, as last saved."""

    @property
    def fitted(self) -> Fitted:
        """What was fitted."""
        return self.live.fitted

    def values(self, means: F4) -> F4:
        """Return the means of its series out of those of all."""
        padded = means if len(means) else np.full(1, np.nan, np.float32)
        return padded[np.minimum(self.series, len(padded) - 1)]


class Asked(msgspec.Struct):
    """A generation that was asked for: requests by id with their place, parts that came, and what failed."""

    generation: int
    asked_ms: int
    end_ms: int
    places: dict[str, int]
    came: dict[str, list[int]] = msgspec.field(default_factory=dict)
    parts: dict[str, int] = msgspec.field(default_factory=dict)
    failed: dict[str, FitFailure] = msgspec.field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every request has its whole answer."""
        whole = {name for name, came in self.came.items() if len(came) == self.parts[name]}
        return whole | set(self.failed) >= set(self.places)


class Counters(msgspec.Struct):
    """What else must not be forgotten: numbers, times in ms, the day (since 1970, civil) of the last audit."""

    next_generation: int = 0
    asked_ms: int | None = None
    retry_ms: int = 0
    audited_day: int = -1
    failure: FitFailure | None = None


class Fits:
    """Generations in force, the one that is asked for, and their state."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.asked: Asked | None = None
        self.generations: list[Generation] = []
        self._staged: dict[tuple[int, int, int], bytes] = {}
        self._changed: dict[bytes, bytes | None] = {}
        self._observed: set[int] = set()

    def ask(self, generation: int, requests: list[FitRequest], now_ms: int) -> None:
        """Note what is asked for; what was asked before and has not come is given up."""
        if self.asked is not None:
            self._unstage(self.asked.generation)
        places = {request.request_id: place for place, request in enumerate(requests)}
        self.asked = Asked(generation, now_ms, requests[0].end_ms, places)
        self.counters.next_generation = generation + 1
        self.counters.asked_ms = now_ms

    def take(
        self, answer: FitAnswer, numbers: Mapping[str, int], sums: Sums, now_ms: int, retry_ms: int
    ) -> bool | None:
        """Take one part of an answer; return whether a generation came into force, None when nobody asked for it.

        ``sums`` holds every slot since the end of the history: the new fit learns from them what it has missed.
        """
        asked, name = self.asked, answer.request_id
        if asked is None or name not in asked.places or name in asked.failed:
            return None
        if answer.failure is not None:
            asked.failed[name] = self.counters.failure = answer.failure
        else:
            came = asked.came.setdefault(name, [])
            if answer.part in came or asked.parts.setdefault(name, answer.parts) != answer.parts:
                return None
            came.append(answer.part)
            self._stage(asked.generation, asked.places[name], answer.part, answer.fitted)
        if not asked.complete:
            return False
        self.asked = None
        if asked.failed:
            self.counters.retry_ms = now_ms + retry_ms
        else:
            self.counters.failure = None
        parts = {key[1:]: data for key, data in self._staged.items() if key[0] == asked.generation}
        if not parts:
            return False
        self._adopt(asked.generation, parts, numbers)
        live = self.generations[-1]
        for slot_ms in sums.begun():
            if asked.end_ms <= slot_ms and slot_ms + sums.step_ms <= now_ms:
                live.live.observe(slot_ms, live.values(sums.means(slot_ms, len(numbers))))
        return True

    def observe(self, slot_ms: int, means: F4) -> None:
        """Let every fit learn what was measured in a slot."""
        for generation in self.generations:
            generation.live.observe(slot_ms, generation.values(means))
            self._observed.add(generation.number)

    def unfitted(self, count: int) -> bool:
        """Return whether one of ``count`` series has no fit."""
        covered = np.zeros(count, np.bool_)
        for generation in self.generations:
            covered[generation.series] = True
        return not covered.all()

    def newest_ms(self) -> int | None:
        """Return the end of the newest history that was learned from."""
        return max((generation.fitted.end_ms for generation in self.generations), default=None)

    def needed_ms(self) -> int | None:
        """Return from when on slots must be kept for a fit that is to come."""
        return None if self.asked is None else self.asked.end_ms

    def _adopt(self, number: int, parts: Mapping[tuple[int, int], bytes], numbers: Mapping[str, int]) -> None:
        fitted = Fitted.join([Fitted.from_bytes(parts[key]) for key in sorted(parts)])
        series = np.array([numbers[name] for name in fitted.names], np.int64)
        for older in self.generations:
            older.alive &= ~np.isin(older.series, series)
            self._changed[b"g:%d" % older.number] = np.packbits(older.alive).tobytes()
        for older in [one for one in self.generations if not one.alive.any()]:
            self._drop(older)
        self.generations.append(Generation(number, Live(fitted), series, np.ones(len(series), np.bool_)))
        self._changed[b"g:%d" % number] = np.packbits(self.generations[-1].alive).tobytes()
        self._observed.add(number)

    def _drop(self, generation: Generation) -> None:
        self.generations.remove(generation)
        self._unstage(generation.number)
        self._changed[b"g:%d" % generation.number] = None
        self._observed.discard(generation.number)
        for n in range(generation.records):
            self._changed[b"v:%d:%d" % (generation.number, n)] = None

    def _stage(self, generation: int, place: int, part: int, data: bytes) -> None:
        self._staged[generation, place, part] = data
        self._changed[b"p:%d:%d:%d" % (generation, place, part)] = data

    def _unstage(self, generation: int) -> None:
        for key in [key for key in self._staged if key[0] == generation]:
            del self._staged[key]
            self._changed[b"p:%d:%d:%d" % key] = None

    def changed(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Yield (key, value) of what changed since the last call; None removes the key."""
        yield b"a:", msgspec.msgpack.encode((self.counters, self.asked))
        for generation in self.generations:
            if generation.number in self._observed:
                state = generation.live.state()
                records = range(0, len(state), RECORD_BYTES)
                for n, at in enumerate(records):
                    yield b"v:%d:%d" % (generation.number, n), state[at : at + RECORD_BYTES]
                generation.records = len(records)
        yield from self._changed.items()
        self._changed.clear()
        self._observed.clear()

    def restore(self, records: Mapping[bytes, bytes], numbers: Mapping[str, int]) -> None:
        """Take back the records of ``changed``, all at once."""
        if b"a:" in records:
            self.counters, self.asked = msgspec.msgpack.decode(records[b"a:"], type=tuple[Counters, Asked | None])
        found: dict[int, dict[int, bytes]] = {}
        for key, value in records.items():
            kind, *rest = key.split(b":")
            if kind == b"p":
                generation, place, part = map(int, rest)
                self._staged[generation, place, part] = value
            elif kind == b"v":
                generation, n = map(int, rest)
                found.setdefault(generation, {})[n] = value
        for number in sorted(int(key[2:]) for key in records if key[:2] == b"g:"):
            parts = {key[1:]: data for key, data in self._staged.items() if key[0] == number}
            fitted = Fitted.join([Fitted.from_bytes(parts[key]) for key in sorted(parts)])
            series = np.array([numbers[name] for name in fitted.names], np.int64)
            bits = np.unpackbits(np.frombuffer(records[b"g:%d" % number], np.uint8), count=len(series))
            pieces = found[number]
            state = b"".join(pieces[n] for n in sorted(pieces))
            self.generations.append(Generation(number, Live(fitted, state), series, bits.astype(np.bool_), len(pieces)))
