"""ClickHouse's HTTP interface: one client's connection, request after request, in a thread of its own."""

import os
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus

import h11

from sinks.embedded.engine import Engine
from sinks.embedded.http_answer import PLAIN, Headers, error_headers, message
from sinks.embedded.http_query import Query, Running
from sinks.embedded.http_request import Request, parsed
from sinks.embedded.http_sessions import Sessions
from sinks.embedded.http_status import status_of
from sinks.embedded.wire import ServerError

HEAD_SECS, BODY_SECS, SEND_SECS, IDLE_SECS = 10, 30, 300, 30
"""How long a request's head may take in all, its body and our answer may stand still, and a connection may rest."""
MAX_HEAD_BYTES = (1 << 20) + (1 << 16)
"""A statement may stand in the address, as at a server of up to a megabyte."""
_DRAIN_BYTES = 64 << 20
"""So much of a body is read that nobody needs any more, so that the client comes to read why."""
_SERVED = ("GET", "HEAD", "POST", "PUT", "OPTIONS")
_STRANGERS = ("cross-site", "same-site")


class HttpClient:
    """The other end of ``connection``; ``talk`` returns when it has left.

    Other threads may call ``watch``, ``hang_up`` and nothing else. ``sessions`` are those of all connections.
    """

    def __init__(self, connection: socket.socket, engine: Engine, sessions: Sessions) -> None:
        self._socket = connection
        # A look ahead that TLS knows nothing of: whatever comes there while a query runs is the end.
        self._raw = _bare(connection)
        self._engine = engine
        self._sessions = sessions
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._method = ""
        self._running: Running | None = None
        self._head_until: float | None = time.monotonic() + HEAD_SECS

    def talk(self, refused: Callable[[str], None]) -> None:
        """Serve the client until it leaves; says to ``refused`` in a sentence why it was turned away, if it was."""
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._wait(HEAD_SECS)
            while self._request():
                self._next()
        except h11.RemoteProtocolError as error:
            refused(f"sent what is not HTTP: {error}")
            self._try_plain(error.error_status_hint, f"{error}\n")
        except h11.LocalProtocolError as error:  # our own mistake; the client learns from the connection's end
            refused(f"could not be answered: {error}")
        except (EOFError, OSError):
            pass  # it left, or was silent for too long
        finally:
            self._socket.close()
            self._raw.close()

    def watch(self) -> None:
        """Stop the running query when its client is gone; call it several times a second.

        A client whose request does not come in time, however busily it sends, is let go.
        """
        until = self._head_until
        if until is not None and time.monotonic() > until:
            self.hang_up()
        running = self._running
        if running is None or not running.begun:
            return
        if not running.cancelled:
            try:
                seen = self._raw.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
                running.cancelled = self._raw is not self._socket or not seen
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

    def head(self, status: int, headers: Headers) -> None:
        """Send status and headers."""
        kept = [("Date", _date()), ("Server", "ClickHouse"), *headers]
        if self._http.they_are_waiting_for_100_continue:  # the body that we don't want may come all the same
            kept.append(("Connection", "close"))
        else:
            kept.append(("Keep-Alive", f"timeout={IDLE_SECS}"))
        self._send(h11.Response(status_code=status, headers=kept, reason=HTTPStatus(status).phrase))

    def body(self, data: bytes) -> None:
        """Send a part of the body."""
        if data and self._method != "HEAD":
            self._send(h11.Data(data=data))

    def end(self) -> None:
        """Say that the body is complete."""
        self._send(h11.EndOfMessage())

    def break_off(self) -> None:
        """Make sure that nobody takes the body for complete."""
        raise ConnectionAbortedError

    def _request(self) -> bool:
        """Serve the next request; return whether another may follow."""
        event = self._event()
        if not isinstance(event, h11.Request):
            return False
        self._head_until = None
        self._wait(BODY_SECS)
        self._method = event.method.decode("latin-1")
        try:
            request = parsed(event.method, event.target, list(event.headers))
        except ServerError as error:
            self._refuse(error)
        else:
            self._answer(request)
        self._drain()
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    def _answer(self, request: Request) -> None:
        if request.method not in _SERVED:
            self._plain(405, f"Method {request.method[:20]} is not served\n", [("Allow", ", ".join(_SERVED))])
        elif request.method == "OPTIONS":
            self.head(204, [("Allow", ", ".join(_SERVED))])
            self.end()
        elif request.path in ("/ping", "/replicas_status"):
            self._plain(200, "Ok.\n")
        elif request.path not in ("", "/", "/query"):
            self._plain(404, f"There is no handle {request.path[:200]}\n")
        elif request.headers.get("sec-fetch-site") in _STRANGERS:
            self._plain(403, "A page of another site may not ask this database\n")
        elif request.reads_only and "query" not in request.words and not _has_body(request):
            self._plain(200, "Ok.\n")
        else:
            self._running = running = Running()
            try:
                Query(request, self._body(), self, running).run(self._engine, self._sessions)
            finally:
                self._running = None

    def _body(self) -> Iterator[bytes]:
        while isinstance(event := self._event(), h11.Data):
            yield bytes(event.data)

    def _event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = self._http.next_event()
            if not isinstance(event, type) or event is h11.PAUSED:
                return event
            if self._http.they_are_waiting_for_100_continue:
                self._send(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(self._socket.recv(1 << 18))

    def _drain(self) -> None:
        """Read what is left of the request, up to a limit."""
        left = _DRAIN_BYTES
        while self._http.their_state is h11.SEND_BODY and left > 0:
            if self._http.they_are_waiting_for_100_continue or self._http.our_state is not h11.DONE:
                return
            event = self._event()
            left -= len(event.data) if isinstance(event, h11.Data) else 0

    def _next(self) -> None:
        self._http.start_next_cycle()
        self._wait(IDLE_SECS)
        if not self._http.trailing_data[0]:
            self._http.receive_data(self._socket.recv(1 << 18))
        self._head_until = time.monotonic() + HEAD_SECS

    def _refuse(self, error: ServerError) -> None:
        text = message(error)
        self.head(status_of(error.code), error_headers(error, text))
        self.body(text.encode())
        self.end()

    def _plain(self, status: int, text: str, headers: Headers | None = None) -> None:
        self.head(status, [("Content-Type", PLAIN), ("Content-Length", str(len(text.encode()))), *(headers or [])])
        self.body(text.encode())
        self.end()

    def _try_plain(self, status: int, text: str) -> None:
        try:
            if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                self._plain(status, text)
        except (OSError, h11.LocalProtocolError):
            return  # it is gone

    def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._socket.sendall(data)

    def _wait(self, seconds: int) -> None:
        # The kernel's time-out, not Python's: that one would make the look-aheads of ``watch`` wait as well.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", seconds, 0))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", SEND_SECS, 0))


def _bare(connection: socket.socket) -> socket.socket:
    """Return the socket below TLS, of its own, or the very connection where there is no TLS."""
    if not isinstance(connection, ssl.SSLSocket):
        return connection
    return socket.socket(fileno=os.dup(connection.fileno()))


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def _date() -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
