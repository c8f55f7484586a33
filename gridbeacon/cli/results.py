"""What a backtest finds, printed as JSON lines or written to the tables."""

import hashlib
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from gridbeacon.config import Config
from gridbeacon.crossings import Told
from gridbeacon.errors import UsageError
from gridbeacon.model import (
    Alert,
    AlertEvent,
    DeadLetter,
    GridEvent,
    Notice,
    SituationReport,
    Verdict,
    Weighed,
    plain,
)

WORDS: dict[type[Any], str] = {
    Verdict: "verdict",
    GridEvent: "grid_event",
    DeadLetter: "dead_letter",
    Alert: "alert",
    AlertEvent: "alert_event",
    Notice: "notice",
    Told: "crossing",
    SituationReport: "situation",
    Weighed: "weighed",
}
BATCH = 20_000
Take = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Kinds:
    """Which findings are wanted."""

    words: frozenset[str]

    @classmethod
    def of(cls, words: list[str] | None) -> "Kinds":
        """Return the named kinds, all when none is named. Raises ``UsageError``."""
        for word in words or ():
            if word not in WORDS.values():
                raise UsageError(f"there is no kind {word!r}; choose of: {', '.join(WORDS.values())}")
        return cls(frozenset(words or WORDS.values()))

    def wanted(self, found: Any) -> bool:
        """Return whether a finding is one of them."""
        return WORDS[type(found)] in self.words


@contextmanager
def printer() -> Iterator[Take]:
    """Yield what prints one finding: a JSON object with its ``kind`` in front."""
    encode = msgspec.json.Encoder().encode
    out = sys.stdout.buffer

    def take(found: Any) -> None:
        body = encode(plain(found))
        out.write(b'{"kind":"%s",%s\n' % (WORDS[type(found)].encode(), body[1:]))

    yield take
    out.flush()


@contextmanager
def storer(config: Config) -> Iterator[Take]:
    """Yield what writes findings to the tables, in batches; the same findings twice are there once."""
    from sinks import rows
    from sinks.clickhouse import ClickHouseSink
    from streams import forecast_rows

    tables: dict[type[Any], tuple[str, Callable[[list[Any]], rows.Columns]]] = {
        Verdict: ("observations", rows.verdicts),
        GridEvent: ("grid_events", rows.grid_events),
        DeadLetter: ("dead_letters", rows.dead_letters),
        Alert: ("alerts", rows.alerts),
        AlertEvent: ("alert_events", rows.alert_events),
        Notice: ("notices", rows.notices),
        Told: ("crossings", forecast_rows.crossings),
        SituationReport: ("situations", rows.situations),
        Weighed: ("weighed", rows.weighed),
    }
    sink = ClickHouseSink(config)
    waiting: dict[type[Any], list[Any]] = defaultdict(list)

    def flush(kind: type[Any]) -> None:
        found = waiting.pop(kind, [])
        table, columns_of = tables[kind]
        token = hashlib.sha256(msgspec.json.encode(found)).hexdigest()
        sink.write(table, columns_of(found), token)

    def take(found: Any) -> None:
        kind = type(found)
        waiting[kind].append(found)
        if len(waiting[kind]) >= BATCH:
            flush(kind)

    try:
        yield take
        for kind in list(waiting):
            flush(kind)
    finally:
        sink.close()
