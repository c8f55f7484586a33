"""Silences: where people do not want to hear of new alerts, up to which level, until when, and whose idea it was.

Pure; each partition of ``signals`` holds them all, for each is sent to every partition.
"""

import msgspec

from gridbeacon.lifecycle import Event, may
from gridbeacon.model import Alert, AlertEvent, Silence, Unsilence
from gridbeacon.reasons import ConditionState, HandlingState, Level, Reason, Refusal, Role

SILENCE = "silence"
"""The kind of their keys in the state, ``silence:ID``."""
KEPT_MS = 86_400_000
"""A silence that is over is remembered this long, so that an action that is sent again gets its answer again."""


class Quiet(msgspec.Struct):
    """A silence, and what was answered to the actions about it, by their id."""

    silence: Silence
    answers: dict[str, AlertEvent] = msgspec.field(default_factory=dict)


class Silences:
    """All silences that are not long over."""

    def __init__(self) -> None:
        self._known: dict[str, Quiet] = {}
        self._changed: set[str] = set()

    def begin(self, asked: Silence, at_ms: int) -> tuple[AlertEvent, Silence | None]:
        """Take a silence; return the event, and the silence as it stands, None when it was refused."""
        known = self._known.get(asked.silence_id)
        if known is not None:
            return known.answers[asked.silence_id], known.silence
        refusal = _fault(asked, at_ms)
        if refusal is not None:
            return _event(asked, Event.REFUSED, at_ms, asked.silence_id, 0, asked.owner, *refusal), None
        event = _event(asked, Event.SILENCED, at_ms, asked.silence_id, 1, asked.owner, None, asked.reason)
        self._known[asked.silence_id] = Quiet(asked, {asked.silence_id: event})
        self._changed.add(asked.silence_id)
        return event, asked

    def end(self, asked: Unsilence, at_ms: int) -> tuple[AlertEvent, Silence | None]:
        """End a silence before its time; return the event, and the silence as it stands, None when refused."""
        known = self._known.get(asked.silence_id)
        if known is not None and asked.action_id in known.answers:
            return known.answers[asked.action_id], known.silence
        if not may(asked.role, Role.OFFICER):
            words = f"to end a silence takes the role {Role.OFFICER}"
            return _event(
                asked, Event.REFUSED, at_ms, asked.action_id, 0, asked.actor, Refusal.NOT_PERMITTED, words
            ), None
        if known is None or known.silence.ends_ms <= at_ms:
            words = "there is no such silence, or it is over"
            return _event(
                asked, Event.REFUSED, at_ms, asked.action_id, 0, asked.actor, Refusal.UNKNOWN_SILENCE, words
            ), None
        known.silence = msgspec.structs.replace(known.silence, ends_ms=at_ms)
        event = _event(asked, Event.UNSILENCED, at_ms, asked.action_id, 2, asked.actor, None, asked.note)
        known.answers[asked.action_id] = event
        self._changed.add(asked.silence_id)
        return event, known.silence

    def over(self, alert: Alert, at_ms: int) -> Silence | None:
        """Return the silence that an alert falls under at a time, None when it falls under none."""
        for silence_id in sorted(self._known):
            one = self._known[silence_id].silence
            if (
                one.starts_ms <= at_ms < one.ends_ms
                and alert.cell.startswith(one.cells)
                and one.rule in ("", alert.rule)
                and alert.level <= one.up_to
            ):
                return one
        return None

    def next_ms(self) -> int | None:
        """Return when the next one is forgotten, None when there is none."""
        return min((quiet.silence.ends_ms + KEPT_MS for quiet in self._known.values()), default=None)

    def forget(self, until_ms: int) -> None:
        """Forget what is long over."""
        gone = [name for name, quiet in self._known.items() if quiet.silence.ends_ms + KEPT_MS <= until_ms]
        for name in gone:
            del self._known[name]
            self._changed.add(name)

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all that changed since the last call; the value None removes the key."""
        records: list[tuple[bytes, bytes | None]] = []
        for name in sorted(self._changed):
            quiet = self._known.get(name)
            records.append((f"{SILENCE}:{name}".encode(), None if quiet is None else msgspec.json.encode(quiet)))
        self._changed.clear()
        return records

    def restore(self, name: str, value: bytes) -> None:
        """Take back one record of ``changed``."""
        self._known[name] = msgspec.json.decode(value, type=Quiet)


def _fault(asked: Silence, at_ms: int) -> tuple[Refusal, str] | None:
    if not may(asked.role, Role.OFFICER):
        return Refusal.NOT_PERMITTED, f"to silence takes the role {Role.OFFICER}"
    if not asked.owner.strip():
        return Refusal.OWNER_MISSING, "a silence needs an owner"
    if not asked.reason.strip():
        return Refusal.REASON_MISSING, "a silence needs a reason"
    if asked.ends_ms <= max(asked.starts_ms, at_ms):
        return Refusal.END_MISSING, "a silence needs an end, after its beginning and after now"
    return None


def _event(
    asked: Silence | Unsilence,
    event: Event,
    at_ms: int,
    action_id: str,
    version: int,
    actor: str,
    refusal: Refusal | None,
    words: str,
) -> AlertEvent:
    return AlertEvent(
        alert_id=asked.silence_id,
        version=version,
        event=event,
        reason=Reason.ACTION,
        at_ms=at_ms,
        actor=actor,
        level_from=Level.NONE,
        level_to=Level.NONE,
        condition_from=None,
        condition_to=ConditionState.UNKNOWN,
        handling_from=None,
        handling_to=HandlingState.NEW,
        note=words,
        action_id=action_id,
        action="silence" if isinstance(asked, Silence) else "unsilence",
        role=asked.role,
        source=asked.source,
        refusal=refusal,
    )
