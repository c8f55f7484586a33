"""What goes to and comes from one client of the native protocol, in the revision that both sides know."""

import re
import socket
import struct

from sinks.embedded import native
from sinks.embedded.wire import ProtocolError, Reader, ServerError, compress, read_frame, string, varint

REVISION = 54459
"""The highest that we announce: the first with query parameters."""
OLDEST = 54226
"""The lowest that we talk to: with blocks, client infos and named tables as they are still."""
HELLO, QUERY, DATA, CANCEL, PING = 0, 1, 2, 3, 4
_TO_HELLO, _TO_DATA, _TO_EXCEPTION, _TO_PROGRESS, _TO_PONG, _TO_END, _TO_PROFILE = 0, 1, 2, 3, 4, 5, 6
_TO_PROFILE_EVENTS = 14
#: From which revision on a thing is said (names as in ClickHouse's own source).
_DISPLAY_NAME, _PATCH, _WRITTEN, _SETTINGS_AS_TEXT, _SECRET, _TRACE = 54372, 54401, 54420, 54429, 54441, 54442
_DEPTH, _START_TIME, _REPLICAS, _CUSTOM, _PROFILE_EVENTS, _ADDENDUM, _PARAMETERS = (
    54448, 54449, 54453, 54454, 54456, 54458, 54459,
)  # fmt: skip
_SHORT_TEXT_BYTES = 4096
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f", "a": "\a"}
_CAUSE = re.compile(
    r"^(?P<outer>.*?)(?:: )?Code: (?P<code>\d+)\. (?P<kind>DB::\w*Exception): (?P<inner>.*)$", re.DOTALL
)


class Packets:
    """One client's packets; ``revision`` is the lower of its own and ours once it has greeted."""

    def __init__(self, connection: socket.socket, reader: Reader) -> None:
        self._socket = connection
        self._reader = reader
        self.revision = REVISION
        self.compressed = False

    def hello(self) -> tuple[str, str, str]:
        """Return database, user and password of the greeting; raises ``ServerError`` when the client is too old."""
        reader = self._reader
        reader.text(_SHORT_TEXT_BYTES)
        reader.varint(), reader.varint()
        theirs = reader.varint()
        database, user, password = (reader.text(_SHORT_TEXT_BYTES) for _ in range(3))
        if theirs < OLDEST:
            raise ServerError(
                99, f"revision {theirs} of the protocol is too old, {OLDEST} is needed; update the client"
            )
        self.revision = min(REVISION, theirs)
        return database, user, password

    def welcome(self, version: tuple[int, ...], time_zone: str) -> None:
        """Answer the greeting."""
        major, minor, patch = version
        answer = [varint(_TO_HELLO), string("ClickHouse"), varint(major), varint(minor), varint(REVISION)]
        answer.append(string(time_zone))
        if self.revision >= _DISPLAY_NAME:
            answer.append(string("Gridbeacon's embedded ClickHouse"))
        if self.revision >= _PATCH:
            answer.append(varint(patch))
        self._socket.sendall(b"".join(answer))
        if self.revision >= _ADDENDUM:
            self._reader.text(_SHORT_TEXT_BYTES)  # the quota key

    def client_info(self) -> None:
        """Pass over what a client says of itself with each query."""
        reader, revision = self._reader, self.revision
        if not reader.byte():
            return
        for _ in range(3):  # the first user, query id, address
            reader.text()
        if revision >= _START_TIME:
            reader.skip(8)
        reader.byte()  # interface
        for _ in range(3):  # user, host, client name
            reader.text()
        for _ in range(3):  # version, revision
            reader.varint()
        reader.text()  # quota key
        if revision >= _DEPTH:
            reader.varint()
        if revision >= _PATCH:
            reader.varint()
        if revision >= _TRACE and reader.byte():
            reader.skip(24)
            reader.text()
            reader.byte()
        if revision >= _REPLICAS:
            for _ in range(3):
                reader.varint()

    def settings(self) -> tuple[dict[str, str], frozenset[str]]:
        """Return the settings that come next, and the names of those that the client calls important."""
        reader = self._reader
        found, important = {}, set()
        while name := reader.text():
            if self.revision < _SETTINGS_AS_TEXT:
                raise ProtocolError(99, "so old a client can't send settings; update it, or send none")
            if reader.varint() & 1:
                important.add(name)
            found[name] = reader.text()
        return found, frozenset(important)

    def secret(self) -> None:
        """Pass over what only servers send each other."""
        if self.revision >= _SECRET:
            self._reader.text()

    def parameters(self) -> dict[str, str]:
        """Return a query's parameters."""
        if self.revision < _PARAMETERS:
            return {}
        return {name: _field(value) for name, value in self.settings()[0].items()}

    def block(self) -> tuple[str, native.Block]:
        """Return the next block with the name of its table (empty: of the query itself)."""
        name = self._reader.text()
        reader = Reader(lambda: read_frame(self._reader)) if self.compressed else self._reader
        native.skip_block_info(reader)
        return name, native.from_wire(reader, custom=self.revision >= _CUSTOM)

    @property
    def custom(self) -> bool:
        """Whether blocks say of each column if its serialization is a custom one."""
        return self.revision >= _CUSTOM

    def send_block(self, body: bytes) -> None:
        """Send a block of a result."""
        data = native.BLOCK_INFO + body
        self._socket.sendall(varint(_TO_DATA) + b"\x00" + (compress(data) if self.compressed else data))

    def progress(self, rows: int, size: int, written_rows: int = 0, written_bytes: int = 0) -> None:
        """Send what was read and written since the last time, if anything."""
        counts = [max(rows, 0), max(size, 0), 0, written_rows, written_bytes]
        known = counts if self.revision >= _WRITTEN else counts[:3]
        if any(known):  # an old client takes no packet for nothing: after an insert it gives up on one
            self._socket.sendall(varint(_TO_PROGRESS) + b"".join(map(varint, known)))

    def profile(self, rows: int, blocks: int, size: int) -> None:
        """Send what a result amounted to."""
        # The last byte says that the rows before the limit are known: without it old clients look for them and crash.
        counts = varint(rows) + varint(blocks) + varint(size) + b"\x00" + varint(rows) + b"\x01"
        self._socket.sendall(varint(_TO_PROFILE) + counts)

    def block_taken(self) -> None:
        """Answer one block of an insert: clients wait for it, after the last and empty one too."""
        if self.revision >= _PROFILE_EVENTS:
            self._socket.sendall(varint(_TO_PROFILE_EVENTS) + b"\x00" + native.BLOCK_INFO + b"\x00\x00")

    def pong(self) -> None:
        """Answer a ping."""
        self._socket.sendall(varint(_TO_PONG))

    def end(self) -> None:
        """Say that a query is done."""
        self._socket.sendall(varint(_TO_END))

    def exception(self, error: ServerError) -> None:
        """Say that a query failed, with the error behind the error where there is one."""
        self._socket.sendall(varint(_TO_EXCEPTION) + b"".join(_exceptions(error.code, str(error))))


def _exceptions(code: int, text: str, kind: str = "DB::Exception", depth: int = 0) -> list[bytes]:
    found = _CAUSE.match(text) if depth < 3 else None
    head = struct.pack("<i", code) + string(kind) + string(f"{kind}: {text}") + string("")
    if not found:
        return [head + b"\x00"]
    return [head + b"\x01", *_exceptions(int(found["code"]), found["inner"], found["kind"], depth + 1)]


def _field(value: str) -> str:
    """Return a parameter's value out of the quotes and the first of the two escapings that clients give it."""
    if not value.startswith("'"):
        return value
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), value[1:-1], flags=re.DOTALL)
