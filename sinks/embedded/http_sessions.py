"""Sessions with a name, which last from one request to the next, with their temporary tables and settings."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sinks.embedded.session import Session
from sinks.embedded.wire import ServerError

NOT_FOUND, LOCKED, TOO_MANY, BAD_ARGUMENTS = 372, 373, 202, 36
USUAL_SECS, MOST_SECS = 60, 3600
"""As a server's default_session_timeout and max_session_timeout."""
MOST = 128
_Key = tuple[str, str]


@dataclass(slots=True)
class _Kept:
    session: Session | None
    busy: bool
    secs: int
    until: float


class Sessions:
    """The named sessions of all users. ``look`` ends those whose time is over; ``close`` ends all."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[_Key, _Kept] = {}

    def take(self, user: str, name: str, make: Callable[[], Session], *, secs: int, must_exist: bool) -> Session:
        """Return the session of this name, for the caller alone until ``give_back``; ``make`` makes a new one.

        Raises ``ServerError``: 373 when another request has it, 372 when it must exist and does not, 202 when there
        are too many.
        """
        self.look()
        key = (user, name)
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                if must_exist:
                    raise ServerError(NOT_FOUND, f"Session {name[:100]} not found (SESSION_NOT_FOUND)")
                if len(self._kept) >= MOST:
                    raise ServerError(
                        TOO_MANY, f"Too many sessions: {MOST} are kept already (TOO_MANY_SIMULTANEOUS_QUERIES)"
                    )
                found = self._kept[key] = _Kept(None, busy=False, secs=secs, until=0.0)
            if found.busy:
                raise ServerError(LOCKED, f"Session {name[:100]} is locked by a concurrent client (SESSION_IS_LOCKED)")
            found.busy, found.secs = True, secs
        try:
            found.session = found.session or make()
        except BaseException:
            with self._lock:
                del self._kept[key]
            raise
        return found.session

    def give_back(self, user: str, name: str, *, end: bool) -> None:
        """Let the next request have the session, or end it."""
        with self._lock:
            found = self._kept[user, name]
            found.busy, found.until = False, self._clock() + found.secs
            if end:
                del self._kept[user, name]
        if end and found.session:
            found.session.close()

    def look(self) -> None:
        """End the sessions that nobody has asked for in their time; may be called often."""
        now = self._clock()
        self._end(lambda kept: not kept.busy and kept.until <= now)

    def close(self) -> None:
        """End all sessions; no request may be on its way any more."""
        self._end(lambda _: True)

    def _end(self, over: Callable[[_Kept], bool]) -> None:
        with self._lock:
            ended = {key: kept for key, kept in self._kept.items() if over(kept)}
            for key in ended:
                del self._kept[key]
        for kept in ended.values():
            if kept.session:
                kept.session.close()


def seconds(text: str) -> int:
    """Return how long a session is to be kept. Raises ``ServerError`` (code 36) when it can't be so long."""
    if not text:
        return USUAL_SECS
    if not text.isdecimal() or not 0 < int(text) <= MOST_SECS:
        raise ServerError(
            BAD_ARGUMENTS, f"session_timeout must be a number of seconds from 1 to {MOST_SECS} (BAD_ARGUMENTS)"
        )
    return int(text)
