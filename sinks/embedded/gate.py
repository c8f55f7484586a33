"""Whose query runs next: so many at once, each user in turn, and a clear refusal instead of a queue without end."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gridbeacon.config import Account
from sinks.embedded.wire import ServerError

TOO_MANY_SIMULTANEOUS_QUERIES, QUERY_WAS_CANCELLED = 202, 394
READERS, WRITERS = 24, 32
"""Queries that run at once. Readers leave room: however much they ask, records go on being stored."""
WAITING = 128
WAIT_SECS = 15.0
_LOOK_SECS = 0.1


class Gate:
    """Lets queries pass. Users wait in queues of their own, and the queues take turns: one who asks a hundred questions
    delays another by one of them."""

    def __init__(
        self, readers: int = READERS, writers: int = WRITERS, waiting: int = WAITING, wait_secs: float = WAIT_SECS
    ) -> None:
        self._places = {"reader": readers, "writer": writers}
        self._most_waiting = waiting
        self._wait_secs = wait_secs
        self._changed = threading.Condition()
        self._running: Counter[str] = Counter()
        self._by_role: Counter[str] = Counter()
        self._queues: dict[str, deque[tuple[object, Account]]] = {}

    @contextmanager
    def turn(self, account: Account, gone: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Wait for the account's turn, and hold it inside.

        ``gone`` says whether whoever asked has left. Raises ``ServerError``: code 202 when too many wait already or the
        turn does not come in time, code 394 when the client is gone.
        """
        self._take(account, gone)
        try:
            yield
        finally:
            with self._changed:
                self._running[account.name] -= 1
                self._by_role[account.role] -= 1
                self._changed.notify_all()

    @property
    def running(self) -> int:
        """Number of queries that run now."""
        return self._by_role.total()

    def _take(self, account: Account, gone: Callable[[], bool]) -> None:
        ticket = object()
        deadline = time.monotonic() + self._wait_secs
        with self._changed:
            if sum(map(len, self._queues.values())) >= self._most_waiting:
                raise self._refusal(account)
            queue = self._queues.setdefault(account.name, deque())
            queue.append((ticket, account))
            try:
                while self._next(account.role) is not ticket:
                    if gone():
                        raise ServerError(QUERY_WAS_CANCELLED, "Query was cancelled (QUERY_WAS_CANCELLED)")
                    if time.monotonic() > deadline:
                        raise self._refusal(account)
                    self._changed.wait(_LOOK_SECS)
                self._running[account.name] += 1
                self._by_role[account.role] += 1
                del self._queues[account.name]  # behind the others: the next turn is theirs
                queue.popleft()
                if queue:
                    self._queues[account.name] = queue
            except ServerError:
                queue.remove((ticket, account))
                if not queue:
                    del self._queues[account.name]
                raise
            finally:
                self._changed.notify_all()

    def _next(self, role: str) -> object | None:
        """Return the ticket of this role that is to go next, None when all places are taken."""
        if self._by_role[role] >= self._places[role]:
            return None
        for name, queue in self._queues.items():
            ticket, account = queue[0]
            if account.role == role and self._running[name] < account.max_queries:
                return ticket
        return None

    def _refusal(self, account: Account) -> ServerError:
        return ServerError(
            TOO_MANY_SIMULTANEOUS_QUERIES,
            f"Too many simultaneous queries: {self._by_role[account.role]} run for {account.role}s, "
            f"{self._running[account.name]} of them for user {account.name}, and the queue is full or too slow; "
            "try again later (TOO_MANY_SIMULTANEOUS_QUERIES)",
        )
