"""Queries by the ids that their clients gave them: chDB gives its own, and ``KILL QUERY`` must find theirs."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gridbeacon.config import Account

_KILL = re.compile(
    r"\s*KILL\s+QUERY\s+(?:ON\s+CLUSTER\s+\S+\s+)?WHERE\s+query_id\s*=\s*'(?P<id>(?:[^'\\]|\\.)*)'\s*(?:ASYNC|SYNC)?\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)
_FOUND = "SELECT 'waiting' AS kill_status, '{id}' AS query_id, '{user}' AS user, '' AS query"
_NOT_FOUND = "SELECT '' AS kill_status, '' AS query_id, '' AS user, '' AS query WHERE 0"


class RunningQueries:
    """What runs now, by the client's id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tags: dict[str, tuple[str, str]] = {}

    @contextmanager
    def known(self, query_id: str, tag: str, account: Account) -> Iterator[None]:
        """Let the query be found by its id while it runs inside; an empty id is none."""
        with self._lock:
            self._tags[query_id] = (tag, account.name)
        try:
            yield
        finally:
            with self._lock:
                if self._tags.get(query_id, ("", ""))[0] == tag:
                    del self._tags[query_id]

    def taken(self, sql: str, account: Account, kill: Callable[[str], None]) -> str:
        """Return the statement that is to be run instead of ``sql``: itself, unless it kills a query by a client's id.

        That query is killed here. Readers may kill their own alone; of others they learn nothing.
        """
        found = _KILL.fullmatch(sql)
        if not found:
            return sql
        with self._lock:
            tag, user = self._tags.get(re.sub(r"\\(.)", r"\1", found["id"]), ("", ""))
        if tag and (account.role == "writer" or user == account.name):
            kill(tag)
            return _FOUND.format(id=found["id"], user=user)
        return sql if account.role == "writer" else _NOT_FOUND
