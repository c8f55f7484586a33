"""A session of chDB for every client: database, settings and temporary tables are its own.

Sessions are chDB connections and run side by side without waiting for each other.
"""

import json
import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from typing import Any, NamedTuple

from gridbeacon.config import Account
from sinks.embedded import http_forms, native, policy, statements
from sinks.embedded.engine import Engine, as_server_error
from sinks.embedded.wire import ProtocolError, Reader, ServerError

MAX_INSERT_BYTES = 1 << 30
"""What one insert may hold, all its blocks together; at most as much memory again is taken while it is stored."""
_BARE_DATETIME = b"\x08DateTime"
"""A column's type as ``FORMAT Native`` writes it after it has dropped the time zone (or there was none)."""


class Session:
    """One client's session, used by one thread; raises ``ServerError`` with ClickHouse's own code and text.

    ``custom`` says whether the client's blocks have the byte of a custom serialization, as in ``native.to_wire``.
    """

    def __init__(self, engine: Engine, account: Account, database: str, *, custom: bool = True) -> None:
        self.custom = custom
        self._engine = engine
        self._account = account
        self._database = database
        self._applied: dict[str, str] = {}
        self._temporary = False
        self._chdb = engine.connect()
        try:
            self._use()
        except ServerError:
            self.close()
            raise

    def close(self) -> None:
        """End the session: temporary tables and settings are gone."""
        self._engine.disconnect(self._chdb)

    def apply(self, asked: Mapping[str, str], important: frozenset[str]) -> None:
        """Make these the settings of the next statements, in place of those of the last call.

        As a server does, unknown settings are ignored unless the client calls them ``important``. A reader's limits
        are always among them.
        """
        wanted = policy.settings(asked, self._account)
        if self._applied == wanted:
            return
        self._unlock()
        gone = [name for name in self._applied if name not in wanted]
        if gone:
            self._query("SET " + ", ".join(f"{name} = DEFAULT" for name in gone))
        self._applied = {name: value for name, value in self._applied.items() if name in wanted}
        for name, value in sorted(wanted.items(), key=lambda item: item[0] == "readonly"):
            if not re.fullmatch(r"\w+", name):
                raise ServerError(115, f"Unknown setting {name[:100]!r}")
            if self._applied.get(name) == value:
                continue
            try:
                self._query(f"SET {name} = {statements.quoted(value)}")
            except ServerError as error:
                if error.code == 115 and name not in important:
                    continue
                raise
            self._applied[name] = value

    def run(
        self, sql: str, params: Mapping[str, str], tag: str
    ) -> Generator[tuple[native.Block, int, int], None, None]:
        """Yield the blocks of the result, in the protocol's form, each with the rows and bytes read up to it.

        The first has columns and no rows: from it clients learn the columns' types. A statement without a result
        yields nothing. ``tag`` is what ``Engine.kill`` stops it by. While this runs, the session can do nothing else.
        """
        sql = self._engine.queries.taken(sql, self._account, self._engine.kill)
        self._check(sql)
        sql = statements.without_format(sql)
        types = self._types(sql, params) if self._temporary and statements.reads(sql) else None
        tagged = f"/*{tag}*/ {sql}"
        try:
            stream = self._chdb.send_query(tagged, "Native", params=dict(params))
        except Exception as error:
            if "Streaming query is not supported" not in str(error):
                raise as_server_error(error) from error
            yield from self._run_whole(sql, tagged, params)
            return
        yield from self._run_stream(stream, sql, params, types)

    def raw(self, sql: str, form: str, params: Mapping[str, str], tag: str) -> Generator["Piece", None, None]:
        """Yield the result as text or bytes of the format ``form``, in pieces where the format allows it.

        The statement is to have no FORMAT clause. The rest is as with ``run``.
        """
        sql = self._engine.queries.taken(sql, self._account, self._engine.kill)
        self._check(sql)
        tagged = f"/*{tag}*/ {sql}"
        if not http_forms.streams(form, sql, self._applied):
            yield self._whole(sql, tagged, form, params)
            return
        try:
            stream = self._chdb.send_query(tagged, form, params=dict(params))
        except Exception as error:
            if "Streaming query is not supported" not in str(error):
                raise as_server_error(error) from error
            yield self._whole(sql, tagged, form, params)
            return
        empty, part = True, http_forms.joined(form)
        with closing(_fetched(stream)) as chunks:
            for chunk in chunks:
                empty = False
                read = int(chunk.storage_rows_read()), int(chunk.storage_bytes_read())
                yield Piece(part(bytes(chunk.bytes())), *read, result_rows=int(chunk.rows_read()))
        if empty and http_forms.has_head(form):
            nothing = f"SELECT * FROM ({sql.rstrip().rstrip(';')}\n) LIMIT 0"  # noqa: S608 - the client's own words
            yield Piece(self._query(nothing, form, params))

    def kind(self, sql: str) -> str:
        """Return chDB's word for what a statement does: READ_ONLY, MUTATING, CONTROL or UNKNOWN."""
        return str(self._chdb._conn.classify_query(sql)["query_class"].name)  # noqa: SLF001 - chDB has no other way

    def use(self, database: str) -> None:
        """Make this the current database, unless it is."""
        if database and database != self._database:
            self._query(f"USE {statements.identifier(database)}")
            self._database = database

    def columns(self, sql: str, params: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return the names and full types of what a SELECT gives."""
        return _columns(self._query(_describe(sql), "JSONCompactEachRow", params))

    def insert(self, head: str) -> "Insert":
        """Return a begun insert; ``head`` is the statement up to and without VALUES or FORMAT."""
        self._engine.permit(f"{head} VALUES", self._account)
        target = statements.target(head)
        return self._begin(target, self.columns(target.select, {}))

    def insert_as(self, head: str, form: str, params: Mapping[str, str]) -> "Insert":
        """Return a begun insert whose rows come by ``add_raw`` in the format ``form``."""
        self._engine.permit(f"{head} VALUES", self._account)
        return self._begin(statements.target(head), [], form, params)

    def add_external(self, name: str, block: native.Block) -> None:
        """Make a block that came with the query a temporary table of this session."""
        self._unlock()
        if strange := next((kind for _, kind in block.columns if not native.is_type(kind)), None):
            raise ServerError(50, f"Unknown type {strange[:100]} (UNKNOWN_TYPE)")
        columns = ", ".join(
            f"{statements.identifier(column.decode('utf-8', 'replace'))} {kind}" for column, kind in block.columns
        )
        self._query(f"CREATE OR REPLACE TEMPORARY TABLE {statements.identifier(name)} ({columns})")
        self._temporary = True
        if block.rows:
            insert = self._begin(statements.target(f"INSERT INTO {statements.identifier(name)}"), [])
            try:
                insert.add(block)
                insert.finish()
            finally:
                insert.cancel()

    def drop_external(self, name: str) -> None:
        """Forget a table that came with a query."""
        self._unlock()
        self._query(f"DROP TEMPORARY TABLE IF EXISTS {statements.identifier(name)}")

    def _check(self, sql: str) -> None:
        """Return when the user may run the statement, and it is one."""
        self._engine.permit(sql, self._account)
        if self._account.role == "reader" and self._applied.get("readonly") != "1":
            self.apply({}, frozenset())
        if self._chdb._conn.classify_query(sql)["statement_count"] > 1:  # noqa: SLF001 - chDB has no other way
            raise ServerError(
                62, "Syntax error: several statements in one query are not allowed; send them singly (SYNTAX_ERROR)"
            )

    def _begin(
        self,
        target: statements.Target,
        columns: list[tuple[str, str]],
        form: str = "Native",
        params: Mapping[str, str] | None = None,
    ) -> "Insert":
        def store(file: str) -> tuple[int, int]:
            self._engine.room.check()
            sql = f"{target.into} FROM INFILE {statements.quoted(file)} {target.settings} FORMAT {form}"
            try:
                result = self._chdb.query(sql, "Native", params=dict(params or {}))
            except Exception as error:
                raise as_server_error(error) from error
            return int(result.rows_written()), int(result.bytes_written())

        # Bytes of a format say by themselves that there are no rows; no blocks are nothing to be stored.
        return Insert(store, columns, even_empty=form != "Native")

    def _unlock(self) -> None:
        """Begin anew where ``readonly`` was set, which can't be unset."""
        if self._applied.get("readonly", "0") != "0":
            self._engine.disconnect(self._chdb)
            self._chdb, self._applied, self._temporary = self._engine.connect(), {}, False
            self._use()

    def _use(self) -> None:
        if self._database:
            self._query(f"USE {statements.identifier(self._database)}")

    def _query(self, sql: str, form: str = "Native", params: Mapping[str, str] | None = None) -> bytes:
        try:
            return bytes(self._chdb.query(sql, form, params=dict(params or {})).bytes())
        except Exception as error:
            raise as_server_error(error) from error

    def _whole(self, sql: str, tagged: str, form: str, params: Mapping[str, str]) -> "Piece":
        try:
            result = self._chdb.query(tagged, form, params=dict(params))
        except Exception as error:
            raise as_server_error(error) from error
        if re.match(r"(?i)\s*USE\b", sql):
            self._database = self._query("SELECT currentDatabase()", "TSVRaw").decode().rstrip("\n")
        self._temporary = self._temporary or "temporary" in sql.lower()
        if self.kind(sql) != "READ_ONLY":
            self._engine.types.forget()
        return Piece(
            bytes(result.bytes()),
            int(result.storage_rows_read()),
            int(result.storage_bytes_read()),
            int(result.rows_written()),
            int(result.bytes_written()),
            int(result.rows_read()),
        )

    def _run_whole(self, sql: str, tagged: str, params: Mapping[str, str]) -> Iterator[tuple[native.Block, int, int]]:
        data = self._whole(sql, tagged, "Native", params).data
        for number, block in enumerate(_blocks(data, None, custom=self.custom)):
            if number == 0:
                yield _header(_named(block, None), custom=self.custom), 0, 0
            yield block, 0, 0

    def _run_stream(
        self, stream: Any, sql: str, params: Mapping[str, str], types: list[str] | None
    ) -> Iterator[tuple[native.Block, int, int]]:
        empty = True
        with closing(_fetched(stream)) as chunks:
            for chunk in chunks:
                data = bytes(chunk.bytes())
                if empty and types is None and _BARE_DATETIME in data:
                    types = self._types_aside(sql, params)
                for block in _blocks(data, types, custom=self.custom):
                    if empty:
                        yield _header(_named(block, types), custom=self.custom), 0, 0
                    empty = False
                    yield block, int(chunk.storage_rows_read()), int(chunk.storage_bytes_read())
        if empty:
            yield _header(self.columns(sql, params), custom=self.custom), 0, 0

    def _types(self, sql: str, params: Mapping[str, str]) -> list[str]:
        return [kind for _, kind in self.columns(sql, params)]

    def _types_aside(self, sql: str, params: Mapping[str, str]) -> list[str]:
        """Return the result's types, asked in a session of its own: a second statement would end this one's stream.

        To ask costs as much as to plan the query, so the answer is remembered until somebody may have changed a table.
        """
        key = (self._database, sql, tuple(sorted(params.items())), tuple(sorted(self._applied.items())))
        if known := self._engine.types.get(key):
            return known
        aside = Session(self._engine, self._account, self._database)
        try:
            found = aside._types(sql, params)
        finally:
            aside.close()
        self._engine.types.put(key, found)
        return found


class Piece(NamedTuple):
    """A piece of a result, with the rows and bytes read and written up to it, and the rows in it."""

    data: bytes
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0


class Insert:
    """An insert that has begun: ``add`` blocks, then ``finish``, after which they are stored, or ``cancel``.

    The blocks gather in memory and chDB reads them from there as a file, in one statement. (Its own streaming insert
    reports success when nothing could be stored: a full disk, a violated constraint, a failed view.)
    """

    def __init__(
        self, store: Callable[[str], tuple[int, int]], columns: list[tuple[str, str]], *, even_empty: bool = False
    ) -> None:
        self._store = store
        self._even_empty = even_empty
        self._size = 0
        self._file = os.fdopen(os.memfd_create("insert"), "wb")  # cancel closes it
        self.columns = columns

    def add(self, block: native.Block) -> None:
        """Take a block; nothing is stored yet."""
        self.add_raw(block.body)

    def add_raw(self, data: bytes) -> None:
        """Take some bytes of the rows; nothing is stored yet."""
        self._size += len(data)
        if self._size > MAX_INSERT_BYTES:
            raise ServerError(131, f"an insert of more than {MAX_INSERT_BYTES} bytes is refused; send smaller ones")
        self._file.write(data)

    def finish(self) -> tuple[int, int]:
        """Return the rows and bytes written, once they are stored; when it raises instead, none is.

        Above a million rows chDB stores them in several steps, and then the first may be there all the same.
        """
        self._file.flush()
        return self._store(f"/proc/self/fd/{self._file.fileno()}") if self._size or self._even_empty else (0, 0)

    def cancel(self) -> None:
        """Give back the memory; before ``finish`` that gives the insert up."""
        self._file.close()


def _fetched(stream: Any) -> Generator[Any, None, None]:
    """Yield the chunks of a stream, and close it, whoever ends it."""
    try:
        while (chunk := stream.fetch()) is not None:
            yield chunk
    except Exception as error:
        raise as_server_error(error) from error
    finally:
        stream.close()


def _describe(sql: str) -> str:
    return f"DESCRIBE ({sql.rstrip().rstrip(';')}\n)"


def _columns(answer: bytes) -> list[tuple[str, str]]:
    rows = (json.loads(line) for line in answer.splitlines())
    return [(str(row[0]), str(row[1])) for row in rows]


def _named(block: native.Block, types: list[str] | None) -> list[tuple[str, str]]:
    """Return the block's columns, with their full types where these are known."""
    kinds = types or [kind for _, kind in block.columns]
    return [(name.decode("utf-8", "replace"), kind) for (name, _), kind in zip(block.columns, kinds, strict=True)]


def _header(columns: list[tuple[str, str]], *, custom: bool) -> native.Block:
    body = native.header(columns, custom=custom)
    return native.Block(tuple((name.encode(), kind) for name, kind in columns), 0, body)


def _blocks(data: bytes, types: list[str] | None, *, custom: bool) -> Iterator[native.Block]:
    pieces = iter((data,))
    reader = Reader(lambda: next(pieces, b""), limit=2 * len(data) + 16)
    try:
        reader.need(min(1, len(data)))
        while reader.left:
            yield native.to_wire(reader, types, custom=custom)
    except ProtocolError as error:  # about our own result: the client's bytes are in order
        raise ServerError(error.code, str(error)) from error
