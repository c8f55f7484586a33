"""What the board asks of ClickHouse: few connections, shared answers, and the last known while it is away."""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from gridbeacon.config import Config
from gridbeacon.errors import Transient
from sinks.clickhouse import answers, connect

CONNECTIONS = 4
"""Queries at once; more wait."""
MAX_SECS = 8
"""What one query may take."""
REST_SECS = 2.0
"""After it could not be reached nobody asks for this long: viewers get the last known at once."""
MOST_ANSWERS = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows, when they were asked for, and why they are no newer (empty: they are)."""

    rows: list[dict[str, Any]]
    asked: float
    problem: str = ""

    @property
    def age_secs(self) -> float:
        """How old the rows are."""
        return max(0.0, time.time() - self.asked)


class Away(Transient):
    """The database can't be asked, and nothing is known from before."""


class Database:
    """Asks ClickHouse in threads. Equal questions that come together are asked once."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._answers: OrderedDict[Any, Answer] = OrderedDict()
        self._asking: dict[Any, asyncio.Task[list[dict[str, Any]]]] = {}
        self._rest_until = 0.0
        self._problem = ""

    @property
    def problem(self) -> str:
        """Why the last question had no answer; empty when it had one."""
        return self._problem

    async def ask(self, sql: str, parameters: dict[str, Any] | None = None, *, fresh_secs: float = 5.0) -> Answer:
        """Return the rows of a query, no older than ``fresh_secs`` unless the database is away.

        Raises ``Away`` when it is and nothing is known, ``GridbeaconError`` when it refuses the query.
        """
        key = (sql, tuple(sorted((parameters or {}).items())))
        known = self._answers.get(key)
        if known is not None and known.age_secs < fresh_secs:
            return known
        if time.monotonic() < self._rest_until:
            return self._last(key)
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._query(sql, parameters or {}))
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        try:
            rows = await asyncio.shield(task)
        except Transient as error:
            self._rest_until = time.monotonic() + REST_SECS
            self._problem = str(error)
            return self._last(key)
        self._problem = ""
        answer = self._answers[key] = Answer(rows, time.time())
        self._answers.move_to_end(key)
        while len(self._answers) > MOST_ANSWERS:
            self._answers.popitem(last=False)
        return answer

    def _last(self, key: Any) -> Answer:
        known = self._answers.get(key)
        if known is None:
            raise Away(self._problem or "the database can't be reached")
        return Answer(known.rows, known.asked, self._problem)

    async def _query(self, sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        async with self._room:
            return await asyncio.to_thread(self._ask, sql, parameters)

    def _ask(self, sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        client = connect(self._config)
        try:
            with answers(self._config):
                rows, columns = client.execute(
                    sql, parameters, with_column_types=True, settings={"max_execution_time": MAX_SECS}
                )
        finally:
            client.disconnect()
        names = [name for name, _ in columns]
        return [dict(zip(names, row, strict=True)) for row in rows]
