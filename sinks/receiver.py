"""A small webhook receiver on loopback: for the dispatcher who integrates, the demo, the tests and the bench.

It verifies every request, keeps what it got, and can be told to behave badly, so that one can watch the retries.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import web

from sinks.signing import Unverified, verify


@dataclass(frozen=True, slots=True)
class Received:
    """One verified request: its ``webhook-id``, raw body, arrival time, and the status that it was answered with."""

    notice_id: str
    body: bytes
    arrived_ms: int
    status: int


class Receiver:
    """An HTTP server on 127.0.0.1; an async context manager. ``url`` says where it listens.

    ``secrets`` verify the signatures: a request that fails is answered 401, counted in ``unverified`` and not kept.
    Verified requests are answered with the next of ``statuses`` and, after these, 204; each after ``delay_secs``
    (>= 0), a status other than 2xx with ``headers`` (such as ``Retry-After``) and a line of text. ``on_notice`` is
    called with each verified request. ``port`` 0 takes a free one. Entering raises ``OSError`` when it is busy.
    """

    def __init__(
        self,
        secrets: Sequence[str],
        *,
        port: int = 0,
        statuses: Sequence[int] = (),
        delay_secs: float = 0.0,
        headers: Mapping[str, str] | None = None,
        on_notice: Callable[[Received], None] | None = None,
    ) -> None:
        self.received: list[Received] = []
        self.unverified = 0
        self.url = ""
        self._secrets = tuple(secrets)
        self._port = port
        self._statuses = list(statuses)
        self._delay_secs = delay_secs
        self._headers = dict(headers or {})
        self._on_notice = on_notice
        self._runner: web.AppRunner | None = None

    @property
    def delivered(self) -> dict[str, bytes]:
        """Body by ``webhook-id`` of what was answered 2xx, in order of the first time: repeats count once."""
        bodies: dict[str, bytes] = {}
        for request in self.received:
            if 200 <= request.status < 300:
                bodies.setdefault(request.notice_id, request.body)
        return bodies

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/notices"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        arrived_ms = time.time_ns() // 1_000_000
        try:
            notice_id = verify(self._secrets, request.headers, body, arrived_ms / 1000)
        except Unverified as error:
            self.unverified += 1
            return web.Response(status=401, text=str(error))
        status = self._statuses.pop(0) if self._statuses else 204
        got = Received(notice_id, body, arrived_ms, status)
        self.received.append(got)
        if self._on_notice is not None:
            self._on_notice(got)
        if self._delay_secs:
            await asyncio.sleep(self._delay_secs)
        if 200 <= status < 300:
            return web.Response(status=status)
        return web.Response(status=status, headers=self._headers, text=f"told to answer {status}")
