"""The way to ClickHouse: one connection per thread, inserts that may be repeated, errors that say what to do."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from clickhouse_driver import Client
from clickhouse_driver.errors import Error, ErrorCodes, NetworkError, ServerException, SocketTimeoutError

from gridbeacon.config import Config
from gridbeacon.errors import ConfigError, GridbeaconError, Transient
from sinks.rows import Columns, length

EMBEDDED, EMBEDDED_HOST = "embedded", "127.0.0.1"
CONNECT_SECS, ANSWER_SECS = 5, 30
"""The driver's own 300 seconds are no way to notice that a server is gone."""
# The driver logs each failed attempt with its stack; the caller hears of the outcome, once, from the exception.
logging.getLogger("clickhouse_driver").setLevel(logging.CRITICAL)
_LOOPBACK = ("127.0.0.1", "localhost", "::1", EMBEDDED)
#: Errors of the server that pass: too much at once, no room, starting or stopping, a part of the cluster away.
_PASSING = frozenset(
    {
        ErrorCodes.TIMEOUT_EXCEEDED,
        ErrorCodes.TOO_MANY_SIMULTANEOUS_QUERIES,
        ErrorCodes.NETWORK_ERROR,
        ErrorCodes.SOCKET_TIMEOUT,
        ErrorCodes.TABLE_IS_READ_ONLY,
        ErrorCodes.NOT_ENOUGH_SPACE,
        ErrorCodes.MEMORY_LIMIT_EXCEEDED,
        ErrorCodes.TOO_MANY_PARTS,
        ErrorCodes.KEEPER_EXCEPTION,
        ErrorCodes.NO_ZOOKEEPER,
        ErrorCodes.CANNOT_WRITE_TO_FILE_DESCRIPTOR,
        ErrorCodes.CANNOT_WRITE_TO_OSTREAM,
        ErrorCodes.QUERY_WAS_CANCELLED,
        ErrorCodes.UNKNOWN_STATUS_OF_INSERT,
    }
)
_AUTHENTICATION_FAILED = 516  # newer than the driver's list
_DENIED = frozenset({_AUTHENTICATION_FAILED, ErrorCodes.WRONG_PASSWORD, ErrorCodes.UNKNOWN_USER})


class Sink(Protocol):
    """Where rows end up. The contract: a write is acknowledged or raises; one with the same token may be repeated."""

    def write(self, table: str, columns: Columns, token: str) -> int:
        """Insert rows given as columns and return how many; raises ``Transient`` when it should be tried again."""

    def close(self) -> None:
        """Let go of the connection."""


class ClickHouseSink:
    """Writes rows to ClickHouse; a connection is made anew after any error. For one thread at a time."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._client: Client | None = None

    def write(self, table: str, columns: Columns, token: str) -> int:
        """Insert rows given as columns; ``token`` names this very insert, so that a repeat of it changes nothing.

        Raises ``Transient`` when ClickHouse is away or slow, ``GridbeaconError`` when it refuses the rows.
        """
        rows = length(columns)
        if not rows:
            return 0
        names = ", ".join(f"`{name}`" for name in columns)
        with answers(self._config):
            try:
                self._client = self._client or connect(self._config)
                self._client.execute(
                    f"INSERT INTO {table} ({names}) VALUES",
                    [list(column) for column in columns.values()],  # the driver changes the lists that it is given
                    columnar=True,
                    settings={"insert_deduplication_token": token},
                )
            except BaseException:
                self.close()
                raise
        return rows

    def close(self) -> None:
        """Let go of the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()


def where(config: Config) -> tuple[str, int]:
    """Return host and port of ClickHouse, the embedded one included."""
    clickhouse = config.clickhouse
    return (EMBEDDED_HOST if clickhouse.host == EMBEDDED else clickhouse.host), clickhouse.port


def connect(config: Config, *, database: str | None = None) -> Client:
    """Return a client of the database (``clickhouse.database`` unless another is named); it connects when used.

    Raises ``ConfigError`` when TLS is off and the server is not on this machine, or the certificate can't be read.
    """
    clickhouse = config.clickhouse
    host, port = where(config)
    embedded = clickhouse.host == EMBEDDED
    if not clickhouse.secure and clickhouse.host not in _LOOPBACK:
        raise ConfigError(f"clickhouse.host {host} is another machine: set clickhouse.secure to true")
    if clickhouse.ca_file and not Path(clickhouse.ca_file).is_file():
        raise ConfigError(f"clickhouse.ca_file {clickhouse.ca_file!r} can't be read; correct its path")
    return Client(
        host=host,
        port=port,
        database=clickhouse.database if database is None else database,
        user=clickhouse.username,
        password=clickhouse.password,
        secure=clickhouse.secure or bool(embedded and clickhouse.tls_cert_file),
        verify=not embedded,  # its certificate is for other machines; here we meet it on loopback
        ca_certs=clickhouse.ca_file or None,
        connect_timeout=CONNECT_SECS,
        send_receive_timeout=ANSWER_SECS,
        compression=False,
        client_name="gridbeacon",
    )


def ask(
    config: Config, sql: str, parameters: dict[str, Any] | None = None
) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Return the names of a query's columns, and its rows.

    Raises ``Transient``, ``ConfigError`` or ``GridbeaconError`` as ``ClickHouseSink.write`` does.
    """
    client = connect(config)
    try:
        with answers(config):
            rows, columns = client.execute(sql, parameters or {}, with_column_types=True)
            return tuple(name for name, _ in columns), list(rows)
    finally:
        client.disconnect()


def query(config: Config, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    """Return the rows of a query. Raises as ``ask`` does."""
    return ask(config, sql, parameters)[1]


@contextmanager
def answers(config: Config) -> Iterator[None]:
    """Turn whatever the driver raises inside into one of our errors."""
    try:
        yield
    except (NetworkError, SocketTimeoutError, EOFError, OSError) as error:
        raise Transient(f"{_who(config)} can't be reached; {_fix(config)}") from error
    except ServerException as error:
        raise _server_error(error, config) from error
    except Error as error:
        raise GridbeaconError(f"{_who(config)} and the driver disagree: {str(error)[:300]}") from error


def _server_error(error: ServerException, config: Config) -> GridbeaconError:
    said = (error.message or "").split("Stack trace")[0].strip()[:300]
    if error.code in _DENIED:
        user = config.clickhouse.username
        return ConfigError(f"{_who(config)} refuses user {user!r}; check clickhouse.username and clickhouse.password")
    if error.code == ErrorCodes.UNKNOWN_DATABASE or error.code == ErrorCodes.UNKNOWN_TABLE:
        return Transient(f"{_who(config)} lacks our tables; run gridbeacon init ({said})")
    kind = Transient if error.code in _PASSING else GridbeaconError
    return kind(f"{_who(config)} answered {error.code}: {said}")


def _who(config: Config) -> str:
    host, port = where(config)
    return f"ClickHouse at {host}:{port}"


def _fix(config: Config) -> str:
    if config.clickhouse.host == EMBEDDED:
        return "start it with gridbeacon up and the same configuration"
    return "check clickhouse.host and clickhouse.port, or start it"
