"""One request's statement, run in its session: an answer in some format, or rows that are stored."""

import re
import uuid
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from itertools import chain

from gridbeacon.config import Account
from sinks.embedded import http_forms, native, statements
from sinks.embedded.engine import Engine, as_server_error, new_tag
from sinks.embedded.http_answer import HOLD_BYTES, Answer, Headers, Wire
from sinks.embedded.http_body import unpacked
from sinks.embedded.http_request import AUTHENTICATION_FAILED, Request
from sinks.embedded.http_sessions import Sessions, seconds
from sinks.embedded.session import Piece, Session
from sinks.embedded.wire import ServerError

MAX_QUERY_BYTES = 16 << 20
"""A statement in a body may be so long; chDB has its own, smaller limit (the setting max_query_size)."""
MAX_WHOLE_BYTES = 256 << 20
"""What an answer may hold that has to be made whole before it is sent, unless max_result_bytes says otherwise."""
UNAUTHORIZED = 401
SYNTAX_ERROR, READONLY, UNKNOWN_ROLE, NOT_IMPLEMENTED = 62, 164, 511, 48
_HEAD_BYTES = 1 << 18
"""Within so much the head of an INSERT must end: ClickHouse's own limit for a statement."""
_CUSTOM = 54454
"""From this revision on, blocks say of each column if its serialization is a custom one."""
_CONTROL_ALLOWED = re.compile(r"\s*(?:SET|USE)\b", re.IGNORECASE)
_NOT_FOR_HEADERS = re.compile(r"[^\x20-\x7e]")


class Running:
    """A query on its way, as the watching thread sees it."""

    def __init__(self) -> None:
        self.tag = new_tag()
        self.cancelled = False
        self.begun = False


class Query:
    """What one request asks; ``run`` answers it on ``wire``, whatever comes."""

    def __init__(self, request: Request, body: Iterator[bytes], wire: Wire, running: Running) -> None:
        self._request, self._body, self._wire, self._running = request, body, wire, running
        self._id = _NOT_FOR_HEADERS.sub("?", request.words.get("query_id", ""))[:500] or str(uuid.uuid4())
        self._form = request.default_format

    def run(self, engine: Engine, sessions: Sessions) -> None:
        """Send the answer, or the error in its place; raises ``OSError`` when the client has left."""
        request = self._request
        headers: Headers = [
            ("X-ClickHouse-Server-Display-Name", "Gridbeacon's embedded ClickHouse"),
            ("X-ClickHouse-Query-Id", self._id),
            (
                "X-ClickHouse-Timezone",
                _NOT_FOR_HEADERS.sub("?", request.words.get("session_timezone", engine.time_zone)),
            ),
        ]
        plain = Answer(self._wire, headers, hold=None, encoding="", framed=False)
        try:
            account = self._login(engine)
            hold = None if request.flag("wait_end_of_query") else max(request.number("buffer_size", HOLD_BYTES), 1)
            answer = Answer(self._wire, headers, hold=hold, encoding=request.encoding, framed=request.flag("compress"))
        except Exception as caught:  # noqa: BLE001 - as below
            error = as_server_error(caught)
            if error.code == AUTHENTICATION_FAILED and not _has_credentials(request):
                headers.append(("WWW-Authenticate", 'Basic realm="ClickHouse server HTTP API"'))
                plain.fail(error, UNAUTHORIZED)
            else:
                plain.fail(error)
            return
        try:
            self._refuse_what_is_not_served()
            with self._session(engine, account, sessions) as session:
                self._execute(engine, account, session, answer)
            answer.finish()
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told, and the thread goes on
            answer.fail(as_server_error(error))
        finally:
            answer.close()

    def _login(self, engine: Engine) -> Account:
        user, password, _ = self._request.credentials()
        return engine.accounts.login(user, password)

    def _refuse_what_is_not_served(self) -> None:
        if self._request.words.get("role"):
            raise ServerError(UNKNOWN_ROLE, "There is no such role: the embedded ClickHouse has none (UNKNOWN_ROLE)")
        if self._request.headers.get("content-type", "").startswith("multipart/"):
            raise ServerError(NOT_IMPLEMENTED, "Tables and words in a multipart body are not served (NOT_IMPLEMENTED)")

    @contextmanager
    def _session(self, engine: Engine, account: Account, sessions: Sessions) -> Iterator[Session]:
        request = self._request
        name = request.words.get("session_id", "")
        if not name:
            session = Session(engine, account, request.database)
            try:
                yield session
            finally:
                session.close()
            return
        secs, must_exist = seconds(request.words.get("session_timeout", "")), request.flag("session_check")
        session = sessions.take(
            account.name, name, lambda: Session(engine, account, request.database), secs=secs, must_exist=must_exist
        )
        try:
            session.use(request.database)
            yield session
        finally:
            sessions.give_back(account.name, name, end=request.flag("close_session"))

    def _execute(self, engine: Engine, account: Account, session: Session, answer: Answer) -> None:
        request = self._request
        encoding = request.headers.get("content-encoding", "")
        body = unpacked(self._body, encoding, framed=request.flag("decompress"))
        begin = request.words.get("query", "").encode()
        rows = statements.rows_of(begin)
        if rows is None or not rows.form:
            start = _up_to(body, _HEAD_BYTES)
            whole = begin + b"\n" + start if begin else start
            found = statements.rows_of(whole)
            if found is not None and found.form:
                begin, rows = whole, found
            elif rows is None or statements.goes_on(start):
                begin, rows = whole, None
            else:
                begin += start
        if rows is not None:
            self._apply(session)
            data = chain((begin[rows.begin :],), body)
            answer.counts.written_rows, answer.counts.written_bytes = self._insert(engine, account, session, rows, data)
        else:
            begin += _up_to(body, MAX_QUERY_BYTES - len(begin) + 1)
            if len(begin) > MAX_QUERY_BYTES:
                raise ServerError(
                    SYNTAX_ERROR, f"Syntax error: Max query size exceeded: {MAX_QUERY_BYTES} bytes (SYNTAX_ERROR)"
                )
            self._select(engine, account, session, begin.decode("utf-8", "replace"), answer)

    def _apply(self, session: Session, extra: dict[str, str] | None = None) -> None:
        settings = (extra or {}) | self._request.settings
        session.apply(settings, frozenset(self._request.settings))

    def _insert(
        self, engine: Engine, account: Account, session: Session, rows: statements.Rows, data: Iterator[bytes]
    ) -> tuple[int, int]:
        if self._request.reads_only:
            raise _readonly(account)
        insert = session.insert_as(rows.head, rows.form or "Values", self._request.parameters)
        try:
            for piece in data:
                insert.add_raw(piece)
            with engine.gate.turn(account):
                return insert.finish()
        finally:
            insert.cancel()

    def _select(self, engine: Engine, account: Account, session: Session, sql: str, answer: Answer) -> None:
        request = self._request
        sql, form = statements.split_format(sql)
        if not sql.strip():
            raise ServerError(SYNTAX_ERROR, "Syntax error: Empty query (SYNTAX_ERROR)")
        form = form or self._form
        answer.kind = [
            ("Content-Type", http_forms.content_type(form)),
            ("X-ClickHouse-Format", _NOT_FOR_HEADERS.sub("?", form)),
        ]
        whole = not http_forms.streams(form, sql, request.settings)
        self._apply(session, {"max_result_bytes": str(MAX_WHOLE_BYTES)} if whole and account.role == "writer" else None)
        if request.reads_only and session.kind(sql) not in ("READ_ONLY", "UNKNOWN") and not _CONTROL_ALLOWED.match(sql):
            engine.permit(sql, account)  # its own words come first
            raise _readonly(account)
        revision = request.number("client_protocol_version", 0)
        running = self._running
        with (
            engine.gate.turn(account, lambda: running.cancelled),
            engine.queries.known(self._id, running.tag, account),
        ):
            running.begun = True
            if form.casefold() == "native" and revision:
                session.custom = revision >= _CUSTOM
                pieces = _as_pieces(session.run(sql, request.parameters, running.tag))
            else:
                pieces = session.raw(sql, form, request.parameters, running.tag)
            with closing(pieces):
                for piece in pieces:
                    if running.cancelled:
                        raise ConnectionAbortedError
                    answer.take(piece)


def _as_pieces(blocks: Generator[tuple[native.Block, int, int], None, None]) -> Generator[Piece, None, None]:
    """Yield blocks with what precedes them; the one without rows only where no other follows."""
    head: native.Block | None = None
    with closing(blocks):
        for block, read_rows, read_bytes in blocks:
            if not block.rows:
                head = head or block
                continue
            head = None
            yield Piece(native.BLOCK_INFO + block.body, read_rows, read_bytes, result_rows=block.rows)
    if head is not None:
        yield Piece(native.BLOCK_INFO + head.body)


def _up_to(body: Iterator[bytes], size: int) -> bytes:
    """Return at least ``size`` bytes of a body, or all that are left."""
    found = bytearray()
    while len(found) < size and (data := next(body, b"")):
        found += data
    return bytes(found)


def _has_credentials(request: Request) -> bool:
    try:
        return request.credentials().given
    except ServerError:
        return True


def _readonly(account: Account) -> ServerError:
    return ServerError(
        READONLY, f"{account.name}: Cannot execute query in readonly mode: ask by POST to change anything. (READONLY)"
    )
