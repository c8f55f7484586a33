"""The role store: batches that are refused, a database that is away, and being told to stop meanwhile."""

import threading
from collections.abc import Callable

import msgspec
import pytest

from gridbeacon.errors import GridbeaconError, Transient
from gridbeacon.model import DeadLetter
from gridbeacon.reasons import Rejection, Stage
from sinks.memory import MemorySink
from sinks.rows import Columns
from streams import topics
from streams.store import Message, Refused, Stopped, Writer, letter_of, tables_of, token_of


def message(offset: int) -> Message:
    letter = DeadLetter(
        reason=Rejection.NOT_JSON,
        stage=Stage.DECODE,
        detail="",
        topic="crowd.metrics",
        partition=0,
        offset=offset,
        index=0,
        rejected_ms=1,
        body=b"",
        body_bytes=0,
    )
    return Message(topics.DEAD_LETTERS, 0, offset, msgspec.json.encode(letter))


class Refusing(MemorySink):
    """Takes everything but rows of one offset, and is away the first times."""

    def __init__(self, poison: int | None = None, away: int = 0) -> None:
        super().__init__()
        self._poison, self._away = poison, away
        self.tokens: list[str] = []

    def write(self, table: str, columns: Columns, token: str) -> int:
        self.tokens.append(token)
        if self._away:
            self._away -= 1
            raise Transient("away")
        if self._poison in columns["offset"]:
            raise GridbeaconError("this row is refused")
        return super().write(table, columns, token)


def writer(sink: MemorySink, pause: Callable[[float], None] = lambda _: None) -> tuple[Writer, list[tuple[int, str]]]:
    refused: list[tuple[int, str]] = []
    return Writer(sink, lambda r: refused.append((r.message.offset, r.detail)), pause), refused


def test_one_message_that_is_refused_holds_up_no_other() -> None:
    sink = Refusing(poison=5)
    write, refused = writer(sink)
    write.write([message(n) for n in range(9)])
    assert sorted(sink.tables["dead_letters"]["offset"]) == [0, 1, 2, 3, 4, 6, 7, 8]
    assert refused == [(5, "this row is refused")]


class Picky(MemorySink):
    """Takes no row that has one of these values."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self._values = set(values)

    def write(self, table: str, columns: Columns, token: str) -> int:
        if self._values & set(columns["value"]):
            raise GridbeaconError("this row is refused")
        return super().write(table, columns, token)


def test_one_row_that_is_refused_holds_up_no_other_of_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in = rows stored + rows refused, and each that is refused leads to its source record."""

    def tables(messages: list[Message]) -> dict[str, Columns]:
        """100 rows a message, each with its own source position."""
        numbers = [100 * m.offset + n for m in messages for n in range(100)]
        here = {"topic": ["crowd.metrics"] * len(numbers), "partition": [3] * len(numbers), "item": [1] * len(numbers)}
        return {"observations": {"value": [float(n) for n in numbers], "offset": list(numbers), **here}}

    monkeypatch.setattr("streams.store.tables_of", tables)
    refused: list[Refused] = []
    sink = Picky(7.0, 250.0, 251.0)
    Writer(sink, refused.append, lambda _: None).write([Message(topics.SCORES, 0, n, b"") for n in range(4)])
    stored = sink.tables["observations"]["offset"]
    assert sorted([*stored, *(r.row["offset"] for r in refused)]) == list(range(400))
    assert sorted(r.row["offset"] for r in refused) == [7, 250, 251]
    letter = letter_of(refused[0], 1, 10_000)
    assert (letter.topic, letter.partition, letter.offset, letter.index) == ("crowd.metrics", 3, 7, 1)
    assert (letter.reason, letter.stage) == (Rejection.NOT_STORABLE, Stage.STORE)
    assert msgspec.json.decode(letter.body)["value"] == 7.0


def test_a_database_that_is_away_gets_the_same_batch_until_it_takes_it() -> None:
    sink = Refusing(away=4)
    pauses: list[float] = []
    write, refused = writer(sink, pauses.append)
    write.write([message(1), message(2)])
    assert sink.tables["dead_letters"]["offset"] == [1, 2]
    assert len(set(sink.tokens)) == 1
    assert len(pauses) == 4
    assert pauses == sorted(pauses)
    assert refused == []


def test_being_told_to_stop_ends_the_waiting() -> None:
    stop = threading.Event()

    def pause(_: float) -> None:
        stop.set()
        raise Stopped

    write, _ = writer(Refusing(away=10**6), pause)
    with pytest.raises(Stopped):
        write.write([message(1)])


def test_a_token_names_the_messages() -> None:
    batch = [message(1), message(2)]
    assert token_of("dead_letters", batch) == token_of("dead_letters", list(batch))
    assert token_of("dead_letters", batch) != token_of("dead_letters", batch[:1])
    assert token_of("alerts", batch) != token_of("dead_letters", batch)


def test_a_batch_without_rows_writes_nothing() -> None:
    assert tables_of([]) == {}
