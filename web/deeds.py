"""What people do: an action, a silence, the end of one, put into the log's words, and its answer into theirs."""

import time
import uuid
from datetime import datetime
from typing import Any

from gridbeacon.errors import GridbeaconError
from gridbeacon.lifecycle import ACTIONS, HANDLING, legal, may
from gridbeacon.model import Action, AlertEvent, Asked, Silence, Unsilence
from gridbeacon.reasons import ActionKind, ActionSource, Disposition, HandlingState, Level, Refusal, Role
from web.door import wait
from web.parts import Parts
from web.problems import Problem
from web.tokens import Viewer

#: What an action that was refused is answered with.
STATUS: dict[Refusal, int] = {
    Refusal.UNKNOWN_ALERT: 404,
    Refusal.UNKNOWN_SILENCE: 404,
    Refusal.OLD_VERSION: 409,
    Refusal.ILLEGAL_STEP: 409,
    Refusal.NOT_PERMITTED: 403,
    Refusal.REASON_MISSING: 422,
    Refusal.ASSIGNEE_MISSING: 422,
    Refusal.DISPOSITION_MISSING: 422,
    Refusal.OWNER_MISSING: 422,
    Refusal.END_MISSING: 422,
}
SILENCE = "silence"


def permitted(role: Role) -> list[str]:
    """Return what a role may ask for.

    >>> permitted(Role.VIEWER)
    []
    """
    found = [str(kind) for kind, (_, needed) in ACTIONS.items() if may(role, needed)]
    return [*found, SILENCE] if may(role, Role.OFFICER) else found


def choices(state: HandlingState, role: Role) -> list[ActionKind]:
    """Return the actions that are legal in a state of handling and that a role may ask for, in their usual order."""
    return [kind for kind in ActionKind if (state, kind) in HANDLING and may(role, ACTIONS[kind][1])]


async def act(
    house: Parts,
    viewer: Viewer,
    alert_id: str,
    kind: ActionKind,
    *,
    version: int | None = None,
    note: str = "",
    assignee: str = "",
    disposition: Disposition | None = None,
    action_id: str = "",
) -> AlertEvent:
    """Return what came of a person's action. Raises ``Problem`` when it was refused or had no answer."""
    asked = Action(
        action_id=action_id or str(uuid.uuid4()),
        alert_id=alert_id,
        kind=kind,
        actor=viewer.name,
        role=viewer.role,
        sent_ms=_now_ms(),
        version=version,
        note=note,
        assignee=assignee,
        disposition=disposition,
        source=ActionSource.API,
    )
    return await answered(house, viewer, asked)


async def silence(
    house: Parts,
    viewer: Viewer,
    *,
    reason: str,
    begin: datetime | None,
    end: datetime,
    cells: str,
    rule: str,
    up_to: Level,
    silence_id: str = "",
) -> tuple[str, AlertEvent]:
    """Return the id of a new silence and what came of it. Raises ``Problem`` as ``act`` does."""
    asked = Silence(
        silence_id=silence_id or str(uuid.uuid4()),
        owner=viewer.name,
        reason=reason,
        starts_ms=house.now_ms() if begin is None else int(begin.timestamp() * 1000),
        ends_ms=int(end.timestamp() * 1000),
        sent_ms=_now_ms(),
        role=viewer.role,
        cells=cells,
        rule=rule,
        up_to=up_to,
        source=ActionSource.API,
    )
    return asked.silence_id, await answered(house, viewer, asked)


async def unsilence(house: Parts, viewer: Viewer, silence_id: str, note: str) -> AlertEvent:
    """Return what came of ending a silence before its time. Raises ``Problem`` as ``act`` does."""
    asked = Unsilence(
        action_id=str(uuid.uuid4()),
        silence_id=silence_id,
        actor=viewer.name,
        role=viewer.role,
        sent_ms=_now_ms(),
        note=note,
        source=ActionSource.API,
    )
    return await answered(house, viewer, asked)


async def answered(house: Parts, viewer: Viewer, asked: Asked) -> AlertEvent:
    """Return what came of what somebody asked for. Raises ``Problem`` when it was refused or had no answer."""
    wait(house.acts_often.wait_secs(viewer.client))
    if house.submit is None:
        raise Problem(503, "this server takes no actions: it is not connected to the log")
    try:
        event = await house.submit(asked)
    except GridbeaconError as error:
        raise Problem(503, str(error), headers={"retry-after": "5"}) from error
    if event.refusal is not None:
        more: dict[str, Any] = {"reason": event.refusal}
        if event.refusal in (Refusal.ILLEGAL_STEP, Refusal.OLD_VERSION):
            more |= {"legal": legal(event.handling_to), "version": event.version}
        raise Problem(STATUS[event.refusal], event.note.partition(": ")[2] or event.note, **more)
    return event


def _now_ms() -> int:
    return int(time.time() * 1000)
