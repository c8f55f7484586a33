"""The webhook sender: one attempt in, one result out. It decides nothing; ``deliveries.Outbox`` does."""

import time
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import (
    ClientError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from yarl import URL

from gridbeacon import __version__, config_notify, targets
from gridbeacon.config_notify import Notify, Webhook
from gridbeacon.errors import ConfigError
from gridbeacon.reasons import DeliveryOutcome
from sinks.addresses import guarded_socket
from sinks.bodies import PROFILES, Dressed
from sinks.bodies.message import Setting, message_of
from sinks.deliveries import Attempt, Result, outcome_of
from sinks.signing import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

# A receiver's answer is a courtesy: enough of it for a person to see what went wrong, never enough to hurt us.
ANSWER_MAX_BYTES = 65_536
DETAIL_MAX_CHARS = 500
# Ten times what Standard Webhooks calls large: a body beyond it is a mistake of ours, and no receiver is to pay for it.
BODY_MAX_BYTES = 262_144
# Web servers close idle connections after 5 s or more; a request on one that is just closing would fail and cost a
# retry, so ours close first.
KEEPALIVE_SECS = 3.0


class WebhookSender:
    """Sends attempts to the configured webhooks; an async context manager.

    Requests to different endpoints share nothing but the process, and no limit is set on how many are under way:
    ``Outbox.due`` hands out only a few per endpoint. Connections are apart for endpoints that may reach private
    addresses and those that may not. ``timezone`` is the city's, for messages that people read.
    Raises ``ConfigError`` when a webhook's settings are wrong.
    """

    def __init__(self, config: Notify, timezone: str = "UTC") -> None:
        check_webhooks(config)
        self._webhooks = {webhook.name: webhook for webhook in config.webhooks}
        self._setting = Setting(config.sender, timezone)
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
        hook = self._webhooks[attempt.endpoint]
        started = time.perf_counter()
        try:
            dressed = dressed_body(attempt, hook, self._setting, now_ms)
        except (msgspec.MsgspecError, KeyError, ValueError) as error:
            # A notice of another version's making: no later attempt fares better, the next endpoint may.
            return Result(0, f"no body can be made: {error}", None, now_ms, 0.0, DeliveryOutcome.PERMANENT)
        if len(dressed.body) > BODY_MAX_BYTES:
            detail = f"not sent: a body of {len(dressed.body)} bytes, at most {BODY_MAX_BYTES} are sent"
            return Result(0, detail, None, now_ms, 0.0, DeliveryOutcome.PERMANENT)
        result = await self._post(hook, attempt.notice.notice_id, dressed, now_ms)
        return result._replace(duration_ms=round((time.perf_counter() - started) * 1000, 3))

    async def _post(self, hook: Webhook, notice_id: str, dressed: Dressed, now_ms: int) -> Result:
        profile = PROFILES[hook.profile]
        headers = {"Content-Type": profile.content_type}
        if hook.secrets:
            stamp = now_ms // 1000
            headers |= {
                ID_HEADER: notice_id,
                TIMESTAMP_HEADER: str(stamp),
                SIGNATURE_HEADER: sign(hook.secrets, notice_id, stamp, dressed.body),
            }
        try:
            async with self._sessions[hook.allow_private].post(
                URL(hook.url).update_query(dressed.query) if dressed.query else hook.url,
                data=dressed.body,
                headers=headers,
                allow_redirects=False,
                timeout=ClientTimeout(total=hook.timeout_secs),
            ) as response:
                retry_after_secs = _retry_after_secs(response.headers.get("Retry-After"), now_ms)
                said = await _answer(response)
                outcome = outcome_of(response.status)
                if profile.answer is not None and outcome is DeliveryOutcome.DELIVERED:
                    outcome, asked_secs = profile.answer(said)
                    retry_after_secs = asked_secs if retry_after_secs is None else retry_after_secs
                detail = _one_line(said[: 4 * DETAIL_MAX_CHARS].decode("utf-8", "replace"))
                return Result(response.status, detail, retry_after_secs, now_ms, 0.0, outcome)
        except TimeoutError:
            return Result(0, f"no answer within {hook.timeout_secs:g} s", None, now_ms, 0.0)
        except ClientResponseError as error:  # its text has the whole address, which may hold a token
            return Result(0, _one_line(f"no HTTP answer: {error.message}"), None, now_ms, 0.0)
        except (ClientError, OSError) as error:
            return Result(0, _one_line(f"{type(error).__name__}: {error}"), None, now_ms, 0.0)


def dressed_body(attempt: Attempt, hook: Webhook, setting: Setting, now_ms: int) -> Dressed:
    """Return the body of an attempt in the endpoint's profile, and what its own signature adds to the address.

    Raises ``msgspec.MsgspecError``, ``KeyError`` or ``ValueError`` when the notice's body is not one of ours.
    """
    profile = PROFILES[hook.profile]
    body = profile.render(message_of(attempt.notice, attempt.earlier), hook, setting)
    return profile.dress(body, hook, now_ms)


def check_webhooks(config: Notify) -> None:
    """Check all that can be known of the webhooks without connecting; raise ``ConfigError`` that names key and fix."""
    for key, text in (*targets.mistakes(config), *config_notify.mistakes(config)):
        raise ConfigError(f"{key}: {text}")


async def _answer(response: ClientResponse) -> bytes:
    """Return the start of the answer's body; the connection is given up when the body is too long."""
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
    return bytes(received)


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
