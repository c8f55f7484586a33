"""The bytes of the native protocol: numbers, strings, compressed frames. No socket here, and no trust in any length."""

import struct
from collections.abc import Callable

import lz4.block
from clickhouse_cityhash.cityhash import CityHash128

LZ4, ZSTD, UNCOMPRESSED = 0x82, 0x90, 0x02
FRAME_BYTES = 1 << 20
"""Results are compressed in frames of this size."""
MAX_TEXT_BYTES = 1 << 26
MAX_BLOCK_BYTES = 1 << 29
"""What one block may hold: far above the inserts of any client, and all that a stranger can make us keep."""
_LZ4_BEST_RATIO = 255
_FRAME_HEAD = struct.Struct("<BII")
_DIGEST = struct.Struct("<QQ")


class ServerError(Exception):
    """What the client is told: ``code`` is one of ClickHouse's error codes, the text says what is wrong."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class ProtocolError(ServerError):
    """The client's bytes make no sense; where its next packet begins is unknown, so the connection must end."""


class Reader:
    """Reads from what ``more`` returns, call by call; ``b""`` is the end, and reading past it raises ``EOFError``.

    Bytes from the last ``keep`` on stay in memory until ``kept`` takes them; all others are forgotten once read.
    Raises ``ProtocolError`` when one step, or what is kept, would need more than ``limit`` bytes.
    """

    def __init__(self, more: Callable[[], bytes], limit: int = MAX_BLOCK_BYTES) -> None:
        self._more = more
        self._limit = limit
        self._bytes = bytearray()
        self._at = 0
        self._keep_from: int | None = None

    @property
    def left(self) -> int:
        """Number of bytes that have come in and were not read yet."""
        return len(self._bytes) - self._at

    def upcoming(self) -> int | None:
        """Return the next byte without reading it, None when it is not here yet."""
        return self._bytes[self._at] if self.left else None

    def need(self, count: int) -> None:
        """Return when the next ``count`` bytes are here."""
        if self.left >= count:
            return
        begin = self._at if self._keep_from is None else self._keep_from
        if count > self._limit or self._at - begin + count > self._limit:
            raise ProtocolError(131, f"more than {self._limit} bytes in one piece are refused; send smaller blocks")
        del self._bytes[:begin]
        self._at -= begin
        if self._keep_from is not None:
            self._keep_from = 0
        while self.left < count:
            came = self._more()
            if not came:
                raise EOFError
            self._bytes += came

    def keep(self) -> None:
        """Keep what is read from here on."""
        self._keep_from = self._at

    def kept(self) -> bytes:
        """Return what was read since ``keep``, and stop keeping."""
        with memoryview(self._bytes) as view:
            found = bytes(view[self._keep_from : self._at])
        self._keep_from = None
        return found

    def skip(self, count: int) -> None:
        """Pass over ``count`` bytes."""
        self.need(count)
        self._at += count

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        self.need(count)
        with memoryview(self._bytes) as view:
            found = bytes(view[self._at : self._at + count])
        self._at += count
        return found

    def byte(self) -> int:
        """Return the next byte."""
        self.need(1)
        self._at += 1
        return self._bytes[self._at - 1]

    def varint(self) -> int:
        """Return the next number of variable length, below 2^64."""
        number = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            number |= (byte & 127) << shift
            if byte < 128:
                break
        if byte > 127 or number >> 64:
            raise ProtocolError(33, "a number of more than 64 bits")
        return number

    def uint64(self) -> int:
        """Return the next number of eight bytes."""
        return int.from_bytes(self.take(8), "little")

    def raw(self, limit: int = MAX_TEXT_BYTES) -> bytes:
        """Return the next string as it is."""
        length = self.varint()
        if length > limit:
            raise ProtocolError(131, f"a string of {length} bytes where at most {limit} are expected")
        return self.take(length)

    def text(self, limit: int = MAX_TEXT_BYTES) -> str:
        """Return the next string; what is not UTF-8 in it is replaced."""
        return self.raw(limit).decode("utf-8", "replace")

    def skip_strings(self, count: int) -> None:
        """Pass over ``count`` strings."""
        data = self._bytes
        while count:
            begin = at = self._at
            safe = len(data) - 10  # the longest length there is
            while count and at < safe and (length := data[at]) < 128:
                at += length + 1
                count -= 1
            self.skip(at - begin)
            if count:
                self.skip(self.varint())
                count -= 1


def varint(number: int) -> bytes:
    """Return a number as its bytes of variable length."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def string(value: str | bytes) -> bytes:
    """Return a string with its length in front."""
    raw = value.encode() if isinstance(value, str) else value
    return varint(len(raw)) + raw


def compress(data: bytes) -> bytes:
    """Return ``data`` as LZ4 frames with their checksums."""
    frames = []
    for begin in range(0, len(data), FRAME_BYTES):
        part = data[begin : begin + FRAME_BYTES]
        packed = lz4.block.compress(part, store_size=False)
        body = _FRAME_HEAD.pack(LZ4, len(packed) + _FRAME_HEAD.size, len(part)) + packed
        frames.append(_digest(body) + body)
    return b"".join(frames)


def _unzstd(packed: bytes, length: int) -> bytes:
    # Imported here: few clients compress so, and it takes 0.2 s.
    import pyarrow as pa

    try:
        return pa.decompress(packed, decompressed_size=length, codec="zstd", asbytes=True)  # type: ignore[no-any-return]
    except (OSError, ValueError) as error:
        raise ProtocolError(271, f"a damaged ZSTD frame: {error}") from error


def read_frame(reader: Reader) -> bytes:
    """Return the content of the next compressed frame. Raises ``ProtocolError`` when it is damaged or too large."""
    digest, head = reader.take(_DIGEST.size), reader.take(_FRAME_HEAD.size)
    method, size, length = _FRAME_HEAD.unpack(head)
    size -= _FRAME_HEAD.size
    if size < 0 or length > MAX_BLOCK_BYTES or length > max(size, 1) * _LZ4_BEST_RATIO:
        raise ProtocolError(271, f"a compressed frame that claims to hold {length} bytes in {size}")
    packed = reader.take(size)
    if _digest(head + packed) != digest:
        raise ProtocolError(40, "the checksum of a compressed frame does not match")
    if method == UNCOMPRESSED:
        return packed
    if method == ZSTD:
        return _unzstd(packed, length)
    if method != LZ4:
        raise ProtocolError(89, f"compression method {method:#x} is not supported; use lz4, zstd or none")
    try:
        return bytes(lz4.block.decompress(packed, uncompressed_size=length))
    except lz4.block.LZ4BlockError as error:
        raise ProtocolError(271, f"a damaged LZ4 frame: {error}") from error


def _digest(data: bytes) -> bytes:
    number = CityHash128(data)  # on the wire the high half comes first
    return _DIGEST.pack(number >> 64, number & (1 << 64) - 1)
