"""A desk that stays open: made when the first action comes, made anew after the broker was away."""

import asyncio
import contextlib

from gridbeacon.config import Config
from gridbeacon.errors import Transient
from gridbeacon.model import AlertEvent, Asked
from streams.act import Desk


class StandingDesk:
    """Takes actions for as long as a server lives, whatever becomes of the broker meanwhile."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._desk: Desk | None = None
        self._opening = asyncio.Lock()
        self._busy = 0

    async def act(self, asked: Asked) -> AlertEvent:
        """Return the answer to an action. Raises ``Transient`` as ``Desk.act`` does."""
        async with self._opening:
            if self._desk is None:
                self._desk = await Desk(self._config).__aenter__()
        desk = self._desk
        self._busy += 1
        try:
            return await desk.act(asked)
        except Transient:
            if self._desk is desk and self._busy == 1:  # the next one gets a fresh one; others still wait at this
                self._desk = None
                await self._close(desk)
            raise
        finally:
            self._busy -= 1

    async def close(self) -> None:
        """Close it."""
        desk, self._desk = self._desk, None
        if desk is not None:
            await self._close(desk)

    @staticmethod
    async def _close(desk: Desk) -> None:
        with contextlib.suppress(Exception):
            await desk.__aexit__(None, None, None)
