"""An answer on its way: held back at first, so that an early error still has its status, then streamed."""

import json
import secrets
import string
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Protocol

import lz4.frame
from backports import zstd

from sinks.embedded.http_status import status_of
from sinks.embedded.session import Piece
from sinks.embedded.wire import ServerError, compress

HOLD_BYTES = 1 << 20
"""So much of an answer is held back, as at a server."""
WAIT_BYTES = 4 << 30
"""What an answer may amount to that is not to be sent before its end (``wait_end_of_query``); it waits on the disk."""
_IN_MEMORY_BYTES = 16 << 20
_TOO_LARGE = 396
_COPY_BYTES = 1 << 20
PLAIN = "text/plain; charset=UTF-8"

Headers = list[tuple[str, str]]


class Wire(Protocol):
    """Where the bytes of an answer go."""

    def head(self, status: int, headers: Headers) -> None:
        """Send status and headers; without Content-Length the body is chunked."""

    def body(self, data: bytes) -> None:
        """Send a part of the body."""

    def end(self) -> None:
        """Say that the body is complete."""

    def break_off(self) -> None:
        """Make sure that nobody takes the body for complete."""


class _Packer(Protocol):
    def compress(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


class _Lz4:
    def __init__(self) -> None:
        self._lz4 = lz4.frame.LZ4FrameCompressor()
        self._head = bytes(self._lz4.begin())

    def compress(self, data: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + bytes(self._lz4.compress(data))

    def flush(self) -> bytes:
        head, self._head = self._head, b""
        return head + bytes(self._lz4.flush())


_PACKERS: dict[str, Callable[[], _Packer]] = {
    "gzip": lambda: zlib.compressobj(3, wbits=31),
    "deflate": lambda: zlib.compressobj(3, wbits=15),
    "zstd": lambda: zstd.ZstdCompressor(level=1),
    "lz4": _Lz4,
}


@dataclass(slots=True)
class Counts:
    """What a query has read and written so far, and what came of it."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0

    def summary(self, begun: float) -> str:
        """Return them as the header X-ClickHouse-Summary has them; ``begun`` is the monotonic time of the start."""
        counts = {
            "read_rows": self.read_rows,
            "read_bytes": self.read_bytes,
            "written_rows": self.written_rows,
            "written_bytes": self.written_bytes,
            "total_rows_to_read": self.read_rows,
            "result_rows": self.result_rows,
            "result_bytes": self.result_bytes,
            "elapsed_ns": int((time.monotonic() - begun) * 1e9),
        }
        return json.dumps({name: str(count) for name, count in counts.items()}, separators=(",", ":"))


class Answer:
    """The answer to one request: ``take`` its pieces, then ``finish`` or ``fail``.

    ``hold`` is how many bytes are held back before it is sent, None means all of them. ``encoding`` is HTTP's,
    ``framed`` means ClickHouse's own compressed frames. ``kind`` is to be set to the headers that say what the body is.
    """

    def __init__(self, wire: Wire, headers: Headers, *, hold: int | None, encoding: str, framed: bool) -> None:
        self._wire = wire
        self._headers = headers
        self.kind: Headers = []
        self.counts = Counts()
        self._begun = time.monotonic()
        self._hold = hold
        self._encoding, self._framed = encoding, framed
        self._packer = _PACKERS[encoding]() if encoding else None
        self._held: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - see close
        self._held_bytes = 0
        self._started = False
        self._tag = "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))

    def take(self, piece: Piece) -> None:
        """Take a piece of the result as the next part of the body."""
        counts = self.counts
        counts.read_rows, counts.read_bytes = piece.read_rows or counts.read_rows, piece.read_bytes or counts.read_bytes
        counts.written_rows, counts.written_bytes = piece.written_rows, piece.written_bytes
        counts.result_rows += piece.result_rows
        counts.result_bytes += len(piece.data)
        if piece.data:
            self._pass(self._packed(piece.data))

    def finish(self) -> None:
        """Send what is left. Nothing may be written afterwards."""
        if self._packer:
            self._pass(self._packer.flush())
        if not self._started:
            self._head(200, [*self._body_headers(), ("Content-Length", str(self._held_bytes))])
            self._release()
        self._wire.end()

    def fail(self, error: ServerError, status: int = 0) -> None:
        """Send an error: as an answer of its own, or where one is on its way already, behind it, which breaks off.

        ``status`` is HTTP's where it is not to be that of the error's code.
        """
        text = message(error)
        if not self._started:
            self._wire.head(status or status_of(error.code), [*self._headers, *error_headers(error, text)])
            self._wire.body(text.encode())
            self._wire.end()
            return
        told = text.encode()
        end = f"{len(told)} {self._tag}\r\n__exception__\r\n".encode()
        data = f"\r\n__exception__\r\n{self._tag}\r\n".encode() + told + end
        # As at a server: within what HTTP compresses, but behind ClickHouse's own frames.
        self._wire.body(self._packer.compress(data) + self._packer.flush() if self._packer else data)
        self._wire.break_off()

    def close(self) -> None:
        """Give back what was held."""
        self._held.close()

    def _packed(self, data: bytes) -> bytes:
        if self._framed:
            data = compress(data)
        return self._packer.compress(data) if self._packer else data

    def _pass(self, data: bytes) -> None:
        if self._started:
            self._wire.body(data)
            return
        self._held.write(data)
        self._held_bytes += len(data)
        if self._hold is None:
            if self._held_bytes > WAIT_BYTES:
                raise ServerError(
                    _TOO_LARGE,
                    f"Limit for result exceeded: more than {WAIT_BYTES >> 30} GB of an answer can't wait for the end "
                    "of the query; ask without wait_end_of_query (TOO_MANY_ROWS_OR_BYTES)",
                )
        elif self._held_bytes > self._hold:
            self._head(200, [*self._body_headers(), ("X-ClickHouse-Exception-Tag", self._tag)])
            self._release()

    def _release(self) -> None:
        self._held.seek(0)
        while data := self._held.read(_COPY_BYTES):
            self._wire.body(data)
        self._held.truncate(0)

    def _head(self, status: int, headers: Headers) -> None:
        self._started = True
        self._wire.head(status, [*self._headers, *headers, ("X-ClickHouse-Summary", self.counts.summary(self._begun))])

    def _body_headers(self) -> Headers:
        return [*self.kind, ("Content-Encoding", self._encoding)] if self._encoding else self.kind


def message(error: ServerError) -> str:
    """Return an error as ClickHouse's HTTP interface words it."""
    return f"Code: {error.code}. DB::Exception: {error}\n"


def error_headers(error: ServerError, text: str) -> Headers:
    """Return the headers of an answer that is an error's text."""
    size = len(text.encode())
    return [
        ("Content-Type", PLAIN), ("Content-Length", str(size)), ("X-ClickHouse-Exception-Code", str(error.code)),
    ]  # fmt: skip
