"""The sender against a real receiver on loopback: what is sent, what comes back, what it may not reach."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest
from aiohttp import web

from gridbeacon import __version__
from gridbeacon.config import Notify, Webhook
from gridbeacon.errors import ConfigError
from gridbeacon.model import Alert, AlertEvent, Delivery, Notice, Transition
from gridbeacon.reasons import Certainty, ConditionState, HandlingState, Level, Mode, Reason
from sinks.deliveries import Attempt, Result
from sinks.outbox import Outbox
from sinks.receiver import Receiver
from sinks.signing import verify
from sinks.webhook import ANSWER_MAX_BYTES, DETAIL_MAX_CHARS, WebhookSender

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD = "whsec_b2xkIHNlY3JldCBvZiAyNCBieXRlcyBvciBtb3Jl"
DEADLINE_SECS = 20.0


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, DEADLINE_SECS))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def hook(url: str, name: str = "a", **settings: object) -> Webhook:
    plain = Webhook(name=name, url=url, secrets=(SECRET,), allow_private=True, timeout_secs=5)
    return msgspec.structs.replace(plain, **settings)


def config(*webhooks: Webhook, retry_secs: tuple[float, ...] = Notify().retry_secs) -> Notify:
    return Notify(webhooks=webhooks, retry_secs=retry_secs)


def notice(number: int = 1, alert: str = "310101-a") -> Notice:
    body = f'{{"type":"alert.opened","data":{{"alert_id":"{alert}","sequence":{number},"place":"人民广场"}}}}'
    return Notice(
        notice_id=f"msg_{alert}_{number}",
        alert_id=alert,
        sequence=number,
        type="alert.opened",
        level=Level.RED,
        at_ms=0,
        body=body,
    )


async def send(webhook: Webhook, at_ms: int | None = None) -> Result:
    async with WebhookSender(config(webhook)) as sender:
        return await sender.send(Attempt(webhook.name, notice(), 1), now_ms() if at_ms is None else at_ms)


@asynccontextmanager
async def server(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """A plain HTTP server on loopback for answers that the receiver never gives; yields its URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def test_a_notice_arrives_signed_and_unchanged() -> None:
    async def story() -> None:
        async with Receiver([SECRET]) as receiver:
            result = await send(hook(receiver.url))
            assert (result.status, result.detail, result.retry_after_secs) == (204, "", None)
            assert 0 < result.duration_ms < 5000
            assert receiver.delivered == {notice().notice_id: notice().body.encode()}
            assert abs(receiver.received[0].arrived_ms - now_ms()) < 5000

    run(story())


def test_the_headers_are_those_of_standard_webhooks() -> None:
    seen: list[tuple[dict[str, str], bytes, str]] = []

    async def keep(request: web.Request) -> web.Response:
        seen.append((dict(request.headers), await request.read(), request.method))
        return web.Response(status=200, text="thanks")

    async def story() -> None:
        async with server(keep) as url:
            at_ms = 1_795_348_800_999
            result = await send(hook(url, secrets=(SECRET, OLD)), at_ms)
            assert result == (200, "thanks", None, at_ms, result.duration_ms, "delivered")
        ((headers, body, method),) = seen
        assert method == "POST"
        assert headers["webhook-id"] == notice().notice_id
        assert headers["webhook-timestamp"] == "1795348800"
        assert headers["Content-Type"] == "application/json"
        assert headers["User-Agent"] == f"gridbeacon/{__version__}"
        for secret in (SECRET, OLD):
            assert verify([secret], headers, body, 1_795_348_800) == notice().notice_id

    run(story())


def test_a_receiver_with_another_secret_refuses() -> None:
    async def story() -> None:
        async with Receiver([OLD]) as receiver:
            result = await send(hook(receiver.url))
            assert result.status == 401
            assert "secret" in result.detail
            assert (receiver.unverified, receiver.received) == (1, [])
            assert (await send(hook(receiver.url, secrets=(OLD,)), now_ms() - 400_000)).status == 401
            assert receiver.unverified == 2

    run(story())


def test_redirects_are_not_followed() -> None:
    async def story() -> None:
        async with (
            Receiver([SECRET]) as other,
            Receiver([SECRET], statuses=[307], headers={"Location": other.url}) as first,
        ):
            assert (await send(hook(first.url))).status == 307
            assert other.received == []

    run(story())


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("7", 7, 7),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 1e9, 1e10),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 0, 0),
        ("soon", None, None),
        ("-5", None, None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(value: str, low: float | None, high: float | None) -> None:
    async def story() -> None:
        async with Receiver([SECRET], statuses=[503], headers={"Retry-After": value}) as receiver:
            result = await send(hook(receiver.url))
            assert result.status == 503
            if low is None or high is None:
                assert result.retry_after_secs is None
            else:
                assert result.retry_after_secs is not None
                assert low <= result.retry_after_secs <= high

    run(story())


def test_nobody_there_and_no_such_name_are_results() -> None:
    async def story() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            result = await send(hook(f"http://127.0.0.1:{closed.getsockname()[1]}/"))
        assert result.status == 0
        assert "Connect" in result.detail
        result = await send(hook("https://no-such-host.invalid/"))
        assert result.status == 0
        assert result.detail

    run(story())


def test_a_slow_answer_ends_at_the_time_out_and_a_slow_body_does_not_undo_the_status() -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=200)
        await response.prepare(request)
        await response.write(b"received, ")
        await asyncio.sleep(30)
        return response

    async def story() -> None:
        async with Receiver([SECRET], delay_secs=30) as silent, server(trickle) as slow:
            result = await send(hook(silent.url, timeout_secs=0.2))
            assert (result.status, result.detail) == (0, "no answer within 0.2 s")
            result = await send(hook(slow, timeout_secs=2))
            assert (result.status, result.detail) == (200, "received,")

    run(story())


def test_answers_that_are_garbage_endless_or_compressed_are_bounded() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=500, headers={"Content-Encoding": "gzip"})
        await response.prepare(request)
        with suppress(ConnectionError):  # the sender hangs up
            for _ in range(10_000):
                await response.write(b"<b>\x00\n\xff" * 1000)
        return response

    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"\xff\x00 not HTTP at all\r\n\r\n")
        writer.close()

    async def story() -> None:
        async with server(endless) as url:
            result = await send(hook(url))
            assert result.status == 500
            assert len(result.detail) <= DETAIL_MAX_CHARS < ANSWER_MAX_BYTES
            assert result.detail.isprintable()
        raw = await asyncio.start_server(garbage, "127.0.0.1", 0)
        async with raw:
            result = await send(hook(f"http://127.0.0.1:{raw.sockets[0].getsockname()[1]}/"))
            assert result.status == 0
            assert result.detail.isprintable()

    run(story())


@pytest.mark.parametrize("host", ["localhost", "2130706433", "127.1", "0x7f000001"])
def test_an_inner_address_gets_nothing_however_it_is_spelled(host: str) -> None:
    async def story() -> None:
        async with Receiver([SECRET]) as receiver:
            port = receiver.url.split(":")[2].split("/")[0]
            result = await send(hook(f"http://{host}:{port}/", allow_private=False))
            assert result.status == 0
            assert "allow_private" in result.detail or "not a canonical" in result.detail
            assert receiver.received == []
            assert receiver.unverified == 0

    run(story())


def test_a_literal_inner_address_is_refused_before_anything_is_sent() -> None:
    for host in ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"):
        with pytest.raises(ConfigError, match="allow_private"):
            WebhookSender(config(hook(f"http://{host}/", allow_private=False)))


def test_a_name_that_changes_its_mind_is_checked_on_every_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with Receiver([SECRET]) as receiver:
            port = int(receiver.url.split(":")[2].split("/")[0])

            async def rebound(*_: object, **__: object) -> list[tuple[object, ...]]:
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", rebound)
            for allow_private, status in ((False, 0), (True, 204)):
                result = await send(hook(f"http://public.example.org:{port}/", allow_private=allow_private))
                assert result.status == status
            assert len(receiver.received) == 1

    run(story())


def transition(number: int, alert_id: str, offset: int, cleared: bool = False) -> Transition:
    condition = ConditionState.CLEARED if cleared else ConditionState.ACTIVE
    alert = Alert(
        alert_id=alert_id,
        fingerprint="f",
        rule="safety",
        cell="310101001002003",
        area="310101",
        version=number,
        level=Level.NONE if cleared else Level.RED,
        highest_level=Level.RED,
        condition_state=condition,
        handling_state=HandlingState.NEW,
        certainty=Certainty.OBSERVED,
        mode=Mode.LIVE,
        opened_ms=0,
        changed_ms=0,
        cleared_ms=0 if cleared else None,
        headline="h",
        evidence=(),
    )
    event = AlertEvent(
        alert_id=alert_id,
        version=number,
        event="cleared" if cleared else "opened",
        reason=Reason.DENSITY,
        at_ms=0,
        actor="gridbeacon",
        level_from=Level.NONE,
        level_to=alert.level,
        condition_from=None,
        condition_to=condition,
        handling_from=None,
        handling_to=HandlingState.NEW,
    )
    previous = (offset - 1, 0) if offset else (-1, -1)
    return Transition(
        partition=0,
        offset=offset,
        index=0,
        previous=previous,
        alert=alert,
        event=event,
        notice=notice(number, alert_id),
    )


async def drain(outbox: Outbox, sender: WebhookSender, only: str | None = None) -> list[Delivery]:
    """Drive an outbox as a role does, until nothing (for endpoint ``only``) waits; return the rows."""
    rows: list[Delivery] = []
    news = asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()

    async def deliver(attempt: Attempt) -> None:
        rows.extend(outbox.result(attempt, await sender.send(attempt, now_ms()), now_ms()))
        news.set()

    while any(only in (None, name) for name, _ in outbox.waiting()):
        for attempt in outbox.due(now_ms()):
            task = asyncio.create_task(deliver(attempt))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        due_ms = outbox.next_due_ms()
        try:
            await asyncio.wait_for(news.wait(), None if due_ms is None else max(0.001, (due_ms - now_ms()) / 1000))
        except TimeoutError:
            continue
        news.clear()
    for task in tasks:
        task.cancel()
    return rows


def test_cleared_never_overtakes_opened_and_a_dead_endpoint_delays_nobody() -> None:
    async def story() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            dead = f"http://127.0.0.1:{closed.getsockname()[1]}/"
            async with Receiver([SECRET], statuses=[503, 500, 408]) as moody, Receiver([SECRET], delay_secs=30) as hung:
                settings = config(
                    hook(dead, "dead"), hook(hung.url, "hung"), hook(moody.url, "moody"), retry_secs=(0.0, 0.05)
                )
                outbox = Outbox(settings)
                offset = 0
                for alert in range(30):
                    for number in (1, 2):
                        outbox.add(transition(number, f"310101-{alert}", offset, cleared=number == 2), now_ms())
                        offset += 1
                async with WebhookSender(settings) as sender:
                    rows = await drain(outbox, sender, only="moody")
                assert len(moody.delivered) == 60
                order: dict[str, list[str]] = {}
                for notice_id in moody.delivered:
                    order.setdefault(notice_id.split("_")[1], []).append(notice_id[-1])
                assert set(map(tuple, order.values())) == {("1", "2")}
                assert [r.outcome for r in rows if r.endpoint == "moody"].count("retry") == 3
                assert {r.outcome for r in rows if r.endpoint == "dead"} == {"retry"}

    run(story())


def test_a_restart_repeats_with_the_same_id_and_body() -> None:
    async def story() -> None:
        async with Receiver([SECRET]) as receiver:
            settings = config(hook(receiver.url))
            first = Outbox(settings)
            first.add(transition(1, "310101-a", 0), now_ms())
            checkpoint = first.changed()
            async with WebhookSender(settings) as sender:
                await drain(first, sender)
                second = Outbox(settings)  # the process ended before the next checkpoint
                for key, value in checkpoint:
                    assert value is not None
                    second.restore(key, value)
                await drain(second, sender)
            assert [r.notice_id for r in receiver.received] == [notice().notice_id] * 2
            assert len({r.body for r in receiver.received}) == 1
            assert len(receiver.delivered) == 1

    run(story())


def test_410_ends_all_to_that_endpoint() -> None:
    async def story() -> None:
        async with Receiver([SECRET], statuses=[410]) as gone:
            settings = config(hook(gone.url))
            outbox = Outbox(settings)
            outbox.add(transition(1, "310101-a", 0), now_ms())
            outbox.add(transition(2, "310101-a", 1, cleared=True), now_ms())
            async with WebhookSender(settings) as sender:
                rows = await drain(outbox, sender)
            assert [r.outcome for r in rows] == ["disabled", "disabled"]
            assert len(gone.received) == 1

    run(story())


def test_the_receiver_says_when_its_port_is_busy() -> None:
    async def story() -> None:
        async with Receiver([SECRET]) as receiver:
            with pytest.raises(OSError, match="in use"):
                async with Receiver([SECRET], port=int(receiver.url.split(":")[2].split("/")[0])):
                    pass

    run(story())
