"""The native protocol's bytes: what is written is read back, and no byte string does anything unexpected."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.embedded import native, statements
from sinks.embedded.wire import (
    FRAME_BYTES,
    ProtocolError,
    Reader,
    ServerError,
    compress,
    read_frame,
    string,
    varint,
)


def reader(data: bytes, step: int = 1 << 20) -> Reader:
    pieces = iter([data[at : at + step] for at in range(0, len(data), step)])
    return Reader(lambda: next(pieces, b""))


def uint64(number: int) -> bytes:
    return struct.pack("<Q", number)


def block(*columns: tuple[str, bytes], rows: int, custom: bool = True) -> bytes:
    mark = b"\x00" if custom else b""
    body = b"".join(string(f"c{at}") + string(kind) + mark + data for at, (kind, data) in enumerate(columns))
    return varint(len(columns)) + varint(rows) + body


TWO_ROWS = [
    ("String", string("a") + string("b" * 300)),
    ("UInt8", b"\x01\x02"),
    ("UInt16", bytes(4)),
    ("UInt32", bytes(8)),
    ("UInt64", bytes(16)),
    ("Int8", b"\xff\x00"),
    ("Int32", bytes(8)),
    ("Int64", bytes(16)),
    ("Float32", bytes(8)),
    ("Float64", bytes(16)),
    ("Bool", b"\x00\x01"),
    ("UUID", bytes(32)),
    ("Decimal(18, 4)", bytes(16)),
    ("FixedString(3)", b"abcdef"),
    ("Nullable(Float64)", b"\x00\x01" + bytes(16)),
    ("Nullable(String)", b"\x00\x01" + string("x") + string("")),
    ("DateTime64(3, 'UTC')", bytes(16)),
    ("DateTime('Asia/Shanghai')", bytes(8)),
    ("Enum8('a' = 1, 'b, (c' = -2, 'it\\'s' = 3)", b"\x01\xfe"),
    ("Array(UInt16)", uint64(1) + uint64(3) + bytes(6)),
    ("Array(Array(String))", uint64(1) + uint64(2) + uint64(2) + uint64(3) + string("p") * 3),
    ("Map(String, Float64)", uint64(0) + uint64(1) + string("k") + bytes(8)),
    ("Tuple(String, UInt8)", string("a") + string("b") + b"\x01\x02"),
    ("Tuple(`first one` String, n UInt8)", string("a") + string("b") + b"\x01\x02"),
    (
        "LowCardinality(String)",
        uint64(1) + uint64(0x600) + uint64(2) + string("") + string("v") + uint64(2) + b"\x01\x01",
    ),
    (
        "Array(LowCardinality(Nullable(String)))",
        uint64(1) + uint64(0) + uint64(1) + uint64(0x600) + uint64(1) + string("") + uint64(1) + b"\x00",
    ),
    ("SimpleAggregateFunction(max, UInt8)", b"\x01\x02"),
    ("Point", bytes(32)),
]


@given(st.integers(0, 2**64 - 1))
def test_a_number_comes_back(number):
    assert reader(varint(number)).varint() == number


@given(st.binary(max_size=1000), st.integers(1, 50))
def test_a_string_comes_back_however_it_is_cut(data, step):
    assert reader(string(data), step).raw() == data


@given(st.lists(st.binary(max_size=200)), st.binary(max_size=20), st.integers(1, 50))
def test_strings_are_passed_over_however_they_are_cut(values, rest, step):
    source = reader(b"".join(map(string, values)) + rest, step)
    source.skip_strings(len(values))
    assert source.take(len(rest)) == rest


@pytest.mark.parametrize("size", [1, 100, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES])
def test_compressed_bytes_come_back(size):
    data = bytes(range(251)) * (size // 251 + 1)
    source = reader(compress(data[:size]))
    found = b""
    while len(found) < size:
        found += read_frame(source)
    assert found == data[:size]


@given(st.data())
def test_a_changed_compressed_frame_is_refused(data):
    frame = bytearray(compress(b"observations " * 40))
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((ProtocolError, EOFError)):
        read_frame(reader(bytes(frame)))


def test_a_frame_that_claims_to_become_huge_is_refused_before_it_is_unpacked():
    with pytest.raises(ProtocolError, match="claims to hold"):
        read_frame(reader(bytes(16) + struct.pack("<BII", 0x82, 9 + 10, 1 << 29) + bytes(10)))


@pytest.mark.parametrize(("kind", "data"), TWO_ROWS, ids=[kind for kind, _ in TWO_ROWS])
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_a_column_of_every_type_goes_to_chdb_and_back(kind, data, step):
    wire = block((kind, data), ("UInt8", b"\x07\x08"), rows=2)
    plain = block((kind, data), ("UInt8", b"\x07\x08"), rows=2, custom=False)
    came = native.from_wire(reader(wire + b"rest", step))
    assert came == native.Block(((b"c0", kind), (b"c1", "UInt8")), 2, plain)
    assert native.to_wire(reader(plain, step)).body == wire


def test_the_time_zone_that_chdb_left_out_is_put_back():
    plain = block(("DateTime", bytes(4)), rows=1, custom=False)
    found = native.to_wire(reader(plain), ["DateTime('UTC')"])
    assert found.body == block(("DateTime('UTC')", bytes(4)), rows=1)


def test_a_header_is_a_block_without_rows():
    kinds = [("a", "UInt8"), ("b", "LowCardinality(String)")]
    found = native.from_wire(reader(native.header(kinds)))
    assert (found.rows, [(name.decode(), kind) for name, kind in found.columns]) == (0, kinds)


@pytest.mark.parametrize(
    "kind", ["Dynamic", "JSON", "AggregateFunction(sum, UInt8)", "Array(" * 60 + "UInt8" + ")" * 60, ""]
)
def test_a_type_that_can_not_be_walked_over_is_named(kind):
    with pytest.raises(ProtocolError) as caught:
        native.from_wire(reader(block((kind, bytes(100)), rows=1)))
    assert caught.value.code == 48


@pytest.mark.parametrize(
    "data",
    [
        varint(1 << 20) + varint(1),
        varint(1) + varint(1 << 40),
        block(("String", varint(1 << 62)), rows=1),
        block(("Array(UInt64)", uint64(2**64 - 1)), rows=1),
        block(("LowCardinality(String)", uint64(1) + uint64(0) + uint64(2**60)), rows=1),
        b"\xff" * 30,
    ],
    ids=["columns", "rows", "string", "array", "dictionary", "number"],
)
def test_absurd_sizes_are_refused_without_taking_memory(data):
    with pytest.raises((ProtocolError, EOFError)):
        native.from_wire(reader(data))


def survives(read: Callable[[Reader], object], data: bytes, step: int = 64) -> None:
    """Return when reading ended in a value or one of the two errors that stand for the client's fault."""
    source = reader(data, step)
    try:
        while source.left or data:
            read(source)
            if not source.left:
                return
    except (ProtocolError, EOFError):
        return


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_but_the_two_errors(data):
    for read in (native.from_wire, native.to_wire, native.skip_block_info, read_frame, Reader.varint, Reader.text):
        survives(read, data)


@given(
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 1 << 16)
)
def test_a_damaged_block_raises_nothing_but_the_two_errors(changes, cut):
    data = bytearray(block(*TWO_ROWS, rows=2))
    for at, value in changes:
        data[at % len(data)] = value
    survives(native.from_wire, bytes(data))
    survives(native.from_wire, bytes(data[: cut % len(data)]))


@given(st.text(alphabet="ArrayTupleMp(), `'\\StringUInt8Nullable0", max_size=60))
def test_no_type_raises_anything_but_the_two_errors(kind):
    survives(native.from_wire, block((kind, bytes(200)), rows=3))


@pytest.mark.parametrize(
    ("sql", "head"),
    [
        ("INSERT INTO t VALUES", "INSERT INTO t"),
        (" insert into a.t (x, y) values ; ", " insert into a.t (x, y)"),
        ("/* c */ -- d\nINSERT INTO t (`a b`)\nFORMAT Native\n", "/* c */ -- d\nINSERT INTO t (`a b`)"),
        ("INSERT INTO t(a)VALUES", "INSERT INTO t(a)"),
        ("INSERT INTO t SETTINGS max_threads = 1 VALUES", "INSERT INTO t SETTINGS max_threads = 1"),
        ("INSERT INTO t VALUES (1)", None),
        ("INSERT INTO t SELECT 1", None),
        ("SELECT 'INSERT INTO t VALUES", None),
        ("SELECT 1 AS values", None),
    ],
)
def test_an_insert_whose_rows_follow_is_known(sql, head):
    assert statements.insert_head(sql) == head


@pytest.mark.parametrize(
    ("head", "select"),
    [
        ("INSERT INTO t", "SELECT * FROM t"),
        ("INSERT INTO t (a, b)", "SELECT a, b FROM t"),
        ("INSERT INTO `d b`.`t(1)` (`a)`, b)", "SELECT `a)`, b FROM `d b`.`t(1)`"),
        ("INSERT INTO TABLE d.t (a) SETTINGS max_threads = 1", "SELECT a FROM d.t"),
        ("INSERT INTO FUNCTION null('a UInt8')", "SELECT * FROM null('a UInt8')"),
        ("-- c\nINSERT INTO t(a)", "SELECT a FROM t"),
    ],
)
def test_an_insert_says_which_columns_it_takes(head, select):
    assert statements.target(head).select == select


def test_an_insert_that_can_not_be_read_is_a_syntax_error():
    with pytest.raises(ServerError, match="can't read") as caught:
        statements.target("INSERT INTO (")
    assert caught.value.code == 62


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "sql", [" " * 100_000, "-- \n" * 50_000, "/**/" * 50_000 + "/*", "INSERT INTO t" + " " * 100_000]
)
def test_a_hostile_statement_is_read_in_no_time(sql):
    statements.insert_head(sql)
    statements.reads(sql)
    assert statements.without_format(sql) == sql


@given(st.text(max_size=40))
def test_a_quoted_text_ends_where_it_should(value):
    inner = statements.quoted(value)[1:-1].replace("\\\\", "").replace("\\'", "")
    assert "'" not in inner
    assert not inner.endswith("\\")
