"""News for those who wait: readers of event streams sleep until something happened, and are told the time while not."""

import asyncio
import time

from web.view import View

TICK_SECS = 1.0


class Hub:
    """Feeds the view from the log and wakes whoever waits for it."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.streams = 0
        """Event streams that are open."""
        self.problem: str | None = "the log has not been read yet"
        """Why the log can't be followed, None while it can."""
        self.caught_up = False
        self._heard = time.monotonic()
        self._news = asyncio.Event()
        self._closing = False

    @property
    def quiet_secs(self) -> float:
        """Seconds since the time of the log last moved on."""
        return time.monotonic() - self._heard

    @property
    def closing(self) -> bool:
        """Whether streams are to end."""
        return self._closing

    def took(self, topic: str, partition: int, offset: int, value: bytes) -> None:
        """Take one message of the log."""
        if topic == "alerts":
            if self.view.take(partition, offset, value) is not None:
                self.wake()
        elif topic == "deliveries":
            self.view.deliver(partition, offset, value)
        elif self.view.hear(value):
            self._heard = time.monotonic()

    def said(self, problem: str | None) -> None:
        """Hear that the log is read up to its end (None), or why it can't be."""
        self.problem = problem
        self.caught_up = self.caught_up or problem is None
        self.wake()

    def wake(self) -> None:
        """Let everybody look."""
        self._news.set()
        self._news = asyncio.Event()

    def close(self) -> None:
        """Let every stream end."""
        self._closing = True
        self.wake()

    async def wait(self, secs: float = TICK_SECS) -> None:
        """Return when there is news, or after so many seconds."""
        news = self._news
        try:
            await asyncio.wait_for(news.wait(), secs)
        except TimeoutError:
            return
