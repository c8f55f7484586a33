"""One client's connection: the conversation of ClickHouse's native protocol, in a thread of its own."""

import re
import socket
import struct
from collections.abc import Callable

from sinks.embedded import native, statements
from sinks.embedded.engine import Engine, Insert, Session, as_server_error, new_tag
from sinks.embedded.wire import ProtocolError, Reader, ServerError, compress, read_frame, string, varint

REVISION = 54459
"""What we announce: the first with query parameters. Older clients would write settings and blocks differently."""
HELLO_SECS, TALK_SECS, IDLE_SECS = 10, 300, 0
"""How long the socket waits for the greeting, within a packet or an insert, and between queries (for ever)."""
_HELLO, _QUERY, _DATA, _CANCEL, _PING = 0, 1, 2, 3, 4
_TO_HELLO, _TO_DATA, _TO_EXCEPTION, _TO_PROGRESS, _TO_PONG, _TO_END, _TO_PROFILE = 0, 1, 2, 3, 4, 5, 6
_TO_PROFILE_EVENTS = 14
_CANCELLED = 394
_HELLO_TEXT_BYTES = 4096
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f", "a": "\a"}


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
        self._engine = engine
        self._reader = Reader(lambda: connection.recv(1 << 18))
        self._session: Session | None = None
        self._running: Running | None = None
        self._compressed = False

    def talk(self, refused: Callable[[str], None]) -> None:
        """Serve the client until it leaves; says to ``refused`` in a sentence why it was turned away, if it was."""
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._wait(HELLO_SECS)
            self._hello()
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

    def watch(self) -> None:
        """Stop the running query when its client has cancelled it or is gone; call it several times a second."""
        running = self._running
        if running is None:
            return
        if not running.cancelled:
            try:
                running.cancelled = self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) in (
                    b"",
                    bytes([_CANCEL]),
                )
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
        reader = self._reader
        if reader.varint() != _HELLO:
            raise Gone("did not greet in ClickHouse's native protocol (HTTP is not served here)")
        reader.text(_HELLO_TEXT_BYTES)
        reader.varint(), reader.varint()
        revision = reader.varint()
        database = reader.text(_HELLO_TEXT_BYTES)
        reader.text(_HELLO_TEXT_BYTES), reader.text(_HELLO_TEXT_BYTES)  # user and password: there are no accounts
        if revision < REVISION:
            error = ServerError(99, f"revision {revision} of the protocol is too old, {REVISION} is needed; update")
            self._exception(error)
            raise Gone(str(error))
        try:
            self._session = Session(self._engine, database)
        except ServerError as error:
            self._exception(error)
            raise Gone from error
        major, minor, patch = self._engine.version
        answer = [varint(_TO_HELLO), string("ClickHouse"), varint(major), varint(minor), varint(REVISION)]
        answer += [string(self._engine.time_zone), string("Gridbeacon's embedded ClickHouse"), varint(patch)]
        self._socket.sendall(b"".join(answer))
        reader.text(_HELLO_TEXT_BYTES)  # the quota key

    def _packet(self) -> None:
        kind = self._reader.varint()
        if kind == _PING:
            self._socket.sendall(varint(_TO_PONG))
        elif kind == _QUERY:
            self._query()
        elif kind == _DATA:
            self._block()  # left over from an insert that ended in an exception
        elif kind != _CANCEL:  # a cancel that came after the end is no error
            raise ProtocolError(101, f"Unexpected packet {kind} received from client")

    def _query(self) -> None:
        reader = self._reader
        reader.text()  # the query's id: chDB gives its own
        self._client_info()
        settings, important = self._settings()
        reader.text()  # a secret between servers
        reader.varint()  # the stage
        self._compressed = bool(reader.varint())
        sql = reader.text()
        params = {name: _field(value) for name, value in self._settings()[0].items()}
        failed: ServerError | None = None
        tables = []
        while (packet := self._reader.varint()) == _DATA:
            name, block = self._block()
            if not block.columns:
                break
            try:
                self._open_session().add_external(name, block)
                tables.append(name)
            except ServerError as error:
                failed = error
        else:
            raise ProtocolError(101, f"Unexpected packet {packet} received from client")
        try:
            if failed:
                raise failed
            settings.pop("network_compression_method", None)  # a frame says itself how it is compressed
            self._open_session().apply(settings, important)
            head = statements.insert_head(sql)
            if head is None:
                self._select(sql, params)
            else:
                self._insert(head)
            for name in tables:
                self._open_session().drop_external(name)
        except ProtocolError:
            raise
        except ServerError as error:
            self._exception(error)
        else:
            self._socket.sendall(varint(_TO_END))

    def _client_info(self) -> None:
        reader = self._reader
        if not reader.byte():
            return
        for _ in range(3):  # the first user, query id, address
            reader.text()
        reader.skip(8)  # start time
        reader.byte()  # interface
        for _ in range(3):  # user, host, client name
            reader.text()
        for _ in range(3):  # version, revision
            reader.varint()
        reader.text()  # quota key
        reader.varint()  # depth
        reader.varint()  # patch
        if reader.byte():  # trace
            reader.skip(24)
            reader.text()
            reader.byte()
        for _ in range(3):  # replicas
            reader.varint()

    def _settings(self) -> tuple[dict[str, str], frozenset[str]]:
        reader = self._reader
        found, important = {}, set()
        while name := reader.text():
            if reader.varint() & 1:
                important.add(name)
            found[name] = reader.text()
        return found, frozenset(important)

    def _select(self, sql: str, params: dict[str, str]) -> None:
        self._running = running = Running()
        running.cancelled = self._reader.upcoming() == _CANCEL  # it came together with the query
        blocks = rows = size = 0
        read_rows = read_bytes = 0
        try:
            for block, now_rows, now_bytes in self._open_session().run(sql, params, running.tag):
                if running.cancelled:
                    break
                self._send_block(_TO_DATA, block.body)
                self._progress(now_rows - read_rows, now_bytes - read_bytes)
                read_rows, read_bytes = now_rows, now_bytes
                blocks, rows, size = blocks + 1, rows + block.rows, size + len(block.body)
        except ServerError as error:
            if not (running.cancelled and error.code == _CANCELLED):
                raise
        finally:
            self._running = None
        if blocks:
            counts = varint(rows) + varint(blocks) + varint(size) + b"\x00" + varint(rows) + b"\x00"
            self._socket.sendall(varint(_TO_PROFILE) + counts)

    def _insert(self, head: str) -> None:
        insert = self._open_session().insert(head)
        try:
            self._send_block(_TO_DATA, native.header(insert.columns))
            failed = self._receive(insert)
            if failed:
                raise failed
            rows, size = insert.finish()
        finally:
            insert.cancel()
        self._progress(0, 0, rows, size)

    def _receive(self, insert: Insert) -> ServerError | None:
        """Return after the last block, with what went wrong with one of them: then none is stored."""
        failed: ServerError | None = None
        while True:
            packet = self._reader.varint()
            if packet == _CANCEL:
                return ServerError(_CANCELLED, "Query was cancelled")
            if packet != _DATA:
                raise ProtocolError(101, f"Unexpected packet {packet} received from client")
            _, block = self._block()
            if block.rows and not failed:
                try:
                    insert.add(block)
                except ServerError as error:
                    failed = error
            # The client waits for one of these after each block, the last and empty one included.
            self._socket.sendall(varint(_TO_PROFILE_EVENTS) + b"\x00" + native.BLOCK_INFO + b"\x00\x00")
            if not block.columns:
                return failed

    def _block(self) -> tuple[str, native.Block]:
        name = self._reader.text()
        reader = Reader(lambda: read_frame(self._reader)) if self._compressed else self._reader
        native.skip_block_info(reader)
        return name, native.from_wire(reader)

    def _send_block(self, packet: int, body: bytes) -> None:
        data = native.BLOCK_INFO + body
        self._socket.sendall(varint(packet) + b"\x00" + (compress(data) if self._compressed else data))

    def _progress(self, rows: int, size: int, written_rows: int = 0, written_bytes: int = 0) -> None:
        counts = (max(rows, 0), max(size, 0), 0, written_rows, written_bytes)
        if any(counts):
            self._socket.sendall(varint(_TO_PROGRESS) + b"".join(map(varint, counts)))

    def _exception(self, error: ServerError) -> None:
        name = string("DB::Exception")
        text = string(f"DB::Exception: {error}")
        self._socket.sendall(varint(_TO_EXCEPTION) + struct.pack("<i", error.code) + name + text + string("") + b"\x00")

    def _try_exception(self, error: ServerError) -> None:
        try:
            self._exception(as_server_error(error))
        except OSError:
            return  # it is gone

    def _open_session(self) -> Session:
        if self._session is None:
            raise Gone
        return self._session


def _field(value: str) -> str:
    """Return a parameter's value out of the quotes and the first of the two escapings that clients give it."""
    if not value.startswith("'"):
        return value
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), value[1:-1], flags=re.DOTALL)
