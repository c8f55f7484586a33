"""What is found out for all viewers together: once, and nobody waits for it longer than must be."""

import asyncio
import time

import pytest

from web import lately
from web.lately import Lately
from web.problems import Problem


class Slow:
    """Finds 1, 2, 3 … each after a moment; None in ``fails`` for one that can't be found."""

    def __init__(self, secs: float, fails: tuple[int, ...] = ()) -> None:
        self.secs, self.fails, self.count = secs, fails, 0

    async def __call__(self) -> int:
        self.count += 1
        mine = self.count
        await asyncio.sleep(self.secs)
        if mine in self.fails:
            raise Problem(503, "it is away")
        return mine


def test_before_the_first_value_one_waits_so_long_and_no_longer() -> None:
    async def ask() -> None:
        slow = Slow(0.3)
        kept = Lately(slow, 10.0)
        began = time.monotonic()
        both = await asyncio.gather(kept.get(0.05), kept.get(0.05))
        assert [one.value for one in both] == [None, None]
        assert time.monotonic() - began < 0.25
        assert (await kept.get(20)).value == 1
        assert slow.count == 1

    asyncio.run(ask())


def test_what_is_hardly_old_is_shown_at_once_and_what_is_old_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> None:
        slow = Slow(0.2, fails=(3,))
        kept = Lately(slow, 0.0)
        assert (await kept.get(20)).value == 1
        monkeypatch.setattr(lately, "HARDLY_OLD", float("inf"))
        kept._fresh_secs = 1e-9
        began = time.monotonic()
        assert (await kept.get(20)).value == 1
        assert time.monotonic() - began < 0.15
        await kept._finding
        monkeypatch.setattr(lately, "HARDLY_OLD", 0.0)
        known = await kept.get(20)
        assert (known.value, known.problem) == (2, "it is away")

    asyncio.run(ask())
