"""The webhook sender: one attempt in, one result out. It decides nothing; ``deliveries.Outbox`` does."""

import time
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from gridbeacon import __version__
from gridbeacon.config import Notify, Webhook
from gridbeacon.errors import ConfigError
from gridbeacon.secrets import secret_bytes
from sinks.addresses import check_targets, guarded_socket
from sinks.deliveries import Attempt, Result
from sinks.signing import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

# A receiver's answer is a courtesy: enough of it for a person to see what went wrong, never enough to hurt us.
ANSWER_MAX_BYTES = 65_536
DETAIL_MAX_CHARS = 500
# Web servers close idle connections after 5 s or more; a request on one that is just closing would fail and cost a
# retry, so ours close first.
KEEPALIVE_SECS = 3.0


class WebhookSender:
    """Sends attempts to the configured webhooks; an async context manager.

    Requests to different endpoints share nothing but the process, and no limit is set on how many are under way:
    ``Outbox.due`` hands out only a few per endpoint. Connections are apart for endpoints that may reach private
    addresses and those that may not. Raises ``ConfigError`` when a webhook's settings are wrong.
    """

    def __init__(self, config: Notify) -> None:
        check_webhooks(config)
        self._webhooks = {webhook.name: webhook for webhook in config.webhooks}
        self._sessions: dict[bool, ClientSession] = {}

    async def __aenter__(self) -> Self:
        for allow_private in {webhook.allow_private for webhook in self._webhooks.values()}:
            connector = TCPConnector(
                limit=0, keepalive_timeout=KEEPALIVE_SECS, socket_factory=guarded_socket(allow_private=allow_private)
            )
            self._sessions[allow_private] = ClientSession(
                connector=connector,
                cookie_jar=DummyCookieJar(),
                auto_decompress=False,
                headers={"User-Agent": f"gridbeacon/{__version__}", "Accept-Encoding": "identity"},
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def send(self, attempt: Attempt, now_ms: int) -> Result:
        """Return how one request ended; never raises for what a network or a receiver does.

        ``now_ms`` becomes ``webhook-timestamp``. Redirects are not followed. The endpoint's ``timeout_secs`` bounds
        the whole request; once the status has arrived it counts, however the rest of the answer fares.
        """
        webhook = self._webhooks[attempt.endpoint]
        started = time.perf_counter()
        status, detail, retry_after_secs = await self._post(webhook, attempt, now_ms)
        return Result(status, detail, retry_after_secs, now_ms, round((time.perf_counter() - started) * 1000, 3))

    async def _post(self, webhook: Webhook, attempt: Attempt, now_ms: int) -> tuple[int, str, float | None]:
        body = attempt.notice.body.encode()
        timestamp_secs = now_ms // 1000
        headers = {
            "Content-Type": "application/json",
            ID_HEADER: attempt.notice.notice_id,
            TIMESTAMP_HEADER: str(timestamp_secs),
            SIGNATURE_HEADER: sign(webhook.secrets, attempt.notice.notice_id, timestamp_secs, body),
        }
        try:
            async with self._sessions[webhook.allow_private].post(
                webhook.url,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=ClientTimeout(total=webhook.timeout_secs),
            ) as response:
                retry_after_secs = _retry_after_secs(response.headers.get("Retry-After"), now_ms)
                return response.status, await _detail(response), retry_after_secs
        except TimeoutError:
            return 0, f"no answer within {webhook.timeout_secs:g} s", None
        except (ClientError, OSError) as error:
            return 0, _one_line(f"{type(error).__name__}: {error}"), None


def check_webhooks(config: Notify) -> None:
    """Check all that can be known of the webhooks without connecting; raise ``ConfigError`` that names key and fix."""
    if not config.retry_secs or min(config.retry_secs) < 0:
        raise ConfigError("notify.retry_secs: give at least one wait in seconds, none of them negative")
    seen: set[str] = set()
    for number, webhook in enumerate(config.webhooks):
        key = f"notify.webhooks[{number}]"
        if not webhook.name or webhook.name in seen:
            raise ConfigError(f"{key}.name: {webhook.name!r} must be a name that no other webhook has")
        seen.add(webhook.name)
        if not webhook.secrets:
            raise ConfigError(f"{key}.secrets: give at least one secret, 'whsec_' and base64 of at least 24 bytes")
        for secret in webhook.secrets:
            try:
                secret_bytes(secret)
            except (ValueError, ConfigError) as error:
                raise ConfigError(f"{key}.secrets: {error}") from None
    check_targets(config)


async def _detail(response: ClientResponse) -> str:
    """Return the start of the answer's body as one line; the connection is given up when the body is too long."""
    received = bytearray()
    try:
        while len(received) <= ANSWER_MAX_BYTES:
            chunk = await response.content.read(ANSWER_MAX_BYTES)
            if not chunk:
                break
            received += chunk
        else:
            response.close()
    except (ClientError, OSError):  # the status is what counts (TimeoutError is an OSError)
        response.close()
    return _one_line(received[: 4 * DETAIL_MAX_CHARS].decode("utf-8", "replace"))


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:DETAIL_MAX_CHARS]


def _retry_after_secs(value: str | None, now_ms: int) -> float | None:
    """Return the wait that a ``Retry-After`` header asks for: seconds or an HTTP date; None when it says nothing."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now_ms / 1000)
    except (ValueError, OverflowError):
        return None
