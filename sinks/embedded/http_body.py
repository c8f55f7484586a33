"""The body of a request: uncompressed piece by piece, and where in it an INSERT ends and its rows begin."""

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import lz4.frame
from backports import zstd

from sinks.embedded.wire import Reader, ServerError, read_frame

BAD_ENCODING, DAMAGED, CUT_OFF = 36, 271, 33
_STEP_BYTES = 1 << 20
"""So much is uncompressed at a time: what claims to be small may hold gigabytes."""


class _Unpacker(Protocol):
    """What uncompresses one part, as the standard library's classes do."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Zlib:
    """zlib's object in the form of the others."""

    def __init__(self, window: int) -> None:
        self._zlib = zlib.decompressobj(window)
        self._left = b""

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._left

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        out = self._zlib.decompress(self._left + data, max_length)
        self._left = self._zlib.unconsumed_tail
        return out


_UNPACKERS: dict[str, Callable[[], _Unpacker]] = {
    "gzip": lambda: _Zlib(31),
    "x-gzip": lambda: _Zlib(31),
    "deflate": lambda: _Zlib(15),
    "zstd": zstd.ZstdDecompressor,
    "lz4": lz4.frame.LZ4FrameDecompressor,
}


def unpacked(chunks: Iterator[bytes], encoding: str, *, framed: bool) -> Iterator[bytes]:
    """Return the body as it was before ``encoding`` (of Content-Encoding) and, if ``framed``, ClickHouse's own frames.

    Raises ``ServerError`` while it is read: code 36 when the encoding is unknown, 271 and 33 when the body is damaged.
    """
    name = encoding.strip().lower()
    if name and name != "identity":
        if name not in _UNPACKERS:
            raise ServerError(
                BAD_ENCODING,
                f"Unknown compression method {name[:50]!r}: bodies may be gzip, deflate, zstd or lz4 (BAD_ARGUMENTS)",
            )
        chunks = _parts(chunks, _UNPACKERS[name], name)
    return _frames(chunks) if framed else chunks


def _parts(chunks: Iterator[bytes], new: Callable[[], _Unpacker], name: str) -> Iterator[bytes]:
    """Yield what all the parts hold that were compressed one by one and put behind each other."""
    part, begun = new(), False
    try:
        for data in chunks:
            left = data
            while left or (begun and not part.eof and not part.needs_input):
                if part.eof:
                    part = new()
                out = part.decompress(left, _STEP_BYTES)
                begun = True
                left = part.unused_data if part.eof else b""
                if out:
                    yield out
    except (zlib.error, zstd.ZstdError, RuntimeError) as error:  # the last is what lz4 raises
        raise ServerError(
            DAMAGED, f"Cannot decompress the body, which is no {name}: {error} (CANNOT_DECOMPRESS)"
        ) from error
    if begun and not part.eof:
        raise ServerError(CUT_OFF, f"Cannot read all data: the body ends within its {name} (CANNOT_READ_ALL_DATA)")


def _frames(chunks: Iterator[bytes]) -> Iterator[bytes]:
    reader = Reader(lambda: next(chunks, b""))
    while True:
        try:
            reader.need(1)
        except EOFError:
            return
        try:
            yield read_frame(reader)
        except EOFError as error:
            text = "Cannot read all data: the body ends within a compressed frame (CANNOT_READ_ALL_DATA)"
            raise ServerError(CUT_OFF, text) from error
