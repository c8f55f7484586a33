"""Values of the core as the API says them: levels and states are words, times RFC 3339 in UTC."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from gridbeacon.model import Transition, plain
from web.view import Case


def stamp(time_ms: int) -> str:
    """Return a time as the API writes it.

    >>> stamp(1_672_484_400_000)
    '2022-12-31T11:00:00.000Z'
    """
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def shaped(value: Any) -> Any:
    """Return a value of the core as plain data: ``opened_ms`` becomes ``opened_at``.

    >>> from gridbeacon.model import Delivery
    >>> one = Delivery(notice_id="n", alert_id="a", sequence=1, endpoint="e", attempt=1, attempted_ms=0,
    ...     duration_ms=1.5, status=204, outcome="delivered")
    >>> shaped(one)["attempted_at"], shaped(one)["duration_ms"]
    ('1970-01-01T00:00:00.000Z', 1.5)
    """
    if isinstance(value, msgspec.Struct):
        found = {}
        for name in value.__struct_fields__:
            field = getattr(value, name)
            if name.endswith("_ms") and (field is None or isinstance(field, int)):
                found["at" if name == "at_ms" else f"{name[:-3]}_at"] = None if field is None else stamp(field)
            else:
                found[name] = shaped(field)
        return found
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return [shaped(item) for item in value]
    return plain(value)


def alert_json(case: Case, place: str) -> dict[str, Any]:
    """Return an alert as the API lists it."""
    taken = case.taken
    return {
        **shaped(case.alert),
        "place": place,
        "taken_by": case.holder or None,
        "taken_at": None if taken is None else stamp(taken.at_ms),
    }


def event_json(transition: Transition) -> dict[str, Any]:
    """Return one transition as the event stream says it."""
    return {"alert": shaped(transition.alert), "event": shaped(transition.event)}
