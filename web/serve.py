"""The role api: follows the log and serves. Ends in order on SIGTERM; open streams are told to come back."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from gridbeacon.config import Config
from gridbeacon.errors import ConfigError, GridbeaconError, StayDown
from gridbeacon.model import AlertEvent, Asked
from gridbeacon.registry import Registry
from web import questions
from web.app import create_app
from web.database import Database
from web.hub import Hub
from web.parts import Parts, doorkeeper
from web.view import View

log = structlog.get_logger("api")
PORT_SECS = 5.0
"""A process that was killed frees its port within this."""
CAUGHT_UP_SECS = 60.0

Follow = Callable[[Callable[[str, int, int, bytes], None], Callable[[str | None], None]], Awaitable[None]]


class _Server(uvicorn.Server):
    """Tells its streams to end when it is to end."""

    hub: Hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End in order."""
        self.hub.close()
        await super().shutdown(sockets)


async def run(
    config: Config,
    registry: Registry,
    folder: Path,
    *,
    follow: Follow,
    health: Callable[[], dict[str, Any]],
    ready: Callable[[], None],
    submit: Callable[[Asked], Awaitable[AlertEvent]] | None = None,
) -> None:
    """Serve until told to stop. ``follow`` feeds the log, ``submit`` takes actions, ``ready`` hears that all is up.

    Raises ``ConfigError`` when tokens or certificate are wrong, ``StayDown`` when the port is taken.
    """
    view = View()
    hub = Hub(view)
    database = Database(config)
    door = doorkeeper(config, folder)
    parts = Parts(
        config=config,
        registry=registry,
        view=view,
        hub=hub,
        database=database,
        door=door,
        health=health,
        submit=submit,
    )
    bound = await _bind(config)
    api = config.api
    server = _Server(
        uvicorn.Config(
            create_app(parts),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ssl_certfile=api.tls_cert_file or None,
            ssl_keyfile=api.tls_key_file or None,
            timeout_graceful_shutdown=5,
            timeout_keep_alive=30,
            h11_max_incomplete_event_size=32_768,
            backlog=1024,
        )
    )
    server.hub = hub
    following = asyncio.create_task(_must_go_on(follow(hub.took, hub.said)))
    starting = asyncio.create_task(_start(hub, database, ready))
    try:
        await server.serve(sockets=[bound])
    finally:
        hub.close()
        for task in (following, starting):
            task.cancel()
        await asyncio.gather(following, starting, return_exceptions=True)


async def _start(hub: Hub, database: Database, ready: Callable[[], None]) -> None:
    """Put in the alerts that are older than the log, and say that all is up."""
    while not hub.caught_up:
        await hub.wait()
    ready()
    while True:
        try:
            hub.view.remember(await questions.remembered(database))
        except GridbeaconError as error:
            log.warning("alerts older than the log are not known yet", detail=str(error))
            await asyncio.sleep(5)
        else:
            hub.wake()
            return


async def _must_go_on(work: Awaitable[None]) -> None:
    """Run what must not end: when it does, the process ends, and its supervisor starts a new one."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception as error:  # whatever it is: a board that hears nothing must not live on
        log.critical("process ends", error=type(error).__name__, detail=str(error), exc_info=True)
        os._exit(1)


async def _bind(config: Config) -> socket.socket:
    """Return the listening socket. Raises ``StayDown`` when the port is taken, ``ConfigError`` for a wrong address."""
    api = config.api
    family = socket.AF_INET6 if ":" in api.listen else socket.AF_INET
    for left in range(int(PORT_SECS * 5), -1, -1):
        # The protocol is named, for asyncio sends small pieces at once only where it is: else each answer waits 40 ms.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((api.listen, api.port))
        except OSError as error:
            bound.close()
            if isinstance(error, socket.gaierror) or error.errno == 99:
                raise ConfigError(f"api.listen {api.listen!r} is no address of this machine; correct it") from error
            if not left:
                raise StayDown(
                    f"the port {api.port} of the board can't be used ({error.strerror}); free it, or set api.port"
                ) from error
            await asyncio.sleep(0.2)
        else:
            return bound
    raise AssertionError
