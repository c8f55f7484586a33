"""The one chDB engine of the process, who may use it, and how much at once.

One lock guards what is common to all sessions: opening and closing them, stopping queries, small questions of our own.
"""

import os
import re
import threading
import uuid
from functools import lru_cache, partial
from typing import Any

from gridbeacon.config import Account
from gridbeacon.errors import Fatal
from sinks.embedded import policy
from sinks.embedded.accounts import Accounts
from sinks.embedded.directory import DataDirectory
from sinks.embedded.gate import Gate
from sinks.embedded.remembered import Remembered
from sinks.embedded.room import Room
from sinks.embedded.running import RunningQueries
from sinks.embedded.wire import ServerError

UNKNOWN_EXCEPTION = 1002
_NORMAL_FORMS, _NORMAL_BYTES = 512, 10_000
"""Dashboards ask the same again and again: so many looked-at statements are remembered, unless they are long."""
_CODE = re.compile(r"Code: (\d+)\. (?:DB::Exception: )?(?:Code: \d+\. DB::Exception: )*")


class Engine:
    """chDB on one directory, for the users of ``accounts``; raises ``Fatal`` when it can't open what is there."""

    def __init__(self, directory: DataDirectory, accounts: Accounts | None = None) -> None:
        os.environ["TZ"] = "UTC"  # read by chDB as it starts: all our times are UTC, on any machine
        from chdb.state.sqlitelike import Connection

        self._connection = Connection
        self._directory = str(directory.path)
        self._lock = threading.Lock()
        try:
            self._own = self._connection(self._directory)
            answer = self._own.query("SELECT version(), timezone()", "TSV").bytes().decode()
        except Exception as error:
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise Fatal(f"chDB can't open {self._directory}: {text}; restore the directory or use another") from error
        version, self.time_zone = answer.split()
        self.version: tuple[int, ...] = tuple(int(part) for part in version.split(".")[:3])
        self.accounts = accounts or Accounts()
        self.gate = Gate()
        self.queries = RunningQueries()
        self.reaching = policy.outside(self._names("table_functions"), self._names("functions"))
        self.types: Remembered[list[str]] = Remembered(_NORMAL_FORMS)
        self._normal = lru_cache(_NORMAL_FORMS)(self._normalized)
        self.room = Room(
            directory.path, partial(self._say, "SYSTEM STOP MERGES"), partial(self._say, "SYSTEM START MERGES")
        )

    def connect(self) -> Any:
        """Return a new chDB connection."""
        with self._lock:
            try:
                return self._connection(self._directory)
            except Exception as error:
                raise as_server_error(error) from error

    def disconnect(self, connection: Any) -> None:
        """Close a connection that came from ``connect``."""
        with self._lock:
            connection.close()

    def permit(self, sql: str, account: Account) -> None:
        """Return when the user may run the statement; raises ``ServerError`` when not, or when it is none."""
        folded = sql.casefold()
        reader = account.role == "reader"
        if not reader and "outfile" not in folded and "infile" not in folded:
            return
        normal = self._normal(sql) if len(sql) <= _NORMAL_BYTES else self._normalized(sql)
        if policy.writes_files(normal):
            raise ServerError(
                344, "INTO OUTFILE and FROM INFILE are not supported over the network (SUPPORT_IS_DISABLED)"
            )
        if reader:
            policy.check(normal, self.reaching, account)

    def kill(self, tag: str) -> None:
        """Ask that the query of this tag be stopped; returns at once, and asking for none is no error."""
        self._say(f"KILL QUERY WHERE startsWith(query, '/*{tag}*/') ASYNC")

    def _normalized(self, sql: str) -> str:
        """Return a statement as chDB's parser writes it: on one line, without comments, names quoted where needed."""
        text = sql.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
        return self._ask("SELECT formatQuerySingleLine({q:String})", {"q": text.replace("\0", "\\0")})

    def _names(self, table: str) -> list[str]:
        return self._ask(f"SELECT name FROM system.{table}", {}).split("\n")  # noqa: S608 - two names of our own

    def _ask(self, sql: str, params: dict[str, str]) -> str:
        with self._lock:
            try:
                return bytes(self._own.query(sql, "TSVRaw", params=params).bytes()).decode().removesuffix("\n")
            except Exception as error:
                raise as_server_error(error) from error

    def _say(self, sql: str) -> None:
        with self._lock:
            try:
                self._own.query(sql, "Null")
            except Exception as error:
                raise as_server_error(error) from error

    def close(self) -> None:
        """Close chDB; every session must be closed before."""
        with self._lock:
            self._own.close()


def new_tag() -> str:
    """Return a name for a query that no other has."""
    return f"gridbeacon-{uuid.uuid4().hex}"


def as_server_error(error: Exception) -> ServerError:
    """Return chDB's error with ClickHouse's code and the text behind it."""
    if isinstance(error, ServerError):
        return error
    text = str(error)
    found = _CODE.search(text)
    return ServerError(int(found[1]), text[found.end() :]) if found else ServerError(UNKNOWN_EXCEPTION, text)
