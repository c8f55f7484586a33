"""The board and the API in this process: a real server on a free port of loopback, fed with transitions by the test."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec
import uvicorn

from gridbeacon.config import Config
from gridbeacon.handling import handle, refused
from gridbeacon.lifecycle import advance
from gridbeacon.model import (
    Action,
    Alert,
    AlertEvent,
    Asked,
    Evidence,
    Position,
    SignalBatch,
    Silence,
    Situation,
    Tick,
    Transition,
)
from gridbeacon.reasons import Certainty, Level, Mode, Reason, Refusal
from gridbeacon.registry import Registry
from gridbeacon.silences import Silences
from web.app import create_app
from web.database import Database
from web.hub import Hub
from web.parts import Parts, doorkeeper
from web.view import View

T0 = 1_704_106_800_000
"""2024-01-01 19:00 in Shanghai."""
WAIT_SECS = 20.0


def situation(cell: str, level: Level, *, value: float = 4.2, source: str = "CAM-1", **more: Any) -> Situation:
    """Return a crowd in a cell."""
    series = f"crowd/{source}/density_max_per_m2"
    evidence = Evidence(
        series=series,
        layer="limit",
        reason=Reason.DENSITY,
        level=level,
        since_ms=T0,
        lineage=Position("crowd.metrics", 0, 1),
        value=value,
        threshold=float(level) + 1,
        text=more.pop("text", f"{source} at {value} people/m²"),
    )
    said = {"rule": "safety", "certainty": Certainty.OBSERVED, "data_lost": False, "headline": f"{source} is crowded"}
    return Situation(cell=cell, level=level, reason=Reason.DENSITY, evidence=(evidence,), **{**said, **more})


class Log:
    """Makes the messages of ``alerts`` and ``signals`` as the roles write them: one partition, growing offsets."""

    def __init__(self) -> None:
        self.offset = -1
        self.alerts: dict[tuple[str, str], Alert] = {}
        self.silences = Silences()

    def act(self, asked: Asked) -> tuple[AlertEvent, bytes]:
        """Return the answer to an action as situate gives it, and the message that says it."""
        silence = None
        if isinstance(asked, Action):
            key, alert = next(((k, a) for k, a in self.alerts.items() if a.alert_id == asked.alert_id), (None, None))
            if alert is None:
                event = refused(None, asked, T0, Refusal.UNKNOWN_ALERT, "there is no such alert")
            else:
                alert, event = handle(alert, asked, T0)
                self.alerts[key] = alert
        else:
            alert = None
            taken = self.silences.begin if isinstance(asked, Silence) else self.silences.end
            event, silence = taken(asked, T0)
        self.offset += 1
        transition = Transition(
            partition=0,
            offset=self.offset,
            index=0,
            previous=(self.offset - 1, 0),
            alert=alert,
            event=event,
            silence=silence,
        )
        return event, msgspec.json.encode(transition)

    def say(self, cell: str, now: Situation | None, at_ms: int = T0, rule: str = "safety") -> list[tuple[int, bytes]]:
        """Return (offset, value) of what follows from a situation."""
        before = self.alerts.get((cell, rule))
        found = []
        for alert, event in advance(before, now, at_ms, mode=Mode.LIVE, area_digits=6):
            self.offset += 1
            transition = Transition(
                partition=0, offset=self.offset, index=0, previous=(self.offset - 1, 0), alert=alert, event=event
            )
            found.append((self.offset, msgspec.json.encode(transition)))
            self.alerts[cell, rule] = alert
        if now is None:
            self.alerts.pop((cell, rule), None)
        return found


def tick(at_ms: int) -> bytes:
    """Return a message of ``signals`` that says the time."""
    batch = SignalBatch(partition=0, offset=0, previous=-1, signals=(), tick=Tick("ingest", at_ms))
    return msgspec.json.encode(batch)


class Served:
    """A running server. ``log`` makes messages, ``tell`` gives them to it."""

    def __init__(
        self,
        config: Config,
        registry: Registry | None = None,
        *,
        folder: Path | None = None,
        health: Callable[[], dict[str, Any]] | None = None,
        **more: Any,
    ) -> None:
        self.log = Log()
        self._ready = threading.Event()
        self._more = {
            "config": config,
            "registry": registry or Registry(),
            "submit": self._submit,
            "health": health or (lambda: {"roles": [], "data": {}, "problems": []}),
            **more,
        }
        self._folder = folder or Path()
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.bind(("127.0.0.1", 0))
        self._sock = sock
        self.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(WAIT_SECS)
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self.parts.hub.close)
        self._server.should_exit = True
        self._thread.join(WAIT_SECS)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        view = View()
        config = self._more["config"]
        self.parts = Parts(
            view=view,
            hub=Hub(view),
            database=Database(config),
            door=doorkeeper(config, self._folder),
            **self._more,
        )
        self.parts.hub.said(None)
        settings = uvicorn.Config(create_app(self.parts), log_config=None, lifespan="off", timeout_graceful_shutdown=2)
        self._server = uvicorn.Server(settings)
        serving = asyncio.create_task(self._server.serve(sockets=[self._sock]))
        self._loop.call_soon(self._say_ready)
        await serving

    async def _submit(self, asked: Asked) -> AlertEvent:
        event, value = self.log.act(asked)
        self.parts.hub.took("alerts", 0, self.log.offset, value)
        return event

    def _say_ready(self) -> None:
        if self._server.started:
            self._ready.set()
        else:
            self._loop.call_later(0.01, self._say_ready)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in the server's thread and return what it returns."""

        async def run() -> Any:
            return function(*arguments)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(WAIT_SECS)

    def tell(self, cell: str, now: Situation | None, at_ms: int = T0) -> None:
        """Let the situation of a cell be this from now on."""
        for offset, value in self.log.say(cell, now, at_ms):
            self.call(self.parts.hub.took, "alerts", 0, offset, value)
        self.tick(at_ms)

    def start_clock(self, at_ms: int) -> None:
        """Let time pass as it does, from so late on."""
        began = time.monotonic()

        def go_on() -> None:
            self.parts.hub.took("signals", 0, 0, tick(at_ms + int(1000 * (time.monotonic() - began))))
            self._clock = self._loop.call_later(0.3, go_on)

        self.call(go_on)

    def stop_clock(self) -> None:
        """Let the engine fall silent."""
        self.call(lambda: self._clock.cancel())  # the one that waits when the loop comes to it, not the one before

    def tick(self, at_ms: int) -> None:
        """Let it be so late."""
        self.call(self.parts.hub.took, "signals", 0, 0, tick(at_ms))


def until(condition: Callable[[], Any], what: str, secs: float = WAIT_SECS) -> Any:
    """Return what ``condition`` says once that is true."""
    deadline = time.monotonic() + secs
    while not (found := condition()):
        assert time.monotonic() < deadline, f"gave up waiting for {what}"
        time.sleep(0.02)
    return found
