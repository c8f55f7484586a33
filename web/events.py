"""The stream of alerts for programs: server-sent events whose ids are positions of the log.

An id names the last position of every partition that its reader has seen, ``0:17,1:4``. A reader that comes back with
it gets what came since, each transition once, from whichever process it asks.
"""

import re
import time
from collections.abc import AsyncIterator
from itertools import islice

import msgspec

from web.hub import TICK_SECS, Hub
from web.shapes import event_json, stamp
from web.view import Entry

RETRY_MS = 2000
_POSITIONS = re.compile(r"\d{1,6}:\d{1,18}(,\d{1,6}:\d{1,18}){0,999}")


def positions(text: str) -> dict[int, int] | None:
    """Return the positions that an id stands for, None when it is no id of ours.

    >>> positions("0:17,1:4"), positions("seventeen")
    ({0: 17, 1: 4}, None)
    """
    if not _POSITIONS.fullmatch(text):
        return None
    return {int(part): int(at) for part, _, at in (pair.partition(":") for pair in text.split(","))}


def id_of(seen: dict[int, int]) -> str:
    """Return the id of positions."""
    return ",".join(f"{part}:{at}" for part, at in sorted(seen.items()))


async def stream(hub: Hub, seen: dict[int, int] | None) -> AsyncIterator[bytes]:
    """Yield events from the positions ``seen`` on, from now on when None, and the time every second."""
    view = hub.view
    hub.streams += 1
    try:
        yield f"retry: {RETRY_MS}\n\n".encode()
        mine = dict(view.at) if seen is None else dict(seen)
        missed = view.since(mine) if seen is not None else []
        if missed is None:
            mine = dict(view.at)
            yield _said("reset", mine, {"detail": "this is too long ago: read /api/alerts, then go on from here"})
        else:
            for entry in missed:
                yield _entry(mine, entry)
        read = view.first + len(view.entries)
        told = 0.0
        while not hub.closing:
            if read < view.first:  # this reader is too slow
                mine, read = dict(view.at), view.first + len(view.entries)
                yield _said("reset", mine, {"detail": "you read too slowly: read /api/alerts, then go on from here"})
            fresh = list(islice(reversed(view.entries), view.first + len(view.entries) - read))
            read += len(fresh)
            for entry in reversed(fresh):
                yield _entry(mine, entry)
            if time.monotonic() - told >= TICK_SECS:
                told = time.monotonic()
                yield _said("time", mine, _time(hub))
            await hub.wait(TICK_SECS)
    finally:
        hub.streams -= 1


def _time(hub: Hub) -> dict[str, object]:
    time_ms = hub.view.time_ms
    return {
        "log_time": stamp(time_ms) if time_ms is not None else None,
        "quiet_secs": round(hub.quiet_secs, 1),
        "problem": hub.problem,
    }


def _entry(mine: dict[int, int], entry: Entry) -> bytes:
    mine[entry.partition] = max(entry.offset, mine.get(entry.partition, -1))
    return _said("alert", mine, event_json(entry.transition))


def _said(kind: str, mine: dict[int, int], data: object) -> bytes:
    head = f"id: {id_of(mine)}\n" if mine else ""
    return f"event: {kind}\n{head}data: ".encode() + msgspec.json.encode(data) + b"\n\n"
