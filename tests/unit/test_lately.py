"""What is found out for all viewers together: once, and nobody waits for it longer than must be."""

import asyncio

import pytest

from web import lately
from web.lately import Lately
from web.problems import Problem


class Slow:
    """Finds 1, 2, 3 … each after a moment; None in ``fails`` for one that can't be found."""

    def __init__(self, fails: tuple[int, ...] = ()) -> None:
        self.fails, self.count, self.may_end = fails, 0, asyncio.Event()

    async def __call__(self) -> int:
        self.count += 1
        mine = self.count
        await self.may_end.wait()
        if mine in self.fails:
            raise Problem(503, "it is away")
        return mine


def test_before_the_first_value_one_waits_so_long_and_no_longer() -> None:
    async def ask() -> None:
        slow = Slow()
        kept = Lately(slow, 10.0)
        both = await asyncio.gather(kept.get(0.05), kept.get(0.05))
        assert [one.value for one in both] == [None, None]
        slow.may_end.set()
        assert (await kept.get(20)).value == 1
        assert slow.count == 1

    asyncio.run(ask())


def test_what_is_hardly_old_is_shown_at_once_and_what_is_old_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> None:
        slow = Slow(fails=(3,))
        slow.may_end.set()
        kept = Lately(slow, 0.0)
        assert (await kept.get(20)).value == 1
        monkeypatch.setattr(lately, "HARDLY_OLD", float("inf"))
        kept._fresh_secs = 1e-9
        slow.may_end.clear()
        assert (await kept.get(20)).value == 1
        assert not kept._finding.done()  # it looks for the next one meanwhile
        slow.may_end.set()
        await kept._finding
        monkeypatch.setattr(lately, "HARDLY_OLD", 0.0)
        known = await kept.get(20)
        assert (known.value, known.problem) == (2, "it is away")

    asyncio.run(ask())
