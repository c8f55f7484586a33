"""The door: names by which the server may be called, who may send, how much and how often, and headers of safety.

Names are checked against DNS rebinding: a page of another host, whose name an attacker points at this machine, is
refused by its ``Host``. Whatever changes something is refused when a browser says that it comes from another page.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from gridbeacon.config_api import Api
from web import problems

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: Nothing from other hosts, no inline script or style, no frames, no plug-ins.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
MOST_CLIENTS = 10_000


class Guard:
    """Wraps the application (ASGI)."""

    def __init__(self, app: Any, settings: Api) -> None:
        self._app = app
        self._settings = settings
        listen = f"[{settings.listen}]" if ":" in settings.listen else settings.listen
        self._names = {name.lower() for name in (*LOOPBACK_NAMES, listen, *settings.hosts)}
        self._too_large_text = f"send no more than {settings.max_body_kb} kB at once"
        self._secure = bool(settings.tls_cert_file)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    out.setdefault(name, value)
                if self._secure:
                    out.setdefault("strict-transport-security", "max-age=31536000")
                out.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, sending)
            return
        most = self._settings.max_body_kb * 1024
        seen = 0

        async def receiving() -> MutableMapping[str, Any]:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise HTTPException(413, self._too_large_text)
            return message

        await self._app(scope, receiving, sending)

    def _refusal(self, scope: Scope, headers: Headers) -> Any:
        if self._name(headers.get("host", "")) not in self._names:
            return problems.answer(
                421, "the server is not called by this name; call it by its address, or add the name to api.hosts"
            )
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._settings.max_body_kb * 1024:
            return self._too_large()
        if scope["method"] not in SAFE and not self._same_origin(headers):
            return problems.answer(403, "a page of another site sent this; send it from the board itself")
        return None

    def _too_large(self) -> Any:
        return problems.answer(413, self._too_large_text)

    @staticmethod
    def _name(host: str) -> str:
        name, colon, port = host.lower().rpartition(":")
        return name if colon and port.isdigit() else host.lower()

    @staticmethod
    def _same_origin(headers: Headers) -> bool:
        """Return whether a request comes from our own page, or from no browser."""
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = headers.get("origin")
        return origin is None or origin.partition("://")[2].lower() == headers.get("host", "").lower()


class Often:
    """How often each client comes: ``per_min`` in any minute, spread or at once."""

    def __init__(self, per_min: int) -> None:
        self._per_min = per_min
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_secs(self, client: str, *, cost: float = 1.0) -> float:
        """Count one request of a client; return 0, or the seconds after which it may come again."""
        now = time.monotonic()
        left, at = self._left.pop(client, (float(self._per_min), now))
        left = min(float(self._per_min), left + (now - at) * self._per_min / 60)
        may = left >= cost
        self._left[client] = (left - cost if may else left, now)
        while len(self._left) > MOST_CLIENTS:
            self._left.popitem(last=False)
        return 0.0 if may else (cost - left) * 60 / self._per_min
