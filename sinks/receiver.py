"""A small webhook receiver on loopback: for the dispatcher who integrates, the demo, the tests and the bench.

It verifies every request in the way of its profile, keeps what it got, and can be told to behave badly, so that one can
watch the retries.
"""

import asyncio
import hmac
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

import msgspec
from aiohttp import web

from gridbeacon.config_notify import SIGNED, ProfileName
from sinks.bodies.robots import dingtalk_sign, feishu_sign
from sinks.signing import ID_HEADER, TOLERANCE_SECS, Unverified, verify

Kind = Literal["error", "too_many", "hang", "reset", "lost"]
ERRORS = (500, 502, 503, 504)
_ANSWERS: dict[str, tuple[int, bytes]] = {
    "wecom": (200, b'{"errcode":0,"errmsg":"ok"}'),
    "dingtalk": (200, b'{"errcode":0,"errmsg":"ok"}'),
    "feishu": (200, b'{"code":0,"msg":"success","data":{}}'),
    "pagerduty": (202, b'{"status":"success"}'),
}
#: A robot says 200 and the number of what is wrong.
_REFUSALS: dict[str, bytes] = {
    "dingtalk": b'{"errcode":310000,"errmsg":"sign not match"}',
    "feishu": b'{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time"}',
}


@dataclass(frozen=True, slots=True)
class Received:
    """One verified request: its ``webhook-id`` (empty when there is none), raw body, arrival time, and the status that
    it was answered with (0: none; what was ``lost`` was taken, but its sender can't know)."""

    notice_id: str
    body: bytes
    arrived_ms: int
    status: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """So large a ``share`` of the requests fails at random, in one of these ways: an ``error`` of the server,
    ``too_many`` requests (429 with ``Retry-After``), a ``hang`` of ``hang_secs``, a ``reset`` of the connection before
    the notice was taken, or after (``lost``). ``seed`` makes it the same again."""

    share: float
    kinds: tuple[Kind, ...] = ("error", "too_many", "hang", "reset", "lost")
    hang_secs: float = 30.0
    retry_after_secs: int = 1
    seed: int = 0


class Receiver:
    """An HTTP server on 127.0.0.1; an async context manager. ``url`` says where it listens.

    ``secrets`` verify the signatures, ``sign_secret`` that of a robot: a request that fails is refused as the receiver
    of its ``profile`` does it, counted in ``unverified`` and not kept. Verified requests are answered with the next of
    ``statuses`` and, after these, what means "taken"; each after ``delay_secs`` (>= 0), a status other than 2xx with
    ``headers`` (such as ``Retry-After``) and a line of text; ``trouble`` comes on top. ``on_notice`` is called with
    each verified request. ``port`` 0 takes a free one. Entering raises ``OSError`` when it is busy.
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
        on_refused: Callable[[str], None] | None = None,
        profile: ProfileName = "standard",
        sign_secret: str = "",
        trouble: Trouble | None = None,
    ) -> None:
        self.received: list[Received] = []
        self.unverified = 0
        self.url = ""
        self._secrets = tuple(secrets)
        self._port = port
        self._statuses = list(statuses)
        self._delay_secs = delay_secs
        self._headers = dict(headers or {})
        self._on_notice, self._on_refused = on_notice, on_refused
        self._profile, self._sign_secret = profile, sign_secret
        self._trouble = trouble
        self._random = random.Random(trouble.seed if trouble else 0)
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
            notice_id = self._verified(request, body, arrived_ms)
        except Unverified as error:
            self.unverified += 1
            if self._on_refused is not None:
                self._on_refused(str(error))
            refusal = _REFUSALS.get(self._profile)
            return web.Response(status=401, text=str(error)) if refusal is None else _json(200, refusal)
        trouble = self._trouble
        kind = self._random.choice(trouble.kinds) if trouble and self._random.random() < trouble.share else None
        taken, answer = _ANSWERS.get(self._profile, (204, b""))
        status = self._statuses.pop(0) if self._statuses else taken
        if kind in ("error", "too_many"):
            status = 429 if kind == "too_many" else self._random.choice(ERRORS)
        elif kind in ("hang", "reset"):
            status = 0
        got = Received(notice_id, body, arrived_ms, status)
        self.received.append(got)
        if self._on_notice is not None:
            self._on_notice(got)
        if self._delay_secs:
            await asyncio.sleep(self._delay_secs)
        if trouble is not None and kind == "hang":
            await asyncio.sleep(trouble.hang_secs)
        if kind in ("hang", "reset", "lost") and request.transport is not None:
            request.transport.abort()
        if status == taken:
            return _json(status, answer)
        headers = {"Retry-After": str(trouble.retry_after_secs)} if trouble and kind == "too_many" else self._headers
        return web.Response(status=status or 500, headers=headers, text=f"told to answer {status}")

    def _verified(self, request: web.Request, body: bytes, arrived_ms: int) -> str:
        """Return the ``webhook-id`` of a request that is signed as it must be. Raises ``Unverified``."""
        if self._secrets or self._profile in SIGNED:
            return verify(self._secrets, request.headers, body, arrived_ms / 1000)
        if self._sign_secret:
            if self._profile == "dingtalk":
                given: Mapping[str, str] = request.query
                expected = dingtalk_sign(self._sign_secret, _number(given))
            else:
                given = _strings(body)
                expected = feishu_sign(self._sign_secret, _number(given) * 1000)
            stamp_secs = _number(given) / (1000 if self._profile == "dingtalk" else 1)
            if abs(arrived_ms / 1000 - stamp_secs) > TOLERANCE_SECS:
                raise Unverified(f"timestamp is more than {TOLERANCE_SECS} s off: check this machine's clock")
            if not hmac.compare_digest(given.get("sign", "").encode(), expected["sign"].encode()):
                raise Unverified("sign does not fit: check sign_secret")
        return request.headers.get(ID_HEADER, "")


def _json(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body or None, content_type="application/json" if body else None)


def _strings(body: bytes) -> dict[str, str]:
    try:
        found = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        return {name: msgspec.json.decode(found[name], type=str) for name in ("timestamp", "sign") if name in found}
    except msgspec.MsgspecError:
        return {}


def _number(given: Mapping[str, str]) -> int:
    text = given.get("timestamp", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise Unverified("timestamp is missing or not a number")
    return int(text)
