"""The HTTP interface's parts that need no server: requests, bodies, formats, sessions that end."""

import base64
import gzip
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress

import lz4.frame
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from sinks.embedded import http, http_forms, statements
from sinks.embedded.http_answer import Answer, Headers
from sinks.embedded.http_body import unpacked
from sinks.embedded.http_request import parsed
from sinks.embedded.http_sessions import Sessions, seconds
from sinks.embedded.session import Piece
from sinks.embedded.wire import ServerError, compress

PACK = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
    "lz4": lz4.frame.compress,
}


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[begin : begin + size] for begin in range(0, len(data), size))


@pytest.mark.parametrize("name", PACK)
@given(parts=st.lists(st.binary(max_size=200), max_size=4), size=st.integers(1, 40))
def test_a_body_is_unpacked_whole_however_it_was_cut_and_put_together(name: str, parts: list[bytes], size: int) -> None:
    body = b"".join(map(PACK[name], parts))
    assert b"".join(unpacked(pieces(body, size), name, framed=False)) == b"".join(parts)


@pytest.mark.parametrize("name", PACK)
def test_a_small_body_that_holds_much_is_unpacked_in_steps(name: str) -> None:
    much = bytes(50 << 20)
    found = list(unpacked(iter([PACK[name](much)]), name, framed=False))
    assert sum(map(len, found)) == len(much)
    assert max(map(len, found)) <= 4 << 20


@pytest.mark.parametrize("name", PACK)
def test_a_body_that_is_damaged_or_ends_too_soon_is_refused(name: str) -> None:
    whole = PACK[name](b"1234" * 1000)
    for body, code in ((whole[:-6], 33), (b"what is this?" + whole, 271)):
        with pytest.raises(ServerError) as caught:
            list(unpacked(iter([body]), name, framed=False))
        assert caught.value.code == code


def test_frames_of_clickhouse_and_an_encoding_that_nobody_knows() -> None:
    body = compress(b"a" * 3_000_000)
    assert b"".join(unpacked(pieces(body, 1000), "", framed=True)) == b"a" * 3_000_000
    assert b"".join(unpacked(pieces(gzip.compress(body), 1000), "gzip", framed=True)) == b"a" * 3_000_000
    with pytest.raises(ServerError, match="CANNOT_READ_ALL_DATA"):
        list(unpacked(iter([body[:-1]]), "", framed=True))
    with pytest.raises(ServerError, match="may be gzip"):
        unpacked(iter([b""]), "br", framed=False)


@pytest.mark.parametrize(
    ("form", "head", "rows"),
    [
        ("CSVWithNames", b'"a ""b""\nc","d"\n', b"1,2\n"),
        ("CSVWithNamesAndTypes", b'"a","d"\n"Enum8(\'x\' = 1)","UInt8"\n', b"1,2\n"),
        ("TSVWithNames", b"a\\nb\td\n", b"1\t2\n"),
        ("TabSeparatedWithNamesAndTypes", b"a\td\nUInt8\tUInt8\n", b"1\t2\n"),
        ("JSONCompactEachRowWithNamesAndTypes", b'["a"]\n["UInt8"]\n', b"[1]\n"),
        ("RowBinaryWithNames", b"\x02\x01a\x01d", b"\x02\x01a\x01d"),
        ("RowBinaryWithNamesAndTypes", b"\x01\x01a\x05UInt8", b"\x01"),
        ("CSV", b"", b"1\n"),
    ],
)
def test_the_head_of_a_format_comes_once(form: str, head: bytes, rows: bytes) -> None:
    assert http_forms.streams(form, "SELECT 1", {})
    part = http_forms.joined(form)
    assert b"".join(part(head + rows) for _ in range(3)) == head + rows * 3


def test_values_have_a_comma_between_them_and_what_has_a_tail_does_not_stream() -> None:
    part = http_forms.joined("Values")
    assert part(b"(1)") + part(b"(2)") == b"(1),(2)"
    for form in (
        "TSVRawWithNames",
        "JSON",
        "Parquet",
        "Arrow",
        "ORC",
        "Pretty",
        "XML",
        "Vertical",
        "SQLInsert",
        "JSONWithNames",
        "x",
    ):
        assert not http_forms.streams(form, "SELECT 1", {}), form
    assert not http_forms.streams("TSV", "SELECT 1 GROUP BY 1 WITH totals", {})
    assert not http_forms.streams("TSV", "SELECT 1", {"extremes": "1"})
    assert not http_forms.streams("JSONEachRow", "SELECT 1 SETTINGS output_format_json_array_of_rows = 1", {})


@pytest.mark.parametrize(
    ("text", "head", "form", "rows"),
    [
        (b"INSERT INTO t FORMAT JSONEachRow\n{}", "INSERT INTO t", "JSONEachRow", b"{}"),
        (b"insert into db.t(a, b) format CSV 1,2", "insert into db.t(a, b)", "CSV", b"1,2"),
        (b"INSERT INTO t FORMAT TSV\r\n\n1", "INSERT INTO t", "TSV", b"\n1"),
        (b"/* x */ -- y\n INSERT INTO `a b`.\"c\" VALUES(1)", 'INSERT INTO `a b`."c"', "Values", b"(1)"),
        (b"INSERT INTO t (`a)`, b) VALUES (')', 2);", "INSERT INTO t (`a)`, b)", "Values", b" (')', 2);"),
        (b"INSERT INTO t VALUES", "INSERT INTO t", "Values", b""),
        (b"INSERT INTO t (* EXCEPT(b)) VALUES (1)", "INSERT INTO t (* EXCEPT(b))", "Values", b" (1)"),
        (
            b"INSERT INTO t SETTINGS async_insert=1, x = 'a' FORMAT Native\n\x00\xff",
            "INSERT INTO t SETTINGS async_insert=1, x = 'a'", "Native", b"\x00\xff",
        ),
        (b"INSERT INTO FUNCTION null('a UInt8') VALUES (1)", "INSERT INTO FUNCTION null('a UInt8')", "Values", b" (1)"),
        (b"INSERT INTO TABLE t FORMAT TSV;", "INSERT INTO TABLE t", "TSV", b""),
        ("INSERT INTO `格` VALUES (1)".encode(), "INSERT INTO `格`", "Values", b" (1)"),
    ],
)  # fmt: skip
def test_where_the_rows_of_an_insert_begin(text: bytes, head: str, form: str, rows: bytes) -> None:
    found = statements.rows_of(text)
    assert found is not None
    assert (found.head, found.form, text[found.begin :]) == (head, form, rows)


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT 1",
        b"INSERT INTO t SELECT * FROM u FORMAT TSV",
        b"INSERT INTO t (a) SELECT 'FORMAT CSV'",
        b"INSERT INTO t (SELECT 1)",
        b"INSERT INTO t WITH 1 AS x SELECT x",
        b"INSERT INTO t FROM INFILE 'x' FORMAT CSV",
        b"INSERT INTO t VALUES nonsense",
        b"INSERT INTO",
        b"INSERT INTO t (" + b"(" * 50_000,
        b"INSERT INTO t" + b" " * 200_000 + b"x",
        b"",
    ],
)
def test_other_statements_have_no_rows_and_that_is_seen_at_once(text: bytes) -> None:
    begin = time.thread_time()
    assert statements.rows_of(text) is None
    assert time.thread_time() - begin < 1


@pytest.mark.parametrize(
    ("sql", "rest", "form"),
    [
        ("SELECT 1 FORMAT JSON", "SELECT 1 ", "JSON"),
        ("SELECT 1 format CSV ;\n", "SELECT 1 ", "CSV"),
        ("SELECT 1 FORMAT TSV -- end", "SELECT 1 ", "TSV"),
        ("SELECT 1 FORMAT TSV SETTINGS session_timezone = 'UTC'", "SELECT 1  SETTINGS session_timezone = 'UTC'", "TSV"),
        ("SELECT 'a FORMAT b'", "SELECT 'a FORMAT b'", ""),
        ("SELECT 'FORMAT a SETTINGS b'", "SELECT 'FORMAT a SETTINGS b'", ""),
        ("SELECT * FROM format(CSV, '1')", "SELECT * FROM format(CSV, '1')", ""),
    ],
)
def test_the_format_clause_is_found_at_the_end_alone(sql: str, rest: str, form: str) -> None:
    assert statements.split_format(sql) == (rest, form)


def test_who_asks_is_said_in_one_way() -> None:
    basic = (b"Authorization", b"Basic " + base64.b64encode("wächter:p:ö".encode()))
    assert parsed(b"GET", b"/", [basic]).credentials() == ("wächter", "p:ö", True)
    named = parsed(b"GET", b"/?user=a&password=b%26%C3%B6", [])
    assert named.credentials() == ("a", "b&ö", True)
    assert parsed(b"GET", b"/", [(b"X-ClickHouse-User", b"a")]).credentials() == ("a", "", True)
    assert parsed(b"GET", b"/", []).credentials() == ("", "", False)
    for words, headers in ((b"?user=a", [basic]), (b"", [(b"Authorization", b"Bearer x")])):
        with pytest.raises(ServerError, match="AUTHENTICATION_FAILED"):
            parsed(b"GET", b"/" + words, headers).credentials()
    with pytest.raises(ServerError, match="2000 words"):
        parsed(b"GET", b"/?" + b"a=1&" * 3000, [])


def test_words_of_the_address() -> None:
    request = parsed(b"POST", b"/?query=SELECT+1%2B1&param_x=1&max_threads=2&buffer_size=x", [])
    assert request.words["query"] == "SELECT 1+1"
    assert (request.parameters, request.settings) == ({"x": "1"}, {"max_threads": "2"})
    with pytest.raises(ServerError, match="buffer_size must be a number"):
        request.number("buffer_size", 1)
    asked = parsed(b"GET", b"/?enable_http_compression=1", [(b"Accept-Encoding", b"br, gzip;q=0.5, zstd;q=0")])
    assert asked.encoding == "gzip"


class Sent:
    """What an answer sends."""

    def __init__(self) -> None:
        self.status, self.headers, self.data, self.complete = 0, {}, b"", None

    def head(self, status: int, headers: Headers) -> None:
        assert not self.status
        self.status, self.headers = status, dict(headers)

    def body(self, data: bytes) -> None:
        self.data += data

    def end(self) -> None:
        self.complete = True

    def break_off(self) -> None:
        self.complete = False


@pytest.mark.parametrize("encoding", ["", *PACK])
def test_an_error_before_anything_was_sent_has_its_status_and_one_afterwards_breaks_off(encoding: str) -> None:
    error = ServerError(60, "no such table (UNKNOWN_TABLE)")
    for rows in (b"", b"1\n" * 10):
        early = Sent()
        answer = Answer(early, [], hold=100, encoding=encoding, framed=False)
        answer.take(Piece(rows))
        answer.fail(error)
        assert (early.status, early.headers["X-ClickHouse-Exception-Code"], early.complete) == (404, "60", True)
        assert early.data == b"Code: 60. DB::Exception: no such table (UNKNOWN_TABLE)\n"
    late = Sent()
    answer = Answer(late, [], hold=0, encoding=encoding, framed=False)
    answer.take(Piece(bytes(range(256)) * 4000))
    answer.fail(error)
    assert (late.status, late.complete) == (200, False)
    plain = b"".join(unpacked(iter([late.data]), encoding, framed=False))
    tag = late.headers["X-ClickHouse-Exception-Tag"]
    rows, _, rest = plain.partition(f"\r\n__exception__\r\n{tag}\r\n".encode())
    assert rows == bytes(range(256)) * 4000
    text = b"Code: 60. DB::Exception: no such table (UNKNOWN_TABLE)\n"
    assert rest == text + f"{len(text)} {tag}\r\n__exception__\r\n".encode()


class Ended:
    """A session as far as its end."""

    def __init__(self) -> None:
        self.ended = 0

    def close(self) -> None:
        self.ended += 1


def test_a_session_is_kept_for_its_time_and_for_one_at_a_time() -> None:
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    made: list[Ended] = []

    def make() -> Ended:
        made.append(Ended())
        return made[-1]

    def take(name: str = "a", *, user: str = "u", must_exist: bool = False):
        return sessions.take(user, name, make, secs=60, must_exist=must_exist)

    first = take()
    with pytest.raises(ServerError) as caught:
        take()
    assert caught.value.code == 373
    assert take(user="v") is not first, "names are each user's own"
    now[0] = 1000
    sessions.look()
    assert first.ended == 0, "it is in use, however long"
    sessions.give_back("u", "a", end=False)
    now[0] += 59
    assert take(must_exist=True) is first
    sessions.give_back("u", "a", end=False)
    now[0] += 61
    sessions.look()
    assert first.ended == 1
    with pytest.raises(ServerError) as caught:
        take(must_exist=True)
    assert caught.value.code == 372
    second = take()
    sessions.give_back("u", "a", end=True)
    assert second.ended == 1
    sessions.close()
    assert [session.ended for session in made] == [1, 1, 1]


def test_a_session_that_can_not_be_made_is_none() -> None:
    sessions = Sessions()

    def fail() -> Ended:
        raise ServerError(81, "no database")

    for _ in range(2):
        with pytest.raises(ServerError, match="no database"):
            sessions.take("u", "a", fail, secs=60, must_exist=False)
    for text in ("0", "-1", "x", "99999999"):
        with pytest.raises(ServerError, match="session_timeout"):
            seconds(text)


@pytest.mark.parametrize("sent", [b"", b"GET / HT"], ids=["silent", "busy"])
def test_a_head_that_does_not_come_in_time_ends_the_connection(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(http, "HEAD_SECS", 1)
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(socket, "TCP_NODELAY", socket.SO_KEEPALIVE)
    monkeypatch.setattr(socket, "IPPROTO_TCP", socket.SOL_SOCKET)  # this pair is no TCP
    client = http.HttpClient(ours, None, Sessions())
    thread = threading.Thread(target=client.talk, args=(lambda _: None,))
    thread.start()
    deadline = time.monotonic() + 30
    theirs.sendall(sent)
    while thread.is_alive():
        assert time.monotonic() < deadline
        client.watch()
        if sent:
            with suppress(OSError):
                theirs.send(b"a")
        time.sleep(0.05)
    theirs.close()
