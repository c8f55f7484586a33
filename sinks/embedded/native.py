"""Blocks of columns: the protocol's form <-> chDB's ``FORMAT Native``.

They differ by one byte per column (is its serialization custom?), and neither says how long a column is: finding
where it ends takes a walk over its type.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

from sinks.embedded.wire import ProtocolError, Reader, string, varint

BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
"""No overflow rows, no bucket number: what precedes every block on the wire."""
MAX_COLUMNS = 10_000
MAX_ROWS = 1 << 28
_MAX_TYPE_CHARS, _MAX_TYPE_DEPTH = 10_000, 24
_FIXED = re.compile(r"U?Int(8|16|32|64|128|256)|B?Float(16|32|64)|Decimal(32|64|128|256)")
_BYTES = {
    "Bool": 1, "Enum8": 1, "Nothing": 1, "Enum16": 2, "Date": 2, "Date32": 4, "DateTime": 4, "IPv4": 4, "Time": 4,
    "DateTime64": 8, "Time64": 8, "UUID": 16, "IPv6": 16,
}  # fmt: skip
_ALIASES = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "Polygon": "Array(Ring)",
    "MultiLineString": "Array(LineString)",
    "MultiPolygon": "Array(Polygon)",
}
_TYPE_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`", re.DOTALL)
_TYPE = re.compile(r"\w+(?:\([\w\s(),=.-]*\))?")
_ELEMENT_NAME = re.compile(r"(?:`(?:[^`\\]|\\.)*`|\w+)\s+(?=\w)")


@dataclass(frozen=True, slots=True)
class Block:
    """Columns as (name, type), the number of rows, and the whole block as bytes for the other side."""

    columns: tuple[tuple[bytes, str], ...]
    rows: int
    body: bytes


class Skip(NamedTuple):
    """How to pass over a column: first what precedes its data, then the data of n rows."""

    prefix: Callable[[Reader], None]
    data: Callable[[Reader, int], None]


def from_wire(reader: Reader, *, custom: bool = True) -> Block:
    """Return the next block of the protocol (after its block info) with its body as ``FORMAT Native``.

    ``custom`` says whether the client's revision has the byte of a custom serialization.
    Raises ``ProtocolError`` on types that this endpoint can't walk over (code 48) and on absurd sizes.
    """
    return _recode(reader, custom_in=custom, custom_out=False, types=None)


def to_wire(reader: Reader, types: Sequence[str] | None = None, *, custom: bool = True) -> Block:
    """Return the next block of ``FORMAT Native`` with its body as the protocol has it.

    ``types`` are the columns' full types, where ``FORMAT Native`` left out the time zone of a ``DateTime``.
    """
    return _recode(reader, custom_in=False, custom_out=custom, types=types)


def header(columns: Sequence[tuple[str, str]], *, custom: bool = True) -> bytes:
    """Return a block of no rows that says the columns' names and types, as the protocol has it."""
    last = b"\x00" if custom else b""
    return varint(len(columns)) + b"\x00" + b"".join(string(name) + string(kind) + last for name, kind in columns)


def is_type(kind: str) -> bool:
    """Return whether a text has the form of one type, and nothing behind it that would become part of a statement.

    >>> is_type("Map(String, Array(UInt8))"), is_type("UInt8) ENGINE = Log"), is_type("Enum8('a)' = 1) DEFAULT f(1)")
    (True, False, False)
    """
    bare = _TYPE_QUOTED.sub("q", kind)
    depth = 0
    for at, char in enumerate(bare):
        depth += (char == "(") - (char == ")")
        if depth < 0 or (char == ")" and depth == 0 and at != len(bare) - 1):
            return False
    return depth == 0 and _TYPE.fullmatch(bare) is not None


def skip_block_info(reader: Reader) -> None:
    """Pass over the block info."""
    while field := reader.varint():
        if field > 2:
            raise ProtocolError(117, f"unknown field {field} in the info of a block")
        reader.skip(1 if field == 1 else 4)


def _recode(reader: Reader, *, custom_in: bool, custom_out: bool, types: Sequence[str] | None) -> Block:
    width, rows = reader.varint(), reader.varint()
    if width > MAX_COLUMNS or rows > MAX_ROWS:
        raise ProtocolError(128, f"a block of {width} columns and {rows} rows is refused; send smaller ones")
    out = [varint(width), varint(rows)]
    columns = []
    size = 0
    for number in range(width):
        name, kind = reader.raw(), reader.text(_MAX_TYPE_CHARS)
        if custom_in and reader.byte():
            raise ProtocolError(48, f"column {name!r} comes in a sparse form, which is not supported")
        columns.append((name, kind))
        out.append(string(name) + string(types[number] if types else kind) + (b"\x00" if custom_out else b""))
        if rows:
            skip = skipper(kind)
            reader.keep()
            skip.prefix(reader)
            skip.data(reader, rows)
            out.append(reader.kept())
            size += len(out[-1])
            if size > 4 * MAX_ROWS:
                raise ProtocolError(131, f"a block of more than {4 * MAX_ROWS} bytes is refused; send smaller ones")
    return Block(tuple(columns), rows, b"".join(out))


@lru_cache(2048)
def skipper(kind: str, depth: int = 0) -> Skip:
    """Return how to pass over a column of type ``kind``; raises ``ProtocolError`` (code 48) when that is unknown."""
    kind = _ALIASES.get(kind, kind)
    name, _, rest = kind.partition("(")
    inner = _arguments(rest[:-1])
    if depth > _MAX_TYPE_DEPTH:
        raise ProtocolError(48, "a type that is nested too deeply")
    deeper = depth + 1
    fixed = _fixed_bytes(name, inner)
    if fixed:
        return Skip(_nothing, partial(_skip_fixed, fixed))
    if name == "String":
        return Skip(_nothing, Reader.skip_strings)
    if name == "Nullable" and len(inner) == 1:
        some = skipper(inner[0], deeper)
        return Skip(some.prefix, partial(_skip_nullable, some))
    if name == "LowCardinality" and len(inner) == 1:
        plain = re.sub(r"^Nullable\((.*)\)$", r"\1", inner[0])
        return Skip(partial(_skip_fixed_once, 8), partial(_skip_low_cardinality, skipper(plain, deeper)))
    if name == "SimpleAggregateFunction" and inner:
        return skipper(inner[-1], deeper)
    if name in ("Array", "Map", "Nested") and inner:
        element = skipper(inner[0] if name == "Array" else f"Tuple({', '.join(inner)})", deeper)
        return Skip(element.prefix, partial(_skip_array, element))
    if name == "Tuple" and inner:
        parts = [skipper(_ELEMENT_NAME.sub("", element, count=1), deeper) for element in inner]
        return Skip(partial(_skip_prefixes, parts), partial(_skip_parts, parts))
    raise ProtocolError(48, f"type {kind[:100]} is not supported by the embedded ClickHouse")


def _fixed_bytes(name: str, inner: list[str]) -> int:
    """Return the bytes of one value, 0 when they vary."""
    if name == "FixedString" and inner and inner[0].isdecimal():
        return int(inner[0])
    if name == "Decimal" and inner and inner[0].isdecimal():
        precision = int(inner[0])
        return 4 if precision <= 9 else 8 if precision <= 18 else 16 if precision <= 38 else 32
    if name.startswith("Interval"):
        return 8
    if match := _FIXED.fullmatch(name):
        return int(next(bits for bits in match.groups() if bits)) // 8
    return _BYTES.get(name, 0)


def _arguments(text: str) -> list[str]:
    """Return the arguments of a type, split at the commas that stand in no bracket and no quotes."""
    found, depth, current, quote, escaped = [], 0, "", "", False
    for char in text:
        if quote:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == quote:
                quote = ""
        elif char in "'`":
            quote = char
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == "," and depth == 0:
            found.append(current.strip())
            current = ""
            continue
        current += char
    return [*found, current.strip()] if current.strip() else found


def _nothing(_reader: Reader) -> None:
    return


def _skip_fixed(size: int, reader: Reader, rows: int) -> None:
    reader.skip(size * rows)


def _skip_fixed_once(size: int, reader: Reader) -> None:
    reader.skip(size)


def _skip_nullable(some: Skip, reader: Reader, rows: int) -> None:
    reader.skip(rows)
    some.data(reader, rows)


def _skip_array(element: Skip, reader: Reader, rows: int) -> None:
    if rows:
        reader.skip(8 * (rows - 1))
        element.data(reader, reader.uint64())


def _skip_low_cardinality(plain: Skip, reader: Reader, rows: int) -> None:
    if rows:
        width = 1 << (reader.uint64() & 3)
        plain.data(reader, reader.uint64())
        reader.skip(width * reader.uint64())


def _skip_prefixes(parts: list[Skip], reader: Reader) -> None:
    for part in parts:
        part.prefix(reader)


def _skip_parts(parts: list[Skip], reader: Reader, rows: int) -> None:
    for part in parts:
        part.data(reader, rows)
