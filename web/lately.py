"""What takes a moment to find out, kept for all viewers: a page waits a little for it, then shows the last known."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from gridbeacon.errors import GridbeaconError
from web.problems import Problem

T = TypeVar("T")
HARDLY_OLD = 2.0
"""Times ``fresh_secs``: until then the last known is shown at once, while it is found out again."""


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """The last known value, None before the first; how old it is; why it is no newer."""

    value: T | None
    age_secs: float
    problem: str


class Lately(Generic[T]):
    """Finds something out again when it is older than ``fresh_secs``; however many ask, it is found out once."""

    def __init__(self, find: Callable[[], Awaitable[T]], fresh_secs: float) -> None:
        self._find = find
        self._fresh_secs = fresh_secs
        self._value: T | None = None
        self._at = 0.0
        self._problem = ""
        self._tried = float("-inf")
        self._finding: asyncio.Task[None] | None = None

    async def get(self, patience_secs: float) -> Known[T]:
        """Return it, waiting no longer than so for news; while a value is hardly old nobody waits at all."""
        if time.monotonic() - self._tried > self._fresh_secs and (self._finding is None or self._finding.done()):
            self._tried = time.monotonic()
            self._finding = asyncio.create_task(self._try())
        hardly_old = self._at and time.monotonic() - self._at < HARDLY_OLD * self._fresh_secs
        if self._finding is not None and not self._finding.done() and not hardly_old:
            await asyncio.wait([self._finding], timeout=patience_secs)
        return Known(self._value, time.monotonic() - self._at if self._at else 0.0, self._problem)

    async def _try(self) -> None:
        try:
            self._value = await self._find()
        except (Problem, GridbeaconError) as error:
            self._problem = str(error)
        else:
            self._at, self._problem = time.monotonic(), ""
