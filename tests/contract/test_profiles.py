"""Each profile through the real sender to a receiver that verifies as its kind does and answers as its kind does."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from gridbeacon.config_notify import SIGNED, Notify, Webhook
from gridbeacon.model import Notice
from sinks.bodies import PROFILES
from sinks.deliveries import Attempt, Result
from sinks.receiver import Receiver, Trouble
from sinks.webhook import BODY_MAX_BYTES, WebhookSender
from tests.told import notices

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW_MS = 1_672_484_640_123


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 30))


def hook(url: str, profile: str, **settings: object) -> Webhook:
    secrets = (SECRET,) if profile in SIGNED else ()
    plain = Webhook(name="a", url=url, profile=profile, secrets=secrets, allow_private=True)
    return msgspec.structs.replace(plain, **settings)


async def send(webhook: Webhook, notice: Notice, now_ms: int | None = None) -> Result:
    import time

    async with WebhookSender(Notify(webhooks=(webhook,)), "Asia/Shanghai") as sender:
        return await sender.send(Attempt("a", notice, 1), time.time_ns() // 1_000_000 if now_ms is None else now_ms)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_notice_of_each_profile_is_taken_and_comes_again_with_the_same_bytes(profile: str) -> None:
    async def story() -> None:
        keys = {"routing_key": "R"} if profile == "pagerduty" else {}
        async with Receiver([SECRET] if profile in SIGNED else [], profile=profile) as receiver:
            webhook = hook(receiver.url, profile, **keys)
            for _ in range(2):
                result = await send(webhook, notices()[1])
                assert result.meaning == "delivered", result
            assert receiver.unverified == 0
            assert len(receiver.received) == 2
            assert len({one.body for one in receiver.received}) == 1

    run(story())


@pytest.mark.parametrize("profile", ["dingtalk", "feishu"])
def test_a_robots_own_signature_is_verified_and_a_wrong_one_is_permanent(profile: str) -> None:
    async def story() -> None:
        async with Receiver([], profile=profile, sign_secret="one") as receiver:
            url = receiver.url + "?access_token=t"
            assert (await send(hook(url, profile, sign_secret="one"), notices()[0])).meaning == "delivered"
            for wrong in ({"sign_secret": "two"}, {}):
                result = await send(hook(url, profile, **wrong), notices()[0])
                assert (result.status, result.meaning) == (200, "permanent")
            stale = await send(hook(url, profile, sign_secret="one"), notices()[0], NOW_MS)
            assert stale.meaning == "permanent"
            assert (len(receiver.received), receiver.unverified) == (1, 3)

    run(story())


def test_an_error_never_repeats_the_address() -> None:
    async def story() -> None:
        async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(b"HTTP/9.9 what\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(garbage, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            result = await send(hook(f"http://127.0.0.1:{port}/t0k3n?key=t0k3n", "wecom"), notices()[0])
        assert result.meaning == "retry"
        assert result.detail
        assert "t0k3n" not in result.detail
        result = await send(hook("http://127.0.0.1:1/t0k3n?key=t0k3n", "wecom"), notices()[0])
        assert "t0k3n" not in result.detail

    run(story())


def test_what_is_too_large_or_no_notice_of_ours_is_not_sent() -> None:
    async def story() -> None:
        async with Receiver([SECRET]) as receiver:
            huge = msgspec.structs.replace(notices()[0], body='{"data":{"x":"' + "x" * BODY_MAX_BYTES + '"}}')
            result = await send(hook(receiver.url, "standard"), huge)
            assert (result.status, result.meaning) == (0, "permanent")
            assert "bytes" in result.detail
            for body in ("not json", "[]", '{"data":{"level":"purple","sequence":"x"}}', '{"data":{"level":"purple"}}'):
                strange = msgspec.structs.replace(notices()[0], body=body)
                result = await send(hook(receiver.url, "cap"), strange)
                assert (result.status, result.meaning) == (0, "permanent"), body
            assert receiver.received == []

    run(story())


def test_a_receiver_in_trouble_fails_in_every_way_and_says_which_it_took() -> None:
    async def story() -> None:
        trouble = Trouble(share=0.7, hang_secs=30, seed=4)
        async with Receiver([SECRET], trouble=trouble) as receiver:
            webhook = hook(receiver.url, "standard", timeout_secs=0.3)
            results = [await send(webhook, notices()[0]) for _ in range(40)]
            statuses = {result.status for result in results}
            assert statuses >= {0, 204, 429}
            assert statuses & {500, 502, 503, 504}
            assert {r.retry_after_secs for r in results if r.status == 429} == {1.0}
            assert any(r.status == 0 and "no answer" in r.detail for r in results)
            assert any(r.status == 0 and "no answer" not in r.detail for r in results)
            took = [one.status for one in receiver.received].count(204)
            assert took > [r.status for r in results].count(204)  # some answers were lost

    run(story())
