"""One client's connection: the conversation of ClickHouse's native protocol, in a thread of its own."""

import os
import socket
import ssl
import struct
import time
from collections.abc import Callable

from gridbeacon.config import Account
from sinks.embedded import native, packets, statements
from sinks.embedded.engine import Engine, as_server_error, new_tag
from sinks.embedded.packets import Packets
from sinks.embedded.session import Insert, Session
from sinks.embedded.wire import ProtocolError, Reader, ServerError

HELLO_SECS, TALK_SECS, IDLE_SECS = 5, 300, 0
"""How long the socket waits for the greeting, within a packet or an insert, and between queries (for ever)."""
_CANCELLED = 394


class Gone(Exception):
    """The client left, or never was one; the text, when there is any, says why it was refused."""


class Running:
    """A query on its way, as the watching thread sees it."""

    def __init__(self) -> None:
        self.tag = new_tag()
        self.cancelled = False


class Client:
    """The other end of ``connection``; ``talk`` returns when it has left.

    Other threads may call ``watch``, ``hang_up`` and nothing else.
    """

    def __init__(self, connection: socket.socket, engine: Engine) -> None:
        self._socket = connection
        # A look ahead that TLS knows nothing of: whatever comes while a query runs is a cancel, or the end.
        self._raw = _bare(connection)
        self._engine = engine
        self._reader = Reader(lambda: connection.recv(1 << 18))
        self._packets = Packets(connection, self._reader)
        self._account: Account | None = None
        self._session: Session | None = None
        self._running: Running | None = None
        self._greet_until: float | None = time.monotonic() + HELLO_SECS

    def talk(self, refused: Callable[[str], None]) -> None:
        """Serve the client until it leaves; says to ``refused`` in a sentence why it was turned away, if it was."""
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._wait(HELLO_SECS)
            self._hello()
            self._greet_until = None
            while True:
                self._wait(IDLE_SECS)
                self._reader.need(1)
                self._wait(TALK_SECS)
                self._packet()
        except Gone as error:
            if str(error):
                refused(str(error))
        except ProtocolError as error:
            refused(f"sent what is not ClickHouse's native protocol: {error}")
            self._try_exception(error)
        except (EOFError, OSError):
            pass  # it left, or was silent for too long
        finally:
            if self._session:
                self._session.close()
            self._socket.close()
            self._raw.close()

    def watch(self) -> None:
        """Stop the running query when its client has cancelled it or is gone; call it several times a second.

        A client that has not greeted in time, however busily it sends, is let go.
        """
        if self._greet_until is not None and time.monotonic() > self._greet_until:
            self.hang_up()
        running = self._running
        if running is None:
            return
        if not running.cancelled:
            try:
                seen = self._raw.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
                running.cancelled = self._raw is not self._socket or seen in (b"", bytes([packets.CANCEL]))
            except BlockingIOError:
                return  # nothing to read: it waits for the result
            except OSError:
                running.cancelled = True
        if running.cancelled:  # and again each time: the first may have come before the query was known
            self._engine.kill(running.tag)

    def hang_up(self) -> None:
        """End the connection: ``talk`` returns as soon as what it is doing is done."""
        running = self._running
        if running is not None:
            running.cancelled = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it was gone already

    def _wait(self, seconds: int) -> None:
        # The kernel's time-out, not Python's: that one would make the look-aheads of ``watch`` wait as well.
        pair = struct.pack("@ll", seconds, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, pair)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", TALK_SECS, 0))

    def _hello(self) -> None:
        if self._reader.varint() != packets.HELLO:
            raise Gone("did not greet in ClickHouse's native protocol (HTTP has a port of its own)")
        try:
            database, user, password = self._packets.hello()
            self._account = self._engine.accounts.login(user, password)
            self._session = Session(self._engine, self._account, database, custom=self._packets.custom)
        except ServerError as error:
            self._packets.exception(error)
            raise Gone(str(error)) from error
        self._packets.welcome(self._engine.version, self._engine.time_zone)

    def _packet(self) -> None:
        kind = self._reader.varint()
        if kind == packets.PING:
            self._packets.pong()
        elif kind == packets.QUERY:
            self._query()
        elif kind == packets.DATA:
            self._packets.block()  # left over from an insert that ended in an exception
        elif kind != packets.CANCEL:  # a cancel that came after the end is no error
            raise _unexpected(kind)

    def _query(self) -> None:
        reader, session = self._reader, self._open_session()
        query_id = reader.text()
        self._packets.client_info()
        settings, important = self._packets.settings()
        self._packets.secret()
        reader.varint()  # the stage
        self._packets.compressed = bool(reader.varint())
        sql = reader.text()
        params = self._packets.parameters()
        tables, failed = self._external_tables(session)
        try:
            if failed:
                raise failed
            settings.pop("network_compression_method", None)  # a frame says itself how it is compressed
            session.apply(settings, important)
            head = statements.insert_head(sql)
            if head is None:
                self._select(session, sql, params, query_id)
            else:
                self._insert(session, head)
            for name in tables:
                session.drop_external(name)
        except ProtocolError:
            raise
        except ServerError as error:
            self._packets.exception(error)
        else:
            self._packets.end()

    def _external_tables(self, session: Session) -> tuple[list[str], ServerError | None]:
        """Take the tables that come with a query; return their names, and what went wrong with one of them."""
        tables: list[str] = []
        failed: ServerError | None = None
        while (packet := self._reader.varint()) == packets.DATA:
            name, block = self._packets.block()
            if not block.columns:
                return tables, failed
            try:
                session.add_external(name, block)
                tables.append(name)
            except ServerError as error:
                failed = error
        raise _unexpected(packet)

    def _select(self, session: Session, sql: str, params: dict[str, str], query_id: str) -> None:
        self._running = running = Running()
        running.cancelled = self._reader.upcoming() == packets.CANCEL  # it came together with the query
        blocks = rows = size = 0
        read_rows = read_bytes = 0
        engine, account = self._engine, self._open_account()
        try:
            with (
                engine.gate.turn(account, lambda: running.cancelled),
                engine.queries.known(query_id, running.tag, account),
            ):
                for block, now_rows, now_bytes in session.run(sql, params, running.tag):
                    if running.cancelled:
                        break
                    self._packets.send_block(block.body)
                    self._packets.progress(now_rows - read_rows, now_bytes - read_bytes)
                    read_rows, read_bytes = now_rows, now_bytes
                    blocks, rows, size = blocks + bool(block.rows), rows + block.rows, size + len(block.body)
        except ServerError as error:
            if not (running.cancelled and error.code == _CANCELLED):
                raise
        finally:
            self._running = None
        if size:  # there were columns
            self._packets.profile(rows, blocks, size)

    def _insert(self, session: Session, head: str) -> None:
        insert = session.insert(head)
        try:
            self._packets.send_block(native.header(insert.columns, custom=self._packets.custom))
            failed = self._receive(insert)
            if failed:
                raise failed
            with self._engine.gate.turn(self._open_account()):
                rows, size = insert.finish()
        finally:
            insert.cancel()
        self._packets.progress(0, 0, rows, size)

    def _receive(self, insert: Insert) -> ServerError | None:
        """Return after the last block, with what went wrong with one of them: then none is stored."""
        failed: ServerError | None = None
        while True:
            packet = self._reader.varint()
            if packet == packets.CANCEL:
                return ServerError(_CANCELLED, "Query was cancelled (QUERY_WAS_CANCELLED)")
            if packet != packets.DATA:
                raise _unexpected(packet)
            _, block = self._packets.block()
            if block.rows and not failed:
                try:
                    insert.add(block)
                except ServerError as error:
                    failed = error
            self._packets.block_taken()
            if not block.columns:
                return failed

    def _try_exception(self, error: ServerError) -> None:
        try:
            self._packets.exception(as_server_error(error))
        except OSError:
            return  # it is gone

    def _open_session(self) -> Session:
        if self._session is None:
            raise Gone
        return self._session

    def _open_account(self) -> Account:
        if self._account is None:
            raise Gone
        return self._account


def _bare(connection: socket.socket) -> socket.socket:
    """Return the socket below TLS, of its own, or the very connection where there is no TLS."""
    if not isinstance(connection, ssl.SSLSocket):
        return connection
    return socket.socket(fileno=os.dup(connection.fileno()))


def _unexpected(packet: int) -> ProtocolError:
    return ProtocolError(101, f"Unexpected packet {packet} received from client")
