"""The stream of an open board: a word whenever something changed, and the time every second."""

import time
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from starlette.responses import Response

from gridbeacon.reasons import HandlingState, Level
from web.reads import open_stream
from web.scene import Scene, come_in

router = APIRouter(include_in_schema=False)
Look = Annotated[Scene, Depends(come_in)]
PUSH_SECS = 0.25
"""News of one moment go to a board together."""
TICK_SECS = 1.0


@router.get("/stream")
async def stream(scene: Look) -> Response:
    """Send a word whenever something changed, and the time every second: what a board needs to be true."""
    return open_stream(scene.house, _news(scene))


async def _news(scene: Scene) -> AsyncIterator[bytes]:
    hub = scene.house.hub
    hub.streams += 1
    try:
        told_rev, told_at = -1, float("-inf")
        while not hub.closing:
            since = time.monotonic() - told_at
            if (hub.view.rev != told_rev and since >= PUSH_SECS) or since >= TICK_SECS:
                told_rev, told_at = hub.view.rev, time.monotonic()
                yield _word(scene)
                continue
            if hub.view.rev != told_rev:
                await hub.wait(PUSH_SECS - since)
            else:
                await hub.wait(max(0.01, TICK_SECS - since))
    finally:
        hub.streams -= 1


def _word(scene: Scene) -> bytes:
    """Return what a board is told; the same bytes for all who are told in the same moment."""
    house = scene.house
    hub, view = house.hub, house.view
    moment = (view.rev, int(time.monotonic() * 4))
    known = house.kept.get("word")
    if known is None or known[0] != moment:
        red = [
            case.alert.alert_id
            for case in view.cases.values()
            if case.is_open and case.alert.level is Level.RED and case.alert.handling_state is HandlingState.NEW
        ]
        said = {
            "rev": view.rev,
            "time": view.time_ms,
            "quiet": round(hub.quiet_secs, 1),
            "problem": hub.problem or "",
            "red": red[:50],
        }
        known = house.kept["word"] = (moment, b"data: " + msgspec.json.encode(said) + b"\n\n")
    word: bytes = known[1]
    return word
